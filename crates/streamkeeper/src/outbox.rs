//! Accepted events that not every consumer has acknowledged yet, in the stream's one order.
//!
//! Each consumer (a sink, or the embedding application) has a cursor; an event leaves when every
//! cursor has passed it, and only then is its room given back to the stream's [`Budget`]. So a slow
//! consumer makes the readers slower, and never loses an event.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamkeeper_sink::Envelope;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

/// The bytes that one stream may hold between its sockets and its slowest consumer.
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

/// An event in the outbox, and the room it takes.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) envelope: Envelope,
    pub(crate) bytes: usize,
}

/// The outbox of one stream.
#[derive(Debug)]
pub(crate) struct Outbox {
    budget: Budget,
    inner: Mutex<Inner>,
    appended: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Arc<Entry>>,
    /// The sequence number of the first entry.
    first: u64,
    /// For each consumer, the sequence number of the first event it has not acknowledged.
    cursors: Vec<u64>,
}

impl Outbox {
    /// An empty outbox with that many consumers.
    pub(crate) fn new(budget: Budget, consumers: usize) -> Self {
        let inner = Inner { cursors: vec![1; consumers], first: 1, ..Inner::default() };
        Self { budget, inner: Mutex::new(inner), appended: Notify::new() }
    }

    /// Appends accepted events; gives each its sequence number.
    pub(crate) fn append(&self, entries: impl Iterator<Item = Entry>) {
        {
            let mut inner = self.lock();
            for mut entry in entries {
                entry.envelope.sequence = inner.first + inner.entries.len() as u64;
                inner.entries.push_back(Arc::new(entry));
            }
            inner.trim(&self.budget);
        }
        self.appended.notify_waiters();
    }

    /// The events from `from` on, at most so many, and at most so many bytes (but one at least).
    pub(crate) fn read(&self, from: u64, events_max: usize, bytes_max: usize) -> Vec<Arc<Entry>> {
        let inner = self.lock();
        let skip = usize::try_from(from.saturating_sub(inner.first)).unwrap_or(usize::MAX);
        let mut bytes = 0_usize;
        let mut taken = Vec::new();
        for entry in inner.entries.iter().skip(skip).take(events_max) {
            bytes += entry.bytes;
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            taken.push(Arc::clone(entry));
        }
        taken
    }

    /// `consumer` has everything before `next`.
    pub(crate) fn acknowledge(&self, consumer: usize, next: u64) {
        let mut inner = self.lock();
        if let Some(cursor) = inner.cursors.get_mut(consumer) {
            *cursor = (*cursor).max(next);
        }
        inner.trim(&self.budget);
    }

    /// The first event that `consumer` has not acknowledged.
    pub(crate) fn cursor(&self, consumer: usize) -> u64 {
        self.lock().cursors.get(consumer).copied().unwrap_or(u64::MAX)
    }

    /// How many events `consumer` has not acknowledged.
    pub(crate) fn backlog(&self, consumer: usize) -> u64 {
        let inner = self.lock();
        let end = inner.first + inner.entries.len() as u64;
        inner.cursors.get(consumer).map_or(0, |&cursor| end.saturating_sub(cursor))
    }

    /// How many bytes the stream holds between its sockets and its slowest consumer.
    pub(crate) fn bytes(&self) -> usize {
        self.budget.taken()
    }

    /// Resolves when something is appended after the call of [`Notify::notified`]; create it, look,
    /// then await it, or an event slips in between.
    pub(crate) const fn appended(&self) -> &Notify {
        &self.appended
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under the lock, so what it guards is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Drops what every consumer has.
    fn trim(&mut self, budget: &Budget) {
        let end = self.first + self.entries.len() as u64;
        let needed = self.cursors.iter().copied().min().unwrap_or(end).min(end);
        while self.first < needed {
            let Some(entry) = self.entries.pop_front() else { break };
            self.first += 1;
            budget.give(entry.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn entry(bytes: usize) -> Entry {
        let envelope = Envelope {
            id: "e".into(),
            source: "s".into(),
            kind: "inform.data".into(),
            time_us: None,
            subject: None,
            sequence: 0,
            replayed: false,
            data: Bytes::from_static(b"{}"),
        };
        Entry { envelope, bytes }
    }

    #[test]
    fn room_comes_back_when_the_slowest_consumer_has_acknowledged() {
        let budget = Budget::new(100);
        let outbox = Outbox::new(budget.clone(), 2);
        assert!(budget.try_take(90));
        outbox.append([entry(40), entry(50)].into_iter());
        assert!(!budget.try_take(20));
        outbox.acknowledge(0, 3);
        assert!(!budget.try_take(20));
        outbox.acknowledge(1, 2);
        assert_eq!((outbox.bytes(), outbox.backlog(0), outbox.backlog(1)), (50, 0, 1));
        assert!(budget.try_take(20));
    }

    #[test]
    fn an_event_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(10);
        assert!(budget.try_take(1_000));
        assert!(!budget.try_take(1));
        budget.give(1_000);
        assert!(budget.try_take(1));
    }

    #[test]
    fn sequence_numbers_are_the_order() {
        let outbox = Outbox::new(Budget::new(1_000), 1);
        outbox.append([entry(1), entry(1)].into_iter());
        outbox.acknowledge(0, 2);
        outbox.append([entry(1)].into_iter());
        let read: Vec<_> =
            outbox.read(2, 10, 1_000).iter().map(|entry| entry.envelope.sequence).collect();
        assert_eq!(read, [2, 3]);
        assert_eq!(outbox.read(2, 10, 0).len(), 1, "one at least");
    }
}
