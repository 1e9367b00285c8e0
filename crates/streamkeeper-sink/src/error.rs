//! How a sink fails: what helps, whose failure it is, and what is there in spite of it.
//!
//! The caller owns the retries, and needs this for that. What helps decides when the events are given
//! again; whose failure it is decides whose events wait. A sink that cannot tell blames itself: then all of
//! its streams wait, and none is starved by that. Nothing of an event may be in an error: its text goes to
//! logs and its reason is a metric label. A server's own words often quote a row: they stay outside, too.

use std::error::Error;
use std::time::Duration;

use crate::Envelope;

/// Why a delivery failed.
///
/// ```
/// use streamkeeper_sink::{Blame, Failure, SinkError};
///
/// let error = SinkError::broken("write_failed")
///     .with_source(std::io::Error::from(std::io::ErrorKind::StorageFull));
/// assert_eq!((error.failure, error.blame), (Failure::Broken, Blame::Sink));
///
/// let error = SinkError::refused("no_such_table").with_detail("run: CREATE TABLE events ()");
/// assert_eq!(error.to_string(), "no_such_table: run: CREATE TABLE events ()");
///
/// let error = SinkError::poisoned("too_large").of_stream("acme").with_done("other", 3);
/// assert_eq!(error.blame, Blame::Streams(vec!["acme".into()]));
/// assert_eq!(error.done, [("other".to_owned(), 3)]);
/// ```
#[derive(Debug)]
pub struct SinkError {
    /// What helps.
    pub failure: Failure,
    /// Whose failure it is.
    pub blame: Blame,
    /// A short `snake_case` word from a fixed set: a metric label and a log field.
    pub reason: &'static str,
    /// What happened and what to do, in words for people. Quotes no event and no secret.
    pub detail: Option<String>,
    /// So many of the first events of these streams, of those that were given, are durable there all the
    /// same; they are not given again.
    pub done: Vec<(String, usize)>,
    /// The error below, if there is one. Must not quote an event.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl std::fmt::Display for SinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            None => f.write_str(self.reason),
            Some(detail) => write!(f, "{}: {detail}", self.reason),
        }
    }
}

impl Error for SinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
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
    /// Somebody's hand: a wrong password, a table that is missing. It is tried every half
    /// minute all the same, so that what was mended needs no restart.
    Refused,
    /// Nothing, perhaps: an event itself is refused, and will be again. It is found among those that were
    /// given with it, tried alone for a number of times, and goes to the dead letters.
    Poisoned,
}

/// Whose failure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The sink's as a whole: no stream's events would pass now, and all wait.
    Sink,
    /// That of these streams ([`Envelope::source`]): their events wait, each
    /// stream's for itself, and the others that were given with them are given again at once.
    Streams(Vec<String>),
    /// That of these events, by stream and [sequence](Envelope::sequence). As of their streams, and what
    /// stands before them is not suspected.
    Events(Vec<(String, u64)>),
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

    /// The sink as a whole will not work before somebody has mended something. Say [what to
    /// do](Self::with_detail).
    pub const fn refused(reason: &'static str) -> Self {
        Self::new(reason, Failure::Refused)
    }

    /// An event that was given is refused, and will be again. Say [which](Self::of_event), or [of which
    /// stream](Self::of_stream), if that is known.
    pub const fn poisoned(reason: &'static str) -> Self {
        Self::new(reason, Failure::Poisoned)
    }

    const fn new(reason: &'static str, failure: Failure) -> Self {
        let done = Vec::new();
        Self { failure, blame: Blame::Sink, reason, detail: None, done, source: None }
    }

    /// The same error as that of a stream, beside those that it is of already.
    #[must_use]
    pub fn of_stream(mut self, source: impl Into<String>) -> Self {
        match &mut self.blame {
            Blame::Streams(streams) => streams.push(source.into()),
            Blame::Sink | Blame::Events(_) => self.blame = Blame::Streams(vec![source.into()]),
        }
        self
    }

    /// The same error as that of an event, beside those that it is of already.
    #[must_use]
    pub fn of_event(mut self, event: &Envelope) -> Self {
        let named = (event.source.to_string(), event.sequence);
        match &mut self.blame {
            Blame::Events(events) => events.push(named),
            Blame::Sink | Blame::Streams(_) => self.blame = Blame::Events(vec![named]),
        }
        self
    }

    /// The same error, with so many events of this stream, from the first that was given, durable there.
    #[must_use]
    pub fn with_done(mut self, source: impl Into<String>, events: usize) -> Self {
        self.done.push((source.into(), events));
        self
    }

    /// The same error with words for people: what happened, and what to do. Neither an event nor a secret
    /// may be in them.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same error with the one below it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}
