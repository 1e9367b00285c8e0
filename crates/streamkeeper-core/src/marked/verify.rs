//! The verification: what suspects may have lost is read again over `/replay`.
//!
//! It runs beside the live stream, on one connection of its own, with its own position; when it has
//! passed the moment at which it was started, the suspects it covers no longer hold the mark
//! (recovery.md, "verify"). If its connection fails, nothing is lost but time: it starts over.

use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::classify::{End, Refusal};
use crate::id::{ConnectionId, Epoch, Reader};
use crate::marked::low_water::{Gate, Position};
use crate::policy::effects::Effects;
use crate::policy::{Output, Span};
use crate::time::{Instant, Timestamp, UtcDay};

use super::lost_history::HISTORY_DAYS;
use super::{Lost, Marked, Report, Target};

/// The verification of one stream.
#[derive(Clone, Debug)]
pub(super) struct Verification {
    run: Option<Run>,
    /// A killed connection whose socket is not gone yet.
    closing: Option<ConnectionId>,
    last_done: Option<Instant>,
    not_before: Instant,
    backoff: Backoff,
    refusals: Refusals,
}

/// How often `/replay` was refused since it last opened.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    count: u32,
    since: Option<Instant>,
    /// It is not expected to pass any more.
    lasting: bool,
}

impl Refusals {
    /// One more; whether it has become one that lasts by that.
    fn add(&mut self, refusal: Refusal, now: Instant) -> bool {
        self.count += 1;
        let since = *self.since.get_or_insert(now);
        let passes = matches!(
            refusal,
            Refusal::Crowded { .. } | Refusal::Unavailable { status: 408 | 429 | 500.., .. }
        );
        let lasts =
            if passes { now.since(since) >= PASSES_WITHIN } else { self.count >= REFUSALS_MAX };
        lasts && !std::mem::replace(&mut self.lasting, true)
    }
}

#[derive(Clone, Debug)]
struct Run {
    epoch: Epoch,
    started: Timestamp,
    covers: Timestamp,
    opened: Option<Instant>,
    position: Position,
    blocked_since: Option<Instant>,
    new: u64,
    duplicate: u64,
    /// It brought a record that a stream cut by start time would not have.
    early_span: bool,
}

impl Run {
    const fn connection(&self) -> ConnectionId {
        ConnectionId { reader: Reader::Replay, epoch: self.epoch }
    }
}

impl Verification {
    pub(super) fn new(backoff: BackoffConfig, seed: u64) -> Self {
        let config = BackoffConfig {
            initial: Duration::from_secs(5),
            max: Duration::from_secs(300),
            ..backoff
        };
        Self {
            run: None,
            closing: None,
            last_done: None,
            not_before: Instant::ZERO,
            backoff: Backoff::new(config, seed),
            refusals: Refusals::default(),
        }
    }

    /// Somebody wants it tried now, whatever it waits for.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.not_before = self.not_before.min(now);
    }

    pub(super) const fn is_running(&self) -> bool {
        self.run.is_some()
    }

    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.run.as_ref().and_then(|run| run.blocked_since)
    }

    /// Whether a connection of the verification is open, or not gone yet.
    pub(super) const fn is_connected(&self) -> bool {
        self.run.is_some() || self.closing.is_some()
    }

    /// Ends a run.
    pub(super) fn abort(&mut self, effects: &mut Effects) {
        if let Some(run) = self.run.take() {
            self.closing = Some(run.connection());
            effects.kill(run.connection());
        }
    }

    /// The clock has learnt better: what it called `ours` is `theirs`.
    pub(super) fn restamp(&mut self, ours: Timestamp, theirs: Timestamp) {
        if let Some(run) = &mut self.run {
            run.started = run.started.restamped(ours, theirs);
            run.covers = run.covers.restamped(ours, theirs);
        }
    }

    /// It is no later than `latest`.
    pub(super) fn no_later(&mut self, latest: Timestamp) {
        if let Some(run) = &mut self.run {
            run.started = run.started.min(latest);
            run.covers = run.covers.min(latest);
        }
    }

    fn run_of(&mut self, connection: ConnectionId) -> Option<&mut Run> {
        self.run.as_mut().filter(|run| run.connection() == connection)
    }

    /// `/replay` is open.
    pub(super) fn opened(&mut self, connection: ConnectionId, now: Instant) {
        if let Some(run) = self.run_of(connection) {
            run.opened = Some(now);
            run.position.opened(now);
            run.position.changed(now);
            self.refusals = Refusals::default();
        }
    }

    /// The queue is full for its connection, or is no more; a block that is `long` unsettles.
    pub(super) fn blocked(
        &mut self,
        connection: ConnectionId,
        is_blocked: bool,
        long: Duration,
        now: Instant,
    ) {
        if let Some(run) = self.run_of(connection) {
            let since = run.blocked_since.take();
            run.blocked_since = is_blocked.then(|| since.unwrap_or(now));
            if !is_blocked && since.is_some_and(|since| now.since(since) >= long) {
                run.position.changed(now);
            }
        }
    }

    /// Our process was away: what it did not read says nothing about position.
    pub(super) fn unsettled(&mut self, now: Instant) {
        if let Some(run) = &mut self.run {
            run.position.changed(now);
        }
    }

    /// Its connection is silent for too long. Its end is reported as `Killed`, and it is tried again.
    pub(super) fn stale(&mut self, connection: ConnectionId, effects: &mut Effects) {
        if self.run_of(connection).is_some() {
            effects.kill(connection);
        }
    }

    /// Its connection ended.
    pub(super) fn ended(
        &mut self,
        connection: ConnectionId,
        end: End,
        effects: &mut Effects,
        now: Instant,
    ) {
        if self.closing == Some(connection) {
            self.closing = None;
        } else if self.run_of(connection).is_some() {
            self.run = None;
            self.not_before = now + self.backoff.next(end.retry_after());
            effects.report(Report::VerificationFailed { end });
            if let End::Refused(refusal) = end
                && self.refusals.add(refusal, now)
            {
                effects.report(Report::ReplayRefused { end });
            }
        }
    }

    /// It has read past what it was to.
    fn done(&mut self, effects: &mut Effects, now: Instant) {
        self.last_done = Some(now);
        self.backoff.reset();
        self.abort(effects);
    }
}

impl Marked {
    /// When the oldest suspects are old enough, and the last verification long enough ago.
    pub(super) fn verification_due(&self) -> Option<Instant> {
        let every = self.config.verify_every?;
        let idle = !self.verification.is_connected()
            && !self.recovery.is_under_way()
            && !self.recovery.is_wanted()
            && !self.slots.is_paused()
            // It reads beside the live stream; a service that refuses that is left alone.
            && self.slots.is_answered()
            // Somebody may still be sent what is ours.
            && !self.census.has_foreigners()
            && self.is_running();
        let oldest = self.reading.suspects().first().filter(|_| idle)?;
        let age = self.reading.time(self.now).since(oldest.at);
        let old_enough = self.now + self.reading.margin().saturating_sub(age);
        let spaced = self.verification.last_done.map_or(old_enough, |last| last + every);
        Some(old_enough.max(spaced).max(self.verification.not_before))
    }

    /// Starts a verification if one is due.
    pub(super) fn verify_if_due(&mut self, now: Instant) {
        if self.verification_due().is_none_or(|due| now < due) {
            return;
        }
        let service_now = self.reading.time(now);
        let covers = service_now.minus(self.reading.margin());
        let date = self.verify_from(covers, service_now);
        let run = Run {
            epoch: self.slots.new_epoch(),
            started: service_now,
            covers,
            opened: None,
            position: self.reading.verification(date, now),
            blocked_since: None,
            new: 0,
            duplicate: 0,
            early_span: false,
        };
        let connection = run.connection();
        self.verification.run = Some(run);
        self.effects.report(Report::VerificationStarted { date });
        self.effects.push(Output::Connect { connection, target: Target::Replay(date).into() });
    }

    /// From which day what is suspected up to `covers` has to be read again.
    fn verify_from(&mut self, covers: Timestamp, service_now: Timestamp) -> UtcDay {
        // `None` is the least: since the beginning.
        let covered = self.reading.suspects().iter().filter(|suspect| suspect.at <= covers);
        let low = covered.map(|suspect| suspect.low).min().flatten();
        let kept_from = service_now.utc_day().minus_days(HISTORY_DAYS);
        let date = match (low, self.config.start_date) {
            (Some(low), _) => low.utc_day().minus_days(self.widening.days()),
            (None, Some(first)) => first,
            (None, None) => kept_from,
        };
        if !self.reading.knows_time() {
            return date;
        }
        if let Some(from) = low {
            self.lose(Lost { from, until: kept_from.start() });
        }
        date.max(kept_from)
    }

    /// Whether what suspects may have lost cannot be read again, because `/replay` is refused: the
    /// mark stands until everything is read again.
    pub(super) fn replay_is_refused(&self) -> bool {
        self.verification.refusals.lasting && self.suspects() > 0
    }

    /// Frames of the replay are durable: see how far it has come.
    pub(super) fn verification_committed(
        &mut self,
        connection: ConnectionId,
        span: &Span,
        now: Instant,
    ) {
        let margin = self.reading.margin();
        let stream_start = self.remote.start();
        for datum in &span.data {
            self.widening.replayed(datum);
        }
        let Some(run) = self.verification.run_of(connection) else { return };
        run.position.frame(span.arrived);
        for datum in &span.data {
            run.position.data(span.arrived, datum);
            // Cut by `created_at`, the stream has it too; cut by start time, it has not.
            if let (Some(start_day), Some(first)) = (datum.start_day, stream_start) {
                run.early_span |= start_day < first && datum.created_at >= first.start();
            }
        }
        run.new += span.new;
        run.duplicate += span.duplicate;
        let evidence = run.position.evidence();
        let settled =
            run.blocked_since.is_none() && run.opened.is_some() && run.position.is_settled();
        let missing = match run.position.gate() {
            _ if !settled => return,
            Gate::Closed => return,
            Gate::Open => 0,
            Gate::Forced { missing } => missing,
        };
        let reached = run.position.reached(self.reading.clock(), evidence, margin);
        let done = reached.is_some_and(|reached| reached >= run.started);
        let (covers, new, duplicate) = (run.covers, run.new, run.duplicate);
        let early_span = run.early_span;
        if !done {
            return;
        }
        if missing > 0 {
            self.effects.report(Report::WitnessesMissing { count: missing });
        }
        self.effects.report(Report::VerificationDone { new, duplicate });
        if early_span {
            self.cut_by_start_time(now);
            if !self.is_running() {
                return;
            }
        }
        self.reading.verified(covers);
        self.verification.done(&mut self.effects, now);
    }
}

/// A refusal that is none of the moment (404, 403) is one that lasts when it comes the third time.
const REFUSALS_MAX: u32 = 3;

/// One that may pass (422: five replays at a time; 5xx) lasts when it has not within this.
const PASSES_WITHIN: Duration = Duration::from_secs(3600);
