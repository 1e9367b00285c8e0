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
use streamkeeper_ledger::Reader;
use streamkeeper_sink::{Envelope, Resume, Sink, SinkError};
use tokio::sync::{mpsc, watch};

use crate::clock::seed;
use crate::head;
use crate::registry::{Consumer, StreamEntry};

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
    fn consumer(&self) -> Option<&Consumer> {
        self.entry.consumers.get(self.consumer)
    }

    fn name(&self) -> &str {
        self.consumer().map_or("", |consumer| &consumer.name)
    }

    /// The first event that this consumer has not acknowledged.
    fn cursor(&self) -> u64 {
        self.entry.outbox.cursor(self.name()).unwrap_or(FIRST)
    }

    /// The consumer has everything before `next`, `count` events more than before.
    fn acknowledge(&self, next: u64, count: u64) {
        self.entry.outbox.acknowledge(self.name(), next);
        if let Some(consumer) = self.consumer() {
            consumer.delivered.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn failing(&self, reason: Option<&'static str>) {
        if let Some(consumer) = self.consumer() {
            consumer.failures.fetch_add(u64::from(reason.is_some()), Ordering::Relaxed);
            consumer.set_failing(reason);
        }
    }
}

/// The sequence number of a stream's first event.
const FIRST: u64 = 1;

/// A consumer's way through one stream's outbox.
struct Feed {
    source: Source,
    reader: Reader,
    /// What was read and is not acknowledged: given again after a failure.
    batch: Vec<Envelope>,
    /// The sink knows where it is.
    resumed: bool,
}

impl Feed {
    fn new(source: Source) -> Self {
        let reader = source.entry.outbox.reader(source.cursor());
        Self { source, reader, batch: Vec::new(), resumed: false }
    }

    /// Reads the next batch, unless there still is one. Reads a file: on a thread that may wait.
    fn fill(&mut self) -> Result<(), &'static str> {
        if !self.batch.is_empty() {
            return Ok(());
        }
        let StreamEntry { name, outbox, .. } = &*self.source.entry;
        let first = self.reader.next_sequence();
        let read =
            tokio::task::block_in_place(|| self.reader.read(BATCH_EVENTS_MAX, BATCH_BYTES_MAX));
        let entries = read.map_err(|error| {
            tracing::error!(stream = %name, %error, "the outbox cannot be read");
            "outbox_unreadable"
        })?;
        let batch: Option<Vec<_>> =
            entries.into_iter().map(|entry| head::envelope(name, entry)).collect();
        if batch.is_none() {
            self.reader = outbox.reader(first);
        }
        self.batch = batch.ok_or("written_by_a_newer_version")?;
        Ok(())
    }

    /// Tells the sink where it is, once.
    async fn resume(&mut self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        if !self.resumed {
            let source = &self.source;
            let (next, end) = (source.cursor(), source.entry.outbox.end());
            sink.resume(Resume { source: &source.entry.name, next, end }).await?;
            self.resumed = true;
        }
        Ok(())
    }

    /// Reads and delivers one batch; false if there is none.
    async fn deliver(&mut self, sink: &mut dyn Sink) -> Result<bool, SinkError> {
        self.fill().map_err(SinkError::retryable)?;
        let Some(last) = self.batch.last() else { return Ok(false) };
        let next = last.sequence + 1;
        sink.deliver(&self.batch).await?;
        self.source.acknowledge(next, self.batch.len() as u64);
        self.source.failing(None);
        self.batch.clear();
        Ok(true)
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
    let entries: Vec<_> = sources.iter().map(|source| Arc::clone(&source.entry)).collect();
    let mut feeds: Vec<_> = sources.into_iter().map(Feed::new).collect();
    loop {
        let appended: Vec<_> =
            entries.iter().map(|entry| Box::pin(entry.appended.notified())).collect();
        let mut idle = true;
        // A sink of several streams knows all its places before anything is written.
        let resumed = feeds.iter().all(|feed| feed.resumed);
        for feed in &mut feeds {
            let outcome = if resumed {
                feed.deliver(&mut *sink).await
            } else {
                feed.resume(&mut *sink).await.map(|()| true)
            };
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    idle = false;
                    backoff.reset();
                }
                Err(error) => {
                    idle = false;
                    let source = &feed.source;
                    source.failing(Some(error.reason));
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
        self.source.acknowledge(next, 1);
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
    let next = source.cursor();
    let acked = Arc::new(Mutex::new(Acked { next, ahead: BTreeSet::new() }));
    let entry = Arc::clone(&source.entry);
    let mut feed = Feed::new(source);
    loop {
        let appended = entry.appended.notified();
        if let Err(reason) = feed.fill() {
            feed.source.failing(Some(reason));
            if tokio::time::timeout(RETRY_MAX, wait_for_now(&mut stop)).await.is_ok() {
                return;
            }
            continue;
        }
        feed.source.failing(None);
        let idle = feed.batch.is_empty();
        for envelope in feed.batch.drain(..) {
            let acked = Arc::clone(&acked);
            let delivery = Delivery { envelope, source: feed.source.clone(), acked };
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
