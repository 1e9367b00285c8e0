//! The present reading of the stream: how far it has come, and what time it is for it.
//!
//! It begins with a new stream, or with one that the service has a checkpoint for. What it may claim is in
//! `proof`; what it is worth after nobody has read for long, in `absence`.

mod absence;
mod proof;

use std::time::Duration;

use crate::marked::low_water::{LowWater, Position, PositionConfig, Suspect};
use crate::service_clock::ServiceClock;
use crate::time::{Instant, Timestamp, UtcDay};

use self::absence::Absence;
use self::proof::Told;
use super::MarkedConfig;
use super::incident::Terminated;
use super::lost_history::HISTORY_DAYS;

/// How far the stream has been read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    config: PositionConfig,
    clock: ServiceClock,
    water: LowWater,
    position: Position,
    absence: Absence,
    /// A history is being read, up to where we were.
    filling: bool,
    /// When everything was terminated for it, or when it began.
    terminated: Instant,
    terminated_at: Timestamp,
    settled_at: Instant,
    /// When something from a while ago was last read.
    backlog_at: Option<Instant>,
    /// A frame has come from this stream.
    has_read: bool,
    doubt_told: Told,
    jump_told: Told,
}

impl Reading {
    pub(super) fn new(config: &MarkedConfig) -> Self {
        let epoch = Timestamp::from_micros(0);
        Self {
            config: config.position,
            clock: ServiceClock::new(config.watchdog.late_after, Instant::ZERO, epoch),
            water: LowWater::new(config.position, None),
            position: Position::new(config.position, Instant::ZERO, false),
            absence: Absence::default(),
            filling: false,
            terminated: Instant::ZERO,
            terminated_at: epoch,
            settled_at: Instant::ZERO,
            backlog_at: None,
            has_read: false,
            doubt_told: Told::default(),
            jump_told: Told::default(),
        }
    }

    /// Time begins; ours is `wall`.
    pub(super) fn start(&mut self, patience: Duration, now: Instant, wall: Timestamp) {
        self.clock = ServiceClock::new(patience, now, wall);
        self.settled_at = now;
    }

    /// An earlier process has read up to there.
    pub(super) fn read_before(&mut self, mark: Option<Timestamp>) {
        self.water = LowWater::new(self.config, mark);
    }

    /// The service has a checkpoint for us, if nobody has been away for too long: whether that is so.
    pub(super) fn go_on(&mut self, suspects: Vec<Suspect>, now: Instant, wall: Timestamp) -> bool {
        let mark = self.water.mark();
        self.water = LowWater::new(self.config, mark).held_by(suspects, wall);
        self.absence = Absence::taken_over(now, wall, mark);
        let goes_on = !self.absence.is_too_long();
        self.filling |= goes_on && mark.is_none();
        goes_on
    }

    /// A stream was made: nobody has missed anything of it.
    pub(super) fn of_new_stream(&mut self, now: Instant) {
        self.absence = Absence::of_new_stream(now);
    }

    /// It starts over, on a stream from that day on. `terminated`: a history is read up to then.
    pub(super) fn start_over(
        &mut self,
        start: Option<UtcDay>,
        terminated: Option<Terminated>,
        now: Instant,
    ) {
        let first = start.or_else(|| self.kept_from(now));
        self.position = match terminated {
            Some(Terminated { there, clock_is_proven, .. }) => {
                self.water.restart(first, there, clock_is_proven, now)
            }
            None => Position::new(self.config, now, self.filling),
        };
        self.terminated = terminated.map_or(now, |terminated| terminated.here);
        self.terminated_at =
            terminated.map_or_else(|| self.clock.at(now), |terminated| terminated.there);
        self.position.changed(now);
        self.has_read = false;
    }

    /// Everything was terminated, and it goes on with the same stream: what was in flight is suspect.
    pub(super) fn go_on_after(&mut self, terminated: Option<Terminated>, now: Instant) {
        if let Some(Terminated { here, there, .. }) = terminated {
            self.terminated = here;
            self.terminated_at = there;
        }
        self.suspect(now);
        self.changed(now);
    }

    /// A history has to be read.
    pub(super) const fn begin_filling(&mut self) {
        self.filling = true;
    }

    /// The history has been read up to where we were.
    pub(super) const fn is_filled(&mut self) {
        self.filling = false;
    }

    pub(super) const fn is_filling(&self) -> bool {
        self.filling
    }

    /// The low-water mark.
    pub(super) const fn mark(&self) -> Option<Timestamp> {
        self.water.mark()
    }

    pub(super) fn margin(&self) -> Duration {
        self.water.margin()
    }

    /// What holds the mark down, oldest first.
    pub(super) fn suspects(&self) -> &[Suspect] {
        self.water.suspects()
    }

    /// The service's time; our own clock stands in until it is known.
    pub(super) fn time(&self, now: Instant) -> Timestamp {
        self.clock.at(now)
    }

    /// The latest that it may be at the service.
    pub(super) fn latest(&self, now: Instant) -> Timestamp {
        self.clock.latest(now)
    }

    /// Whether the service's time is known.
    pub(super) const fn knows_time(&self) -> bool {
        self.clock.is_proven()
    }

    pub(super) const fn clock(&self) -> &ServiceClock {
        &self.clock
    }

    pub(super) const fn has_read(&self) -> bool {
        self.has_read
    }

    /// Something that may have lost events happened now, or shortly before.
    pub(super) fn suspect(&mut self, now: Instant) {
        self.water.suspect(self.clock.latest(now));
    }

    /// What was settled is not any more.
    pub(super) fn changed(&mut self, now: Instant) {
        self.position.changed(now);
    }

    /// A connection opened.
    pub(super) fn opened(&mut self, now: Instant) {
        self.position.opened(now);
        self.position.changed(now);
    }

    /// The first frame of a connection came.
    pub(super) fn proven(&mut self, now: Instant) {
        self.has_read = true;
        self.absence.read(now);
    }

    /// A verification from `date` starts: its own position, with its own witnesses.
    pub(super) fn verification(&self, date: UtcDay, now: Instant) -> Position {
        self.water.verification(date, now)
    }

    /// What was suspected up to then has been read again.
    pub(super) fn verified(&mut self, covers: Timestamp) {
        self.water.verified(covers);
        self.water.settle_mark();
    }

    /// What lies before cannot be read any more.
    pub(super) fn lost_until(&mut self, until: Timestamp) {
        self.water.lost_until(until);
    }

    /// The oldest day that the service keeps now, as far as we know the time. Our own clock is wrong for
    /// certain if it is before the mark.
    pub(super) fn kept_from(&self, now: Instant) -> Option<UtcDay> {
        let at = self.clock.at(now);
        let plausible = self.clock.is_proven() || self.water.mark().is_none_or(|mark| at >= mark);
        plausible.then(|| at.utc_day().minus_days(HISTORY_DAYS))
    }

    /// The day of the mark, from which a new stream in place of one that starts on `stream_start` is read.
    pub(super) fn day(&self, stream_start: Option<UtcDay>, now: Instant) -> Option<UtcDay> {
        let day = self.water.mark()?.utc_day();
        // Early in a stream's first day the mark is a margin below it, where nothing was sent from.
        let day = stream_start.map_or(day, |first| first.max(day));
        // A clock of the service that was days ahead for a while has taken the mark along. A stream that
        // starts on a day to come would be silent until then.
        let today = self.clock.is_proven().then(|| self.clock.at(now).utc_day());
        Some(today.map_or(day, |today| day.min(today)))
    }

    /// A backlog is being read. Each slot that goes and comes is a rebalance, after which the service sends
    /// again what it had not ticked off: slots that rest by turns would have it send the same for ever.
    pub(super) fn reads_backlog(&self, now: Instant) -> bool {
        self.backlog_at.is_some_and(|at| now.since(at) <= self.config.settle)
    }

    /// The stream has not settled for an hour, because its slots rest by turns: rests are postponed
    /// until it has, within a bound, so that the mark can move.
    pub(super) fn wants_to_settle(&self, rest_max: Duration, now: Instant) -> bool {
        // All come back within a rest, then it takes `settle`; if it fails, again an hour later.
        let postponed = rest_max + self.config.settle * 3;
        let period = (SETTLE_EVERY + postponed).as_nanos().max(1);
        now.since(self.settled_at).as_nanos() % period > SETTLE_EVERY.as_nanos()
    }

    /// The service's time, which our own clock had stood in for, is known better: what it called `ours`
    /// is `theirs`. Our own may have been set weeks ahead, or be minutes behind: the history would
    /// count as read that much later.
    fn restamp(&mut self, ours: Timestamp, theirs: Timestamp) {
        self.water.restamp(ours, theirs);
        self.terminated_at = self.clock.at(self.terminated);
    }

    /// It is no later than `latest`, and something later was believed for a while.
    fn no_later(&mut self, latest: Timestamp) {
        self.water.no_later(latest);
        self.terminated_at = self.terminated_at.min(latest);
    }
}

/// A stream that rests by turns is made to settle this often.
pub(super) const SETTLE_EVERY: Duration = Duration::from_secs(3600);
