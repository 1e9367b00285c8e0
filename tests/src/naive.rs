//! The rules that lose events (recovery.md's table, kept as scenarios): what a run does instead of
//! what it should.
//!
//! Those that concern what the shell does or says are switched on in the world. Those that concern
//! the position are observers ([`ShadowMark`]): they see what the policies see, claim a mark of
//! their own, and change nothing.

use std::collections::BTreeMap;

use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::policy::Span;
use streamkeeper_core::time::Timestamp;

/// A rule to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// After a reset, reconnect and trust the service's redelivery.
    TrustRedelivery,
    /// Rest and stop by closing the socket at once.
    CloseAtOnce,
    /// The position of a slot is its last `created_at`.
    LastCreatedAt,
    /// A poke without data since the last one means that everything has been read.
    PokeMeansCaughtUp,
    /// Pokes are timed by our own clock.
    OwnClock,
    /// After a crash, go on with the stream that was read from.
    AdoptAfterCrash,
    /// De-duplicate by id and checksum alone.
    IdAndChecksum,
    /// Recreate the stream on every reset.
    RecreateOnReset,
}

/// A mark claimed by a naive rule of position.
#[derive(Debug)]
pub struct ShadowMark {
    rule: Naive,
    slots: BTreeMap<ConnectionId, Slot>,
    mark: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Slot {
    position: Option<Timestamp>,
    data_since_poke: bool,
}

impl ShadowMark {
    /// The mark of that rule, if it is one of position.
    #[must_use]
    pub fn of(rule: Naive) -> Option<Self> {
        let positional = matches!(rule, Naive::LastCreatedAt | Naive::PokeMeansCaughtUp);
        positional.then(|| Self { rule, slots: BTreeMap::new(), mark: None })
    }

    /// A connection is there.
    pub fn opened(&mut self, connection: ConnectionId) {
        self.slots.insert(connection, Slot::default());
    }

    /// A connection is gone.
    pub fn ended(&mut self, connection: ConnectionId) {
        self.slots.remove(&connection);
    }

    /// Frames of it are durable.
    pub fn committed(&mut self, connection: ConnectionId, span: &Span) {
        let Some(slot) = self.slots.get_mut(&connection) else { return };
        match self.rule {
            Naive::LastCreatedAt => {
                let last = span.data.iter().map(|datum| datum.created_at).max();
                slot.position = slot.position.max(last);
            }
            _ if span.data.is_empty() => {
                if let Some(poke) = span.poke.filter(|_| !slot.data_since_poke) {
                    slot.position = Some(poke);
                }
                slot.data_since_poke = false;
            }
            _ => slot.data_since_poke = span.poke.is_none(),
        }
        let all = self.slots.values().map(|slot| slot.position).min().flatten();
        self.mark = self.mark.max(all);
    }

    /// What the rule claims.
    #[must_use]
    pub const fn mark(&self) -> Option<Timestamp> {
        self.mark
    }
}
