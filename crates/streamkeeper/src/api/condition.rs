//! In which condition a stream is, and each of its slots: the words of status, metrics, log and page.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of conditions, each with its word.
macro_rules! conditions {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$what])* $variant,)+
            /// One that a newer version has added.
            #[serde(other)]
            Other,
        }

        impl $name {
            /// All that this version knows.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other => "other",
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

conditions! {
    /// In which condition a stream is.
    StreamCondition {
        /// Nothing has been read yet.
        #[default]
        Starting = "starting",
        /// All is read as it comes.
        Live = "live",
        /// What may have been lost is being read again.
        Recovering = "recovering",
        /// Something is in the way, and what it is is said beside.
        Degraded = "degraded",
        /// An operator wants no connection.
        Paused = "paused",
        /// The server has ended the stream.
        Ended = "ended",
        /// Every connection is being read to its end.
        Stopping = "stopping",
        /// Nothing more comes.
        Stopped = "stopped",
    }
}

conditions! {
    /// In which condition a slot is.
    SlotCondition {
        /// It will connect at once.
        #[default]
        Idle = "idle",
        /// It waits before it connects again.
        BackingOff = "backing_off",
        /// It is being opened.
        Connecting = "connecting",
        /// It reads.
        Live = "live",
        /// It reads, and has been silent for longer than usual.
        Late = "late",
        /// It is read to its end.
        Draining = "draining",
        /// It is closed, and its socket is not gone yet.
        Closing = "closing",
        /// It rests, since only pokes came.
        Resting = "resting",
        /// The service allows fewer connections.
        Unused = "unused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_written_as_its_word_and_a_newer_one_is_read() {
        for condition in SlotCondition::ALL {
            let written = serde_json::to_value(condition).unwrap();
            assert_eq!(written, condition.word());
        }
        for condition in StreamCondition::ALL {
            assert_eq!(serde_json::to_value(condition).unwrap(), condition.word());
        }
        let newer: StreamCondition = serde_json::from_str("\"dreaming\"").unwrap();
        assert_eq!(newer, StreamCondition::Other);
    }
}
