//! One incident at a time: a second one begins only after the first is over.

use streamkeeper_core::id::IncidentId;
use streamkeeper_core::marked;
use streamkeeper_core::policy::Report;

use super::Verdict;

/// The incidents of one process.
#[derive(Debug, Default)]
pub struct Incidents {
    under_way: Option<IncidentId>,
    last: IncidentId,
}

impl Incidents {
    /// Something was reported.
    ///
    /// # Errors
    /// An incident begins beside another, or ends without having begun.
    pub fn report(&mut self, report: &Report) -> Verdict {
        match report {
            Report::Marked(marked::Report::RecoveryStarted { incident, .. }) => {
                match self.under_way {
                    Some(id) if id != *incident => Err(format!("{incident} began during {id}")),
                    None if *incident <= self.last => {
                        Err(format!("incident {incident} began again"))
                    }
                    _ => {
                        self.under_way = Some(*incident);
                        self.last = *incident;
                        Ok(())
                    }
                }
            }
            Report::Marked(marked::Report::CaughtUp { incident }) => {
                let ended = incident.map(|summary| summary.id);
                if ended != self.under_way {
                    return Err(format!(
                        "{ended:?} ended while {:?} was under way",
                        self.under_way
                    ));
                }
                self.under_way = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
