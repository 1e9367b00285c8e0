//! What readers (status, metrics, the demo) see: counters and states, one entry per stream.
//!
//! The owners of the numbers write them here as they go; whoever reads takes a snapshot and disturbs
//! nobody. A removed stream's entry vanishes with it. Nothing here is health data: names come from
//! the configuration, the rest are counts, times and words.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use dashmap::DashMap;
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::Outbox;
use tokio::sync::watch;

use crate::api::condition::{SlotCondition, StreamCondition};
use crate::api::replay::ReplayStatus;
use crate::api::status::{ConsumerStatus, IncidentStatus, ProcessStatus, Status, StreamStatus};
use crate::base::budget::Budget;
use crate::base::clock::wall;
use crate::base::rfc3339::rfc3339;
use crate::observe::counts::{END_TO_END, Histogram, Measured, Words};
use crate::observe::history::Recorder;
use crate::observe::tally::Tally;
use crate::transport::HttpTransport;

/// Counts of one stream since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames: AtomicU64,
    pub(crate) pokes: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) accepted_bytes: AtomicU64,
    pub(crate) duplicate: AtomicU64,
    pub(crate) conflicting: AtomicU64,
    pub(crate) garbled: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) replayed_new: AtomicU64,
    pub(crate) replayed_duplicate: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) rests: AtomicU64,
    pub(crate) recoveries: AtomicU64,
    pub(crate) doubted: AtomicU64,
    /// Seconds of history that the service did not keep until it could be read.
    pub(crate) lost_seconds: AtomicU64,
    /// Unix microseconds of our own clock; 0: never.
    pub(crate) last_frame: AtomicI64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// Events that were read and judged: new or known.
    pub(crate) fn read(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed) + self.duplicate.load(Ordering::Relaxed)
    }
}

/// One stream in the registry.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) name: Arc<str>,
    pub(crate) counters: Counters,
    pub(crate) measured: Measured,
    pub(crate) consumers: Vec<Arc<Consumer>>,
    /// The last hour.
    pub(crate) history: Recorder,
    /// How much is in them; whoever controls them has them from elsewhere.
    outbox: Outbox,
    budget: Budget,
    view: RwLock<View>,
    /// The operator's last replay.
    replay: Mutex<Option<Arc<Tally>>>,
    /// The last failure that was logged, until something succeeds.
    told: Mutex<String>,
    /// What is said once and for all.
    told_once: Mutex<Vec<&'static str>>,
}

/// A consumer of a stream's outbox.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) delivered: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// The failures by reason.
    pub(crate) failed: Words,
    /// From an event's creation to its acknowledgement.
    pub(crate) delay: Histogram,
    failing: RwLock<Option<Failing>>,
    /// Events of the stream that it has refused for good, since the start …
    pub(crate) set_aside: AtomicU64,
    /// … and those that are on disk now.
    pub(crate) dead_letters: AtomicU64,
}

/// Why a consumer does not take events.
#[derive(Clone, Debug)]
struct Failing {
    reason: &'static str,
    /// In words for people.
    detail: Option<String>,
}

impl Consumer {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            delivered: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            failed: Words::new(&[]),
            delay: Histogram::new(&END_TO_END),
            failing: RwLock::new(None),
            set_aside: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
        }
    }

    pub(crate) fn failing(&self) -> Option<&'static str> {
        self.failing.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|why| why.reason)
    }

    fn failing_detail(&self) -> Option<String> {
        let failing = self.failing.read().unwrap_or_else(PoisonError::into_inner);
        failing.as_ref().and_then(|why| why.detail.clone())
    }

    /// Says why the consumer does not take events, in a word and for people; `None`: it does.
    pub(crate) fn set_failing(&self, reason: Option<(&'static str, Option<&str>)>) {
        let failing =
            reason.map(|(reason, detail)| Failing { reason, detail: detail.map(str::to_owned) });
        *self.failing.write().unwrap_or_else(PoisonError::into_inner) = failing;
    }

    /// One more event was refused for good: so many are on disk now.
    pub(crate) fn add_dead_letter(&self, there: u64) {
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        self.set_dead_letters(there);
    }

    pub(crate) fn set_dead_letters(&self, there: u64) {
        self.dead_letters.store(there, Ordering::Relaxed);
    }
}

/// What the supervisor knows, as of its last input.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) state: StreamCondition,
    pub(crate) detail: Option<&'static str>,
    pub(crate) mark: Option<Timestamp>,
    pub(crate) suspects: usize,
    pub(crate) slots: Vec<SlotCondition>,
    pub(crate) members: Option<u32>,
    pub(crate) members_max: Option<u32>,
    pub(crate) incident: Option<IncidentStatus>,
    pub(crate) last_incident: Option<IncidentStatus>,
}

impl StreamEntry {
    pub(crate) fn new(
        name: Arc<str>,
        outbox: Outbox,
        budget: Budget,
        consumers: Vec<Arc<Consumer>>,
    ) -> Self {
        Self {
            name,
            counters: Counters::default(),
            measured: Measured::default(),
            consumers,
            history: Recorder::default(),
            outbox,
            budget,
            view: RwLock::default(),
            replay: Mutex::default(),
            told: Mutex::default(),
            told_once: Mutex::default(),
        }
    }

    /// Takes note of an operator's replay, unless one is running.
    pub(crate) fn begin_replay(&self, tally: &Arc<Tally>) -> bool {
        let mut replay = self.replay.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !replay.as_ref().is_some_and(|earlier| earlier.is_running());
        if free {
            *replay = Some(Arc::clone(tally));
        }
        free
    }

    fn replay(&self) -> Option<ReplayStatus> {
        let replay = self.replay.lock().unwrap_or_else(PoisonError::into_inner).clone();
        replay.map(|tally| tally.status())
    }

    /// Whether `failure` is news: one line says it, not one for each attempt.
    pub(crate) fn is_news(&self, failure: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *told != failure;
        if news {
            failure.clone_into(&mut told);
        }
        news
    }

    /// Whether `what` has never been said of this stream: it is by this.
    pub(crate) fn is_first(&self, what: &'static str) -> bool {
        let mut told = self.told_once.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !told.contains(&what);
        if first {
            told.push(what);
        }
        first
    }

    /// Something has succeeded: the next failure is news again.
    pub(crate) fn succeeded(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Says once if an answer names a content encoding that is none.
    pub(crate) fn note_encoding(&self, transport: &HttpTransport) {
        if transport.is_news_that_encoding_is_odd() {
            tracing::warn!(
                stream = %self.name,
                "an answer names a Content-Encoding that is no compression; it is read as it is",
            );
        }
    }

    /// Changes what readers see. Returns whether the stream's state, in words, has changed.
    pub(crate) fn update(&self, change: impl FnOnce(&mut View)) -> bool {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let before = (view.state, view.detail);
        change(&mut view);
        before != (view.state, view.detail)
    }

    pub(crate) fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn status(&self) -> StreamStatus {
        let view = self.view();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let micros = counters.last_frame.load(Ordering::Relaxed);
        StreamStatus {
            name: self.name.to_string(),
            state: view.state,
            detail: view.detail.map(Into::into),
            mark: view.mark.and_then(rfc3339),
            suspects: view.suspects,
            slots: view.slots,
            members: view.members,
            members_max: view.members_max,
            frames: count(&counters.frames),
            pokes: count(&counters.pokes),
            bytes_received: count(&counters.bytes_received),
            accepted: count(&counters.accepted),
            accepted_bytes: count(&counters.accepted_bytes),
            duplicate: count(&counters.duplicate),
            conflicting: count(&counters.conflicting),
            garbled: count(&counters.garbled),
            replaced: count(&counters.replaced),
            replayed_new: count(&counters.replayed_new),
            replayed_duplicate: count(&counters.replayed_duplicate),
            connects: count(&counters.connects),
            rests: count(&counters.rests),
            recoveries: count(&counters.recoveries),
            last_frame: (micros > 0).then(|| rfc3339(Timestamp::from_micros(micros))).flatten(),
            incident: view.incident,
            last_incident: view.last_incident,
            queue_bytes: self.queue_bytes(),
            outbox_bytes: self.outbox.bytes(),
            consumers: self.consumer_statuses(),
            replay: self.replay(),
        }
    }

    /// The bytes between the sockets and the disk.
    pub(crate) fn queue_bytes(&self) -> usize {
        self.budget.taken()
    }

    /// How many events the consumer has not acknowledged.
    pub(crate) fn backlog(&self, consumer: &Consumer) -> u64 {
        self.outbox.backlog(&consumer.name)
    }

    /// The bytes of those on disk.
    pub(crate) fn backlog_bytes(&self, consumer: &Consumer) -> u64 {
        self.outbox.backlog_bytes(&consumer.name)
    }

    /// Whether every consumer has everything that was accepted.
    pub(crate) fn is_delivered(&self) -> bool {
        self.consumers.iter().all(|consumer| self.backlog(consumer) == 0)
    }

    fn consumer_statuses(&self) -> Vec<ConsumerStatus> {
        let status = |consumer: &Arc<Consumer>| ConsumerStatus {
            name: consumer.name.clone(),
            delivered: consumer.delivered.load(Ordering::Relaxed),
            failures: consumer.failures.load(Ordering::Relaxed),
            failing: consumer.failing().map(Into::into),
            failing_detail: consumer.failing_detail(),
            dead_letters: consumer.dead_letters.load(Ordering::Relaxed),
            backlog: self.backlog(consumer),
        };
        self.consumers.iter().map(status).collect()
    }
}

/// All streams of one running Streamkeeper.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    streams: Arc<DashMap<Arc<str>, Arc<StreamEntry>>>,
    process: Arc<Process>,
}

/// What is true of the process as a whole.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) started: Timestamp,
    since: Instant,
    /// Something that nothing replaces has panicked.
    died: watch::Sender<bool>,
    /// What the log could not write, counted by whoever has installed it.
    pub(crate) lost_log_lines: Arc<AtomicU64>,
    /// Where the endpoint listens, once it does.
    pub(crate) listen: OnceLock<SocketAddr>,
    /// The last attempt to read the configuration was a success …
    pub(crate) reloaded: AtomicBool,
    /// … and when the last success was, in Unix microseconds.
    pub(crate) reloaded_at: AtomicI64,
}

impl Default for Process {
    fn default() -> Self {
        let now = wall();
        Self {
            started: now,
            since: Instant::now(),
            died: watch::Sender::new(false),
            lost_log_lines: Arc::default(),
            listen: OnceLock::new(),
            reloaded: AtomicBool::new(true),
            reloaded_at: AtomicI64::new(now.as_micros()),
        }
    }
}

impl Registry {
    /// Without a stream yet; the log's gaps are counted by `lost_log_lines`.
    pub(crate) fn new(lost_log_lines: Arc<AtomicU64>) -> Self {
        let process = Process { lost_log_lines, ..Process::default() };
        Self { process: Arc::new(process), ..Self::default() }
    }

    pub(crate) fn insert(&self, entry: Arc<StreamEntry>) {
        self.streams.insert(Arc::clone(&entry.name), entry);
    }

    /// Something that nothing replaces is gone: see [`crate::observe::vital`].
    pub(crate) fn note_death(&self) {
        self.process.died.send_replace(true);
    }

    pub(crate) fn has_died(&self) -> bool {
        *self.process.died.borrow()
    }

    /// Waits until something that nothing replaces is gone.
    pub(crate) async fn death(&self) {
        if self.process.died.subscribe().wait_for(|died| *died).await.is_err() {
            // Whoever could say so is kept by ourselves.
            std::future::pending::<()>().await;
        }
    }

    /// Whether the last changed configuration was taken over.
    pub(crate) fn reloaded(&self, taken_over: bool) {
        self.process.reloaded.store(taken_over, Ordering::Relaxed);
        if taken_over {
            self.process.reloaded_at.store(wall().as_micros(), Ordering::Relaxed);
        }
    }

    pub(crate) fn remove(&self, stream: &str) {
        self.streams.remove(stream);
    }

    pub(crate) fn get(&self, stream: &str) -> Option<Arc<StreamEntry>> {
        self.streams.get(stream).map(|entry| Arc::clone(&entry))
    }

    pub(crate) fn contains(&self, stream: &str) -> bool {
        self.streams.contains_key(stream)
    }

    pub(crate) fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process)
    }

    /// The streams, by name.
    pub(crate) fn entries(&self) -> Vec<Arc<StreamEntry>> {
        let mut entries: Vec<_> = self.streams.iter().map(|entry| Arc::clone(&entry)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// What the process says of itself.
    pub(crate) fn process_status(&self) -> ProcessStatus {
        let Status { streams, last_reload_refused } = self.status();
        ProcessStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.process.since.elapsed().as_secs(),
            listen: self.process.listen.get().copied(),
            streams,
            last_reload_refused,
        }
    }

    /// A snapshot, by name.
    pub(crate) fn status(&self) -> Status {
        let last_reload_refused = !self.process.reloaded.load(Ordering::Relaxed);
        let streams = self.entries().iter().map(|entry| entry.status()).collect();
        Status { streams, last_reload_refused }
    }
}
