//! From the outbox to whoever wants the events.
//!
//! One task per sink, on a tokio runtime of the sinks' own, at its own pace: it reads each of its
//! streams' outboxes in turn, delivers a batch, and moves the cursor when the sink has it. A failure
//! is tried again after a growing delay; nothing is skipped. [`Deliveries`] is the same for an
//! application that embeds us: a cursor, moved by `ack()`.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::select_all;
use streamkeeper_core::backoff::{Backoff, BackoffConfig};
use streamkeeper_sink::{Envelope, Sink};
use tokio::sync::{mpsc, watch};

use crate::clock::seed;
use crate::registry::StreamEntry;

/// A batch to a sink has at most so many events …
const BATCH_EVENTS_MAX: usize = 1_000;

/// … and at most so many bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// A stream's outbox, and which of its cursors is ours.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) entry: Arc<StreamEntry>,
    pub(crate) consumer: usize,
}

impl Source {
    fn batch(&self) -> Vec<Envelope> {
        let outbox = &self.entry.outbox;
        let entries = outbox.read(outbox.cursor(self.consumer), BATCH_EVENTS_MAX, BATCH_BYTES_MAX);
        entries.iter().map(|entry| entry.envelope.clone()).collect()
    }

    fn delivered(&self, batch: &[Envelope]) {
        if let Some(last) = batch.last() {
            self.entry.outbox.acknowledge(self.consumer, last.sequence + 1);
        }
        if let Some(consumer) = self.entry.consumers.get(self.consumer) {
            consumer.delivered.fetch_add(batch.len() as u64, Ordering::Relaxed);
            consumer.set_failing(None);
        }
    }

    fn failed(&self, reason: &'static str) {
        if let Some(consumer) = self.entry.consumers.get(self.consumer) {
            consumer.failures.fetch_add(1, Ordering::Relaxed);
            consumer.set_failing(Some(reason));
        }
    }
}

/// Delivers to `sink` until `stop` says so and nothing is left, or until `stop` says at once.
pub(crate) async fn run_sink(
    name: String,
    mut sink: Box<dyn Sink>,
    sources: Vec<Source>,
    mut stop: watch::Receiver<SinkStop>,
) {
    let config = BackoffConfig { initial: Duration::from_millis(500), max: RETRY_MAX };
    let mut backoff = Backoff::new(config, seed());
    loop {
        let appended: Vec<_> = sources
            .iter()
            .map(|source| Box::pin(source.entry.outbox.appended().notified()))
            .collect();
        let mut idle = true;
        for source in &sources {
            let batch = source.batch();
            if batch.is_empty() {
                continue;
            }
            idle = false;
            match sink.deliver(&batch).await {
                Ok(()) => {
                    backoff.reset();
                    source.delivered(&batch);
                }
                Err(error) => {
                    source.failed(error.reason);
                    // What will not heal by itself may heal by a hand: it is tried again, rarely.
                    let delay = if error.retryable { backoff.next(None) } else { RETRY_MAX };
                    tracing::warn!(
                        sink = name,
                        stream = %source.entry.name,
                        reason = error.reason,
                        attempt = backoff.attempt(),
                        "a delivery failed; it is tried again",
                    );
                    let now = || stop.borrow().is_now();
                    if now() || tokio::time::timeout(delay, wait_for_now(&mut stop)).await.is_ok() {
                        break;
                    }
                }
            }
        }
        let state = *stop.borrow_and_update();
        if state.is_now() || (idle && state == SinkStop::WhenEmpty) {
            break;
        }
        if idle {
            tokio::select! {
                _ = select_all(appended) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
    }
    if let Err(error) = sink.close().await {
        tracing::warn!(sink = name, reason = error.reason, "closing the sink failed");
    }
}

async fn wait_for_now(stop: &mut watch::Receiver<SinkStop>) {
    // An error means that whoever could say so is gone.
    if stop.wait_for(|state| state.is_now()).await.is_err() {}
}

/// The longest delay between two attempts to deliver.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What the sinks are told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SinkStop {
    /// Go on.
    No,
    /// End when everything has been delivered.
    WhenEmpty,
    /// End at once.
    Now,
}

impl SinkStop {
    const fn is_now(self) -> bool {
        matches!(self, Self::Now)
    }
}

/// An event for the embedding application, until it is acknowledged.
///
/// Events come at least once and in the stream's order; acknowledge each when it is safe with you.
/// What is never acknowledged stays in the outbox, and a full outbox makes the readers wait.
#[derive(Debug)]
pub struct Delivery {
    envelope: Envelope,
    source: Source,
    acked: Arc<Mutex<Acked>>,
}

impl Delivery {
    /// The event.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The name of the stream it came from.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.source.entry.name
    }

    /// The application has it: it will not come again.
    pub fn ack(self) {
        let next = {
            let mut acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
            acked.ack(self.envelope.sequence)
        };
        self.source.entry.outbox.acknowledge(self.source.consumer, next);
        if let Some(consumer) = self.source.entry.consumers.get(self.source.consumer) {
            consumer.delivered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Acknowledgements come in any order; the cursor moves over what is complete.
#[derive(Debug)]
struct Acked {
    next: u64,
    ahead: BTreeSet<u64>,
}

impl Acked {
    fn ack(&mut self, sequence: u64) -> u64 {
        self.ahead.insert(sequence);
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
        self.next
    }
}

/// The events of all streams, for the embedding application: a [`Stream`] of [`Delivery`].
///
/// It ends when Streamkeeper has stopped. Dropping it leaves what was not acknowledged in the
/// outbox.
#[derive(Debug)]
pub struct Deliveries {
    receiver: mpsc::Receiver<Delivery>,
}

impl Deliveries {
    /// Waits for the next event without an async runtime; `None` when Streamkeeper has stopped.
    /// Must not be called from async code: it blocks the thread.
    pub fn recv_blocking(&mut self) -> Option<Delivery> {
        self.receiver.blocking_recv()
    }
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.receiver.poll_recv(cx)
    }
}

/// How many deliveries may be under way to the application.
const IN_FLIGHT_MAX: usize = 256;

/// Starts a task that feeds the embedding application from `sources`.
pub(crate) fn start_deliveries(
    runtime: &tokio::runtime::Handle,
    sources: Vec<Source>,
    stop: &watch::Receiver<SinkStop>,
) -> Deliveries {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT_MAX);
    for source in sources {
        runtime.spawn(feed(source, sender.clone(), stop.clone()));
    }
    Deliveries { receiver }
}

async fn feed(source: Source, sender: mpsc::Sender<Delivery>, mut stop: watch::Receiver<SinkStop>) {
    let mut next = source.entry.outbox.cursor(source.consumer);
    let acked = Arc::new(Mutex::new(Acked { next, ahead: BTreeSet::new() }));
    loop {
        let appended = source.entry.outbox.appended().notified();
        let entries = source.entry.outbox.read(next, BATCH_EVENTS_MAX, BATCH_BYTES_MAX);
        let idle = entries.is_empty();
        for entry in entries {
            next = entry.envelope.sequence + 1;
            let delivery = Delivery {
                envelope: entry.envelope.clone(),
                source: source.clone(),
                acked: Arc::clone(&acked),
            };
            tokio::select! {
                sent = sender.send(delivery) => if sent.is_err() { return },
                () = wait_for_now(&mut stop) => return,
            }
        }
        if idle {
            if *stop.borrow_and_update() != SinkStop::No {
                return;
            }
            tokio::select! {
                () = appended => {}
                () = sender.closed() => return,
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }
}
