//! What the server answers: numbers, and never its words, of which some quote a subject.

use std::time::Duration;

use serde::Deserialize;
use streamkeeper_sink::SinkError;

/// An answer of the JetStream API: an error, or what was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Answer<T> {
    Error { error: ApiError },
    Is(T),
}

/// Why something was refused. Its `description` is left where it is.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct ApiError {
    /// As in HTTP.
    pub(super) code: u16,
    #[serde(default)]
    pub(super) err_code: u32,
}

/// A message, or a batch of them, is stored.
#[derive(Deserialize)]
pub(super) struct Stored {
    /// The number of the last one.
    pub(super) seq: u64,
    /// It was there before, by its `Nats-Msg-Id`.
    #[serde(default)]
    pub(super) duplicate: bool,
}

pub(super) const STREAM_NOT_FOUND: u32 = 10_059;
pub(super) const NO_MESSAGE: u32 = 10_037;
/// The last message is another than was expected; or an earlier one is still on its way.
pub(super) const WRONG_LAST: [u32; 2] = [10_071, 10_164];
pub(super) const BATCH_TOO_LARGE: u32 = 10_199;
const BATCHES_OFF: u32 = 10_174;
const BATCH_INCOMPLETE: u32 = 10_176;
const TOO_LARGE: [u32; 2] = [10_054, 10_097];
const NO_ROOM: [u32; 5] = [10_077, 10_023, 10_028, 10_047, 10_002];
const NOT_ENABLED: [u32; 2] = [10_076, 10_039];
pub(super) const SEALED: u32 = 10_109;
const OVERLAP: u32 = 10_065;

impl ApiError {
    /// As a failure of the sink.
    pub(super) fn into_sink_error(self) -> SinkError {
        let Self { code, err_code } = self;
        let error = match err_code {
            BATCHES_OFF => return SinkError::broken("batches_off"),
            // Nothing of it is stored.
            BATCH_INCOMPLETE => return SinkError::broken("batch_incomplete"),
            SEALED => {
                let words =
                    "the JetStream stream is sealed and takes nothing any more: name another one";
                return SinkError::refused("sealed").with_detail(words);
            }
            OVERLAP => {
                let words = "another JetStream stream has these subjects: choose another `subject`, or that `stream`";
                return SinkError::refused("subjects_taken").with_detail(words);
            }
            err if NOT_ENABLED.contains(&err) => {
                let words = "JetStream is off, for this account at least: set `jetstream` in the server's configuration";
                return SinkError::refused("no_jetstream").with_detail(words);
            }
            err if TOO_LARGE.contains(&err) => SinkError::poisoned("too_large"),
            err if NO_ROOM.contains(&err) => {
                SinkError::busy("no_room", Some(Duration::from_secs(1)))
            }
            _ if code == 429 => SinkError::busy("too_much", None),
            _ if code >= 500 => SinkError::broken("server_error"),
            _ => SinkError::refused("server_refuses"),
        };
        error.with_detail(format!("JetStream's error {err_code}, status {code}"))
    }
}
