//! How long to wait before trying again.
//!
//! The delay doubles from `initial` to `max` and is jittered over its upper half, so that many
//! clients spread out while the number of attempts in a minute keeps a bound that can be stated
//! (see [`Backoff::next`]). `Retry-After` is a lower bound. A 200 does not reset it: the caller
//! resets it when a connection has proven itself, or accept-and-drop becomes a hot loop.

use std::time::Duration;

/// Bounds of a back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The first delay.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(30) }
    }
}

/// The longest `Retry-After` that is honoured: a service that asks for days is asked again sooner,
/// because its checkpoint lives seven days only (Inform API, Connecting).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A growing, jittered delay.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::backoff::{Backoff, BackoffConfig};
///
/// let mut backoff = Backoff::new(BackoffConfig::default(), 7);
/// assert!(backoff.next(None) <= Duration::from_secs(1));
/// assert!(backoff.next(Some(Duration::from_secs(9))) >= Duration::from_secs(9));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    attempt: u32,
    rng: fastrand::Rng,
}

impl Backoff {
    /// A back-off at its first delay; `seed` draws the jitter.
    #[must_use]
    pub fn new(config: BackoffConfig, seed: u64) -> Self {
        Self { config, attempt: 0, rng: fastrand::Rng::with_seed(seed) }
    }

    /// The delay before the next attempt, at least `retry_after`.
    ///
    /// Between half and all of `initial * 2^n`, at most `max`: with the defaults, at most nine
    /// attempts fall into any first minute.
    pub fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let full =
            self.config.initial.saturating_mul(1 << self.attempt.min(20)).min(self.config.max);
        self.attempt = self.attempt.saturating_add(1);
        let jittered = full.mul_f64(0.5 + self.rng.f64() / 2.0);
        retry_after.map_or(jittered, |asked| jittered.max(asked.min(RETRY_AFTER_MAX)))
    }

    /// How many attempts have failed since the last reset.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Back to the first delay.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_ten_attempts_in_the_first_minute_whatever_the_seed() {
        for seed in 0..2_000 {
            let mut backoff = Backoff::new(BackoffConfig::default(), seed);
            let (mut at, mut attempts) = (Duration::ZERO, 1);
            loop {
                at += backoff.next(None);
                if at > Duration::from_secs(60) {
                    break;
                }
                attempts += 1;
            }
            assert!(attempts < 10, "{attempts} attempts with seed {seed}");
        }
    }

    #[test]
    fn a_retry_after_is_a_lower_bound_up_to_an_hour() {
        let mut backoff = Backoff::new(BackoffConfig::default(), 1);
        assert!(backoff.next(Some(Duration::from_secs(120))) >= Duration::from_secs(120));
        assert!(backoff.next(Some(Duration::from_secs(86_400))) <= RETRY_AFTER_MAX);
        assert_eq!(backoff.attempt(), 2);
    }
}
