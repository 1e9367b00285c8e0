//! Connection hygiene: a connection that brings no data is not kept open.
//!
//! After N consecutive pokes the connection rests for d, 2d, 4d … up to a maximum; the first data
//! resets both the counter and the rest (the vendor's advice). Never on a replay connection, whose long run of
//! pokes is the service walking its history (Inform API, Replay).

use std::time::Duration;

/// When and how long a slot rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HygieneConfig {
    /// Whether slots rest at all.
    pub enabled: bool,
    /// Consecutive pokes without data before a rest; at least 1.
    pub max_consecutive_pokes: u32,
    /// The first rest.
    pub rest_initial: Duration,
    /// The longest rest.
    pub rest_max: Duration,
}

impl Default for HygieneConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_consecutive_pokes: 5,
            rest_initial: Duration::from_secs(5),
            rest_max: Duration::from_secs(300),
        }
    }
}

/// Counts the pokes and rests of one slot.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::hygiene::{Hygiene, HygieneConfig};
///
/// let mut hygiene = Hygiene::new(HygieneConfig::default(), 1);
/// for _ in 0..5 {
///     assert!(!hygiene.wants_rest());
///     hygiene.poke();
/// }
/// assert!(hygiene.wants_rest());
/// assert!(hygiene.rest() >= Duration::from_secs(5));
/// assert!(hygiene.rest() >= Duration::from_secs(10));
/// hygiene.data();
/// assert!(hygiene.rest() < Duration::from_secs(6), "data resets the rest");
/// ```
#[derive(Clone, Debug)]
pub struct Hygiene {
    config: HygieneConfig,
    consecutive_pokes: u32,
    rests: u32,
    rng: fastrand::Rng,
}

impl Hygiene {
    /// A slot that has not rested; `seed` draws the jitter.
    #[must_use]
    pub fn new(config: HygieneConfig, seed: u64) -> Self {
        Self { config, consecutive_pokes: 0, rests: 0, rng: fastrand::Rng::with_seed(seed) }
    }

    /// A poke came with no data since the last.
    pub const fn poke(&mut self) {
        self.consecutive_pokes = self.consecutive_pokes.saturating_add(1);
    }

    /// Data came: counter and rest start afresh.
    pub const fn data(&mut self) {
        self.consecutive_pokes = 0;
        self.rests = 0;
    }

    /// A new connection opened: the pokes of the old one do not count, its rests do.
    pub const fn opened(&mut self) {
        self.consecutive_pokes = 0;
    }

    /// Whether the pokes since the last data call for a rest.
    #[must_use]
    pub const fn wants_rest(&self) -> bool {
        self.config.enabled && self.consecutive_pokes >= self.config.max_consecutive_pokes
    }

    /// Takes the next rest and says how long it is: up to a tenth above the doubled value, so that
    /// slots do not wake together; never above `rest_max`.
    pub fn rest(&mut self) -> Duration {
        let full = self.config.rest_initial.saturating_mul(1 << self.rests.min(20));
        self.rests = self.rests.saturating_add(1);
        self.consecutive_pokes = 0;
        full.min(self.config.rest_max)
            .mul_f64(1.0 + self.rng.f64() / 10.0)
            .min(self.config.rest_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_the_maximum_and_data_starts_afresh() {
        let mut hygiene = Hygiene::new(HygieneConfig::default(), 3);
        let mut rests = Vec::new();
        for _ in 0..10 {
            (0..5).for_each(|_| hygiene.poke());
            assert!(hygiene.wants_rest());
            rests.push(hygiene.rest().as_secs_f64());
            assert!(!hygiene.wants_rest());
        }
        for (rest, base) in rests.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]) {
            assert!((base..=base * 1.1).contains(rest) && *rest <= 300.0, "{rest} for {base}");
        }
        hygiene.data();
        (0..5).for_each(|_| hygiene.poke());
        assert!(hygiene.rest() < Duration::from_secs(6));
    }

    #[test]
    fn one_data_frame_in_between_starts_the_count_again() {
        let mut hygiene = Hygiene::new(HygieneConfig::default(), 3);
        (0..4).for_each(|_| hygiene.poke());
        hygiene.data();
        (0..4).for_each(|_| hygiene.poke());
        assert!(!hygiene.wants_rest());
    }

    #[test]
    fn switched_off_it_never_rests() {
        let config = HygieneConfig { enabled: false, ..HygieneConfig::default() };
        let mut hygiene = Hygiene::new(config, 3);
        (0..50).for_each(|_| hygiene.poke());
        assert!(!hygiene.wants_rest());
    }
}
