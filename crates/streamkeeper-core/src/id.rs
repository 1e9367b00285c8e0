//! Names for the things the machines talk about.
//!
//! Every connection has an **epoch**, so that a report or a batch of an earlier connection of the
//! same slot is recognised, however late it comes.

use std::fmt;
use std::sync::Arc;

/// One of a stream's `connections` places; at most one connection at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u8);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who reads: a slot of the live stream, or the connection that verifies suspects over `/replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// A slot of the live stream.
    Slot(SlotId),
    /// The verification's replay connection.
    Replay,
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(slot) => slot.fmt(f),
            Self::Replay => f.write_str("replay"),
        }
    }
}

/// The number of a connection within its stream; never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One connection: where it reads, and which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Where it reads.
    pub reader: Reader,
    /// Which one it is.
    pub epoch: Epoch,
}

/// A user, as a 64-bit hash of the user id: the policies count users, they never name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(pub u64);

/// The id that the service gave a stream (24 hex digits; opaque here).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub String);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a stream from which its server can go on: opaque, and shown to nobody.
///
/// ```
/// use streamkeeper_core::id::Cursor;
///
/// let cursor = Cursor::new("[{\"offset\":7}]").expect("it is short enough");
/// assert_eq!(cursor.as_str(), "[{\"offset\":7}]");
/// assert_eq!(format!("{cursor:?}"), "Cursor(14 bytes)");
/// assert_eq!(Cursor::new(&"7".repeat(5_000)), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Arc<str>);

impl Cursor {
    /// It is sent in a header or a URL, where a server takes little more.
    pub const BYTES_MAX: usize = 4096;

    /// The cursor of that text; `None` if it is longer than [`Cursor::BYTES_MAX`].
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= Self::BYTES_MAX).then(|| Self(text.into()))
    }

    /// Its text, as the server gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}

/// The number of an incident within its stream, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a stream's way through one sink; never used twice there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u64);
