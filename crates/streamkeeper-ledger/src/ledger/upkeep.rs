//! Upkeep: the next segment, sealing, merging, deleting.
//!
//! All of it happens between commits, with nothing pending, in this order, so that a crash between
//! any two steps leaves a directory that opens to the same content: new key files and their
//! names are durable before the checkpoint names them; what the checkpoint no longer names, and
//! segments that the state's cursors have passed, are removed after it. Any failure poisons the
//! ledger: memory and disk may differ then, and recovering reads the disk.

use std::sync::Arc;

use streamkeeper_core::time::Timestamp;

use crate::checkpoint::Checkpoint;
use crate::error::{Context, LedgerError};
use crate::keys::{Files, run_name};
use crate::ledger::Ledger;
use crate::outbox::SegmentInfo;
use crate::segment::{SEGMENT_HEADER_BYTES, Segment, segment_name};
use crate::state::{KeptState, Saved};

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Key files beyond the retention.
    pub key_files: u64,
    /// Segments that every sink had acknowledged.
    pub segments: u64,
}

impl Ledger {
    /// What is due after a commit.
    pub(crate) fn upkeep(&mut self) -> Result<(), LedgerError> {
        if self.offset >= self.config.segment_bytes.max(SEGMENT_HEADER_BYTES + 1) {
            self.roll()?;
        }
        let memory = self.keys.memory_bytes_after(GROUP_EVENTS) + self.group.memory_bytes();
        let log = self.unsealed_bytes();
        if memory > self.config.memory_bytes_max || log > self.config.replay_bytes_max {
            self.checkpoint(Vec::new())?;
            // Cursors become durable with it, so that segments can go.
            self.save(self.state.clone())?;
        }
        Ok(())
    }

    fn unsealed_bytes(&self) -> u64 {
        let log = self.shared.lock();
        let unsealed =
            log.segments.iter().rev().take_while(|segment| segment.first >= self.sealed_to);
        unsealed.map(|segment| segment.bytes).sum()
    }

    /// Starts the next segment.
    fn roll(&mut self) -> Result<(), LedgerError> {
        let first = self.shared.lock().end;
        self.segment = Segment::create(self.fs.as_ref(), &self.dir, first)?;
        self.offset = SEGMENT_HEADER_BYTES;
        let info = SegmentInfo { first, bytes: self.offset, arrived: None };
        self.shared.lock().segments.push_back(info);
        Ok(())
    }

    /// Seals all keys, merges where it is due, and writes down which files count. Nothing is pending.
    fn checkpoint(&mut self, mut obsolete: Vec<u64>) -> Result<(), LedgerError> {
        let fs = Arc::clone(&self.fs);
        let mut files = Files { fs: fs.as_ref(), dir: &self.dir, next: &mut self.next_file };
        self.keys.seal(&mut files)?;
        obsolete.extend(self.keys.merge(&mut files)?);
        fs.sync_dir(&self.dir).context("sync", &self.dir)?;
        let sealed_to = self.shared.lock().end;
        let runs = self.keys.runs().map(|(_, run)| run.number).collect();
        let checkpoint = Checkpoint { sealed_to, next_file: self.next_file, runs };
        checkpoint.write(fs.as_ref(), &self.dir)?;
        self.sealed_to = sealed_to;
        for number in obsolete {
            let path = self.dir.join(run_name(number));
            fs.remove(&path).context("remove", &path)?;
        }
        Ok(())
    }

    /// Writes the state and the cursors.
    pub(crate) fn save(&mut self, state: Option<KeptState>) -> Result<(), LedgerError> {
        let (saved, needed) = {
            let log = self.shared.lock();
            let saved = Saved {
                next_sequence: log.end,
                state,
                cursors: log.cursors.clone(),
                goes_on_from: self.cursor.clone(),
            };
            (saved, log.needed())
        };
        saved.write(self.fs.as_ref(), &self.dir)?;
        // The state says it; the log need not any more.
        self.group.set_cursor(None);
        self.state = saved.state;
        self.durable_needed = needed;
        self.reclaim().map(|_| ())
    }

    /// Removes the segments whose keys are sealed and that every sink is known to have, durably.
    pub(crate) fn reclaim(&mut self) -> Result<u64, LedgerError> {
        let floor = self.durable_needed.min(self.sealed_to);
        let mut removed = 0;
        loop {
            let first = {
                let mut log = self.shared.lock();
                let goes = log.segments.get(1).is_some_and(|next| next.first <= floor);
                let front = if goes { log.segments.pop_front() } else { None };
                let Some(segment) = front else { return Ok(removed) };
                segment.first
            };
            let path = self.dir.join(segment_name(first));
            self.fs.remove(&path).context("remove", &path)?;
            removed += 1;
        }
    }

    pub(crate) fn sweep_committed(
        &mut self,
        now: Timestamp,
        service: Option<Timestamp>,
    ) -> Result<Swept, LedgerError> {
        let retention_days = i32::from(self.config.retention_days);
        let obsolete = service.map_or_else(Vec::new, |now| self.keys.sweep(now, retention_days));
        let mut swept = Swept { key_files: obsolete.len() as u64, segments: 0 };
        let (oldest_unsealed, active) = {
            let log = self.shared.lock();
            let behind = |segment: &&SegmentInfo| segment.first >= self.sealed_to;
            let unsealed = log.segments.iter().find(behind).and_then(|segment| segment.arrived);
            (unsealed, log.segments.back().and_then(|segment| segment.arrived))
        };
        // One that seems to be of tomorrow is from before our clock was set back: who knows how old.
        let is_old = |arrived: Option<Timestamp>| {
            let apart = arrived.map(|arrived| now.since(arrived).max(arrived.since(now)));
            apart.is_some_and(|apart| apart > self.config.segment_age_max)
        };
        let (seal, roll) = (is_old(oldest_unsealed) || is_old(active), is_old(active));
        if roll {
            self.roll()?;
        }
        if seal || !obsolete.is_empty() {
            self.checkpoint(obsolete)?;
        }
        let segments = |ledger: &Self| ledger.shared.lock().segments.len() as u64;
        let before = segments(self);
        self.save(self.state.clone())?;
        swept.segments = before.saturating_sub(segments(self));
        Ok(swept)
    }
}

/// How many events a group commit is expected to have at most, when it is foreseen what memory the
/// next one will need.
const GROUP_EVENTS: usize = 4_096;
