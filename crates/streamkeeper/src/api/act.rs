//! What an operator may do to a stream that runs.

use serde::{Deserialize, Serialize};
use streamkeeper_core::policy::Input;

/// What an operator may do to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Act {
    /// Terminates every connection, makes a new stream with the filters of the configuration, and
    /// reads it again from the mark's day, as after a stale connection.
    Recover,
    /// Reads every connection to its end, and opens none until [`Act::Resume`]. The service keeps
    /// where we were, for seven days (Inform API, Connecting); longer pauses end in a recovery.
    /// A restarted process does not remember a pause.
    Pause,
    /// Connects again after a pause.
    Resume,
    /// Reads every connection to its end and opens it again at once; also those that rest.
    Reconnect,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Recover, Self::Pause, Self::Resume, Self::Reconnect];

    /// Its word, as in paths and commands.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reconnect => "reconnect",
        }
    }

    /// The act of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.word() == word)
    }

    pub(crate) const fn input(self) -> Input {
        match self {
            Self::Recover => Input::Recover,
            Self::Pause => Input::Pause,
            Self::Resume => Input::Resume,
            Self::Reconnect => Input::Reconnect,
        }
    }
}

/// Why a stream could not be steered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError {
    /// No stream of that name is configured.
    #[error("no stream has that name")]
    UnknownStream,
    /// Everything has stopped already.
    #[error("it has stopped")]
    Stopped,
}
