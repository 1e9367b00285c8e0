//! One event of the history, as a few numbers; `record` renders it to bytes.
//!
//! Invariant: a record's versions have strictly increasing `created_at`, and belong to one user
//! and one resource type. A record that is corrected back to what it was has the checksum it had
//! then; a withdrawn one keeps its checksum. Both are versions of their own, told apart by
//! `created_at`.

use super::Millis;

/// Names an event: its place in [`Model::events`](super::Model::events).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub(crate) u32);

impl EventId {
    /// The place in [`Model::events`](super::Model::events).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What sort of event it is (Inform API, `event_type_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A version of a health record.
    Data,
    /// A rule fired.
    Rule,
    /// A user connected or disconnected a source. Not kept for a client that is away.
    Connection,
}

/// A resource type (Inform API, `resource_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum Resource {
    Measurement,
    Nutrition,
    Sleep,
    Summary,
    Workout,
    Cgm,
    Intraday,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Measurement,
        Self::Nutrition,
        Self::Sleep,
        Self::Summary,
        Self::Workout,
        Self::Cgm,
        Self::Intraday,
    ];
}

/// One event: a version of a record, a fired rule, or a connection made or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the service processed it: its `created_at`.
    pub created_at: Millis,
    /// When it can first appear in a stream or replay: `created_at` and the queueing delay.
    pub available_at: Millis,
    /// The record's number. Rule and connection events have one each.
    pub record: u32,
    /// Which version of the record this is, from 0.
    pub version: u32,
    /// The user's number, below [`Config::users`](super::Config::users).
    pub user: u32,
    /// Which content the version has; the same number is the same content again.
    pub content: u32,
    /// How long before `created_at` the record's `start_time` lies.
    pub start_lag: u32,
    /// What sort of event.
    pub kind: Kind,
    /// The resource type; meaningless unless `kind` is [`Kind::Data`].
    pub resource: Resource,
    /// Whether this version withdraws the record.
    pub withdrawn: bool,
}

impl Event {
    /// The record's `start_time`.
    pub fn start_at(&self) -> Millis {
        self.created_at.saturating_sub(u64::from(self.start_lag))
    }

    /// The content's checksum: the same for the same content of the same record.
    pub fn checksum(&self) -> u64 {
        mix((u64::from(self.record) << 32) | u64::from(self.content))
    }
}

/// What to publish with [`Model::publish`](super::Model::publish).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A new record.
    New(Resource),
    /// The record of that number, with a content it never had.
    Corrected(u32),
    /// The record of that number, with the content before its present one (A, B, A).
    Restored(u32),
    /// The record of that number, withdrawn.
    Withdrawn(u32),
    /// A rule fires.
    Rule,
    /// A source is connected or disconnected.
    Connection,
}

/// SplitMix64's finalizer: spreads a number over 64 bits.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
