//! The verification: what suspects may have lost is read again over `/replay`.
//!
//! It runs beside the live stream, on one connection of its own, with its own position; when it has
//! passed the moment at which it was started, the suspects it covers no longer hold the mark
//! (recovery.md, "verify"). If its connection fails, nothing is lost but time: it starts over. A recovery on the
//! same stream (`same_stream`) is read by it, too.

use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::classify::{End, Refusal};
use crate::id::{ConnectionId, Reader};
use crate::policy::effects::Effects;
use crate::policy::{Datum, Output, Span};
use crate::time::{Instant, Timestamp, UtcDay};

use super::lost_history::HISTORY_DAYS;
use super::reread::{Reached, Reread};
use super::{Cause, Lost, Marked, Report, Target};

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
    reread: Reread,
    /// Its first day.
    date: UtcDay,
    aim: Aim,
    /// It brought a record that a stream cut by start time would not have.
    early_span: bool,
}

/// What it is read for.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// Suspects, some time after they ended.
    Verification {
        /// It is done when it has read up to there.
        started: Timestamp,
        /// What was suspected up to then is verified by it.
        covers: Timestamp,
    },
    /// The recovery under way; how far that has to be read turns out meanwhile.
    Recovery,
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

    /// Not before then.
    pub(super) const fn not_before(&self) -> Instant {
        self.not_before
    }

    /// It cannot be read now: later.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.not_before = now + self.backoff.next(None);
    }

    /// Whether `/replay` is refused for good, it seems.
    pub(super) const fn is_refused(&self) -> bool {
        self.refusals.lasting
    }

    /// What is being read is read for the recovery that has begun, if something is: from which day.
    pub(super) fn serve_recovery(&mut self) -> Option<UtcDay> {
        let run = self.run.as_mut()?;
        run.aim = Aim::Recovery;
        Some(run.date)
    }

    pub(super) const fn is_running(&self) -> bool {
        self.run.is_some()
    }

    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.run.as_ref().and_then(|run| run.reread.blocked_since())
    }

    /// Whether a connection of the verification is open, or not gone yet.
    pub(super) const fn is_connected(&self) -> bool {
        self.run.is_some() || self.closing.is_some()
    }

    /// Ends a run.
    pub(super) fn abort(&mut self, effects: &mut Effects) {
        if let Some(run) = self.run.take() {
            self.closing = Some(run.reread.connection());
            effects.kill(run.reread.connection());
        }
    }

    /// The clock has learnt better: what it called `ours` is `theirs`.
    pub(super) fn restamp(&mut self, ours: Timestamp, theirs: Timestamp) {
        if let Some(Run { aim: Aim::Verification { started, covers }, .. }) = &mut self.run {
            *started = started.restamped(ours, theirs);
            *covers = covers.restamped(ours, theirs);
        }
    }

    /// It is no later than `latest`.
    pub(super) fn no_later(&mut self, latest: Timestamp) {
        if let Some(Run { aim: Aim::Verification { started, covers }, .. }) = &mut self.run {
            *started = latest.min(*started);
            *covers = latest.min(*covers);
        }
    }

    fn run_of(&mut self, connection: ConnectionId) -> Option<&mut Run> {
        self.run.as_mut().filter(|run| run.reread.connection() == connection)
    }

    /// `/replay` is open.
    pub(super) fn opened(&mut self, connection: ConnectionId, now: Instant) {
        if let Some(run) = self.run_of(connection) {
            run.reread.opened(now);
            self.refusals = Refusals::default();
        }
    }

    /// The queue is full for its connection, or is no more.
    pub(super) fn blocked(&mut self, connection: ConnectionId, is_blocked: bool, now: Instant) {
        if let Some(run) = self.run_of(connection) {
            run.reread.blocked(is_blocked, now);
        }
    }

    /// Our process was away.
    pub(super) fn unsettled(&mut self, now: Instant) {
        if let Some(run) = &mut self.run {
            run.reread.unsettled(now);
        }
    }

    /// Its connection is silent for too long. Its end is reported as `Killed`, and it is tried again.
    pub(super) fn stale(&mut self, connection: ConnectionId, effects: &mut Effects) {
        if self.run_of(connection).is_some() {
            effects.kill(connection);
        }
    }

    /// Its connection ended: whether it was refused, and will be for good, it seems.
    fn ended(
        &mut self,
        connection: ConnectionId,
        end: End,
        effects: &mut Effects,
        now: Instant,
    ) -> bool {
        if self.closing == Some(connection) {
            self.closing = None;
            return false;
        }
        let Some(run) = self.run.take_if(|run| run.reread.connection() == connection) else {
            return false;
        };
        self.not_before = now + self.backoff.next(end.retry_after());
        effects.report(match run.aim {
            Aim::Verification { .. } => Report::VerificationFailed { end },
            Aim::Recovery => Report::RereadFailed { end },
        });
        let lasts = matches!(end, End::Refused(refusal) if self.refusals.add(refusal, now));
        if lasts {
            effects.report(Report::ReplayRefused { end });
        }
        lasts
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
        if self.recovery.rereads() {
            return self.reread_due();
        }
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
        let rereads = self.recovery.rereads();
        if rereads && !self.can_reread(now) {
            return;
        }
        let service_now = self.reading.time(now);
        let covers = service_now.minus(self.reading.margin());
        // A recovery's replay has to bring back whatever was lost until now.
        let lost_until = if rereads { self.reading.latest(now) } else { covers };
        let date = self.verify_from(lost_until, service_now);
        let connection = ConnectionId { reader: Reader::Replay, epoch: self.slots.new_epoch() };
        let position = self.reading.verification(date, now);
        let reread = Reread::new(&self.config, connection, position);
        let aim = if rereads {
            self.recovery.reads_from(Some(date));
            self.effects.report(Report::RereadStarted { date });
            Aim::Recovery
        } else {
            self.effects.report(Report::VerificationStarted { date });
            Aim::Verification { started: service_now, covers }
        };
        self.verification.run = Some(Run { reread, date, aim, early_span: false });
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

    /// The connection of a replay ended.
    pub(super) fn replay_ended(&mut self, connection: ConnectionId, end: End, now: Instant) {
        let refused = self.verification.ended(connection, end, &mut self.effects, now);
        if refused && self.recovery.rereads() {
            self.recover(Cause::ReplayRefused, now);
        }
    }

    /// Whether what suspects may have lost cannot be read again, because `/replay` is refused: the
    /// mark stands until everything is read again.
    pub(super) fn replay_is_refused(&self) -> bool {
        self.verification.refusals.lasting && self.suspects() > 0
    }

    /// Frames of a replay are durable: see how far the verification has come.
    pub(super) fn verification_committed(
        &mut self,
        connection: ConnectionId,
        span: &Span,
        now: Instant,
    ) {
        for datum in &span.data {
            self.widening.replayed(datum);
        }
        let stream_start = self.remote.start();
        let Some(run) = self.verification.run_of(connection) else { return };
        run.reread.committed(span);
        run.early_span |= span.data.iter().any(|datum| is_early(datum, stream_start));
        let reached = run.reread.reached(self.reading.clock(), self.reading.margin());
        let (aim, early_span, counts) = (run.aim, run.early_span, run.reread.counts());
        let wanted = match aim {
            Aim::Verification { started, covers } => Some((started, covers)),
            Aim::Recovery => self.reread_goal(now).map(|goal| (goal, goal)),
        };
        let Some((Reached { at, missing }, (goal, covers))) = reached.zip(wanted) else { return };
        if at < goal {
            return;
        }
        if missing > 0 {
            self.effects.report(Report::WitnessesMissing { count: missing });
        }
        if let Aim::Verification { .. } = aim {
            let (new, duplicate) = counts;
            self.effects.report(Report::VerificationDone { new, duplicate });
        }
        if early_span {
            self.cut_by_start_time(now);
            if !self.is_running() {
                return;
            }
        }
        self.reading.verified(covers);
        self.verification.done(&mut self.effects, now);
        if let Aim::Recovery = aim {
            self.caught_up(now);
        }
    }
}

/// Whether a replay brings a record that a stream from that day on has if it is cut by `created_at`, and has
/// not if it is cut by start time.
fn is_early(datum: &Datum, stream_start: Option<UtcDay>) -> bool {
    datum
        .start_day
        .zip(stream_start)
        .is_some_and(|(start_day, first)| start_day < first && datum.created_at >= first.start())
}

/// A refusal that is none of the moment (404, 403) is one that lasts when it comes the third time.
const REFUSALS_MAX: u32 = 3;

/// One that may pass (422: five replays at a time; 5xx) lasts when it has not within this.
const PASSES_WITHIN: Duration = Duration::from_secs(3600);
