//! How long to wait between one connection and the next.
//!
//! The server may ask for a least pause (`retry:`), which holds after any end; jitter only adds to it. A
//! planned end earns no back-off. A connection that has brought no event counts as failed, whatever its end,
//! or a server that accepts and drops would be asked in a hot loop.

use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::classify::{End, Refusal};

/// No pause is longer, but one that the server asks for by `Retry-After`, and after a refused token.
pub(super) const CAP: Duration = Duration::from_secs(60);

/// No pause is shorter, but where a person wants to connect: `retry: 0` is a loop otherwise.
pub(super) const FLOOR: Duration = Duration::from_millis(100);

/// The longest first pause.
const FIRST_MAX: Duration = Duration::from_secs(1);

/// The longest pause after a planned end, unless the server asks for a longer one.
const PLANNED_MAX: Duration = Duration::from_secs(3);

/// A refused token wants a person: it is tried so many times more rarely.
const TOKEN_FACTOR: u32 = 10;

/// How a connection ended, as far as the next one's pause goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// A person wanted it.
    Wanted,
    /// It was planned, by the server or by us.
    Planned,
    /// We killed it for its silence, and it had brought events; or for another stream's.
    Stale,
    /// Anything else.
    Other(End),
}

/// The pauses of one stream.
#[derive(Clone, Debug)]
pub(super) struct Pauses {
    backoff: Backoff,
    token_backoff: Backoff,
    retry: Option<Duration>,
    jitter: fastrand::Rng,
}

impl Pauses {
    pub(super) fn new(config: BackoffConfig, seeds: &mut fastrand::Rng) -> Self {
        let initial = config.initial.min(FIRST_MAX);
        let config = BackoffConfig { initial, max: config.max.clamp(initial, CAP), ..config };
        let slower = BackoffConfig {
            initial: config.initial * TOKEN_FACTOR,
            max: config.max * TOKEN_FACTOR,
            ..config
        };
        Self {
            backoff: Backoff::new(config, seeds.u64(..)),
            token_backoff: Backoff::new(slower, seeds.u64(..)),
            retry: None,
            jitter: fastrand::Rng::with_seed(seeds.u64(..)),
        }
    }

    /// The server asks for this pause.
    pub(super) const fn ask(&mut self, wait: Duration) {
        self.retry = Some(wait);
    }

    /// The token was taken.
    pub(super) const fn admitted(&mut self) {
        self.token_backoff.reset();
    }

    /// An event came.
    pub(super) const fn brought(&mut self) {
        self.backoff.reset();
    }

    pub(super) const fn config(&self) -> &BackoffConfig {
        self.backoff.config()
    }

    /// How long to wait after such an end.
    pub(super) fn next(&mut self, broken: Break) -> Duration {
        let least = self.retry.map_or(FLOOR, |retry| retry.clamp(FLOOR, CAP));
        match broken {
            Break::Wanted => Duration::ZERO,
            Break::Stale => least,
            Break::Planned => {
                let spread = self.retry.map_or(FIRST_MAX, |_| least.min(FIRST_MAX));
                (least + spread.mul_f64(self.jitter.f64())).min(PLANNED_MAX.max(least))
            }
            Break::Other(end) => {
                let spread = least.mul_f64(self.jitter.f64() / 10.0);
                let pause = match end {
                    End::Refused(Refusal::Token { .. }) => self.token_backoff.next(None),
                    _ => self.backoff.next(None).max(least + spread).min(CAP),
                };
                let asked = end.retry_after().map(|asked| self.config().obeyed(asked));
                pause.max(asked.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64) -> Pauses {
        let config = BackoffConfig { max: CAP, ..BackoffConfig::default() };
        Pauses::new(config, &mut fastrand::Rng::with_seed(seed))
    }

    const RESET: Break = Break::Other(End::Reset);

    fn refused(status: u16, retry_after: Option<u64>) -> Break {
        let asked = retry_after.map(Duration::from_secs);
        Break::Other(End::Refused(Refusal::from_status(status, asked)))
    }

    #[test]
    fn the_first_is_at_most_a_second_and_they_double_to_a_minute() {
        for seed in 0..200 {
            let mut pauses = pauses(seed);
            for full in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] {
                let pause = pauses.next(RESET).as_secs_f64();
                assert!((full / 2.0..=full).contains(&pause), "{pause} of {full}");
            }
            pauses.brought();
            assert!(pauses.next(RESET) <= Duration::from_secs(1), "an event starts afresh");
        }
    }

    #[test]
    fn a_configured_pause_is_held_within_the_bounds() {
        let config = BackoffConfig {
            initial: Duration::from_secs(20),
            max: Duration::from_secs(600),
            ..BackoffConfig::default()
        };
        let mut pauses = Pauses::new(config, &mut fastrand::Rng::with_seed(1));
        assert!(pauses.next(RESET) <= Duration::from_secs(1));
        for _ in 0..20 {
            assert!(pauses.next(RESET) <= CAP);
        }
    }

    #[test]
    fn a_planned_end_costs_three_seconds_at_most_however_often_it_comes() {
        for seed in 0..200 {
            let mut pauses = pauses(seed);
            for _ in 0..50 {
                let pause = pauses.next(Break::Planned);
                assert!((FLOOR..=PLANNED_MAX).contains(&pause), "{pause:?}");
            }
            assert!(pauses.next(RESET) <= Duration::from_secs(1), "no back-off was earned");
        }
    }

    #[test]
    fn what_the_server_asks_for_is_the_least_and_jitter_only_adds() {
        for (asked, least) in [(0, 100), (10, 100), (2_900, 2_900), (5_000, 5_000)] {
            let mut pauses = pauses(asked);
            pauses.ask(Duration::from_millis(asked));
            for broken in [Break::Planned, Break::Stale, RESET] {
                let pause = pauses.next(broken);
                assert!(pause >= Duration::from_millis(least), "{pause:?} of {asked} ms");
                assert!(pause <= Duration::from_millis(least).max(PLANNED_MAX).mul_f64(1.1));
            }
        }
        let mut pauses = pauses(7);
        pauses.ask(Duration::from_secs(3_600));
        assert_eq!(pauses.next(Break::Planned), CAP);
        assert_eq!(pauses.next(RESET), CAP);
    }

    #[test]
    fn a_stale_connection_is_replaced_at_once() {
        assert_eq!(pauses(1).next(Break::Stale), FLOOR);
    }

    #[test]
    fn a_refused_token_is_tried_ten_times_more_rarely_and_apart_from_the_rest() {
        let mut pauses = pauses(3);
        for full in [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0] {
            let pause = pauses.next(refused(401, None)).as_secs_f64();
            assert!((full / 2.0..=full).contains(&pause), "{pause} of {full}");
        }
        assert!(pauses.next(RESET) <= Duration::from_secs(1));
        pauses.admitted();
        assert!(pauses.next(refused(403, None)) <= Duration::from_secs(10));
    }

    #[test]
    fn a_retry_after_is_obeyed_beyond_the_minute() {
        let mut pauses = pauses(3);
        assert_eq!(pauses.next(refused(503, Some(120))), Duration::from_secs(120));
        let endless = pauses.next(refused(503, Some(u64::MAX)));
        assert_eq!(endless, BackoffConfig::default().retry_after_max);
    }
}
