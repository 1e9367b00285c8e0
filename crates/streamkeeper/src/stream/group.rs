//! Streams of one server: what is seen on one of them may concern the others.
//!
//! Which calls whom is the policies' business; here is who belongs together: all of this process that are read from one
//! origin and go on from a cursor.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use streamkeeper_core::cursored;

use crate::base::reports::Reports;
use crate::config::StreamConfig;
use crate::transport::Origin;

/// All of them, by their servers.
#[derive(Clone, Default)]
pub(crate) struct Groups(Arc<Mutex<Vec<Weak<Member>>>>);

struct Member {
    origin: Origin,
    reports: Reports,
}

/// A stream's place among the others, for as long as its supervisor lives.
pub(crate) struct Place {
    groups: Groups,
    member: Arc<Member>,
}

impl Groups {
    /// Takes a stream in; `None` if it is none that could be called.
    pub(crate) fn join(&self, config: &StreamConfig, reports: &Reports) -> Option<Place> {
        config.as_sse()?;
        let origin = Origin::of_server(config.url.expose())?;
        let member = Arc::new(Member { origin, reports: reports.clone() });
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(&member));
        drop(members);
        Some(Place { groups: self.clone(), member })
    }
}

impl Place {
    /// Calls every other stream of the same server.
    pub(crate) fn call_others(&self) {
        let members = self.groups.0.lock().unwrap_or_else(PoisonError::into_inner);
        for other in members.iter().filter_map(Weak::upgrade) {
            if !Arc::ptr_eq(&other, &self.member) && other.origin == self.member.origin {
                other.reports.send(cursored::Input::GroupStale);
            }
        }
    }
}

/// No origin: it is a part of a URL.
impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}
