//! Restart intensity, as in OTP, with what OTP lacks: a pause instead of giving up.
//!
//! `max_recoveries` within a window are allowed; then recoveries wait for a pause that grows, and
//! the operator is told. It never gives up silently: when the pause is over, one more is allowed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// How many recoveries are ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartConfig {
    /// Recoveries allowed within the window; at least 1.
    pub max_recoveries: u32,
    /// The window.
    pub within: Duration,
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self { max_recoveries: 5, within: Duration::from_secs(3600) }
    }
}

/// Whether a recovery may start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may; it has been counted.
    Granted,
    /// Too many came within the window: not before this instant.
    PausedUntil(Instant),
}

/// Counts recoveries.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::restart::{Permission, Restart, RestartConfig};
/// use streamkeeper_core::time::Instant;
///
/// let config = RestartConfig { max_recoveries: 1, within: Duration::from_secs(60) };
/// let mut restart = Restart::new(config);
/// assert_eq!(restart.ask(Instant::ZERO), Permission::Granted);
/// assert!(matches!(restart.ask(Instant::ZERO), Permission::PausedUntil(_)));
/// ```
#[derive(Clone, Debug)]
pub struct Restart {
    config: RestartConfig,
    recent: VecDeque<Instant>,
    paused_until: Option<Instant>,
    pauses: u32,
}

impl Restart {
    /// No recovery so far.
    #[must_use]
    pub const fn new(config: RestartConfig) -> Self {
        Self { config, recent: VecDeque::new(), paused_until: None, pauses: 0 }
    }

    /// Asks to start a recovery at `now`.
    pub fn ask(&mut self, now: Instant) -> Permission {
        if let Some(until) = self.paused_until.filter(|&until| now < until) {
            return Permission::PausedUntil(until);
        }
        while self.recent.front().is_some_and(|&then| now.since(then) >= self.config.within) {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            self.pauses = 0;
        }
        let after_a_pause = self.paused_until.take().is_some();
        if !after_a_pause && self.recent.len() >= self.config.max_recoveries as usize {
            let share = self.config.within / self.config.max_recoveries.max(1);
            let pause = share.saturating_mul(1 << self.pauses.min(8)).min(self.config.within);
            self.pauses = self.pauses.saturating_add(1);
            let until = now + pause;
            self.paused_until = Some(until);
            return Permission::PausedUntil(until);
        }
        self.recent.push_back(now);
        Permission::Granted
    }

    /// The end of the pause, if recoveries are paused.
    #[must_use]
    pub const fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(minutes * 60)
    }

    #[test]
    fn five_within_the_hour_then_a_growing_pause_that_ends() {
        let mut restart = Restart::new(RestartConfig::default());
        for minute in 0..5 {
            assert_eq!(restart.ask(at(minute)), Permission::Granted);
        }
        assert_eq!(restart.ask(at(5)), Permission::PausedUntil(at(17)));
        assert_eq!(restart.ask(at(16)), Permission::PausedUntil(at(17)), "asking again is free");
        assert_eq!(restart.ask(at(17)), Permission::Granted, "one after the pause");
        assert_eq!(restart.ask(at(18)), Permission::PausedUntil(at(42)), "the pause has doubled");
        assert_eq!(restart.ask(at(200)), Permission::Granted);
        assert_eq!(restart.ask(at(201)), Permission::Granted, "a quiet window forgets");
    }
}
