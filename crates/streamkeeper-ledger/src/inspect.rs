//! What a ledger's directory holds, in numbers, whether or not a process uses it.
//!
//! Takes no lock and writes nothing. A process may commit, seal and remove meanwhile, so the numbers
//! are of a moment, each true by itself: small files are replaced as a whole, a segment that goes is
//! not counted, and key files are looked up again if the checkpoint has changed under us. The
//! cursors are those of the last state that was written: a running process may be some seconds ahead.

use std::io;
use std::path::Path;

use crate::checkpoint::{CHECKPOINT, Checkpoint};
use crate::error::{Context, LedgerError};
use crate::fs::{Access, Fs};
use crate::identity::{IDENTITY, LedgerIdentity};
use crate::keys::run_name;
use crate::keys::sealed::Sealed;
use crate::segment::{Depth, Header, Scan, Scanned, Segment, parse_name, segment_name};
use crate::state::{KeptState, STATE, Saved};

/// What a ledger's directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Which ledger this is; `None` if it has not been opened since there are identities.
    pub identity: Option<LedgerIdentity>,
    /// The state that was persisted last; `None` before the first time.
    pub state: Option<KeptState>,
    /// Where the sinks are, by name.
    pub sinks: Vec<SinkPlace>,
    /// The sequence number of the next event: one more than were ever accepted.
    pub next_sequence: u64,
    /// The oldest event that is still in a segment; the next event's number if none is.
    pub oldest_sequence: u64,
    /// The keys of the events before this one are in sealed files.
    pub sealed_to: u64,
    /// Segments.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Sealed key files.
    pub key_files: u64,
    /// Their bytes.
    pub key_file_bytes: u64,
    /// Keys in them.
    pub keys_sealed: u64,
    /// The bytes of the state, the checkpoint and the identity.
    pub small_file_bytes: u64,
}

/// Where a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkPlace {
    /// Its name.
    pub sink: String,
    /// The first event that it has not acknowledged.
    pub next: u64,
    /// Whether it was configured at the last start, and so holds back what it has not acknowledged.
    pub active: bool,
}

/// Looks into `dir`.
///
/// # Errors
/// [`LedgerError::Io`]; [`LedgerError::Damaged`] and [`LedgerError::NewerVersion`] for a file that the
/// numbers come from. Payloads are not looked at: see [`verify`](crate::verify).
pub fn inspect(fs: &dyn Fs, dir: &Path) -> Result<Contents, LedgerError> {
    let (checkpoint, keys) = keys(fs, dir)?;
    let saved = Saved::read(fs, dir)?;
    let identity = LedgerIdentity::read(fs, dir)?;
    let mut contents = Contents { identity, sealed_to: checkpoint.sealed_to, ..keys };
    let names = fs.list(dir).context("list", dir)?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| parse_name(name)).collect();
    firsts.sort_unstable();
    for &first in &firsts {
        if let Some(bytes) = bytes_of(fs, &dir.join(segment_name(first)))? {
            contents.segments += 1;
            contents.segment_bytes += bytes;
        }
    }
    for name in [CHECKPOINT.name, STATE.name, IDENTITY.name] {
        contents.small_file_bytes += bytes_of(fs, &dir.join(name))?.unwrap_or(0);
    }
    let end = firsts.last().map_or(Ok(1), |&last| end_of(fs, dir, last))?;
    let committed = saved.as_ref().map_or(1, |saved| saved.next_sequence);
    contents.next_sequence = end.max(committed).max(checkpoint.sealed_to);
    contents.oldest_sequence = firsts.first().copied().unwrap_or(contents.next_sequence);
    if let Some(saved) = saved {
        contents.state = saved.state;
        let cursors = saved.cursors.into_iter();
        let place = cursors.map(|(sink, at)| SinkPlace { sink, next: at.next, active: at.active });
        contents.sinks = place.collect();
    }
    Ok(contents)
}

/// The checkpoint, and what the key files that it names hold.
fn keys(fs: &dyn Fs, dir: &Path) -> Result<(Checkpoint, Contents), LedgerError> {
    let read = || Checkpoint::read(fs, dir).map(Option::unwrap_or_default);
    let mut checkpoint = read()?;
    loop {
        let counted = count_keys(fs, dir, &checkpoint);
        let now = read()?;
        // A merge has removed a file, and has written before which one counts instead.
        if counted.is_ok() || now == checkpoint {
            return counted.map(|contents| (checkpoint, contents));
        }
        checkpoint = now;
    }
}

fn count_keys(fs: &dyn Fs, dir: &Path, checkpoint: &Checkpoint) -> Result<Contents, LedgerError> {
    let mut contents = Contents::default();
    for &number in &checkpoint.runs {
        let sealed = Sealed::open(fs, &dir.join(run_name(number)))?;
        contents.key_files += 1;
        contents.key_file_bytes += sealed.file_bytes() as u64;
        contents.keys_sealed += sealed.len() as u64;
    }
    Ok(contents)
}

/// The bytes of a file; `None` if there is none (any more).
fn bytes_of(fs: &dyn Fs, path: &Path) -> Result<Option<u64>, LedgerError> {
    match fs.open(path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened.context("open", path)?;
            file.len().context("read the length of", path).map(Some)
        }
    }
}

/// The sequence number after the last whole frame of a segment.
fn end_of(fs: &dyn Fs, dir: &Path, first: u64) -> Result<u64, LedgerError> {
    let (segment, header) = Segment::open(fs, dir, first, Access::Read)?;
    if header == Header::Torn {
        return Ok(first);
    }
    let mut scan = Scan::new(&segment)?;
    // Where it stops being whole, it is being written, or torn, or damaged: `verify` tells.
    while matches!(scan.next(|_| Depth::Header)?, Scanned::Frame { .. }) {}
    Ok(scan.sequence)
}
