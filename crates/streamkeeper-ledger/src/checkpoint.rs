//! The checkpoint: which sealed key files count, and from where on the log has to be read again.
//!
//! # Format
//!
//! The file `checkpoint` (see `small_file`), content, little-endian: the first sequence number whose
//! key is not sealed (8); the number of the next key file (8); the number of key files that count
//! (4); for each, oldest first within a partition: its number (8).
//!
//! A key file that is not named here does not count and is removed at the next start.

use std::path::Path;

use crate::codec::Take;
use crate::error::LedgerError;
use crate::fs::Fs;
use crate::small_file::{self, Kind};

/// The checkpoint's file.
pub(crate) const CHECKPOINT: Kind = Kind { name: "checkpoint", magic: *b"SKCHECKP", version: 1 };

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) sealed_to: u64,
    pub(crate) next_file: u64,
    pub(crate) runs: Vec<u64>,
}

impl Default for Checkpoint {
    /// That of an empty ledger.
    fn default() -> Self {
        Self { sealed_to: 1, next_file: 1, runs: Vec::new() }
    }
}

impl Checkpoint {
    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LedgerError> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.sealed_to.to_le_bytes());
        out.extend_from_slice(&self.next_file.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.runs.len()).unwrap_or(u32::MAX).to_le_bytes());
        for number in &self.runs {
            out.extend_from_slice(&number.to_le_bytes());
        }
        small_file::replace(fs, dir, &CHECKPOINT, &out)
    }

    /// Reads it; `None` if there is none yet.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>, LedgerError> {
        let Some((_, content)) = small_file::read(fs, dir, &CHECKPOINT)? else { return Ok(None) };
        let parsed = parse(Take(&content));
        parsed.map(Some).ok_or_else(|| small_file::unreadable(dir, &CHECKPOINT))
    }
}

fn parse(mut take: Take<'_>) -> Option<Checkpoint> {
    let (sealed_to, next_file, count) = (take.u64()?, take.u64()?, take.u32()?);
    let runs = (0..count).map(|_| take.u64()).collect::<Option<Vec<_>>>()?;
    take.0.is_empty().then_some(Checkpoint { sealed_to, next_file, runs })
}
