//! Opening: what is on disk, made whole after whatever happened.
//!
//! 1. Checkpoint and state are read; the sealed key files that the checkpoint names are mapped.
//! 2. Segments that are sealed and acknowledged count no more, whether or not all of them had been
//!    removed. The others must follow each other without a gap.
//! 3. The keys of frames behind the checkpoint are read into memory, and the newest cursor of frames behind the
//!    state; the last segment is checked in full.
//! 4. A bad frame in the last commit of the last segment is a torn tail and cut off. Anything else that
//!    is bad, or ends before what the state, a cursor or a sink proves to have been committed, is damage:
//!    the start is refused and nothing is changed.
//! 5. The last segment's header and last commit are written once more, in place, and synced: the last
//!    process may have died of a failed sync, after which the kernel shows bytes that the disk does
//!    not have.
//! 6. A ledger without an identity, and one that a sink is ahead of, gets a new one.
//! 7. What was left over from a crash (temporary files, key files and segments that do not count) is
//!    removed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use streamkeeper_core::id;

use crate::checkpoint::{CHECKPOINT, Checkpoint};
use crate::config::LedgerConfig;
use crate::error::{Context, LedgerError};
use crate::fs::{Access, Fs};
use crate::identity::{IDENTITY, LedgerIdentity};
use crate::keys::sealed::Sealed;
use crate::keys::{Keys, Run, run_name};
use crate::outbox::{Cursor, Log, SegmentInfo};
use crate::record;
use crate::segment::{
    Depth, Fault, Header, SEGMENT_HEADER_BYTES, Scan, Scanned, Segment, parse_name, segment_name,
};
use crate::state::{KeptState, STATE, Saved};

/// What was found when a ledger was opened; worth one line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// How the last process ended.
    pub start: Start,
    /// A torn tail that was cut off. Neither the state nor a sink knows that any of it was committed.
    pub torn: Option<Torn>,
    /// How many events the keys of which were read from segments.
    pub replayed: u64,
    /// Sinks that came back after they had not been configured for a time, and how many events they
    /// missed.
    pub missed: Vec<(String, u64)>,
}

/// How the last process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There was none: no state was ever persisted.
    First,
    /// Cleanly: its last state says so.
    Clean,
    /// Without saying so.
    Unclean,
}

/// A torn tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

/// A directory's content, made whole.
pub(crate) struct Loaded {
    pub(crate) keys: Keys,
    pub(crate) segment: Segment,
    /// Where the next frame goes.
    pub(crate) offset: u64,
    pub(crate) sealed_to: u64,
    pub(crate) next_file: u64,
    pub(crate) identity: LedgerIdentity,
    pub(crate) state: Option<KeptState>,
    /// The service's, of the last frame or state that has one.
    pub(crate) cursor: Option<id::Cursor>,
    pub(crate) log: Log,
    pub(crate) report: OpenReport,
}

/// Opens what is in `dir`, which is locked.
pub(crate) fn load(fs: &dyn Fs, dir: &Path, config: &LedgerConfig) -> Result<Loaded, LedgerError> {
    let names = fs.list(dir).context("list", dir)?;
    let checkpoint = Checkpoint::read(fs, dir)?.unwrap_or_default();
    let saved = Saved::read(fs, dir)?;
    let identity = LedgerIdentity::read(fs, dir)?;
    let mut keys = Keys::default();
    for &number in &checkpoint.runs {
        keys.add(open_run(fs, dir, number)?);
    }
    let committed = saved.as_ref().map_or(1, Saved::committed).max(checkpoint.sealed_to);
    let floor = floor(&checkpoint, saved.as_ref());
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| parse_name(name)).collect();
    firsts.sort_unstable();
    let behind = firsts.iter().take_while(|&&first| first <= floor).count();
    let counted = firsts.split_off(behind.saturating_sub(1));
    if counted.first().is_some_and(|&first| first > floor) || counted.is_empty() && committed > 1 {
        let missing = dir.join(segment_name(floor));
        return Err(LedgerError::damaged(&missing, 0, "a segment with this event is missing"));
    }

    let given = config.given_by(identity);
    let said_to = saved.as_ref().map_or(1, |saved| saved.next_sequence);
    let replay = Replay { fs, dir, sealed_to: checkpoint.sealed_to, said_to, committed, given };
    let mut found = Found { keys, cursor: None };
    let (segments, tail) = replay.segments(&counted, &mut found)?;
    let Found { keys, cursor } = found;
    let cursor = cursor.or_else(|| saved.as_ref().and_then(|saved| saved.goes_on_from.clone()));
    let end = tail.end;
    // A sink that is ahead has been given other events under the numbers that come next.
    let identity = match identity.filter(|_| given <= end) {
        Some(identity) => identity,
        None => LedgerIdentity::make(fs, dir)?,
    };
    let oldest = segments.front().map_or(end, |segment| segment.first);
    let state = saved.as_ref().and_then(|saved| saved.state.clone());
    let known = saved.map(|saved| saved.cursors).unwrap_or_default();
    let (cursors, missed) = cursors(&known, config, oldest, end);
    let start = match &state {
        None => Start::First,
        Some(state) if state.clean && tail.torn.is_none() => Start::Clean,
        Some(_) => Start::Unclean,
    };
    if cursors != known {
        // Who holds back what is written down before anything is removed because of it.
        let (cursors, goes_on_from) = (cursors.clone(), cursor.clone());
        Saved { next_sequence: end, state: state.clone(), cursors, goes_on_from }.write(fs, dir)?;
    }

    clean_up(fs, dir, &names, &checkpoint, &firsts)?;
    let report = OpenReport { start, torn: tail.torn, replayed: tail.replayed, missed };
    Ok(Loaded {
        keys,
        segment: tail.segment,
        offset: tail.offset,
        sealed_to: checkpoint.sealed_to,
        next_file: checkpoint.next_file,
        identity,
        state,
        cursor,
        log: Log { segments, end, cursors },
        report,
    })
}

fn open_run(fs: &dyn Fs, dir: &Path, number: u64) -> Result<Run, LedgerError> {
    let path = dir.join(run_name(number));
    match Sealed::open(fs, &path) {
        Ok(sealed) => Ok(Run { number, sealed }),
        Err(LedgerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let what = "a key file that the checkpoint names is missing";
            Err(LedgerError::damaged(&path, 0, what))
        }
        Err(error) => Err(error),
    }
}

/// Segments that end before this sequence number count no more: the last state that was written
/// allowed their removal.
fn floor(checkpoint: &Checkpoint, saved: Option<&Saved>) -> u64 {
    let cursors = saved.into_iter().flat_map(|saved| saved.cursors.values());
    let active = cursors.filter(|cursor| cursor.active);
    active.fold(checkpoint.sealed_to, |floor, cursor| floor.min(cursor.next))
}

/// The places of the sinks, and who missed how much.
fn cursors(
    known: &BTreeMap<String, Cursor>,
    config: &LedgerConfig,
    oldest: u64,
    end: u64,
) -> (BTreeMap<String, Cursor>, Vec<(String, u64)>) {
    let mut missed = Vec::new();
    let mut cursors: BTreeMap<String, Cursor> = known.clone();
    for sink in &config.sinks {
        cursors.entry(sink.clone()).or_insert(Cursor { next: oldest, active: true });
    }
    for (sink, cursor) in &mut cursors {
        cursor.active = config.sinks.contains(sink);
        cursor.next = cursor.next.min(end);
        if cursor.active && cursor.next < oldest {
            missed.push((sink.clone(), oldest - cursor.next));
            cursor.next = oldest;
        }
    }
    (cursors, missed)
}

/// Removes what does not count.
fn clean_up(
    fs: &dyn Fs,
    dir: &Path,
    names: &[String],
    checkpoint: &Checkpoint,
    obsolete: &[u64],
) -> Result<(), LedgerError> {
    let runs: Vec<String> = checkpoint.runs.iter().map(|&number| run_name(number)).collect();
    let is_left_over = |name: &String| {
        let is_run = name.starts_with("keys-") && name.ends_with(".sealed");
        is_temporary(name)
            || is_run && !runs.contains(name)
            || parse_name(name).is_some_and(|first| obsolete.contains(&first))
    };
    for name in names.iter().filter(|name| is_left_over(name)) {
        let path = dir.join(name);
        match fs.remove(&path) {
            // It has just been finished.
            Err(error) if is_temporary(name) && error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.context("remove", &path)?,
        }
    }
    Ok(())
}

/// Whether it is the unfinished replacement of a small file.
fn is_temporary(name: &str) -> bool {
    let small = [CHECKPOINT.name, STATE.name, IDENTITY.name];
    name.strip_suffix(".tmp").is_some_and(|name| small.contains(&name))
}

/// The end of the log.
struct Tail {
    segment: Segment,
    offset: u64,
    end: u64,
    replayed: u64,
    torn: Option<Torn>,
}

/// A sink is given nothing before it is durable, so no crash has done this. A copy may have been made in
/// the middle of a write, though.
const GIVEN: &str = "a sink already has events that cannot be read here any more (if this is an older \
    copy that was put back, and was made in the middle of a write: move away what the sink has noted \
    of its place, for a file sink `<path>.cursor`, and start; the rest is then cut off, and what \
    was delivered since the copy is delivered again)";

/// What the log holds that is not in the small files.
struct Found {
    keys: Keys,
    cursor: Option<id::Cursor>,
}

impl Found {
    /// The cursor of the next frame; `is_newer`: than that of the state.
    fn take_cursor(&mut self, cursor: Option<id::Cursor>, is_newer: bool) {
        if is_newer && cursor.is_some() {
            self.cursor = cursor;
        }
    }
}

/// Goes through the segments.
struct Replay<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    sealed_to: u64,
    /// Of what is behind this, the state does not say from where the service goes on.
    said_to: u64,
    /// What is known to have been committed ends here or later.
    committed: u64,
    /// What a sink has by its own account ends here.
    given: u64,
}

impl Replay<'_> {
    fn segments(
        &self,
        firsts: &[u64],
        found: &mut Found,
    ) -> Result<(VecDeque<SegmentInfo>, Tail), LedgerError> {
        let mut infos = VecDeque::new();
        let mut replayed = 0;
        let (last, closed) = match firsts.split_last() {
            Some((last, closed)) => (*last, closed),
            None => (1, [].as_slice()),
        };
        let nexts = firsts.iter().skip(1);
        for (&first, &next) in closed.iter().zip(nexts) {
            infos.push_back(self.closed(first, next, found, &mut replayed)?);
        }
        let (info, mut tail) = if firsts.is_empty() {
            self.empty(last)?
        } else {
            self.last(last, found, &mut replayed)?
        };
        infos.push_back(info);
        tail.replayed = replayed;
        Ok((infos, tail))
    }

    /// A segment that is followed by another: everything in it was committed.
    fn closed(
        &self,
        first: u64,
        next: u64,
        found: &mut Found,
        replayed: &mut u64,
    ) -> Result<SegmentInfo, LedgerError> {
        let (segment, header) = Segment::open(self.fs, self.dir, first, Access::Read)?;
        let mut info = SegmentInfo { first, bytes: segment.len()?, arrived: None };
        if header == Header::Torn {
            return Err(segment.damaged(&Fault { offset: 0, what: "its header is not whole" }));
        }
        let mut scan = Scan::new(&segment)?;
        loop {
            let offset = scan.offset;
            match scan.next(|header| self.depth(header))? {
                Scanned::Frame { header, cursor, keys, .. } => {
                    info.arrived.get_or_insert(header.arrived);
                    found.take_cursor(cursor, header.end() > self.said_to);
                    *replayed += self.replay(&segment, offset, &header, keys, &mut found.keys)?;
                    if next <= self.sealed_to.min(self.said_to) {
                        // Its keys are sealed: when it began is all there is to know.
                        return Ok(info);
                    }
                }
                Scanned::Fault(fault) => return Err(segment.damaged(&fault)),
                Scanned::End { sequence } if sequence == next => return Ok(info),
                Scanned::End { .. } => {
                    let what = "the segment ends before the next one begins";
                    return Err(segment.damaged(&Fault { offset, what }));
                }
            }
        }
    }

    fn depth(&self, header: &record::FrameHeader) -> Depth {
        let known_to = self.sealed_to.min(self.said_to);
        if header.end() > known_to { Depth::Keys } else { Depth::Header }
    }

    /// Puts the keys of a frame into memory.
    fn replay(
        &self,
        segment: &Segment,
        offset: u64,
        header: &record::FrameHeader,
        stored: &[u8],
        keys: &mut Keys,
    ) -> Result<u64, LedgerError> {
        if header.end() <= self.sealed_to {
            return Ok(0);
        }
        let mut stored = record::Keys::new(stored);
        for _ in 0..header.count {
            let Some(key) = stored.next() else {
                let what = "the keys of a frame make no sense";
                return Err(segment.damaged(&Fault { offset, what }));
            };
            // Each was accepted once, so it is accepted again.
            keys.accept(&key.name, &key.version, header.arrived);
        }
        Ok(u64::from(header.count))
    }

    /// The first segment of all.
    fn empty(&self, first: u64) -> Result<(SegmentInfo, Tail), LedgerError> {
        let segment = Segment::create(self.fs, self.dir, first)?;
        let offset = SEGMENT_HEADER_BYTES;
        let tail = Tail { segment, offset, end: first, replayed: 0, torn: None };
        Ok((SegmentInfo { first, bytes: offset, arrived: None }, tail))
    }

    /// The segment that was written to last.
    fn last(
        &self,
        first: u64,
        found: &mut Found,
        replayed: &mut u64,
    ) -> Result<(SegmentInfo, Tail), LedgerError> {
        let (segment, header) = Segment::open(self.fs, self.dir, first, Access::Write)?;
        if header == Header::Torn {
            let what = "its header is not whole";
            if self.committed > first || segment.commit_after(0)? {
                return Err(segment.damaged(&Fault { offset: 0, what }));
            }
            if self.given > first {
                return Err(segment.damaged(&Fault { offset: 0, what: GIVEN }));
            }
            return self.empty(first);
        }
        let mut scan = Scan::new(&segment)?;
        let (mut arrived, mut commit) = (None, None);
        let fault = loop {
            let offset = scan.offset;
            match scan.next(|_| Depth::Whole)? {
                Scanned::Frame { header, cursor, keys, .. } => {
                    arrived.get_or_insert(header.arrived);
                    found.take_cursor(cursor, header.end() > self.said_to);
                    if header.commit_start || commit.is_none() {
                        commit = Some(offset);
                    }
                    *replayed += self.replay(&segment, offset, &header, keys, &mut found.keys)?;
                }
                Scanned::Fault(fault) => break Some(fault),
                Scanned::End { .. } => break None,
            }
        };
        let (offset, end) = (scan.offset, scan.sequence);
        if end < self.committed {
            let what = fault.map_or("committed events are missing at the end", |fault| fault.what);
            return Err(segment.damaged(&Fault { offset, what }));
        }
        if let Some(fault) = fault {
            if segment.commit_after(offset)? {
                return Err(segment.damaged(&fault));
            }
            if end < self.given {
                return Err(segment.damaged(&Fault { offset, what: GIVEN }));
            }
        }
        let torn = self.make_whole(&segment, offset, commit)?;
        let info = SegmentInfo { first, bytes: offset, arrived };
        Ok((info, Tail { segment, offset, end, replayed: 0, torn }))
    }

    /// Cuts the tail at `offset`, and makes the last commit durable again.
    fn make_whole(
        &self,
        segment: &Segment,
        offset: u64,
        commit: Option<u64>,
    ) -> Result<Option<Torn>, LedgerError> {
        let (path, file) = (&segment.path, &segment.file);
        let bytes = segment.len()?.saturating_sub(offset);
        if bytes > 0 {
            file.set_len(offset).context("cut the torn tail of", path)?;
        }
        segment.write_header()?;
        if let Some(commit) = commit {
            let length = usize::try_from(offset - commit).unwrap_or(usize::MAX);
            let mut frames = vec![0; length];
            file.read_at(&mut frames, commit).context("read", path)?;
            file.write_at(&frames, commit).context("write", path)?;
        }
        file.sync().context("sync", path)?;
        // Its name may have been given just before a crash.
        self.fs.sync_dir(self.dir).context("sync", self.dir)?;
        Ok((bytes > 0).then(|| Torn { path: path.clone(), offset, bytes }))
    }
}
