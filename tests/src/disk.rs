//! What survives a crash: the state of the stream, and which versions of which records were
//! accepted.
//!
//! It stands for the ledger: a commit is durable as a whole, states are written in order. What was
//! asked for and not yet done when the process dies may be there or not; the world draws it.

use std::collections::{HashMap, HashSet};

use streamkeeper_core::stream_policy::StreamState;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::{Accepted, Verdict, Version};
use streamkeeper_simulator::model::Event;

use crate::plan::micros;

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// The last state that was written down.
    pub state: Option<StreamState>,
    records: HashMap<u32, Accepted>,
    // For the naive rule: everything ever seen of a record, by checksum.
    checksums: HashSet<(u32, u64, bool)>,
    by_checksum: bool,
}

impl Disk {
    /// An empty disk. `by_checksum`: de-duplicate naively, by id and checksum alone.
    #[must_use]
    pub fn new(by_checksum: bool) -> Self {
        Self { by_checksum, ..Self::default() }
    }

    /// Takes an event to disk, if it is new.
    pub fn accept(&mut self, event: &Event) -> Verdict {
        if self.by_checksum {
            let new = self.checksums.insert((event.record, event.checksum(), event.withdrawn));
            return if new { Verdict::NewVersion } else { Verdict::Duplicate };
        }
        let version = Version {
            created_at: Some(Timestamp::from_micros(micros(event.created_at))),
            checksum: u128::from(event.checksum()),
            withdrawn: event.withdrawn,
        };
        self.records.entry(event.record).or_default().accept(version)
    }
}
