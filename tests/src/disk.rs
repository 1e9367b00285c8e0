//! The disk under the process: the real ledger, over a file system that fails, tears and forgets.
//!
//! It outlives the processes; each opens the ledger anew. Events go in with a payload that says
//! which event it is and how its bytes have to be, so that whatever comes out again can be compared
//! byte for byte. What the ledger is asked, and when, is left to `world::desk`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::{Verdict, Version};
use streamkeeper_ledger::fs::FaultyFs;
use streamkeeper_ledger::{Entry, Incoming, Ledger, LedgerConfig, LedgerError, OpenReport};
use streamkeeper_simulator::model::{Event, Kind};

use crate::plan::micros;

/// The disk.
#[derive(Debug)]
pub struct Disk {
    /// The file system.
    pub fs: FaultyFs,
    config: LedgerConfig,
    // For the naive rule: everything ever seen of a record, by checksum.
    checksums: HashSet<(u32, u64, bool)>,
    by_checksum: bool,
}

impl Disk {
    /// An empty disk. `by_checksum`: de-duplicate naively, by id and checksum alone.
    #[must_use]
    pub fn new(seed: u64, config: LedgerConfig, by_checksum: bool) -> Self {
        Self { fs: FaultyFs::new(seed), config, checksums: HashSet::new(), by_checksum }
    }

    /// Opens the ledger.
    ///
    /// # Errors
    /// What the ledger says.
    pub fn open(&self) -> Result<(Ledger, OpenReport), LedgerError> {
        open(&self.fs, &self.config)
    }

    /// Where the ledger would end if the power failed now.
    ///
    /// # Errors
    /// It would not open.
    pub fn end_after_power_cut(&self, seed: u64) -> Result<u64, LedgerError> {
        let fs = self.fs.fork(seed);
        fs.power_cut();
        open(&fs, &self.config).map(|(ledger, _)| ledger.outbox().end())
    }

    /// Gives an event to the ledger.
    ///
    /// # Errors
    /// What the ledger says.
    pub fn accept(
        &mut self,
        ledger: &mut Ledger,
        place: usize,
        event: &Event,
        arrived: Timestamp,
    ) -> Result<Verdict, LedgerError> {
        let checksum = (event.record, event.checksum(), event.withdrawn);
        if self.by_checksum && !self.checksums.insert(checksum) {
            return Ok(Verdict::Duplicate);
        }
        ledger.accept(&Incoming {
            kind: kind(event),
            key: &key(event),
            version: version(event),
            arrived,
            head: &head(place),
            payload: &payload(place),
        })
    }

    /// What the ledger would say to an event of the service; it takes nothing.
    ///
    /// # Errors
    /// As [`Ledger::judge`].
    pub fn judge(
        &self,
        ledger: &Ledger,
        event: &Event,
        arrived: Timestamp,
    ) -> Result<Verdict, LedgerError> {
        ledger.judge(&Incoming {
            kind: kind(event),
            key: &key(event),
            version: version(event),
            arrived,
            head: &[],
            payload: &[],
        })
    }
}

fn open(fs: &FaultyFs, config: &LedgerConfig) -> Result<(Ledger, OpenReport), LedgerError> {
    Ledger::open(Arc::new(fs.clone()), Path::new("/ledger"), config.clone())
}

/// Which event an entry says it is: its place in the model's list.
#[must_use]
pub fn place_of(entry: &Entry) -> Option<usize> {
    let place = entry.payload.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*place)).ok()
}

/// Whether an entry is what was given for this event.
#[must_use]
pub fn is_unaltered(entry: &Entry, place: usize, event: &Event) -> bool {
    entry.kind == kind(event)
        && entry.key == key(event)
        && entry.version == version(event)
        && entry.head == head(place)
        && entry.payload == payload(place)
}

fn version(event: &Event) -> Version {
    Version {
        created_at: Some(Timestamp::from_micros(micros(event.created_at))),
        checksum: u128::from(event.checksum()),
        withdrawn: event.withdrawn,
    }
}

const fn kind(event: &Event) -> u8 {
    match event.kind {
        Kind::Data => 0,
        Kind::Rule => 1,
        Kind::Connection => 2,
    }
}

/// Ids of every sort that the ledger stores in its own way.
fn key(event: &Event) -> String {
    let record = event.record;
    match record % 3 {
        0 => format!("{record:024x}"),
        1 => format!("record-{record}"),
        _ => format!("{record:08X}"),
    }
}

fn head(place: usize) -> Vec<u8> {
    vec![b'h'; place % 5]
}

/// The event's place, and bytes that do not compress.
fn payload(place: usize) -> Vec<u8> {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let mut rng = fastrand::Rng::with_seed(u64::from(place));
    let mut payload = place.to_le_bytes().to_vec();
    payload.extend(std::iter::repeat_with(|| rng.u8(..)).take(place as usize * 7 % 61));
    payload
}
