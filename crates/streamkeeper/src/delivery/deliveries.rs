//! The events as the embedding application gets them: one by one, each to be acknowledged.
//!
//! A cursor in each stream's outbox, as a sink has one ([`crate::delivery::turns`]), moved by `ack()`.
//! Acknowledgements may come in any order; the cursor moves over what is complete.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use streamkeeper_sink::Envelope;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::delivery::feeds::{Feed, Wanted};
use crate::delivery::turns::{RETRY_MAX, SinkStop};
use crate::store::source::Source;

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
        self.source.acknowledge(next, std::slice::from_ref(&self.envelope));
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

/// Feeds the embedding application, one task per stream. When it is gone, and the tasks have ended,
/// the deliveries end.
#[derive(Debug)]
pub(crate) struct DeliveriesHub {
    runtime: tokio::runtime::Handle,
    sender: mpsc::Sender<Delivery>,
    stop: watch::Receiver<SinkStop>,
    tasks: HashMap<Arc<str>, JoinHandle<()>>,
}

impl DeliveriesHub {
    pub(crate) fn new(
        runtime: tokio::runtime::Handle,
        stop: watch::Receiver<SinkStop>,
    ) -> (Self, Deliveries) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT_MAX);
        (Self { runtime, sender, stop, tasks: HashMap::new() }, Deliveries { receiver })
    }

    pub(crate) fn add(&mut self, source: Source) {
        let name = Arc::clone(&source.entry.name);
        let task = self.runtime.spawn(feed(source, self.sender.clone(), self.stop.clone()));
        self.tasks.insert(name, task);
    }

    pub(crate) fn remove(&mut self, stream: &str) {
        if let Some(task) = self.tasks.remove(stream) {
            task.abort();
        }
    }
}

async fn feed(source: Source, sender: mpsc::Sender<Delivery>, mut stop: watch::Receiver<SinkStop>) {
    let next = source.cursor();
    let acked = Arc::new(Mutex::new(Acked { next, ahead: BTreeSet::new() }));
    let bell = Arc::clone(&source.subscriber.bell);
    let mut feed = Feed::new(source);
    let mut batch = Vec::new();
    loop {
        // Before it is read: what is committed before a stop is read, too.
        let stopping = *stop.borrow_and_update() != SinkStop::No;
        bell.answer();
        let read = || {
            let (events_max, bytes_max) = (BATCH_EVENTS_MAX, BATCH_BYTES_MAX);
            feed.take(Wanted { events_max, bytes_max, is_wanted: &|_| true }, &mut batch)
        };
        if let Err(reason) = tokio::task::block_in_place(read) {
            feed.source.failing(Some((reason, None)));
            if tokio::time::timeout(RETRY_MAX, wait_for_now(&mut stop)).await.is_ok() {
                return;
            }
            continue;
        }
        feed.source.failing(None);
        let idle = batch.is_empty();
        for envelope in batch.drain(..) {
            let acked = Arc::clone(&acked);
            let delivery = Delivery { envelope, source: feed.source.clone(), acked };
            tokio::select! {
                sent = sender.send(delivery) => if sent.is_err() { return },
                () = wait_for_now(&mut stop) => return,
            }
        }
        if idle && stopping {
            return;
        }
        if idle {
            tokio::select! {
                () = bell.news().some() => drop(bell.news().take()),
                () = sender.closed() => return,
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }
}

async fn wait_for_now(stop: &mut watch::Receiver<SinkStop>) {
    // An error means that whoever could say so is gone.
    if stop.wait_for(|state| state.is_now()).await.is_err() {}
}

/// So much is read from an outbox at once: events …
const BATCH_EVENTS_MAX: usize = 1_000;

/// … and bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;
