//! From the outbox to whoever wants the events.
//!
//! One task per sink, on a tokio runtime of the sinks' own, at its own pace: it reads each of its
//! streams' outboxes in turn, delivers a batch, and moves the cursor when the sink has it. A failure
//! is tried again after a growing delay; nothing is skipped. For an application that embeds us, see
//! [`crate::delivery::deliveries`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{pending, select_all};
use streamkeeper_core::backoff::{Backoff, BackoffConfig};
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::Reader;
use streamkeeper_sink::{Envelope, Resume, Sink, SinkError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::base::clock::{seed, wall};
use crate::observe::registry::{Consumer, StreamEntry};
use crate::store::head;

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
    /// The cursor of that name in a stream's outbox; its ledger was opened for it.
    pub(crate) fn new(entry: &Arc<StreamEntry>, name: &str) -> Self {
        let consumer = entry.consumers.iter().position(|consumer| consumer.name == name);
        Self { entry: Arc::clone(entry), consumer: consumer.unwrap_or(usize::MAX) }
    }

    fn consumer(&self) -> Option<&Consumer> {
        self.entry.consumers.get(self.consumer)
    }

    fn name(&self) -> &str {
        self.consumer().map_or("", |consumer| &consumer.name)
    }

    /// The first event that this consumer has not acknowledged.
    pub(crate) fn cursor(&self) -> u64 {
        self.entry.outbox.cursor(self.name()).unwrap_or(FIRST)
    }

    /// The consumer has everything before `next`, these events more than before.
    pub(crate) fn acknowledge(&self, next: u64, events: &[Envelope]) {
        self.entry.outbox.acknowledge(self.name(), next);
        if let Some(consumer) = self.consumer() {
            consumer.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
            let now = wall();
            for created in events.iter().filter_map(|event| event.time_us) {
                consumer.delay.observe(now.since(Timestamp::from_micros(created)));
            }
        }
    }

    pub(crate) fn failing(&self, reason: Option<&'static str>) {
        if let Some(consumer) = self.consumer() {
            if let Some(reason) = reason {
                consumer.failures.fetch_add(1, Ordering::Relaxed);
                consumer.failed.add(reason);
            }
            consumer.set_failing(reason);
        }
    }
}

/// The sequence number of a stream's first event.
const FIRST: u64 = 1;

/// A consumer's way through one stream's outbox.
pub(crate) struct Feed {
    pub(crate) source: Source,
    reader: Reader,
    /// What was read and is not acknowledged: given again after a failure.
    pub(crate) batch: Vec<Envelope>,
    /// The sink knows where it is.
    resumed: bool,
    /// The outbox cannot be read: not tried again before this.
    unreadable_until: Option<Instant>,
}

/// A stream comes to a sink, or goes.
#[derive(Debug)]
pub(crate) enum Change {
    Add(Vec<Source>),
    Remove { stream: Arc<str>, done: oneshot::Sender<()> },
}

impl Feed {
    pub(crate) fn new(source: Source) -> Self {
        let reader = source.entry.outbox.reader(source.cursor());
        Self { source, reader, batch: Vec::new(), resumed: false, unreadable_until: None }
    }

    /// Reads the next batch, unless there still is one. Reads a file: on a thread that may wait.
    pub(crate) fn fill(&mut self) -> Result<(), &'static str> {
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
            let ledger = source.entry.outbox.identity().to_string();
            let resume = Resume { source: &source.entry.name, ledger: &ledger, next, end };
            sink.resume(resume).await?;
            self.resumed = true;
        }
        Ok(())
    }

    /// Reads and delivers one batch; false if there is none. An outbox that cannot be read holds up
    /// its own stream alone.
    async fn deliver(&mut self, sink: &mut dyn Sink) -> Result<bool, SinkError> {
        if self.unreadable_until.is_some_and(|until| Instant::now() < until) {
            return Ok(false);
        }
        self.unreadable_until = None;
        if let Err(reason) = self.fill() {
            self.source.failing(Some(reason));
            self.unreadable_until = Some(Instant::now() + RETRY_MAX);
            return Ok(false);
        }
        let Some(last) = self.batch.last() else { return Ok(false) };
        let next = last.sequence + 1;
        sink.deliver(&self.batch).await?;
        self.source.acknowledge(next, &self.batch);
        self.source.failing(None);
        self.batch.clear();
        Ok(true)
    }
}

/// Delivers to `sink` what its streams have, until `stop` says so and nothing is left, or until
/// `stop` says at once.
pub(crate) async fn run_sink(
    name: String,
    mut sink: Box<dyn Sink>,
    mut changes: mpsc::UnboundedReceiver<Change>,
    mut stop: watch::Receiver<SinkStop>,
) {
    let config = BackoffConfig {
        initial: Duration::from_millis(500),
        max: RETRY_MAX,
        ..BackoffConfig::default()
    };
    let mut backoff = Backoff::new(config, seed());
    let mut feeds: Vec<Feed> = Vec::new();
    loop {
        while let Ok(change) = changes.try_recv() {
            apply(&mut feeds, change);
        }
        let entries: Vec<_> = feeds.iter().map(|feed| Arc::clone(&feed.source.entry)).collect();
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
            let unreadable = feeds.iter().filter_map(|feed| feed.unreadable_until).min();
            let news = async {
                if appended.is_empty() { pending().await } else { select_all(appended).await }
            };
            tokio::select! {
                _ = news => {}
                change = changes.recv() => match change {
                    Some(change) => apply(&mut feeds, change),
                    None => break,
                },
                () = sleep_until(unreadable) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
    }
    if let Err(error) = sink.close().await {
        tracing::warn!(sink = name, reason = error.reason, "closing the sink failed");
    }
}

fn apply(feeds: &mut Vec<Feed>, change: Change) {
    match change {
        Change::Add(sources) => feeds.extend(sources.into_iter().map(Feed::new)),
        Change::Remove { stream, done } => {
            feeds.retain(|feed| feed.source.entry.name != stream);
            if done.send(()).is_err() {
                tracing::trace!("nobody waits for the stream to be let go of");
            }
        }
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => pending().await,
    }
}

pub(crate) async fn wait_for_now(stop: &mut watch::Receiver<SinkStop>) {
    // An error means that whoever could say so is gone.
    if stop.wait_for(|state| state.is_now()).await.is_err() {}
}

/// The longest delay between two attempts to deliver.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

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
