//! What time it is at the service, from what it says and what our monotonic clock allows.
//!
//! The position is a claim in the service's time (recovery.md, "position"), so one wrong statement must
//! not move it: a poke may come from a host whose clock is days off. Between two statements our own clock
//! tells how much time has passed there. So a poke is believed at once if it continues what is believed,
//! or is behind it (it may have waited on its way, and being behind is safe). One that is *ahead* is only
//! noted, until a second one bears it out: at least `patience` later, saying the same, from another
//! connection where there is another, and with nothing in between that says otherwise. So is the first.
//!
//! Until then our own wall clock stands in. It proves nothing about the position.

use std::time::Duration;

use crate::id::SlotId;
use crate::time::{Instant, Timestamp};

/// A moment here, and what time it was there; the rest follows from our monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: Instant,
    ts: Timestamp,
}

impl Line {
    fn at(&self, instant: Instant) -> Timestamp {
        if instant >= self.at {
            self.ts.plus(instant.since(self.at))
        } else {
            self.ts.minus(self.at.since(instant))
        }
    }
}

/// Something that was said, and for how long it has been said.
#[derive(Clone, Copy, Debug)]
struct Claim {
    line: Line,
    since: Instant,
    by: Option<SlotId>,
    by_another: bool,
}

impl Claim {
    const fn new(line: Line, by: Option<SlotId>) -> Self {
        Self { line, since: line.at, by, by_another: false }
    }

    fn lasts(&self, now: Instant) -> Duration {
        now.since(self.since)
    }

    fn repeated(&mut self, line: Line, by: Option<SlotId>) {
        self.line = line;
        self.by_another |= self.by.zip(by).is_some_and(|(one, other)| one != other);
        self.by = self.by.or(by);
    }

    /// Whether it has been said for long enough; if others read than the one that says it `by`, by one of
    /// them, too, or for much longer.
    fn is_borne_out(&self, now: Instant, by: Option<SlotId>, patience: Duration) -> bool {
        let lasts = self.lasts(now);
        let others = by.is_none() || self.by_another || lasts >= patience.saturating_mul(ALONE);
        lasts >= patience && others
    }
}

/// What came of a poke's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// It goes on from what is believed, or may have waited on its way.
    Plausible,
    /// It is this far from what is believed, and nothing else says so: it is not believed.
    Doubted(Duration),
    /// A later one has borne it out.
    Confirmed(Jump),
}

/// The service's time has gone ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// By so much more than our clock.
    pub by: Duration,
    /// When something before it was last believed.
    pub after: Instant,
    /// When it was first said.
    pub since: Instant,
}

/// What time it is at the service, from the best evidence so far.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::service_clock::{ServiceClock, Statement};
/// use streamkeeper_core::time::{Instant, Timestamp};
///
/// let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
/// let ts = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
/// let mut clock = ServiceClock::new(Duration::from_secs(10), at(0), ts(0));
/// for seconds in [0, 5, 10] {
///     clock.poke(at(seconds), ts(1_000 + seconds as i64), None);
/// }
/// assert_eq!(clock.at(at(12)), ts(1_012));
/// // Six minutes ahead, once.
/// assert!(matches!(clock.poke(at(15), ts(1_375), None), Statement::Doubted(_)));
/// assert_eq!(clock.at(at(15)), ts(1_015));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServiceClock {
    patience: Duration,
    line: Line,
    proven: bool,
    /// Said by pokes, and not believed yet.
    ahead: Option<Claim>,
    /// Said by pokes: while it lasts, it is no later.
    behind: Option<Claim>,
    /// Said by pokes, so far behind that none of them has only waited on its way.
    far_behind: Option<Claim>,
    /// Said by records, before a poke has told the time.
    least: Option<Claim>,
}

impl ServiceClock {
    /// Starts from our own wall clock, until the service has said better.
    ///
    /// `patience` (`late_after`): at least so far apart are two statements that bear each other out. Half
    /// of it, and two seconds at least, is what two that say the same may differ by.
    #[must_use]
    pub const fn new(patience: Duration, now: Instant, wall: Timestamp) -> Self {
        let line = Line { at: now, ts: wall };
        Self {
            patience,
            line,
            proven: false,
            ahead: None,
            behind: None,
            far_behind: None,
            least: None,
        }
    }

    /// A poke said `ts` and was read at `arrived`. `by`: the slot on which it came, if there are others
    /// that read; then one of those has to bear it out, unless it is silent for long.
    pub fn poke(&mut self, arrived: Instant, ts: Timestamp, by: Option<SlotId>) -> Statement {
        let said = Line { at: arrived, ts };
        let believed = self.line.at(arrived);
        if !self.proven || ts > believed.plus(self.tolerance()) {
            return self.poke_ahead(said, by);
        }
        // Something that is right: whatever said otherwise is not borne out.
        self.ahead = None;
        if ts >= believed.minus(self.tolerance()) {
            self.line = said;
            self.far_behind = None;
            self.behind = self.behind.filter(|claim| self.lasts(claim, arrived));
            // What is behind becomes the time only if nothing else is said.
            if let Some(claim) = &mut self.behind {
                claim.since = arrived;
            }
            return Statement::Plausible;
        }
        let by_which = believed.since(ts);
        let far = by_which >= WAITED_MAX;
        self.poke_behind(said, by, far);
        if far { Statement::Doubted(by_which) } else { Statement::Plausible }
    }

    /// It is noted, or bears out what is. Of two that differ the earlier time is kept: to be behind is safe.
    fn poke_ahead(&mut self, said: Line, by: Option<SlotId>) -> Statement {
        let ahead = said.ts.since(self.line.at(said.at));
        let tolerance = self.tolerance();
        match &mut self.ahead {
            Some(claim) if agree(claim.line, said, tolerance) => {
                claim.repeated(said, by);
                // Nothing has been believed before that the first time could contradict.
                let first = !self.proven && claim.lasts(said.at) > Duration::ZERO;
                if first || claim.is_borne_out(said.at, by, self.patience) {
                    let jump = Jump { by: ahead, after: self.line.at, since: claim.since };
                    let was_proven = std::mem::replace(&mut self.proven, true);
                    self.line = said;
                    (self.ahead, self.behind, self.far_behind) = (None, None, None);
                    return if was_proven {
                        Statement::Confirmed(jump)
                    } else {
                        Statement::Plausible
                    };
                }
            }
            Some(claim)
                if said.ts > claim.line.at(said.at)
                    && said.at.since(claim.line.at) < self.patience => {}
            claim => *claim = Some(Claim::new(said, by)),
        }
        if self.proven { Statement::Doubted(ahead) } else { Statement::Plausible }
    }

    /// Unless it is far behind, it holds the time back until others have said better for `patience`. Borne
    /// out, it is the time.
    fn poke_behind(&mut self, said: Line, by: Option<SlotId>, far: bool) {
        let (tolerance, patience) = (self.tolerance(), self.patience);
        let behind = if far { &mut self.far_behind } else { &mut self.behind };
        match behind {
            Some(claim) if agree(claim.line, said, tolerance) => {
                claim.repeated(said, by);
                if claim.is_borne_out(said.at, by, patience) {
                    self.line = said;
                    (self.behind, self.far_behind) = (None, None);
                }
            }
            Some(claim)
                if said.ts > claim.line.at(said.at) && said.at.since(claim.line.at) < patience => {}
            claim => *claim = Some(Claim::new(said, by)),
        }
    }

    /// A record that was processed at `ts` was read at `arrived`: it is no earlier there. A service that
    /// pokes only when idle says no more than that while data flows (Inform API, Connecting). A second
    /// one has to bear that out, too. Once pokes have told the time, this changes nothing.
    pub fn at_least(&mut self, arrived: Instant, ts: Timestamp) {
        if self.proven {
            return;
        }
        // Where data follows upon a single poke, its records bear that out.
        let said = Line { at: arrived, ts };
        if let Some(claim) = self.ahead.filter(|claim| agree(claim.line, said, self.tolerance())) {
            self.proven = true;
            self.line = claim.line;
            (self.ahead, self.behind, self.far_behind) = (None, None, None);
            return;
        }
        if ts <= self.line.at(arrived) {
            return;
        }
        match &mut self.least {
            Some(claim) => {
                let ts = claim.line.at(arrived).min(ts);
                claim.line = Line { at: arrived, ts };
                if claim.lasts(arrived) >= self.patience {
                    self.line = claim.line;
                    self.least = None;
                }
            }
            least => *least = Some(Claim::new(Line { at: arrived, ts }, None)),
        }
    }

    /// The service's time at `instant`.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Timestamp {
        let believed = self.line.at(instant);
        let behind = self.behind.filter(|claim| self.lasts(claim, instant));
        behind.map_or(believed, |claim| claim.line.at(instant).min(believed))
    }

    /// The latest that it may be there at `instant`. What a poke says that is behind holds the position back,
    /// but not the moment up to which a connection may have lost something.
    #[must_use]
    pub fn latest(&self, instant: Instant) -> Timestamp {
        self.line.at(instant)
    }

    /// Whether pokes have said the time; our own wall clock proves nothing about position.
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        self.proven
    }

    /// Whether something has been said that is later than what is believed, and may yet be borne out.
    /// Then more time may have passed there than we know of.
    #[must_use]
    pub fn is_doubted(&self, now: Instant) -> bool {
        let said = |claim: Claim| now.since(claim.line.at) < self.patience.saturating_mul(ALONE);
        self.proven && self.ahead.is_some_and(said)
    }

    /// Whether it has been said lately.
    fn lasts(&self, claim: &Claim, now: Instant) -> bool {
        now.since(claim.line.at) < self.patience
    }

    /// What a poke may wait on its way, more than another; and its time may be told in whole seconds.
    fn tolerance(&self) -> Duration {
        (self.patience / 2).max(GRAIN)
    }
}

/// Whether both say the same time, but for what a poke may wait on its way.
fn agree(one: Line, other: Line, tolerance: Duration) -> bool {
    let expected = one.at(other.at);
    other.ts >= expected.minus(tolerance) && other.ts <= expected.plus(tolerance)
}

/// Two times that are told in whole seconds differ by less than this from the same line.
const GRAIN: Duration = Duration::from_secs(2);

/// One connection alone is believed after so many times `patience`, if the others say nothing.
const ALONE: u32 = 8;

/// Nothing waits longer than this on its way: what is further behind was said wrongly.
const WAITED_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
#[path = "service_clock_tests.rs"]
mod tests;
