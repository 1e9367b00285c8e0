//! The tail of a connection that has ended: what was read of it, and may not be committed yet.
//!
//! The next connection waits for it, and only then it is known whether there is a cursor to go on from.

use crate::classify::End;

/// What ended connections have left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail {
    /// So many flushes are not answered yet.
    flushes: u32,
    /// Events may have been sent since that nobody has read.
    missed: bool,
    /// What was read has been dropped before it could be committed.
    dropped: bool,
}

impl Tail {
    /// A connection ended.
    pub(super) fn ended(&mut self, end: End, may_miss: bool) {
        self.missed |= may_miss;
        self.dropped |= end == End::Panicked;
    }

    /// A flush is asked for.
    pub(super) const fn flush(&mut self) {
        self.flushes += 1;
    }

    /// One is done: whether all are.
    pub(super) const fn flushed(&mut self) -> bool {
        self.flushes = self.flushes.saturating_sub(1);
        self.flushes == 0
    }

    pub(super) const fn is_committed(&self) -> bool {
        self.flushes == 0
    }

    /// Whether something may have been missed; it is judged now.
    pub(super) fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    /// Whether everything that was read has been committed in the end.
    pub(super) const fn is_whole(&self) -> bool {
        !self.dropped
    }
}
