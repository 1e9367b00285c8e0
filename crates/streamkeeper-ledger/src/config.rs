//! What a ledger is configured with.

use std::time::Duration;

use crate::identity::LedgerIdentity;

/// What a sink has by its own records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The identity of the ledger that gave it, in digits. A place of another ledger counts for nothing;
    /// one without an identity, from before there were any, counts for every ledger.
    pub ledger: Option<String>,
    /// It has everything before this sequence number.
    pub next: u64,
}

/// The bounds of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// The sinks that have to acknowledge an event before it leaves the outbox. A cursor of a sink
    /// that is not named stays, but holds nothing back.
    pub sinks: Vec<String>,
    /// What sinks have by their own records. What is cut off or unreadable before such a place is damage,
    /// and no torn tail.
    pub given: Vec<Given>,
    /// A segment that has reached so many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// Heads and payloads of about so many bytes are packed together; a reader unpacks as much at
    /// once.
    pub frame_bytes: usize,
    /// zstd's level; negative ones are faster.
    pub compression_level: i32,
    /// Keys in memory are sealed before they and the group being gathered take more bytes than
    /// this. Sealing and merging take up to 3 bytes for each sealed key beside it.
    pub memory_bytes_max: usize,
    /// Keys in memory are sealed at the latest when a start would have to read so many bytes of
    /// segments.
    pub replay_bytes_max: u64,
    /// A key is remembered at least so many days after its `created_at`. The service's window of
    /// 30 days, a day for the look-up of neighbours, and room for skew: 32 at least.
    pub retention_days: u16,
    /// A segment is closed and its keys sealed when its oldest event is older than this (at the next
    /// sweep), so that what has been acknowledged is deleted by then.
    pub segment_age_max: Duration,
    /// Nothing new is accepted while the outbox holds so many bytes.
    pub outbox_bytes_max: u64,
    /// Nothing new is accepted while the outbox holds an event that arrived longer ago; exact to
    /// the span of a segment, and never early.
    pub outbox_age_max: Option<Duration>,
}

impl LedgerConfig {
    /// Some sink has everything before this, of the ledger with this identity.
    pub(crate) fn given_by(&self, identity: Option<LedgerIdentity>) -> u64 {
        let identity = identity.map(|identity| identity.to_string());
        let of_it = |given: &&Given| given.ledger.is_none() || given.ledger == identity;
        self.given.iter().filter(of_it).map(|given| given.next).max().unwrap_or(0)
    }
}

impl Default for LedgerConfig {
    /// 64 MiB segments, 192 MiB of memory (256 MiB with what sealing needs), 35 days, 16 GiB.
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            given: Vec::new(),
            segment_bytes: 64 << 20,
            frame_bytes: 1 << 20,
            compression_level: 1,
            memory_bytes_max: 192 << 20,
            replay_bytes_max: 1 << 30,
            retention_days: 35,
            segment_age_max: Duration::from_secs(24 * 3600),
            outbox_bytes_max: 16 << 30,
            outbox_age_max: None,
        }
    }
}
