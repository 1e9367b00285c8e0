//! The verification: what suspects may have lost is read again over `/replay`.
//!
//! It runs beside the live stream, on one connection of its own, with its own position; when it has
//! passed the moment at which it was started, the suspects it covers no longer hold the mark
//! (recovery.md, "verify"). If its connection fails, nothing is lost but time: it starts over.

use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::classify::{End, Refusal};
use crate::id::{ConnectionId, Epoch, Reader};
use crate::low_water::{Gate, Position};
use crate::time::{Instant, Timestamp};

use super::lost_history::HISTORY_DAYS;
use super::{Lost, Output, Report, Span, Stage, StreamPolicy, Target};

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
    paused_since: Option<Instant>,
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

    pub(super) fn paused_since(&self) -> Option<Instant> {
        self.run.as_ref().and_then(|run| run.paused_since)
    }

    /// Whether a connection of the verification is open, or not gone yet.
    pub(super) const fn is_connected(&self) -> bool {
        self.run.is_some() || self.closing.is_some()
    }

    /// Ends a run; the connection it returns has to be killed.
    pub(super) fn abort(&mut self) -> Option<ConnectionId> {
        let connection = self.run.take()?.connection();
        self.closing = Some(connection);
        Some(connection)
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
}

impl StreamPolicy {
    /// When the oldest suspects are old enough, and the last verification long enough ago.
    fn verification_due(&self) -> Option<Instant> {
        let every = self.config.verify_every?;
        let idle = !self.verification.is_connected()
            && self.incident.is_none()
            && self.wanted_recovery.is_none()
            && !self.paused
            // It reads beside the live stream; a service that refuses that is left alone.
            && self.is_answered()
            // Somebody may still be sent what is ours.
            && self.foreign_since.is_none()
            && matches!(self.stage, Stage::Running);
        let oldest = self.water.suspects().first().filter(|_| idle)?;
        let age = self.clock.at(self.now).since(oldest.at);
        let old_enough = self.now + self.water.margin().saturating_sub(age);
        let spaced = self.verification.last_done.map_or(old_enough, |last| last + every);
        Some(old_enough.max(spaced).max(self.verification.not_before))
    }

    pub(super) fn verification_deadline(&self) -> Option<Instant> {
        self.verification_due()
    }

    /// Starts a verification if one is due.
    pub(super) fn verify_if_due(&mut self, now: Instant) {
        if self.verification_due().is_none_or(|due| now < due) {
            return;
        }
        let service_now = self.clock.at(now);
        let covers = service_now.minus(self.water.margin());
        // `None` is the least: since the beginning.
        let covered = self.water.suspects().iter().filter(|suspect| suspect.at <= covers);
        let low = covered.map(|suspect| suspect.low).min().flatten();
        let lookback = self.lookback();
        let kept_from = service_now.utc_day().minus_days(HISTORY_DAYS);
        let date = match (low, self.config.start_date) {
            (Some(low), _) => low.utc_day().minus_days(lookback),
            (None, Some(first)) => first,
            (None, None) => kept_from,
        };
        if let Some(from) = low.filter(|_| self.clock.is_proven()) {
            self.lose(Lost { from, until: kept_from.start() });
        }
        let date = if self.clock.is_proven() { date.max(kept_from) } else { date };
        let run = Run {
            epoch: self.epochs.next(),
            started: service_now,
            covers,
            opened: None,
            position: self.water.verification(date, now),
            paused_since: None,
            new: 0,
            duplicate: 0,
            early_span: false,
        };
        let connection = run.connection();
        self.verification.run = Some(run);
        self.report(Report::VerificationStarted { date });
        self.outputs.push_back(Output::Connect { connection, target: Target::Replay(date) });
    }

    /// Whether what suspects may have lost cannot be read again, because `/replay` is refused: the
    /// mark stands until everything is read again.
    pub(super) fn replay_is_refused(&self) -> bool {
        self.verification.refusals.lasting && self.suspects() > 0
    }

    pub(super) fn verification_opened(&mut self, connection: ConnectionId, now: Instant) {
        if let Some(run) = self.verification.run_of(connection) {
            run.opened = Some(now);
            run.position.opened(now);
            run.position.changed(now);
            self.verification.refusals = Refusals::default();
        }
    }

    pub(super) fn verification_paused(
        &mut self,
        connection: ConnectionId,
        paused: bool,
        now: Instant,
    ) {
        let long = self.long_pause();
        if let Some(run) = self.verification.run_of(connection) {
            let since = run.paused_since.take();
            run.paused_since = paused.then(|| since.unwrap_or(now));
            if !paused && since.is_some_and(|since| now.since(since) >= long) {
                run.position.changed(now);
            }
        }
    }

    /// Our process was away: what it did not read says nothing about position.
    pub(super) fn verification_unsettled(&mut self, now: Instant) {
        if let Some(run) = &mut self.verification.run {
            run.position.changed(now);
        }
    }

    pub(super) fn verification_stale(&mut self, connection: ConnectionId) {
        if self.verification.run_of(connection).is_some() {
            // Its end is reported as `Killed`, and it is tried again.
            self.outputs.push_back(Output::Kill(connection));
        }
    }

    pub(super) fn verification_ended(&mut self, connection: ConnectionId, end: End, now: Instant) {
        if self.verification.closing == Some(connection) {
            self.verification.closing = None;
        } else if self.verification.run_of(connection).is_some() {
            self.verification.run = None;
            self.verification.not_before = now + self.verification.backoff.next(end.retry_after());
            self.report(Report::VerificationFailed { end });
            if let End::Refused(refusal) = end
                && self.verification.refusals.add(refusal, now)
            {
                self.report(Report::ReplayRefused { end });
            }
        }
    }

    /// Frames of the replay are durable: see how far it has come.
    pub(super) fn verification_committed(
        &mut self,
        connection: ConnectionId,
        span: &Span,
        now: Instant,
    ) {
        let margin = self.water.margin();
        let clock = self.clock;
        let stream_start = self.stream_start;
        for datum in &span.data {
            self.span_days = self.span_days.max(datum.span_days());
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
            run.paused_since.is_none() && run.opened.is_some() && run.position.is_settled();
        let missing = match run.position.gate() {
            _ if !settled => return,
            Gate::Closed => return,
            Gate::Open => 0,
            Gate::Forced { missing } => missing,
        };
        let reached = run.position.reached(&clock, evidence, margin);
        let done = reached.is_some_and(|reached| reached >= run.started);
        let (covers, new, duplicate) = (run.covers, run.new, run.duplicate);
        let early_span = run.early_span;
        if !done {
            return;
        }
        if missing > 0 {
            self.report(Report::WitnessesMissing { count: missing });
        }
        self.report(Report::VerificationDone { new, duplicate });
        if early_span {
            self.cut_by_start_time(now);
            if !matches!(self.stage, Stage::Running) {
                return;
            }
        }
        self.water.verified(covers);
        self.water.settle_mark();
        self.verification.last_done = Some(now);
        self.verification.backoff.reset();
        if let Some(connection) = self.verification.abort() {
            self.outputs.push_back(Output::Kill(connection));
        }
    }
}

/// A refusal that is none of the moment (404, 403) is one that lasts when it comes the third time.
const REFUSALS_MAX: u32 = 3;

/// One that may pass (422: five replays at a time; 5xx) lasts when it has not within this.
const PASSES_WITHIN: Duration = Duration::from_secs(3600);
