//! What a server is asked with to go on: opaque, and as secret as an id.

use std::fmt;
use std::sync::Arc;

/// So long is no resume point of a server that answers in its headers: 8 KiB is what most take of all of them.
const CURSOR_BYTES_MAX: usize = 4 << 10;

/// A server's own word for a place in its stream. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cursor(Arc<str>);

impl Cursor {
    /// `None` if it is empty, or too long to be asked with.
    pub(crate) fn new(text: &str) -> Option<Self> {
        (1..=CURSOR_BYTES_MAX).contains(&text.len()).then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What shows, in an answered request, that the place asked for was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GapSign {
    /// An event says so.
    Event,
    /// A header names another place than was asked for.
    Header,
    /// Ids count up by one, and one is missing.
    Sequence,
}

/// Its length alone: it may name a person.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_a_length_and_shows_nothing_else() {
        let cursor = Cursor::new("marker").unwrap();
        assert_eq!(
            (cursor.as_str(), format!("{cursor:?}").as_str()),
            ("marker", "Cursor(6 bytes)")
        );
        assert!(Cursor::new(&"x".repeat(CURSOR_BYTES_MAX)).is_some());
        assert!(
            Cursor::new(&"x".repeat(CURSOR_BYTES_MAX + 1)).is_none() && Cursor::new("").is_none()
        );
    }
}
