//! While nothing is wrong, the mark follows the service's time within a bound.

use streamkeeper_core::time::Timestamp;
use streamkeeper_simulator::model::Millis;

use crate::plan::micros;

use super::Verdict;

/// Watches the lag of the mark.
#[derive(Debug)]
pub struct Lag {
    bound: Millis,
    calm_since: Option<Millis>,
}

impl Lag {
    /// `bound`: how far the mark may lag, and how long it may take to come there.
    #[must_use]
    pub const fn new(bound: Millis) -> Self {
        Self { bound, calm_since: None }
    }

    /// The bound.
    #[must_use]
    pub const fn bound(&self) -> Millis {
        self.bound
    }

    /// Looks at the mark at `now`; `calm`: nothing is wrong, and nothing holds it down.
    ///
    /// # Errors
    /// It lags by more than the bound though all has been calm for so long.
    pub fn look(&mut self, now: Millis, calm: bool, mark: Option<Timestamp>) -> Verdict {
        if !calm {
            self.calm_since = None;
            return Ok(());
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.saturating_sub(since) <= self.bound {
            return Ok(());
        }
        match mark {
            None => Err("there is no mark though all is calm".into()),
            Some(mark) if micros(now - self.bound) > mark.as_micros() => {
                let lag = (micros(now) - mark.as_micros()) / 1_000;
                Err(format!("the mark lags by {lag} ms, more than {}", self.bound))
            }
            Some(_) => Ok(()),
        }
    }
}
