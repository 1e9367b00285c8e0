//! The snapshot that is fetched after a lost resume point: once for each, and again until it is had.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// None is owed.
    Idle,
    /// One is owed, and asked for at this instant.
    Due(Instant),
    /// It is being fetched.
    Asked {
        /// The resume point has been lost once more meanwhile: the snapshot may be of before that.
        again: bool,
    },
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is committed.
    Done,
    /// It is asked for again in so long.
    Failed(Duration),
}

/// The snapshots of one stream.
#[derive(Clone, Debug)]
pub(super) struct Resync {
    state: State,
    failed: bool,
    backoff: Backoff,
}

impl Resync {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self { state: State::Idle, failed: false, backoff }
    }

    /// The resume point was lost.
    pub(super) fn owe(&mut self, now: Instant) {
        self.state = match self.state {
            State::Idle => State::Due(now),
            State::Due(at) => State::Due(at),
            State::Asked { .. } => State::Asked { again: true },
        };
    }

    pub(super) fn is_owed(&self) -> bool {
        self.state != State::Idle
    }

    /// Whether the last attempt at one that is owed has failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.failed
    }

    /// Whether it is to be asked for now.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|due| now >= due);
        if due {
            self.state = State::Asked { again: false };
        }
        due
    }

    /// It is there, or could not be had; `None` if none was asked for.
    pub(super) fn answered(&mut self, ok: bool, now: Instant) -> Option<Outcome> {
        let State::Asked { again } = self.state else { return None };
        self.failed = !ok;
        if ok {
            self.backoff.reset();
            self.state = if again { State::Due(now) } else { State::Idle };
            return Some(Outcome::Done);
        }
        let wait = self.backoff.next(None);
        self.state = State::Due(now + wait);
        Some(Outcome::Failed(wait))
    }

    /// A person wants what waits to be tried now.
    pub(super) fn try_now(&mut self, now: Instant) {
        if let State::Due(at) = &mut self.state {
            *at = now.min(*at);
        }
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Due(at) => Some(at),
            State::Idle | State::Asked { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::BackoffConfig;

    #[test]
    fn one_that_fails_is_asked_for_again_with_growing_pauses_until_it_is_had() {
        let mut resync = Resync::new(Backoff::new(BackoffConfig::default(), 1));
        let mut now = Instant::ZERO;
        assert!(!resync.ask(now));
        resync.owe(now);
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            assert!(resync.ask(now) && !resync.ask(now));
            let Some(Outcome::Failed(wait)) = resync.answered(false, now) else { panic!() };
            assert!(wait >= last && resync.is_failing());
            last = wait;
            now = now + wait;
        }
        assert!(resync.ask(now));
        assert_eq!(resync.answered(true, now), Some(Outcome::Done));
        assert!(!resync.is_owed() && !resync.is_failing());
        assert_eq!(resync.answered(true, now), None);
    }

    #[test]
    fn a_loss_while_it_is_fetched_wants_another() {
        let now = Instant::ZERO;
        let mut resync = Resync::new(Backoff::new(BackoffConfig::default(), 1));
        resync.owe(now);
        resync.owe(now);
        assert!(resync.ask(now));
        resync.owe(now);
        assert_eq!(resync.answered(true, now), Some(Outcome::Done));
        assert!(resync.is_owed() && resync.ask(now));
        resync.answered(true, now);
        assert!(!resync.is_owed());
    }
}
