//! The session that a stream is read within, where its server wants one.
//!
//! It is begun by something that is posted, named by a header of the answer, and is over when a request within it
//! is answered by a 404, or by a 400, as the reference server of MCP does it. It is known for as long as its supervisor lives: a new one is told the policies, because
//! a cursor of another session means nothing.

use std::sync::{Mutex, PoisonError};

use streamkeeper_core::classify::{End, Refusal};

use crate::dialect::sse::{self, Sse};
use crate::observe::registry::StreamEntry;
use crate::transport::HttpTransport;

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct SessionOfStream(Mutex<Known>);

#[derive(Clone, Default)]
enum Known {
    #[default]
    Nothing,
    /// It has begun, and has this name; a server may give none, and want none.
    Begun(Option<String>),
}

/// Its name is as good as a key.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// What a request for the stream has of its session.
pub(crate) struct Entered {
    /// The header that names it.
    pub(crate) header: Option<(String, String)>,
    /// It has just begun.
    pub(crate) is_new: bool,
}

impl SessionOfStream {
    /// It is over: the next request for the stream begins another.
    pub(crate) fn is_over(&self) {
        self.set(Known::Nothing);
    }

    fn set(&self, known: Known) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn known(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a session is begun.
pub(crate) struct Door<'a> {
    pub(crate) session: &'a SessionOfStream,
    pub(crate) transport: &'a HttpTransport,
    pub(crate) entry: &'a StreamEntry,
}

impl Door<'_> {
    /// Begins the session if none is known; how the attempt ends, if that fails.
    pub(crate) async fn enter(&self, sse: &Sse) -> Result<Option<Entered>, End> {
        let Some((place, wanted)) = sse.session() else { return Ok(None) };
        let named = |name: Option<String>| name.map(|name| (wanted.header.clone(), name));
        if let Known::Begun(name) = self.session.known() {
            return Ok(Some(Entered { header: named(name), is_new: false }));
        }
        let name = self.post(place, &[], (&wanted.body, &wanted.header)).await?;
        if let Some(then) = &wanted.then {
            let header = name.as_deref().map(|name| (&*wanted.header, name));
            self.post(place, header.as_slice(), (then, &wanted.header)).await?;
        }
        self.session.set(Known::Begun(name.clone()));
        Ok(Some(Entered { header: named(name), is_new: true }))
    }

    /// Posts something; what a header of the answer says.
    async fn post(
        &self,
        place: &str,
        headers: &[(&str, &str)],
        what: (&str, &str),
    ) -> Result<Option<String>, End> {
        let (words, end) = match self.transport.post(place, headers, what).await {
            Ok((answer, name)) if (200..300).contains(&answer.status) => {
                return Ok(name);
            }
            Ok((answer, _)) => {
                let refusal = Refusal::from_status(answer.status, answer.retry_after);
                let refusal = match refusal {
                    // Of the stream nothing has been said yet.
                    Refusal::Gone | Refusal::NoContent => {
                        Refusal::Unavailable { status: answer.status, retry_after: None }
                    }
                    refusal => refusal,
                };
                (sse::refusal(&answer), End::Refused(refusal))
            }
            Err(error) => (error.to_string(), End::NotOpened { sent: false }),
        };
        if self.entry.is_news(&words) {
            tracing::warn!(
                stream = %self.entry.name,
                reason = words,
                "cannot begin a session; trying again, ever more slowly",
            );
        }
        Err(end)
    }
}
