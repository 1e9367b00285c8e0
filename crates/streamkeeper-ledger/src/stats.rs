//! What a ledger holds, in numbers.

use crate::ledger::Ledger;

/// What a ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The sequence number of the next event: one more than were ever accepted.
    pub next_sequence: u64,
    /// Keys in memory.
    pub keys_in_memory: u64,
    /// Keys in sealed files.
    pub keys_sealed: u64,
    /// Sealed files.
    pub key_files: u64,
    /// Their bytes.
    pub key_file_bytes: u64,
    /// Segments that have not been removed.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// The bytes of segments that not every sink has acknowledged.
    pub outbox_bytes: u64,
    /// The bytes of anonymous memory for keys and the group being gathered.
    pub memory_bytes: u64,
}

impl Ledger {
    /// What it holds now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (keys_in_memory, keys_sealed) = self.keys.len();
        let file_bytes = self.keys.runs().map(|(_, run)| run.sealed.file_bytes() as u64);
        let outbox_bytes = self.outbox().bytes();
        let log = self.shared.lock();
        Stats {
            next_sequence: log.end,
            keys_in_memory,
            keys_sealed,
            key_files: self.keys.runs().count() as u64,
            key_file_bytes: file_bytes.sum(),
            segments: log.segments.len() as u64,
            segment_bytes: log.segments.iter().map(|segment| segment.bytes).sum(),
            outbox_bytes,
            memory_bytes: self.memory_bytes() as u64,
        }
    }
}
