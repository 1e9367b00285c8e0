//! What the service refuses us, whatever we ask of it: calls and connections alike.

use std::time::Duration;

use crate::backoff::BackoffConfig;
use crate::time::Instant;

use super::Report;

/// What was refused lately.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused {
    /// The last answer was that our token is none.
    token: bool,
    /// The service has asked for so long a wait that it was said; it is over then.
    waits_until: Option<Instant>,
}

impl Refused {
    pub(crate) const fn token(&self) -> bool {
        self.token
    }

    /// Whether it was our token that was refused.
    pub(crate) const fn set_token(&mut self, refused: bool) {
        self.token = refused;
    }

    /// The service asks us to wait: said if it is longer than we would have waited.
    pub(crate) fn asked_to_wait(
        &mut self,
        retry_after: Option<Duration>,
        backoff: &BackoffConfig,
        now: Instant,
    ) -> Option<Report> {
        let asked = retry_after.filter(|&asked| asked > backoff.max)?;
        // Of attempts that are refused together, and while we wait, one line says it.
        if self.waits_until.is_some_and(|until| now < until) {
            return None;
        }
        let wait = backoff.obeyed(asked);
        self.waits_until = Some(now + wait);
        Some(Report::AskedToWait { asked, wait })
    }
}
