//! The shell's clock and its dice: the only place that asks what time it is, or draws a seed.
//!
//! The core is given instants (time since the shell started). They are taken from tokio's clock, so
//! that a test on paused time moves the whole product with it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamkeeper_core::time::{Instant, Timestamp};

/// Gives the core its time. Cheap to copy; all copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When to wake for a deadline of the core.
    pub(crate) fn wake_at(&self, deadline: Instant) -> tokio::time::Instant {
        // Half a century on, if a deadline is beyond what the platform can count.
        self.start
            .checked_add(Duration::from_nanos(deadline.as_nanos()))
            .unwrap_or_else(|| self.start + Duration::from_secs(50 * 365 * 86_400))
    }
}

/// Our own wall clock, which may be wrong by a quarter of an hour; only for a start without pokes
/// and for people.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A seed for jitter, different for each stream and process.
pub(crate) fn seed() -> u64 {
    // The standard library keys every hasher from the operating system's randomness.
    RandomState::new().build_hasher().finish()
}
