//! Embedding in a tokio program: events as a stream, each acknowledged.
//!
//! `embed_tokio URL TOKEN COUNT` reads COUNT events and stops.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt;
use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::{Secret, Streamkeeper};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: embed_tokio URL TOKEN COUNT");
    let (url, token, count) = (argument()?, argument()?, argument()?.parse()?);

    let mut config = Config::default();
    config.streams.push(StreamConfig::inform("embedded", url, Secret::new(token)));
    let keeper = Streamkeeper::start(config)?;

    let mut deliveries = keeper.deliveries().ok_or("taken already")?.take(count);
    while let Some(delivery) = deliveries.next().await {
        // Hand the event to the application here; then:
        delivery.ack();
    }
    let report = keeper.stop(Duration::from_secs(10)).await;
    assert!(!keeper.status().streams.is_empty());
    println!("{count} events, stopped with {report:?}");
    Ok(())
}
