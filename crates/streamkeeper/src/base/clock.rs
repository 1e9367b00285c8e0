//! The shell's clock and its dice: the only place that asks what time it is, or draws a seed.
//!
//! The core is given instants (time since the shell started). They are taken from tokio's clock, so
//! that a test on paused time moves the whole product with it. That clock stands still while the
//! machine is suspended, and the service's does not: what was slept through is added, or an absence of
//! days would pass unseen (recovery.md, "start").

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use streamkeeper_core::time::{Instant, Timestamp};

/// Gives the core its time. Cheap to copy; all copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
    /// How long the machine had been suspended then.
    slept_before: Duration,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: tokio::time::Instant::now(), slept_before: slept_since_boot() }
    }

    /// The time since the start, suspensions included.
    pub(crate) fn now(&self) -> Instant {
        let nanos = (self.start.elapsed() + self.slept()).as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// For how long the machine has been suspended since the start.
    fn slept(&self) -> Duration {
        slept_since_boot().saturating_sub(self.slept_before)
    }

    /// When to wake for a deadline of the core.
    pub(crate) fn wake_at(&self, deadline: Instant) -> tokio::time::Instant {
        // Half a century on, if a deadline is beyond what the platform can count.
        self.start
            .checked_add(Duration::from_nanos(deadline.as_nanos()).saturating_sub(self.slept()))
            .unwrap_or_else(|| self.start + Duration::from_secs(50 * 365 * 86_400))
    }
}

/// For how long the machine has been suspended since it was started.
///
/// The difference of two clocks that are read one after the other, in this order: a delay between them
/// makes it less. So the most that was ever seen is the truth, and it never goes back.
#[cfg(target_os = "linux")]
fn slept_since_boot() -> Duration {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::time::{ClockId, Timespec, clock_gettime};

    static MOST: AtomicU64 = AtomicU64::new(0);
    let nanos = |time: Timespec| {
        u64::try_from(i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec))
            .unwrap_or(u64::MAX)
    };
    let with_sleep = nanos(clock_gettime(ClockId::Boottime));
    let awake = nanos(clock_gettime(ClockId::Monotonic));
    let slept = with_sleep.saturating_sub(awake);
    Duration::from_nanos(MOST.fetch_max(slept, Ordering::Relaxed).max(slept))
}

/// Nothing tells: pokes do, once they are read again.
#[cfg(not(target_os = "linux"))]
const fn slept_since_boot() -> Duration {
    Duration::ZERO
}

/// Our own wall clock, which may be wrong by a quarter of an hour; only for a start without pokes
/// and for people.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Today in UTC, as far as our wall clock can be believed.
pub(crate) fn today() -> Option<Date> {
    let today = day(wall().as_micros() / 1_000_000);
    (today >= built_on()).then_some(today)
}

/// What is wrong with our wall clock, in a sentence, if it says a day before this program was built: a
/// machine without a battery for its clock begins in 1970, until somebody tells it the time.
pub fn clock_doubt() -> Option<String> {
    if today().is_some() {
        return None;
    }
    let (today, built) = (day(wall().as_micros() / 1_000_000), built_on());
    Some(format!(
        "the clock says {today}, and this program was built on {built}: until it is set, `start_date` is \
         not compared with it, and every certificate seems to be not valid yet"
    ))
}

/// The day on which this was built.
fn built_on() -> Date {
    day(env!("STREAMKEEPER_BUILT_AT").parse().unwrap_or_default())
}

fn day(unix_seconds: i64) -> Date {
    let at = jiff::Timestamp::from_second(unix_seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).date()
}

/// A seed for jitter, different for each stream and process.
pub(crate) fn seed() -> u64 {
    // The standard library keys every hasher from the operating system's randomness.
    RandomState::new().build_hasher().finish()
}
