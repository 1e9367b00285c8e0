//! Why the service refuses a call, and with which status.

/// A call the service refuses (Inform API, Stream resources; Connecting; Replay).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such stream.
    #[error("no such stream")]
    NotFound,
    /// All the organization's streams exist already.
    #[error("the organization has all its streams")]
    TooManyStreams,
    /// Another stream has this name.
    #[error("the name has been taken")]
    DuplicateName,
    /// The stream has all its clients, or closed ones that are not yet released.
    #[error("the stream has all its clients")]
    TooManyClients,
    /// The organization has all its replays.
    #[error("the organization has all its replays")]
    TooManyReplays,
    /// A client is connected, or not yet released.
    #[error("a client is connected")]
    StillConnected,
}

impl Refusal {
    /// The HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::StillConnected => 409,
            Self::TooManyStreams
            | Self::DuplicateName
            | Self::TooManyClients
            | Self::TooManyReplays => 422,
        }
    }
}
