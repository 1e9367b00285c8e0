//! The room of a stream in memory: what it may hold between its sockets and its ledger.
//!
//! Whoever puts events into the stream's queue takes room first; the writer gives it back when they
//! are durable, or known. So a slow disk makes the readers slower, and never loses an event.

use std::sync::Arc;

use tokio::sync::{Semaphore, TryAcquireError};

/// The bytes that one stream may hold between its sockets and its ledger.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    room: Arc<Semaphore>,
    capacity: u32,
}

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let capacity = u32::try_from(bytes).unwrap_or(u32::MAX).min(CAPACITY_MAX);
        Self { room: Arc::new(Semaphore::new(capacity as usize)), capacity }
    }

    /// Takes room at once, if there is enough.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        match self.room.try_acquire_many(self.clamp(bytes)) {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => false,
        }
    }

    /// Takes room, waiting for it.
    pub(crate) async fn take(&self, bytes: usize) {
        if let Ok(permit) = self.room.acquire_many(self.clamp(bytes)).await {
            permit.forget();
        }
    }

    /// Gives room back; as much as was taken for `bytes`.
    pub(crate) fn give(&self, bytes: usize) {
        self.room.add_permits(self.clamp(bytes) as usize);
    }

    /// Waits until half of the budget is free.
    pub(crate) async fn half_free(&self) {
        // The permits go back at once: it was only a look.
        drop(self.room.acquire_many(self.capacity / 2).await);
    }

    /// The largest part of the budget that is taken at once, unless one event is larger.
    pub(crate) const fn share(&self) -> usize {
        (self.capacity / 4) as usize
    }

    /// How many bytes are taken.
    pub(crate) fn taken(&self) -> usize {
        (self.capacity as usize).saturating_sub(self.room.available_permits())
    }

    /// One event larger than the budget takes all of it, or it could never pass.
    fn clamp(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.capacity)
    }
}

/// The semaphore counts to no more than this.
const CAPACITY_MAX: u32 = u32::MAX >> 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(10);
        assert!(budget.try_take(1_000));
        assert!(!budget.try_take(1));
        assert_eq!(budget.taken(), 10);
        budget.give(1_000);
        assert!(budget.try_take(1));
    }
}
