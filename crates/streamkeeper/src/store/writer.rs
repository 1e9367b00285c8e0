//! The ledgers' writers: a fixed pool of threads, each stream's ledger pinned to one.
//!
//! A thread hands what the streams ask to their [`Desk`]s and lets each work when it is due. What
//! waits on a disk waits on a thread of the pool, never on one that reads sockets.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use streamkeeper_core::state::PolicyState;
use tokio::sync::oneshot;

use crate::base::reports::Reports;
use crate::observe::registry::Registry;
use crate::observe::vital::Vital;
use crate::store::batch::Batch;
use crate::store::desk::{Desk, Job, Tools};

enum Request {
    Open { key: u64, tools: Box<Tools> },
    Job { key: u64, job: Job },
    ReportTo { key: u64, reports: Reports },
    Durable { key: u64, answer: oneshot::Sender<Option<PolicyState>> },
}

/// The threads.
#[derive(Clone, Debug)]
pub(crate) struct WriterPool {
    threads: Vec<Sender<Request>>,
}

/// A stream's way to its ledger.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    key: u64,
    thread: Sender<Request>,
}

impl WriterPool {
    /// Starts that many threads; they end when the pool and all its writers are gone.
    pub(crate) fn start(threads: usize, registry: &Registry) -> std::io::Result<Self> {
        let mut senders = Vec::new();
        for number in 0..threads.max(1) {
            let (sender, receiver) = channel();
            let vital = Vital::new(registry, "writer");
            std::thread::Builder::new().name(format!("sk-writer-{number}")).spawn(move || {
                let _vital = vital;
                write(&receiver);
            })?;
            senders.push(sender);
        }
        Ok(Self { threads: senders })
    }

    /// Pins a ledger to a thread. `key` is the stream's number.
    pub(crate) fn open(&self, key: u64, tools: Tools) -> Option<Writer> {
        let place = usize::try_from(key).unwrap_or(0) % self.threads.len().max(1);
        let thread = self.threads.get(place)?.clone();
        thread.send(Request::Open { key, tools: Box::new(tools) }).ok()?;
        Some(Writer { key, thread })
    }
}

impl Writer {
    /// Hands a batch over; its room has been taken.
    pub(crate) fn batch(&self, batch: Batch) {
        self.send(Job::Batch(batch));
    }

    /// Makes a state durable, after everything before; answered by `Persisted`.
    pub(crate) fn persist(&self, number: u64, state: PolicyState, asker: &Reports) {
        self.send(Job::Persist { number, state, asker: asker.clone() });
    }

    /// Answered by `Flushed` when everything before is durable.
    pub(crate) fn flush(&self, asker: &Reports) {
        self.send(Job::Flush { asker: asker.clone() });
    }

    /// Waits until everything before is durable, or the ledger is let go of.
    pub(crate) async fn passed(&self) {
        let (held, passed) = oneshot::channel();
        self.send(Job::Pass { _held: held });
        // It is dropped, and never sent.
        drop(passed.await);
    }

    /// The stream's state as it is durable now, unclean; of what waits, nothing.
    pub(crate) async fn durable(&self) -> Option<PolicyState> {
        let (answer, durable) = oneshot::channel();
        self.request(Request::Durable { key: self.key, answer });
        durable.await.ok().flatten()
    }

    /// The stream has another supervisor.
    pub(crate) fn report_to(&self, reports: Reports) {
        self.request(Request::ReportTo { key: self.key, reports });
    }

    /// Lets go of the ledger. Resolves when that is done: another process may have it then.
    pub(crate) fn close(&self) -> oneshot::Receiver<()> {
        let (done, closed) = oneshot::channel();
        self.send(Job::Close(done));
        closed
    }

    fn send(&self, job: Job) {
        self.request(Request::Job { key: self.key, job });
    }

    fn request(&self, request: Request) {
        if self.thread.send(request).is_err() {
            tracing::error!("a writer thread has ended; nothing is accepted any more");
        }
    }
}

/// A writer thread: hands out what comes, and lets work who has to.
fn write(requests: &Receiver<Request>) {
    let mut desks: HashMap<u64, Desk> = HashMap::new();
    loop {
        let first = match desks.values().map(Desk::deadline).min() {
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => requests.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let now = Instant::now();
        match first {
            Ok(first) => {
                for request in std::iter::once(first).chain(requests.try_iter().take(TAKEN_MAX)) {
                    match request {
                        Request::Open { key, tools } => {
                            desks.insert(key, Desk::new(*tools, now));
                        }
                        Request::Job { key, job } => {
                            if let Some(desk) = desks.get_mut(&key) {
                                desk.take(job, now);
                            }
                        }
                        Request::ReportTo { key, reports } => {
                            if let Some(desk) = desks.get_mut(&key) {
                                desk.report_to(reports);
                            }
                        }
                        Request::Durable { key, answer } => {
                            let state = desks.get(&key).and_then(Desk::durable);
                            if answer.send(state).is_err() {
                                tracing::trace!("nobody waits for what is durable");
                            }
                        }
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for (_, desk) in desks.extract_if(|_, desk| !desk.work(now)) {
            desk.close();
        }
    }
}

/// So many requests are handed out before the desks work again.
const TAKEN_MAX: usize = 256;
