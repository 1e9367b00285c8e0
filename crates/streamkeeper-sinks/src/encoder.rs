//! An envelope to NDJSON: one line, ended.

use serde::Deserialize;
#[cfg(feature = "stdout")]
use streamkeeper_sink::Envelope;

/// What a line holds; the key `format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The CloudEvents 1.0 JSON envelope.
    #[default]
    CloudEvents,
    /// The record alone, byte for byte (raw line ends, which are white space, as spaces).
    Raw,
}

impl Format {
    /// What the configuration may say.
    pub(crate) const EXPECTED: &str = "\"cloudevents\" or \"raw\"";

    /// Appends the line of `envelope` to `lines`.
    #[cfg(feature = "stdout")]
    pub(crate) fn encode(self, envelope: &Envelope, lines: &mut Vec<u8>) {
        match self {
            Self::CloudEvents => envelope.to_cloudevents_json(lines),
            Self::Raw => envelope.to_raw_json(lines),
        }
        lines.push(b'\n');
    }
}
