//! One stream's ledger at work: judges what was read, makes it durable, and only then says so.
//!
//! What the stream asks for (batches of frames, states to write down, a flush) waits here in one
//! order, so that what a poke proves can never overtake the data before it. A group commit takes
//! batches from the front; they leave the queue when they are durable, and not before. While the
//! disk fails, or the outbox is full, everything waits where it is: the ledger is tried again after
//! a pause, from the first batch that is not durable, so that a disk that is well again costs no
//! event. The queue is bounded by the stream's [`Budget`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamkeeper_core::policy::{Input, Span};
use streamkeeper_core::state::PolicyState;
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::{KeptState, Ledger, LedgerError};
use tokio::sync::oneshot;

use crate::base::budget::Budget;
use crate::base::clock::wall;
use crate::base::news::Bell;
use crate::base::reports::Reports;
use crate::observe::registry::{Counters, StreamEntry};
use crate::store::batch::Batch;
use crate::store::head;
use crate::store::ledgers;

use self::judge::{Judged, judge};

mod judge;

/// Something a stream asks of its ledger. Each is answered to who asked: a supervisor that was
/// replaced may have left some behind, and its connections' names and clock mean nothing to the next.
#[derive(Debug)]
pub(crate) enum Job {
    /// Judge these, make the new ones durable; answered by `Committed`.
    Batch(Batch),
    /// Make this durable, with everything before it; answered by `Persisted`.
    Persist { number: u64, state: PolicyState, asker: Reports },
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
    /// Of whoever is to be told of commits.
    pub(crate) bells: Vec<Arc<Bell>>,
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
    /// The last state says that the server has forgotten where we were.
    has_forgotten: bool,
    head: head::Writer,
}

/// Nothing can be made durable.
struct Trouble {
    reason: &'static str,
    pause: Duration,
    retry_at: Instant,
}

impl Desk {
    pub(crate) fn new(tools: Tools, now: Instant) -> Self {
        let state = tools.ledger.state().and_then(|kept| PolicyState::decode(&kept.bytes).ok());
        Self {
            tools,
            jobs: VecDeque::new(),
            waiting: 0,
            due: None,
            trouble: None,
            sweep_at: now + SWEEP_EVERY,
            service: None,
            progress: false,
            has_forgotten: state.is_some_and(|state| state.has_forgotten()),
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

    /// The stream's state as it is durable.
    pub(crate) fn durable(&self) -> Option<PolicyState> {
        ledgers::newest_state(&self.tools.ledger).ok().flatten()
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
                    let forgets = state.has_forgotten();
                    if forgets && !self.has_forgotten {
                        // What came behind the first state that says so is another one's.
                        self.tools.ledger.forget_cursor();
                    }
                    let kept = KeptState { clean: state.is_clean(), bytes: state.encode() };
                    self.tools.ledger.persist(&kept)?;
                    self.has_forgotten = forgets;
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
        if let Some(tally) = &batch.tally {
            tally.count(types, known);
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
            self.tools.bells.iter().for_each(|bell| bell.ring());
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
        if batch.tally.is_some() && !batch.is_dry() {
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
