//! How a sink fails: what helps, and whose failure it is.
//!
//! The caller owns the retries, and needs two things for that. What helps decides when the events are given
//! again; whose failure it is decides whose events wait. A sink that cannot tell blames itself: then all of
//! its streams wait, and none is starved by that. Nothing of an event may be in an error: its text goes to
//! logs and its reason is a metric label.

use std::error::Error;
use std::time::Duration;

/// Why a delivery failed.
///
/// ```
/// use streamkeeper_sink::{Blame, Failure, SinkError};
///
/// let error = SinkError::broken("write_failed")
///     .with_source(std::io::Error::from(std::io::ErrorKind::StorageFull));
/// assert_eq!((error.failure, error.blame), (Failure::Broken, Blame::Sink));
///
/// let error = SinkError::poisoned("too_large").of_stream("acme");
/// assert_eq!(error.blame, Blame::Streams(vec!["acme".into()]));
/// assert_eq!(error.to_string(), "too_large");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SinkError {
    /// What helps.
    pub failure: Failure,
    /// Whose failure it is.
    pub blame: Blame,
    /// A short `snake_case` word from a fixed set: a metric label and a log field.
    pub reason: &'static str,
    /// The error below, if there is one. Must not quote an event.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// What helps against a failure. The events wait in any case, and are given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Waiting: the sink has more than enough to do. It is asked again after pauses that grow to half a
    /// minute, and not before `retry_after` has passed, if it said so.
    Busy {
        /// How long it wants to be left alone; obeyed up to an hour.
        retry_after: Option<Duration>,
    },
    /// Waiting, perhaps: no connection, a full disk, an answer that is none. Asked again after pauses that
    /// grow to half a minute, for ever.
    Broken,
    /// Somebody's hand: the sink refuses what it was given, and will refuse it again. It is given every half
    /// minute all the same, so that what was mended needs no restart.
    Poisoned,
}

/// Whose failure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The sink's as a whole: no stream's events would pass now, and all wait.
    Sink,
    /// That of these streams ([`Envelope::source`](crate::Envelope::source)): their events wait, each
    /// stream's for itself, and the others that were given with them are given again at once.
    Streams(Vec<String>),
}

impl SinkError {
    /// The sink as a whole wants to be asked later.
    pub const fn busy(reason: &'static str, retry_after: Option<Duration>) -> Self {
        Self::new(reason, Failure::Busy { retry_after })
    }

    /// The sink as a whole does not work now.
    pub const fn broken(reason: &'static str) -> Self {
        Self::new(reason, Failure::Broken)
    }

    /// What was given is refused, and will be again. Say [of which stream](Self::of_stream) that is true.
    pub const fn poisoned(reason: &'static str) -> Self {
        Self::new(reason, Failure::Poisoned)
    }

    const fn new(reason: &'static str, failure: Failure) -> Self {
        Self { failure, blame: Blame::Sink, reason, source: None }
    }

    /// The same error as that of a stream, beside those that it is of already.
    #[must_use]
    pub fn of_stream(mut self, source: impl Into<String>) -> Self {
        match &mut self.blame {
            Blame::Streams(streams) => streams.push(source.into()),
            Blame::Sink => self.blame = Blame::Streams(vec![source.into()]),
        }
        self
    }

    /// The same error with the one below it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}
