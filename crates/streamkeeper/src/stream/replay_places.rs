//! How many replays are read at once: the service allows an organization five, and refuses the others.
//!
//! All streams of this process with the same origin and token are of one organization. Who finds no place here
//! is not sent to the service, and tries again later; a place is given back when the socket is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::config::StreamConfig;

/// At most so many at a time per organization (Inform API, Replay).
const REPLAYS_MAX: usize = 5;

/// Names an organization, and gives nothing of it away.
type Organization = [u8; 32];

/// The replays that are being read, of every organization.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayPlaces(Arc<Mutex<HashMap<Organization, usize>>>);

/// A place, held as long as this lives.
#[derive(Debug)]
pub(crate) struct ReplayPlace {
    places: ReplayPlaces,
    organization: Organization,
}

impl ReplayPlaces {
    /// A place for a replay of that stream, if one is free.
    pub(crate) fn take(&self, config: &StreamConfig) -> Option<ReplayPlace> {
        let organization = organization(config);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(organization).or_default();
        (*count < REPLAYS_MAX).then(|| {
            *count += 1;
            ReplayPlace { places: self.clone(), organization }
        })
    }
}

impl Drop for ReplayPlace {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.organization);
            }
        }
    }
}

fn organization(config: &StreamConfig) -> Organization {
    let mut hash = Sha256::new();
    hash.update(config.url.expose().trim_end_matches('/').to_ascii_lowercase());
    hash.update([0]);
    if let Some(table) = config.as_inform() {
        hash.update(table.token.expose());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper_sink::Secret;

    fn stream(url: &str, token: &str) -> StreamConfig {
        StreamConfig::inform("acme", url, Secret::new(token))
    }

    #[test]
    fn an_organization_has_five_and_others_have_their_own() {
        let places = ReplayPlaces::default();
        let (one, same) = (stream("http://a/", "t"), stream("HTTP://A", "t"));
        let held: Vec<_> = (0..3).map_while(|_| places.take(&one)).collect();
        let more: Vec<_> = (0..9).map_while(|_| places.take(&same)).collect();
        assert_eq!((held.len(), more.len()), (3, 2));
        assert!(places.take(&stream("http://a", "other")).is_some());
        assert!(places.take(&stream("http://b", "t")).is_some());
        drop(held);
        let again: Vec<_> = (0..9).map_while(|_| places.take(&one)).collect();
        assert_eq!(again.len(), 3, "given back");
        drop((more, again));
        assert!(places.0.lock().unwrap().is_empty());
    }
}
