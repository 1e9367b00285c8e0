//! What is to happen later, in order of time; what was put in first goes first at the same time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::Millis;

/// Something the service does later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The service notices that this client is gone (a FIN, a RST, the end of a hold).
    Notice { client: u32 },
    /// This closed client ceases to count as a member.
    Release { client: u32 },
    /// This feed's rebalance is done, unless another one began since.
    Rebalanced { feed: u32, round: u32 },
}

/// The timers, earliest first.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    heap: BinaryHeap<Reverse<(Millis, u64, Timer)>>,
    added: u64,
}

impl Timeline {
    pub(super) fn add(&mut self, at: Millis, timer: Timer) {
        self.added += 1;
        self.heap.push(Reverse((at, self.added, timer)));
    }

    pub(super) fn next_at(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(Millis, Timer)> {
        self.heap.pop().map(|Reverse((at, _, timer))| (at, timer))
    }
}
