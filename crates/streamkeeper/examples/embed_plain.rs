//! Embedding in a program without an async runtime.
//!
//! `embed_plain URL TOKEN COUNT` reads COUNT events and stops.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::{Secret, Streamkeeper};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: embed_plain URL TOKEN COUNT");
    let (url, token, count) = (argument()?, argument()?, argument()?.parse::<u64>()?);

    let mut config = Config::default();
    config.streams.push(StreamConfig::inform("embedded", url, Secret::new(token)));
    let keeper = Streamkeeper::start(config)?;

    let mut deliveries = keeper.deliveries().ok_or("taken already")?;
    for _ in 0..count {
        deliveries.recv_blocking().ok_or("ended early")?.ack();
    }
    let report = keeper.stop_blocking(Duration::from_secs(10));
    println!("{count} events, stopped with {report:?}");
    Ok(())
}
