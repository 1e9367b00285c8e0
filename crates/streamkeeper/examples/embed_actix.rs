//! Embedding in an actix program: a sink of the application's own.
//!
//! `embed_actix URL TOKEN COUNT` takes COUNT events and stops.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::{BoxFuture, Envelope, Secret, Sink, SinkError, Streamkeeper};
use tokio::sync::mpsc::{Sender, channel};

/// Hands the number of each batch's events to the application.
struct Counting(Sender<usize>);

impl Sink for Counting {
    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            // An error leaves the batch in the outbox: it comes again.
            self.0.send(batch.len()).await.map_err(|_| SinkError::broken("nobody_listens"))
        })
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: embed_actix URL TOKEN COUNT");
    let (url, token, count) = (argument()?, argument()?, argument()?.parse::<usize>()?);

    let mut config = Config::default();
    config.streams.push(StreamConfig::inform("embedded", url, Secret::new(token)));
    let (sender, mut receiver) = channel(16);
    let keeper =
        Streamkeeper::builder(config).sink("application", Box::new(Counting(sender))).start()?;

    let mut taken = 0;
    while taken < count {
        taken += receiver.recv().await.ok_or("ended early")?;
    }
    drop(receiver);
    let report = keeper.stop(Duration::from_secs(10)).await;
    println!("{taken} events, stopped with {report:?}");
    Ok(())
}
