//! One stream's ledger at work: judges what was read, makes it durable, and only then says so.
//!
//! What the stream asks for (batches of frames, states to write down, a flush) waits here in one
//! order, so that what a poke proves can never overtake the data before it. A group commit takes
//! batches from the front; they leave the queue when they are durable, and not before. While the
//! disk fails, or the outbox is full, everything waits where it is: the ledger is tried again after
//! a pause, from the first batch that is not durable, so that a disk that is well again costs no
//! event. The queue is bounded by the stream's [`Budget`].

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::stream_policy::{Input, Span, StreamState};
use streamkeeper_core::time::{Instant as CoreInstant, Timestamp};
use streamkeeper_core::version::Verdict;
use streamkeeper_inform::EventType;
use streamkeeper_ledger::{Incoming, KEY_BYTES_MAX, Ledger, LedgerError};
use tokio::sync::oneshot;

use crate::budget::Budget;
use crate::clock::wall;
use crate::dialect::Event;
use crate::head;
use crate::metrics::TypeCounts;
use crate::registry::{Counters, StreamEntry};
use crate::replay::Side;
use crate::supervisor::Reports;

/// What one connection read at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) connection: ConnectionId,
    /// When its last frame was read.
    pub(crate) arrived: CoreInstant,
    /// It is part of a replay.
    pub(crate) replayed: bool,
    /// The service's time of its last poke.
    pub(crate) poke: Option<Timestamp>,
    pub(crate) events: Vec<Event>,
    /// The replay of an operator that it belongs to.
    pub(crate) side: Option<Arc<Side>>,
    /// Who reads the connection, and hears what became of this.
    pub(crate) reader: Reports,
}

impl Batch {
    /// Whether nothing of it is to be accepted.
    fn is_dry(&self) -> bool {
        self.side.as_ref().is_some_and(|side| side.dry_run)
    }

    /// The room it takes in the stream's budget.
    pub(crate) fn room(&self) -> usize {
        self.events.iter().map(room_of).sum()
    }

    /// Takes so much off the front that it fits into `share`, one event at least; `None` if the
    /// whole fits.
    pub(crate) fn split_off_front(&mut self, share: usize) -> Option<Self> {
        let mut room = 0;
        let fits = |event: &&Event| {
            room += room_of(event);
            room <= share
        };
        let count = self.events.iter().take_while(fits).count().max(1);
        (count < self.events.len()).then(|| self.take_front(count))
    }

    /// Takes the first events off. The poke stays behind: what it proves must not overtake the data
    /// before it.
    fn take_front(&mut self, count: usize) -> Self {
        let rest = self.events.split_off(count);
        let events = std::mem::replace(&mut self.events, rest);
        let (side, reader) = (self.side.clone(), self.reader.clone());
        Self { events, poke: None, side, reader, ..*self }
    }
}

/// The room an event takes from its socket to its ledger: payload and bookkeeping. Its names are
/// parts of the payload.
fn room_of(event: &Event) -> usize {
    event.data.len() + EVENT_OVERHEAD
}

/// What an event costs beyond its payload.
const EVENT_OVERHEAD: usize = 256;

/// Something a stream asks of its ledger. Each is answered to who asked: a supervisor that was
/// replaced may have left some behind, and its connections' names and clock mean nothing to the next.
#[derive(Debug)]
pub(crate) enum Job {
    /// Judge these, make the new ones durable; answered by `Committed`.
    Batch(Batch),
    /// Make this durable, with everything before it; answered by `Persisted`.
    Persist { number: u64, state: StreamState, asker: Reports },
    /// Answer `Flushed` when everything before is durable.
    Flush { asker: Reports },
    /// Dropped when everything before is durable, or nothing will be any more.
    Pass { _held: oneshot::Sender<()> },
    /// Write down the sinks' places and let go of the ledger.
    Close(oneshot::Sender<()>),
}

/// When waiting batches are committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupBounds {
    /// So long after the first, at the latest.
    pub(crate) delay: Duration,
    /// Or when so many bytes wait.
    pub(crate) bytes: usize,
}

/// What a stream's ledger works with.
pub(crate) struct Tools {
    pub(crate) ledger: Ledger,
    pub(crate) bounds: GroupBounds,
    pub(crate) budget: Budget,
    pub(crate) entry: Arc<StreamEntry>,
    /// The supervisor of the moment.
    pub(crate) reports: Reports,
}

/// A stream's ledger, its queue, and what is wrong with it.
pub(crate) struct Desk {
    tools: Tools,
    jobs: VecDeque<Job>,
    /// The bytes of the batches among them.
    waiting: usize,
    /// When the group commit is due.
    due: Option<Instant>,
    trouble: Option<Trouble>,
    sweep_at: Instant,
    /// The service's time, by the last poke, and when that was committed.
    service: Option<(Timestamp, Instant)>,
    /// Something has become durable since the last attempt.
    progress: bool,
    head: head::Writer,
}

/// Nothing can be made durable.
struct Trouble {
    reason: &'static str,
    pause: Duration,
    retry_at: Instant,
}

/// What judging a batch came to.
struct Judged {
    span: Span,
    bytes: u64,
    conflicting: u64,
    /// The new ones.
    types: TypeCounts,
    /// The known ones, of a replay that an operator asked for.
    known: TypeCounts,
}

impl Desk {
    pub(crate) fn new(tools: Tools, now: Instant) -> Self {
        Self {
            tools,
            jobs: VecDeque::new(),
            waiting: 0,
            due: None,
            trouble: None,
            sweep_at: now + SWEEP_EVERY,
            service: None,
            progress: false,
            head: head::Writer::default(),
        }
    }

    /// Puts a job into the queue.
    pub(crate) fn take(&mut self, job: Job, now: Instant) {
        let GroupBounds { delay, bytes } = self.tools.bounds;
        let due = if let Job::Batch(batch) = &job {
            self.waiting += batch.room();
            if self.waiting >= bytes { now } else { now + delay }
        } else {
            now
        };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        if let (Job::Close(_), Some(trouble)) = (&job, &mut self.trouble) {
            trouble.retry_at = now;
        }
        self.jobs.push_back(job);
    }

    /// The stream has another supervisor, which has to know at once why nothing is answered: what waits
    /// for a disk may wait for long.
    pub(crate) fn report_to(&mut self, reports: Reports) {
        self.tools.reports = reports;
        if let Some(trouble) = &self.trouble {
            self.tools.reports.send(Input::LedgerFailed(trouble.reason));
        }
    }

    /// When there is something to do.
    pub(crate) fn deadline(&self) -> Instant {
        let due = self.due.unwrap_or(self.sweep_at).min(self.sweep_at);
        self.trouble.as_ref().map_or(due, |trouble| trouble.retry_at)
    }

    /// Does what is due. Returns false when the ledger is to be closed.
    pub(crate) fn work(&mut self, now: Instant) -> bool {
        if self.deadline() > now {
            return true;
        }
        let mut outcome = self.work_off();
        if now >= self.sweep_at && self.tools.ledger.poisoned().is_none() {
            // Also beside an outbox that is full: its room comes from what can be deleted.
            outcome = outcome.and(self.sweep(now));
        }
        if self.jobs.iter().any(|job| matches!(job, Job::Close(_))) {
            // Whoever closes does not wait for a disk: what is not durable is read again. What the
            // sinks have acknowledged is written down also beside an outbox that is full.
            if let Err(error) = self.sweep(now) {
                let stream: &str = &self.tools.entry.name;
                tracing::warn!(stream, %error, "the ledger closes without its last events or places");
            }
            return false;
        }
        match outcome {
            Ok(()) => self.well(),
            Err(error) => self.failed(&error, now),
        }
        true
    }

    /// Lets go of the ledger, and says so to whoever waits for it.
    pub(crate) fn close(self) {
        let Self { tools, jobs, .. } = self;
        drop(tools);
        for job in jobs {
            if let Job::Close(done) = job
                && done.send(()).is_err()
            {
                tracing::trace!("nobody waits for the ledger to close");
            }
        }
    }

    /// Works off the queue, from its front.
    fn work_off(&mut self) -> Result<(), LedgerError> {
        self.tools.ledger.recover_in_place()?;
        while let Some(job) = self.jobs.front() {
            match job {
                Job::Batch(_) => {
                    self.commit()?;
                    continue;
                }
                Job::Persist { number, state, asker } => {
                    self.tools.ledger.persist(state)?;
                    asker.send(Input::Persisted(*number));
                }
                Job::Flush { asker } => asker.send(Input::Flushed),
                Job::Pass { .. } => {}
                Job::Close(_) => return Ok(()),
            }
            self.jobs.pop_front();
        }
        self.due = None;
        // A commit stands though the upkeep after it has failed.
        self.tools.ledger.poisoned().map_or(Ok(()), |cause| Err(cause.clone()))
    }

    /// Writes down the sinks' places, and deletes what is old.
    fn sweep(&mut self, now: Instant) -> Result<(), LedgerError> {
        self.sweep_at = now + SWEEP_EVERY;
        let ours = wall();
        // A clock that is wrong by weeks must not forget what was accepted: two have to agree.
        let service = self.service.map(|(poke, then)| poke.plus(now.duration_since(then)));
        let service = service.filter(|service| {
            service.since(ours) <= CLOCKS_APART_MAX && ours.since(*service) <= CLOCKS_APART_MAX
        });
        self.tools.ledger.sweep(ours, service).map(drop)
    }

    /// Commits a group from the front of the queue.
    fn commit(&mut self) -> Result<(), LedgerError> {
        let now = wall();
        let mut group = Vec::new();
        let (mut bytes, mut full) = (0, None);
        for job in &self.jobs {
            let Job::Batch(batch) = job else { break };
            let (judged, error) = judge(&mut self.tools.ledger, batch, now, &mut self.head);
            match error {
                None => group.push(judged),
                Some(error @ LedgerError::OutboxFull { .. }) => {
                    full = Some((judged, error));
                    break;
                }
                Some(error) => return Err(error),
            }
            bytes += batch.room();
            if bytes >= self.tools.bounds.bytes {
                break;
            }
        }
        let started = Instant::now();
        self.tools.ledger.commit()?;
        self.tools.entry.measured.commit.observe(started.elapsed());
        for judged in group {
            if let Some(Job::Batch(batch)) = self.jobs.pop_front() {
                self.committed(&batch, judged);
            }
        }
        let Some((judged, error)) = full else { return Ok(()) };
        let taken = (judged.span.new + judged.span.duplicate) as usize;
        if let Some(Job::Batch(batch)) = self.jobs.front_mut()
            && taken > 0
        {
            let front = batch.take_front(taken);
            self.committed(&front, judged);
        }
        Err(error)
    }

    /// A batch is durable.
    fn committed(&mut self, batch: &Batch, judged: Judged) {
        let entry = &self.tools.entry;
        let Judged { span, bytes, conflicting, types, known } = judged;
        if let Some(side) = &batch.side {
            side.count(types, known);
        }
        if batch.is_dry() {
            return self.answer(batch, span);
        }
        if let Some(poke) = span.poke {
            self.service = Some((poke, Instant::now()));
        }
        let counters = &entry.counters;
        Counters::add(&counters.accepted, span.new);
        Counters::add(&counters.accepted_bytes, bytes);
        entry.measured.accepted.add(types);
        Counters::add(&counters.duplicate, span.duplicate);
        Counters::add(&counters.conflicting, conflicting);
        if batch.replayed {
            Counters::add(&counters.replayed_new, span.new);
            Counters::add(&counters.replayed_duplicate, span.duplicate);
        }
        if span.new > 0 {
            entry.appended.notify_waiters();
        }
        self.answer(batch, span);
    }

    /// Tells whoever waits for a judged batch, and gives its room back.
    fn answer(&mut self, batch: &Batch, span: Span) {
        let Tools { budget, reports, .. } = &self.tools;
        let room = batch.room();
        self.waiting = self.waiting.saturating_sub(room);
        self.progress = true;
        budget.give(room);
        let committed = Input::Committed { connection: batch.connection, span };
        if batch.side.is_some() && !batch.is_dry() {
            reports.send(committed.clone());
        }
        batch.reader.send(committed);
    }

    fn well(&mut self) {
        if self.trouble.take().is_some() {
            let stream: &str = &self.tools.entry.name;
            tracing::info!(stream, "the ledger takes events again; none that waited is lost");
            self.tools.reports.send(Input::LedgerWell);
        }
    }

    fn failed(&mut self, error: &LedgerError, now: Instant) {
        let reason = reason(error);
        let progress = std::mem::take(&mut self.progress);
        let pause = match &self.trouble {
            // Sinks that are slow, and not down: room comes all the time.
            Some(trouble) if trouble.reason == reason && progress => PAUSE_FIRST,
            Some(trouble) if trouble.reason == reason => (trouble.pause * 2).min(PAUSE_MAX),
            _ => {
                let stream: &str = &self.tools.entry.name;
                let cause = std::error::Error::source(error).map(ToString::to_string);
                tracing::error!(
                    stream, reason, %error, cause,
                    "nothing can be accepted: what was read waits, and the mark stands still",
                );
                self.tools.reports.send(Input::LedgerFailed(reason));
                PAUSE_FIRST
            }
        };
        self.trouble = Some(Trouble { reason, pause, retry_at: now + pause });
    }
}

/// Judges the events of a batch, up to an error.
fn judge(
    ledger: &mut Ledger,
    batch: &Batch,
    arrived: Timestamp,
    head: &mut head::Writer,
) -> (Judged, Option<LedgerError>) {
    let Batch { arrived: read, replayed, poke, events, side, connection: _, reader: _ } = batch;
    let dry_run = batch.is_dry();
    let data = Vec::with_capacity(events.len());
    let span = Span { arrived: *read, poke: *poke, data, new: 0, duplicate: 0 };
    let (types, known) = (TypeCounts::default(), TypeCounts::default());
    let mut judged = Judged { span, bytes: 0, conflicting: 0, types, known };
    for event in events {
        let kind = event.kind;
        let incoming = Incoming {
            kind: code(kind),
            key: &ledger_key(event.key()),
            version: event.version,
            arrived,
            head: head.write(event, *replayed),
            payload: event.data.as_str().as_bytes(),
        };
        let verdict = if dry_run { ledger.judge(&incoming) } else { ledger.accept(&incoming) };
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                // The poke came after what is still to be judged.
                judged.span.poke = None;
                return (judged, Some(error));
            }
        };
        judged.span.data.extend(event.datum(verdict.is_new()));
        if verdict.is_new() {
            judged.span.new += 1;
            judged.bytes += event.data.len() as u64;
            judged.types.add(kind, event.record_type());
            judged.conflicting += u64::from(verdict == Verdict::Conflicting);
        } else {
            judged.span.duplicate += 1;
            if side.is_some() {
                judged.known.add(kind, event.record_type());
            }
        }
    }
    (judged, None)
}

/// What a kind of event is to the ledger; on disk, so none ever changes.
const fn code(kind: EventType) -> u8 {
    match kind {
        EventType::Data => 0,
        EventType::Rule => 1,
        EventType::Connection => 2,
    }
}

/// A record id as the ledger's key; one beyond its limit by its digest.
fn ledger_key(key: &str) -> Cow<'_, str> {
    if key.len() <= KEY_BYTES_MAX {
        return Cow::Borrowed(key);
    }
    Cow::Owned(Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The word for the state, the log and metrics.
fn reason(error: &LedgerError) -> &'static str {
    match error {
        LedgerError::OutboxFull { .. } => "outbox_full",
        error if error.is_disk_full() => "disk_full",
        _ => "disk_failed",
    }
}

/// The pauses between attempts while the ledger fails: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Clocks that are further apart tell nothing of how old a key is: one of them is wrong.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(86_400);

/// How often the sinks' places are written down and what is old is deleted, when nothing else does.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
