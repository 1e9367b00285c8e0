//! Checks a ledger's directory, and reads everything out of it, without changing anything.
//!
//! Both take the lock, so they are for a ledger that no process uses.

use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::{Context, LedgerError};
use crate::event::Entry;
use crate::fs::{Access, Fs};
use crate::keys::run_name;
use crate::keys::sealed::Sealed;
use crate::lock;
use crate::record::{self, Unpacker};
use crate::segment::{Depth, Fault, Header, Scan, Scanned, Segment, parse_name};
use crate::state::Saved;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Segments read.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Keys in sealed files.
    pub keys_sealed: u64,
    /// A tail that the next start will cut: file, and how many bytes.
    pub torn: Option<(PathBuf, u64)>,
    /// Everything that is damaged, or of a newer version.
    pub damage: Vec<LedgerError>,
}

/// Reads everything in `dir` and checks it.
///
/// # Errors
/// [`LedgerError::Locked`] while a process uses the ledger; [`LedgerError::Io`]. Damage is in
/// the report.
pub fn verify(fs: &dyn Fs, dir: &Path) -> Result<Verified, LedgerError> {
    let _lock = lock::take(fs, dir)?;
    let mut verified = Verified::default();
    let mut damage = Vec::new();
    let checkpoint = found(Checkpoint::read(fs, dir), &mut damage)?.flatten();
    let saved = found(Saved::read(fs, dir), &mut damage)?.flatten();
    let checkpoint = checkpoint.unwrap_or_default();
    for &number in &checkpoint.runs {
        let path = dir.join(run_name(number));
        let sealed = Sealed::open(fs, &path)
            .and_then(|sealed| sealed.verify(&path).map(|()| sealed.len() as u64));
        verified.keys_sealed += found(sealed, &mut damage)?.unwrap_or(0);
    }
    let firsts = segments(fs, dir)?;
    let mut end = None;
    for (number, &first) in firsts.iter().enumerate() {
        let is_last = number + 1 == firsts.len();
        let mut walk = Walk { fs, dir, is_last, events: 0, torn: None, end: first };
        let walked = walk.segment(first, &mut |_| {});
        found(walked, &mut damage)?;
        if end.is_some_and(|end| end != first) {
            let path = dir.join(crate::segment::segment_name(first));
            damage.push(LedgerError::damaged(&path, 0, "events before this segment are missing"));
        }
        end = Some(walk.end);
        verified.segments += 1;
        verified.events += walk.events;
        verified.torn = verified.torn.or(walk.torn);
    }
    let committed = saved.map_or(1, |saved| saved.next_sequence).max(checkpoint.sealed_to);
    if damage.is_empty() && end.unwrap_or(1) < committed {
        let path = dir.join(crate::segment::segment_name(firsts.last().copied().unwrap_or(1)));
        damage.push(LedgerError::damaged(&path, 0, "committed events are missing at the end"));
    }
    verified.damage = damage;
    Ok(verified)
}

/// Gives every event that is still in the segments, in order, to `each`.
///
/// # Errors
/// [`LedgerError::Locked`] while a process uses the ledger; [`LedgerError::Io`];
/// [`LedgerError::Damaged`] where reading cannot go on.
pub fn export(fs: &dyn Fs, dir: &Path, mut each: impl FnMut(Entry)) -> Result<(), LedgerError> {
    let _lock = lock::take(fs, dir)?;
    let firsts = segments(fs, dir)?;
    for (number, &first) in firsts.iter().enumerate() {
        let is_last = number + 1 == firsts.len();
        let mut walk = Walk { fs, dir, is_last, events: 0, torn: None, end: first };
        walk.segment(first, &mut each)?;
    }
    Ok(())
}

/// Damage is collected, anything else ends the check.
fn found<T>(
    result: Result<T, LedgerError>,
    damage: &mut Vec<LedgerError>,
) -> Result<Option<T>, LedgerError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (LedgerError::Damaged { .. } | LedgerError::NewerVersion { .. })) => {
            damage.push(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn segments(fs: &dyn Fs, dir: &Path) -> Result<Vec<u64>, LedgerError> {
    let names = fs.list(dir).context("list", dir)?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| parse_name(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

struct Walk<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    is_last: bool,
    events: u64,
    torn: Option<(PathBuf, u64)>,
    end: u64,
}

impl Walk<'_> {
    fn segment(&mut self, first: u64, each: &mut dyn FnMut(Entry)) -> Result<(), LedgerError> {
        let (segment, header) = Segment::open(self.fs, self.dir, first, Access::Read)?;
        if header == Header::Torn {
            let fault = Fault { offset: 0, what: "its header is not whole" };
            return self.fault(&segment, fault);
        }
        let (mut scan, mut unpacker) = (Scan::new(&segment)?, Unpacker::default());
        loop {
            let offset = scan.offset;
            match scan.next(|_| Depth::Whole)? {
                Scanned::Frame { header, keys, body } => {
                    let Some(entries) = record::entries(&header, keys, body, &mut unpacker) else {
                        let what = "a frame does not unpack to what it says";
                        return Err(segment.damaged(&Fault { offset, what }));
                    };
                    self.events += entries.len() as u64;
                    self.end = header.end();
                    entries.into_iter().for_each(&mut *each);
                }
                Scanned::Fault(fault) => return self.fault(&segment, fault),
                Scanned::End { .. } => return Ok(()),
            }
        }
    }

    /// A fault is a torn tail or damage.
    fn fault(&mut self, segment: &Segment, fault: Fault) -> Result<(), LedgerError> {
        if !self.is_last || segment.commit_after(fault.offset)? {
            return Err(segment.damaged(&fault));
        }
        self.torn = Some((segment.path.clone(), segment.len()?.saturating_sub(fault.offset)));
        Ok(())
    }
}
