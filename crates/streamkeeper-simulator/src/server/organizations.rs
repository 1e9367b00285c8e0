//! The organizations that one simulator serves: who is who, and what they have in common.
//!
//! Each has a token, a seed and a state of its own, so its streams, limits, events and faults are
//! nobody else's; what they share are the two ports. A caller is known by its token alone, as at
//! the real service. Whoever has no right token is answered on behalf of the first organization.

use std::{num::NonZeroU32, sync::Arc};

use tokio::sync::{Notify, watch};

use super::{
    config::{SimulatorConfig, Token},
    state::{FaultError, Organization},
};
use crate::fault::Fault;

/// All organizations, at least one.
#[derive(Debug)]
pub(super) struct Organizations {
    first: Arc<Organization>,
    others: Vec<Arc<Organization>>,
    tokens: Vec<Token>,
    /// The listener is to close for a while.
    pub(super) refuse: Notify,
    /// Everything is to stop.
    pub(super) stop: watch::Sender<bool>,
}

impl Organizations {
    pub(super) fn new(config: SimulatorConfig) -> Arc<Self> {
        let count = config.organizations;
        let tokens: Vec<_> = (1..=count.get()).map(|number| config.token_of(number)).collect();
        let organization = |(number, token): (u32, &Token)| {
            let mut own = config.clone();
            own.token = token.clone();
            own.seed = config.seed.wrapping_add(u64::from(number));
            own.model.events_per_hour = share(config.model.events_per_hour, number, count);
            Arc::new(Organization::new(own))
        };
        let mut all = (0..).zip(&tokens).map(organization);
        // There is always one, since the count is not zero.
        let first = all.next().unwrap_or_else(|| Arc::new(Organization::new(config.clone())));
        let others = all.collect();
        let (refuse, stop) = (Notify::new(), watch::Sender::new(false));
        Arc::new(Self { first, others, tokens, refuse, stop })
    }

    /// The first one; of most simulators the only one.
    pub(super) fn first(&self) -> &Arc<Organization> {
        &self.first
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Organization>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The organization of that number, from 1.
    pub(super) fn numbered(&self, number: usize) -> Option<&Arc<Organization>> {
        self.all().nth(number.checked_sub(1)?)
    }

    /// The organization whose token this is.
    pub(super) fn of_token(&self, given: &str) -> Option<&Arc<Organization>> {
        self.all().zip(&self.tokens).find(|(_, token)| token.is(given)).map(|(found, _)| found)
    }

    /// Does a fault to one of them. Gives the numbers of the connections it is done to.
    pub(super) fn fault(
        &self,
        organization: &Organization,
        fault: Fault,
    ) -> Result<Vec<u64>, FaultError> {
        let refuses = matches!(fault, Fault::Refused { .. });
        let done = organization.lock().apply(fault)?;
        if refuses {
            self.refuse.notify_one();
        }
        Ok(done)
    }

    /// Ready once everything is to stop.
    pub(super) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // An error means that the sender is gone, and we hold it.
        drop(stop.wait_for(|stopped| *stopped).await);
    }
}

/// What falls to an organization, numbered from 0, so that the sum is exact.
fn share(whole: u64, number: u32, count: NonZeroU32) -> u64 {
    let count = u64::from(count.get());
    whole / count + u64::from(u64::from(number) < whole % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shared_out_to_the_last_event() {
        for whole in [0, 1, 9, 10, 11, 180_000] {
            let count = NonZeroU32::new(10).unwrap();
            let shares: Vec<_> = (0..10).map(|number| share(whole, number, count)).collect();
            assert_eq!(shares.iter().sum::<u64>(), whole);
            assert!(shares[0] - shares[9] <= 1, "{shares:?}");
        }
    }

    #[test]
    fn the_only_organization_is_the_configuration_itself() {
        let config = SimulatorConfig::default();
        let organizations = Organizations::new(config.clone());
        let state = organizations.first().lock();
        assert_eq!(state.config.seed, config.seed);
        assert_eq!(state.config.model, config.model);
        assert!(state.config.token.is("simulated"));
    }
}
