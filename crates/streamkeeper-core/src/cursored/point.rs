//! The resume point: the cursor that the server is asked to go on from.
//!
//! Invariant: it is never newer than what is durable. It moves by commits alone, and those of an earlier
//! connection do not move it back: they may come late, when the current one has committed already.

use crate::id::{ConnectionId, Cursor, Epoch};

use super::CursoredState;

/// The resume point of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    cursor: Option<Cursor>,
    /// The connection that moved it last, or saw it lost.
    by: Epoch,
    /// It was lost, and no cursor has come since.
    forgotten: bool,
    /// The stream has been read from.
    has_read: bool,
}

impl Point {
    /// What the last process has written down.
    pub(super) fn take_over(&mut self, state: &CursoredState) {
        self.cursor.clone_from(&state.cursor);
        self.forgotten = state.forgotten && self.cursor.is_none();
        self.has_read = state.has_read;
    }

    /// What to begin with, which no connection has brought.
    pub(super) fn begin(&mut self, cursor: Option<Cursor>) {
        self.cursor = cursor;
    }

    pub(super) const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The stream is read from: whether that is news.
    pub(super) const fn opened(&mut self) -> bool {
        !std::mem::replace(&mut self.has_read, true)
    }

    pub(super) const fn has_read(&self) -> bool {
        self.has_read
    }

    pub(super) const fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// A batch with this cursor is durable. Whether it moves the point.
    pub(super) fn committed(&mut self, connection: ConnectionId, cursor: &Cursor) -> bool {
        if connection.epoch < self.by {
            return false;
        }
        self.by = connection.epoch;
        self.forgotten = false;
        let moves = self.cursor.as_ref() != Some(cursor);
        if moves {
            self.cursor = Some(cursor.clone());
        }
        moves
    }

    /// The server does not know it any more, by what it answered that connection.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.by = connection.epoch;
        self.cursor = None;
        self.forgotten = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Reader, SlotId};

    fn of(epoch: u64) -> ConnectionId {
        ConnectionId { reader: Reader::Slot(SlotId(0)), epoch: Epoch(epoch) }
    }

    fn cursor(text: &str) -> Cursor {
        Cursor::new(text).unwrap()
    }

    #[test]
    fn a_late_commit_moves_it_until_the_next_connection_has_committed() {
        let mut point = Point::default();
        assert!(point.committed(of(1), &cursor("a")));
        assert!(
            point.committed(of(1), &cursor("b")),
            "what the second asks with is not its commit"
        );
        assert!(point.committed(of(2), &cursor("a")), "a server may go on from before it");
        assert!(!point.committed(of(1), &cursor("c")));
        assert_eq!(point.cursor(), Some(&cursor("a")));
        assert!(!point.committed(of(2), &cursor("a")), "it stands where it stood");
    }

    #[test]
    fn what_is_forgotten_is_not_brought_back_by_what_was_read_before() {
        let mut point = Point::default();
        point.committed(of(1), &cursor("a"));
        point.forget(of(2));
        assert!(!point.committed(of(1), &cursor("b")));
        assert!(point.cursor().is_none() && point.is_forgotten());
        assert!(point.committed(of(3), &cursor("z")));
        assert!(!point.is_forgotten());
    }
}
