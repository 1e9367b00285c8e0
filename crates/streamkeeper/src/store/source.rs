//! A stream's outbox as one consumer has it: where it is, and the bell that tells of commits.
//!
//! Whoever opens a ledger makes the sources of its consumers; the writer rings their bells, and a consumer
//! reads from its own and moves its own cursor. What readers see of both is in the registry.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::Outbox;
use streamkeeper_sink::Envelope;

use crate::base::clock::wall;
use crate::base::news::Bell;
use crate::observe::registry::{Consumer, StreamEntry};

/// A consumer that a ledger is opened for.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    pub(crate) consumer: Arc<Consumer>,
    /// Tells it that something has been committed.
    pub(crate) bell: Arc<Bell>,
}

/// A stream's outbox, and the consumer whose cursor is moved.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) entry: Arc<StreamEntry>,
    pub(crate) outbox: Outbox,
    pub(crate) subscriber: Subscriber,
}

impl Source {
    /// The first event that this consumer has not acknowledged.
    ///
    /// # Panics
    /// If the ledger was opened for other consumers than it has sources for: a fault of ours.
    #[expect(clippy::expect_used, reason = "a ledger is opened for the consumers of its sources")]
    pub(crate) fn cursor(&self) -> u64 {
        self.outbox.cursor(&self.subscriber.consumer.name).expect("a consumer has a cursor")
    }

    /// Tells of commits.
    pub(crate) fn bell(&self) -> &Bell {
        &self.subscriber.bell
    }

    /// The consumer has everything before `next`, these events more than before.
    pub(crate) fn acknowledge(&self, next: u64, events: &[Envelope]) {
        let consumer = &self.subscriber.consumer;
        self.outbox.acknowledge(&consumer.name, next);
        consumer.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
        let now = wall();
        for created in events.iter().filter_map(|event| event.time_us) {
            consumer.delay.observe(now.since(Timestamp::from_micros(created)));
        }
    }

    /// Says why the consumer does not take events now, with words for people if there are any; `None`: it
    /// does.
    pub(crate) fn failing(&self, reason: Option<(&'static str, Option<&str>)>) {
        let consumer = &self.subscriber.consumer;
        if let Some((reason, _)) = reason {
            consumer.failures.fetch_add(1, Ordering::Relaxed);
            consumer.failed.add(reason);
        }
        consumer.set_failing(reason);
    }
}
