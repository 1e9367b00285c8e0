//! How a stream is, in a word.

/// A stream's state in one word, for people and probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not connected for the first time yet.
    Starting,
    /// Connected (or resting), nothing wrong.
    Live,
    /// An incident is under way.
    Recovering,
    /// Something is wrong that we cannot mend; the word says what.
    Degraded(&'static str),
    /// The server has said that nothing more comes: it is not asked until a person acts.
    Ended,
    /// The operator wants no connection.
    Paused,
    /// Ending its connections.
    Stopping,
    /// Stopped.
    Stopped,
}
