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
    /// The longest `Retry-After` that is obeyed.
    pub retry_after_max: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
            // A service that asks for days is asked again sooner: its checkpoint lives seven days
            // only (Inform API, Connecting).
            retry_after_max: Duration::from_secs(3600),
        }
    }
}

impl BackoffConfig {
    /// How long a service is obeyed that asks us to wait for so long: it may ask for centuries.
    #[must_use]
    pub fn obeyed(&self, retry_after: Duration) -> Duration {
        retry_after.min(self.retry_after_max)
    }
}

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
        retry_after.map_or(jittered, |asked| jittered.max(self.config.obeyed(asked)))
    }

    /// Its bounds.
    #[must_use]
    pub const fn config(&self) -> &BackoffConfig {
        &self.config
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
    fn a_retry_after_is_a_lower_bound_up_to_a_bound_of_its_own() {
        let retry_after_max = Duration::from_secs(600);
        let config = BackoffConfig { retry_after_max, ..BackoffConfig::default() };
        let mut backoff = Backoff::new(config, 1);
        assert!(backoff.next(Some(Duration::from_secs(120))) >= Duration::from_secs(120));
        for endless in [Duration::from_secs(86_400), Duration::from_secs(1 << 63), Duration::MAX] {
            assert_eq!(backoff.next(Some(endless)), retry_after_max);
        }
        assert_eq!(backoff.attempt(), 4);
    }
}
