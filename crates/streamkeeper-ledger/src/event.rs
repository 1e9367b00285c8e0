//! An event on its way in, and on its way out.

use bytes::Bytes;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Version;

/// An event that arrived, to be judged and kept.
///
/// `kind` and `key` name the record, `version` says which version of it this is. `head` and
/// `payload` are carried through byte for byte: the ledger looks into neither.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// What kind of record; records of two kinds never meet, even with the same key.
    pub kind: u8,
    /// The record's id, at most [`KEY_BYTES_MAX`] bytes; lower-case hex ids are stored packed.
    pub key: &'a str,
    /// Which version of the record.
    pub version: Version,
    /// When it arrived; orders nothing, but says how old the outbox is.
    pub arrived: Timestamp,
    /// What the reader needs beside the record: names, a subject, marks.
    pub head: &'a [u8],
    /// The record.
    pub payload: &'a [u8],
}

/// Longer keys are refused: give a digest instead.
pub const KEY_BYTES_MAX: usize = 4 << 10;

/// The most bytes of head and payload that one event may have.
pub const EVENT_BYTES_MAX: usize = 256 << 20;

/// An accepted event, as a reader gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the stream's one order: from 1, without a gap.
    pub sequence: u64,
    /// As it was given.
    pub kind: u8,
    /// As it was given.
    pub key: String,
    /// As it was given.
    pub version: Version,
    /// As it was given. A slice of a block of about `frame_bytes`, which it keeps alive.
    pub head: Bytes,
    /// As it was given. A slice of a block of about `frame_bytes`, which it keeps alive.
    pub payload: Bytes,
}

// Ids and payloads are health data: neither is shown.
impl std::fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.head.len() + self.payload.len();
        f.debug_struct("Incoming").field("kind", &self.kind).field("bytes", &bytes).finish()
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.head.len() + self.payload.len();
        f.debug_struct("Entry")
            .field("sequence", &self.sequence)
            .field("kind", &self.kind)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}
