//! Checks a ledger's directory, and reads everything out of it, without changing anything.
//!
//! Both take the lock, so they are for a ledger that no process uses.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::{Context, LedgerError};
use crate::event::Entry;
use crate::fs::{Access, Fs};
use crate::identity::LedgerIdentity;
use crate::keys::run_name;
use crate::keys::sealed::Sealed;
use crate::lock;
use crate::record::{self, FrameHeader};
use crate::segment::{Depth, Fault, Header, Scan, Scanned, Segment, parse_name, segment_name};
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
    /// A tail that the next start will cut, unless a sink has some of it: file, and how many bytes.
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
    found(LedgerIdentity::read(fs, dir), &mut damage)?;
    let checkpoint = checkpoint.unwrap_or_default();
    for &number in &checkpoint.runs {
        let path = dir.join(run_name(number));
        let sealed = Sealed::open(fs, &path)
            .and_then(|sealed| sealed.verify(&path).map(|()| sealed.len() as u64));
        verified.keys_sealed += found(sealed, &mut damage)?.unwrap_or(0);
    }
    let firsts = segments(fs, dir)?;
    // Where the segment before ended, unless it is damaged and may have gone on.
    let mut end = None;
    for (number, &first) in firsts.iter().enumerate() {
        let is_last = number + 1 == firsts.len();
        let mut walk = Walk { fs, dir, is_last, from: 0, events: 0, torn: None, end: first };
        let walked = found(walk.segment(first, &mut |_| ControlFlow::Continue(())), &mut damage)?;
        if end.is_some_and(|end| end != first) {
            let path = dir.join(segment_name(first));
            damage.push(LedgerError::damaged(&path, 0, "events before this segment are missing"));
        }
        end = walked.map(|_| walk.end);
        verified.segments += 1;
        verified.events += walk.events;
        verified.torn = verified.torn.or(walk.torn);
    }
    let committed = saved.map_or(1, |saved| saved.committed()).max(checkpoint.sealed_to);
    if damage.is_empty() && end.unwrap_or(1) < committed {
        let last = firsts.last().copied().unwrap_or(1);
        damage.push(missing_at_the_end(fs, dir, last, verified.torn.take())?);
    }
    verified.damage = damage;
    Ok(verified)
}

/// Gives the events that are still in the segments, in order and from the sequence number `from` on,
/// to `each`, until that breaks off.
///
/// # Errors
/// [`LedgerError::Locked`] while a process uses the ledger; [`LedgerError::Io`];
/// [`LedgerError::Damaged`] where reading cannot go on.
pub fn export(
    fs: &dyn Fs,
    dir: &Path,
    from: u64,
    mut each: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<(), LedgerError> {
    let _lock = lock::take(fs, dir)?;
    let mut firsts = segments(fs, dir)?;
    let before = firsts.iter().take_while(|&&first| first <= from).count();
    let firsts = firsts.split_off(before.saturating_sub(1));
    let (mut end, mut last, mut torn) = (1, 1, None);
    for (number, &first) in firsts.iter().enumerate() {
        let is_last = number + 1 == firsts.len();
        let mut walk = Walk { fs, dir, is_last, from, events: 0, torn: None, end: first };
        if walk.segment(first, &mut each)?.is_break() {
            return Ok(());
        }
        (end, last, torn) = (walk.end, first, walk.torn);
    }
    let saved = Saved::read(fs, dir)?;
    match saved.filter(|saved| end.max(from) < saved.committed()) {
        Some(_) => Err(missing_at_the_end(fs, dir, last, torn)?),
        None => Ok(()),
    }
}

/// What is proven to have been committed is not there: damage, and no torn tail.
fn missing_at_the_end(
    fs: &dyn Fs,
    dir: &Path,
    last: u64,
    torn: Option<(PathBuf, u64)>,
) -> Result<LedgerError, LedgerError> {
    let path = dir.join(segment_name(last));
    let length = match fs.open(&path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        opened => opened.and_then(|file| file.len()).context("read the length of", &path)?,
    };
    let offset = length.saturating_sub(torn.map_or(0, |(_, bytes)| bytes));
    Ok(LedgerError::damaged(&path, offset, "committed events are missing at the end"))
}

/// Damage is collected, anything else ends the check.
fn found<T>(
    result: Result<T, LedgerError>,
    damage: &mut Vec<LedgerError>,
) -> Result<Option<T>, LedgerError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            error @ (LedgerError::Damaged { .. }
            | LedgerError::NewerVersion { .. }
            | LedgerError::NewerFrame { .. }),
        ) => {
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
    /// Frames that end before this sequence number are passed over.
    from: u64,
    events: u64,
    torn: Option<(PathBuf, u64)>,
    end: u64,
}

impl Walk<'_> {
    fn segment(
        &mut self,
        first: u64,
        each: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, LedgerError> {
        let (segment, header) = Segment::open(self.fs, self.dir, first, Access::Read)?;
        if header == Header::Torn {
            let fault = Fault { offset: 0, what: "its header is not whole" };
            return self.fault(&segment, fault);
        }
        let mut scan = Scan::new(&segment)?;
        let from = self.from;
        let depth = |header: &FrameHeader| {
            if header.end() > from { Depth::Whole } else { Depth::Header }
        };
        loop {
            let offset = scan.offset;
            match scan.next(depth)? {
                Scanned::Frame { header, .. } if header.end() <= from => self.end = header.end(),
                Scanned::Frame { header, keys, body, .. } => {
                    let Some(entries) = record::entries(&header, keys, body) else {
                        let what = "a frame does not unpack to what it says";
                        return Err(segment.damaged(&Fault { offset, what }));
                    };
                    self.events += entries.len() as u64;
                    self.end = header.end();
                    let mut wanted = entries.into_iter().filter(|entry| entry.sequence >= from);
                    if wanted.try_for_each(&mut *each).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Scanned::Fault(fault) => return self.fault(&segment, fault),
                Scanned::End { .. } => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    /// A fault is a torn tail or damage.
    fn fault(&mut self, segment: &Segment, fault: Fault) -> Result<ControlFlow<()>, LedgerError> {
        if !self.is_last || segment.commit_after(fault.offset)? {
            return Err(segment.damaged(&fault));
        }
        self.torn = Some((segment.path.clone(), segment.len()?.saturating_sub(fault.offset)));
        Ok(ControlFlow::Continue(()))
    }
}
