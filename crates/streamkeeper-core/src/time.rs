//! Time as values.
//!
//! The core never asks a clock. The shell stamps every input with an [`Instant`] (time since the
//! shell started, monotonic), and what the service says about its own clock travels as a
//! [`Timestamp`] (UTC). The two never mix: an `Instant` orders what happened here, a `Timestamp`
//! says how far the stream has been read. Only [`ServiceClock`](crate::service_clock::ServiceClock)
//! relates them.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

/// Monotonic time since the shell started, in nanoseconds.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::time::Instant;
///
/// let later = Instant::ZERO + Duration::from_secs(5);
/// assert_eq!(later.since(Instant::ZERO), Duration::from_secs(5));
/// assert_eq!(Instant::ZERO.since(later), Duration::ZERO, "never negative");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment the shell started.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// UTC time in microseconds since 1970: the service's own time unless said otherwise.
///
/// ```
/// use streamkeeper_core::time::Timestamp;
///
/// let noon = Timestamp::from_micros(1_795_262_400_000_000);
/// assert_eq!(noon.utc_day().to_string(), "2026-11-21");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The timestamp `micros` microseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The UTC day this moment lies in.
    #[must_use]
    pub const fn utc_day(self) -> UtcDay {
        // A day of the i64 range in microseconds fits an i32 (about ±107 million days).
        UtcDay(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// This moment moved back by `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// This moment moved on by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This moment by another clock, which shows `theirs` when ours shows `ours`.
    #[must_use]
    pub const fn restamped(self, ours: Self, theirs: Self) -> Self {
        Self(self.0.saturating_add(theirs.0.saturating_sub(ours.0)))
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A UTC calendar day: the granularity of the service's `start_date` (Inform API, Stream resources).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(i32);

impl UtcDay {
    /// 00:00:00Z of this day.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp((self.0 as i64).saturating_mul(MICROS_PER_DAY))
    }

    /// This day moved back by whole days.
    #[must_use]
    pub const fn minus_days(self, days: u32) -> Self {
        Self(self.0.saturating_sub_unsigned(days))
    }

    /// Whole days from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> u32 {
        u32::try_from(i64::from(self.0) - i64::from(earlier.0)).unwrap_or(0)
    }
}

impl fmt::Display for UtcDay {
    /// `YYYY-MM-DD`, as the service writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A text that is not a day of the form `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the form YYYY-MM-DD")]
pub struct NotADay;

impl FromStr for UtcDay {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut parts = text.split('-');
        let (Some(y), Some(m), Some(d), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotADay);
        };
        if y.len() != 4 || m.len() != 2 || d.len() != 2 {
            return Err(NotADay);
        }
        let digits = |s: &str| s.parse::<u16>().map_err(|_| NotADay);
        let (y, m, d) = (digits(y)?, digits(m)?, digits(d)?);
        let days = days_from_civil(i64::from(y), i64::from(m), i64::from(d));
        // Converting back refuses the 31st of February.
        if civil_from_days(days) == (i64::from(y), i64::from(m), i64::from(d)) {
            i32::try_from(days).map(Self).map_err(|_| NotADay)
        } else {
            Err(NotADay)
        }
    }
}

/// Days since 1970-01-01 to (year, month, day); Howard Hinnant's `civil_from_days`.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// (year, month, day) to days since 1970-01-01; Howard Hinnant's `days_from_civil`.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_starts_at_midnight_utc() {
        let day: UtcDay = "2026-11-21".parse().unwrap();
        assert_eq!(day.start().as_micros(), 1_795_219_200_000_000);
        assert_eq!(day.start().minus(Duration::from_micros(1)).utc_day().to_string(), "2026-11-20");
        assert_eq!(day.minus_days(21).to_string(), "2026-10-31");
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for days in -50_000..100_000 {
            let day = UtcDay(days);
            assert_eq!(day.to_string().parse::<UtcDay>(), Ok(day));
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["", "2026-02-30", "2026-13-01", "2026-1-1", "26-01-01", "2026-01-01T00", "x"] {
            assert_eq!(text.parse::<UtcDay>(), Err(NotADay), "{text}");
        }
    }
}
