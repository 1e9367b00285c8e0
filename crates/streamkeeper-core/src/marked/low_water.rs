//! How far the stream has been read: position, suspects and the low-water mark.
//!
//! The mark is the instant, in the service's own time, up to which everything the service sent has
//! been durably accepted here. It is a claim about events we have *not* seen, so it is built from
//! cautious parts (recovery.md):
//!
//! - [`ServiceClock`] says what time it is there.
//! - [`Position`] says how far one reading of the stream has come: not before every backlogged user
//!   had time to show an event (`settle`), and after a new stream not before the service has walked
//!   to its history (`walk`) and every user has been seen up to its witness.
//! - [`LowWater`] holds the mark below every suspect: a connection that ended in a way that may
//!   have lost events.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::id::UserKey;
use crate::policy::Datum;
use crate::service_clock::ServiceClock;
use crate::time::{Instant, Timestamp, UtcDay};

/// The times of the position rules; all scaled down in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionConfig {
    /// Longer than a rebalance, a fair round over the users, and a gap between frames.
    pub settle: Duration,
    /// The longest silence before a new stream's history starts.
    pub walk: Duration,
    /// The service's queueing delay and clock skew.
    pub margin: Duration,
}

impl PositionConfig {
    /// From how long on a block unsettles: a queue that is full for moments, again and again, is how a
    /// backlog is read, and would never let it settle.
    #[must_use]
    pub fn long_block(&self) -> Duration {
        self.settle / 16
    }

    /// After so long a reading is no longer held back by what it has not shown.
    #[must_use]
    pub const fn forced_open(&self) -> Duration {
        self.walk.saturating_mul(4)
    }
}

impl Default for PositionConfig {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(75),
            walk: Duration::from_secs(600),
            margin: Duration::from_secs(300),
        }
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// A time per user.
type Users = HashMap<UserKey, Timestamp, BuildHasherDefault<IdentityHasher>>;

/// How far one reading (the live stream, or a verification) has come.
#[derive(Clone, Debug)]
pub struct Position {
    config: PositionConfig,
    opened: bool,
    gated: bool,
    // For how long we have read: since the first connection opened, and since the last change.
    read: Duration,
    read_unchanged: Duration,
    changed_at: Instant,
    witnesses: Users,
    // Least `created_at` of a sliding window, as a queue of rising minima.
    minima: VecDeque<(Instant, Timestamp)>,
    evidence: Instant,
}

/// What the gate of a new stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The history may still be on its way.
    Closed,
    /// The history has been walked and every witness seen.
    Open,
    /// Four walks have passed and so many witnesses have not been seen.
    Forced {
        /// Users whose last accepted record did not come again.
        missing: usize,
    },
}

impl Position {
    /// A reading that began at `born`; `gated` if it walks a history first.
    #[must_use]
    pub fn new(config: PositionConfig, born: Instant, gated: bool) -> Self {
        Self {
            config,
            opened: false,
            gated,
            read: Duration::ZERO,
            read_unchanged: Duration::ZERO,
            changed_at: born,
            witnesses: Users::default(),
            minima: VecDeque::new(),
            evidence: born,
        }
    }

    /// Adds the witnesses that have to be seen before the gate opens.
    fn with_witnesses(mut self, witnesses: Users) -> Self {
        self.witnesses = witnesses;
        self
    }

    /// A committed data frame that was read at `arrived`.
    pub fn data(&mut self, arrived: Instant, datum: &Datum) {
        self.frame(arrived);
        while self.minima.back().is_some_and(|&(_, least)| least >= datum.created_at) {
            self.minima.pop_back();
        }
        self.minima.push_back((arrived, datum.created_at));
        if let Some(witness) = self.witnesses.get(&datum.user)
            && datum.created_at >= *witness
        {
            self.witnesses.remove(&datum.user);
        }
    }

    /// Any committed frame that was read at `arrived`.
    ///
    /// A gap longer than a stream has between two frames counts for little: when our process did
    /// not run, what is read afterwards in one go says nothing about the time in between.
    pub fn frame(&mut self, arrived: Instant) {
        let gap = arrived.since(self.evidence).min(self.config.settle / 4);
        self.evidence = self.evidence.max(arrived);
        self.read += gap;
        self.read_unchanged += gap.min(arrived.since(self.changed_at));
    }

    /// A connection came or went, or we did not read: what was settled is not any more.
    pub fn changed(&mut self, now: Instant) {
        // That a silence is over is told when it is durable, and other changes have come since.
        self.changed_at = self.changed_at.max(now);
        self.read_unchanged = Duration::ZERO;
    }

    /// Whether we have read for `settle` since the last change.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.read_unchanged >= self.config.settle
    }

    /// When the newest committed frame was read.
    #[must_use]
    pub const fn evidence(&self) -> Instant {
        self.evidence
    }

    /// A first connection opened at `now`: not before that does the service walk its history.
    pub fn opened(&mut self, now: Instant) {
        if !self.opened {
            self.opened = true;
            self.evidence = self.evidence.max(now);
            self.read = Duration::ZERO;
        }
    }

    /// Whether the history has been walked.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let age = self.read;
        match self.witnesses.len() {
            _ if !self.gated => Gate::Open,
            0 if age >= self.config.walk => Gate::Open,
            missing if age >= self.config.forced_open() => Gate::Forced { missing },
            _ => Gate::Closed,
        }
    }

    /// The gate has opened: from here on it stays open.
    pub fn open_gate(&mut self) {
        self.gated = false;
        self.witnesses = Users::default();
    }

    /// How far this reading has come, if the caller finds it settled and the gate open.
    ///
    /// `heard` is the oldest of the open connections' last committed frames: whatever was sent into
    /// a connection that died since then is younger than that.
    pub fn reached(
        &mut self,
        clock: &ServiceClock,
        heard: Instant,
        margin: Duration,
    ) -> Option<Timestamp> {
        let settle = self.config.settle;
        while self.minima.front().is_some_and(|&(then, _)| self.evidence.since(then) > settle) {
            self.minima.pop_front();
        }
        let quiet = clock.is_proven().then(|| clock.at(self.evidence).minus(settle));
        let read = self.minima.front().map(|&(_, least)| least).or(quiet)?;
        // A record alone may say a time that is yet to come.
        Some(read.min(clock.at(heard)).minus(margin))
    }
}

/// A connection that ended in a way that may have lost events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Nothing older than this was lost by it; `None`: unknown, since the beginning.
    pub low: Option<Timestamp>,
    /// When it ended, in the service's time.
    pub at: Timestamp,
}

/// The mark, and what holds it down.
#[derive(Clone, Debug)]
pub struct LowWater {
    config: PositionConfig,
    mark: Option<Timestamp>,
    live: Option<Timestamp>,
    suspects: Vec<Suspect>,
    newest: Users,
    delay_seen: Duration,
}

/// More suspects than this are merged, so that a flapping network cannot grow them without bound.
const SUSPECTS_MAX: usize = 64;

/// A queueing delay is believed up to this multiple of the configured margin: what is older was a
/// backlog, not a delay.
const DELAY_BELIEVED: u32 = 6;

impl LowWater {
    /// Starts from the persisted mark.
    #[must_use]
    pub fn new(config: PositionConfig, mark: Option<Timestamp>) -> Self {
        Self {
            config,
            mark,
            live: mark,
            suspects: Vec::new(),
            newest: Users::default(),
            delay_seen: Duration::ZERO,
        }
    }

    /// Held down by what a process that ended in order had not verified yet. `now`: by our own clock, as what
    /// is stamped from now on, until that is known better; they ended before.
    #[must_use]
    pub fn held_by(self, mut suspects: Vec<Suspect>, now: Timestamp) -> Self {
        suspects.iter_mut().for_each(|suspect| suspect.at = now);
        Self { suspects, ..self }
    }

    /// The low-water mark; `None` until the stream has settled for the first time.
    #[must_use]
    pub const fn mark(&self) -> Option<Timestamp> {
        self.mark
    }

    /// The mark as far as this connection history supports it, suspects aside.
    #[must_use]
    pub const fn live(&self) -> Option<Timestamp> {
        self.live
    }

    /// What holds the mark down, oldest first.
    #[must_use]
    pub fn suspects(&self) -> &[Suspect] {
        &self.suspects
    }

    /// The margin in force: the configured one, raised to twice the largest delay seen.
    #[must_use]
    pub fn margin(&self) -> Duration {
        self.config.margin.max(self.delay_seen * 2)
    }

    /// A record was accepted (or known already): remember how far its user has been read.
    pub fn accepted(&mut self, datum: &Datum) {
        let newest = self.newest.entry(datum.user).or_insert(datum.created_at);
        *newest = (*newest).max(datum.created_at);
    }

    /// Live data took `delay` from `created_at` to its arrival. The caller gives only what came
    /// while the reading was settled and near the present: a backlog is no delay.
    pub fn delayed(&mut self, delay: Duration) {
        if delay <= self.config.margin * DELAY_BELIEVED {
            self.delay_seen = self.delay_seen.max(delay);
        }
    }

    /// A connection ended at `at` in a way that may have lost events.
    pub fn suspect(&mut self, at: Timestamp) {
        let low = self.live;
        let full = self.suspects.len() >= SUSPECTS_MAX;
        match self.suspects.last_mut() {
            Some(last) if last.low == low || full => last.at = last.at.max(at),
            _ => self.suspects.push(Suspect { low, at }),
        }
    }

    /// The clock has learnt better: what it called `ours` is `theirs`.
    pub fn restamp(&mut self, ours: Timestamp, theirs: Timestamp) {
        for suspect in &mut self.suspects {
            suspect.at = suspect.at.restamped(ours, theirs);
        }
    }

    /// It is no later than `latest`, and something later was believed for a while: what ended ended before,
    /// and nothing has been read that is still to come.
    pub fn no_later(&mut self, latest: Timestamp) {
        self.suspects.iter_mut().for_each(|suspect| suspect.at = suspect.at.min(latest));
        let read = latest.minus(self.margin()).minus(self.config.settle);
        for claim in [&mut self.live, &mut self.mark].into_iter().flatten() {
            if *claim > latest {
                *claim = read;
            }
        }
    }

    /// What lies before `until` cannot be read any more: nothing waits for it.
    pub fn lost_until(&mut self, until: Timestamp) {
        let lows = self.suspects.iter_mut().map(|suspect| &mut suspect.low);
        for claim in lows.chain([&mut self.live, &mut self.mark]).flatten() {
            *claim = until.max(*claim);
        }
    }

    /// Drops the suspects that ended at or before `at`: a verification has read past them.
    pub fn verified(&mut self, at: Timestamp) {
        self.suspects.retain(|suspect| suspect.at > at);
    }

    /// The live reading has come to `reached`. Returns whether the mark moved.
    pub fn advance(&mut self, reached: Timestamp) -> bool {
        self.live = self.live.max(Some(reached));
        self.settle_mark()
    }

    /// Moves the mark to where live reading and suspects allow. Returns whether it moved.
    pub fn settle_mark(&mut self) -> bool {
        // `None < Some(_)`: a suspect since the beginning holds everything.
        let held = self.suspects.iter().map(|suspect| suspect.low).min();
        let allowed = held.map_or(self.live, |low| self.live.min(low));
        if allowed <= self.mark {
            return false;
        }
        let old_day = self.mark.map(Timestamp::utc_day);
        self.mark = allowed;
        if let Some(mark) = self.mark
            && old_day != Some(mark.utc_day())
        {
            // Only who was read on the mark's day or later can be a witness of a replay from there.
            let from = mark.utc_day().minus_days(1).start();
            self.newest.retain(|_, newest| *newest >= from);
        }
        true
    }

    /// A new stream that starts on `start_date` was made after everything was terminated at
    /// `terminated`: the reading starts over from the mark. `proven`: a poke had told the time by then.
    #[must_use]
    pub fn restart(
        &mut self,
        start_date: Option<UtcDay>,
        terminated: Timestamp,
        proven: bool,
        now: Instant,
    ) -> Position {
        self.live = self.mark;
        let in_flight = terminated.minus(self.margin()).minus(self.config.settle * 2);
        // Our own clock may be a quarter of an hour ahead: then nothing above the mark is known.
        let low = self.mark.map(|mark| if proven { mark.max(in_flight) } else { mark });
        self.suspects = vec![Suspect { low, at: terminated }];
        Position::new(self.config, now, true).with_witnesses(self.witnesses(start_date))
    }

    /// A verification from `date` starts: its own reading, with its own witnesses.
    #[must_use]
    pub fn verification(&self, date: UtcDay, now: Instant) -> Position {
        Position::new(self.config, now, true).with_witnesses(self.witnesses(Some(date)))
    }

    /// For every user read since `start_date`: up to where a replay from there has to show it.
    fn witnesses(&self, start_date: Option<UtcDay>) -> Users {
        let Some(mark) = self.mark else { return Users::default() };
        let from = start_date.map(UtcDay::start);
        self.newest
            .iter()
            .map(|(&user, &newest)| (user, newest.min(mark)))
            .filter(|&(_, witness)| Some(witness) >= from)
            .collect()
    }
}

#[cfg(test)]
#[path = "low_water_tests.rs"]
mod tests;
