//! Which versions of which records have been accepted, exactly.
//!
//! Keys lie in partitions by the UTC day of the version's `created_at`. A partition has recent keys in
//! memory and older ones in sealed files, newest last. A look-up asks the version's own day, the
//! day after and the day before, so a correction is recognised as one if it was processed up to a
//! day away from what it corrects. **A record whose day moved further starts anew there**: its
//! correction is `New` and not `NewVersion`, and an older version that arrives only after it is
//! delivered although it is superseded. Either comes under the envelope id of its own version, and
//! no version is accepted twice; a sink that keeps state goes by `time`, as it has to anyway.
//!
//! Undated versions have partitions of their own, by the week in which they arrived, and a look-up
//! asks all of them. Whether a record also has dated versions is not asked there, nor the other
//! way round.
//!
//! Invariants: the first place that knows a record within a partition, newest first, knows all its
//! versions at its newest time in that partition (whoever adds one at the same time copies the
//! others beside it); the rule of acceptance is `streamkeeper_core::version`'s, restricted to what
//! the partitions asked hold. Which sealed files count is in the checkpoint; see `checkpoint`.

pub(crate) mod memory;
pub(crate) mod name;
mod seal;
pub(crate) mod sealed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::{Verdict, Version};

use crate::error::LedgerError;
use crate::fs::Fs;
use memory::Memory;
pub(crate) use name::{KeyForm, KeyName};
use name::{MICROS_PER_DAY, Probe, Slot, SlotVersion};
use sealed::Sealed;

/// A partition of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PartitionId {
    /// The UTC day of `created_at`, in days since 1970.
    Day(i32),
    /// The week in which undated records arrived, in weeks since 1970-01-01.
    Undated(i32),
}

impl PartitionId {
    pub(crate) const fn parts(self) -> (u8, i32) {
        match self {
            Self::Day(day) => (0, day),
            Self::Undated(week) => (1, week),
        }
    }

    pub(crate) const fn from_parts(tag: u8, number: i32) -> Option<Self> {
        match tag {
            0 => Some(Self::Day(number)),
            1 => Some(Self::Undated(number)),
            _ => None,
        }
    }

    /// Whether everything in it is older than `retention_days` before `today`, or so far ahead of it
    /// that its date is no date. A week that is ahead only tells that our clock was: what arrived then
    /// can be sent again now.
    fn is_outside(self, today: i32, retention_days: i32) -> bool {
        let (last, is_no_date) = match self {
            Self::Day(day) => (day, day > today.saturating_add(retention_days)),
            Self::Undated(week) => (week.saturating_mul(7).saturating_add(6), false),
        };
        last < today.saturating_sub(retention_days) || is_no_date
    }
}

/// The UTC day of a moment, in days since 1970.
pub(crate) const fn day_of(at: Timestamp) -> i32 {
    // A day of the i64 range in microseconds fits an i32.
    at.as_micros().div_euclid(MICROS_PER_DAY) as i32
}

/// A sealed file that counts.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    pub(crate) sealed: Sealed,
}

/// The name of a sealed file.
pub(crate) fn run_name(number: u64) -> String {
    format!("keys-{number:012}.sealed")
}

#[derive(Debug, Default)]
struct Partition {
    memory: Memory,
    /// Oldest first.
    runs: Vec<Run>,
}

/// What a partition knows of a record.
#[derive(Clone, Copy)]
struct Hit {
    micros: u64,
    exact: bool,
}

impl Partition {
    /// The newest that is known of a record.
    fn find(&self, probe: &Probe<'_>, version: &SlotVersion) -> Option<Hit> {
        if let Some(slot) = self.memory.find(probe) {
            if !slot.has_siblings() {
                return hit(std::iter::once(*slot), version);
            }
            return hit(self.memory.all(probe), version);
        }
        self.runs.iter().rev().find_map(|run| hit(run.sealed.all(probe), version))
    }

    /// All versions of the record's newest time.
    fn versions(&self, probe: &Probe<'_>) -> Vec<SlotVersion> {
        let versions = |slots: &mut dyn Iterator<Item = Slot>| -> Vec<_> {
            slots.map(|slot| slot.version()).collect()
        };
        let here = versions(&mut self.memory.all(probe));
        if !here.is_empty() {
            return here;
        }
        let mut runs = self.runs.iter().rev().map(|run| versions(&mut run.sealed.all(probe)));
        runs.find(|found| !found.is_empty()).unwrap_or_default()
    }
}

fn hit(slots: impl Iterator<Item = Slot>, version: &SlotVersion) -> Option<Hit> {
    let mut found = None;
    for known in slots.map(|slot| slot.version()) {
        let exact = known == *version;
        found = Some(Hit { micros: known.micros, exact });
        if exact {
            break;
        }
    }
    found
}

/// All keys of a stream.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    partitions: BTreeMap<PartitionId, Partition>,
}

impl Keys {
    /// Judges a version and remembers it if it is new.
    pub(crate) fn accept(
        &mut self,
        name: &KeyName<'_>,
        version: &Version,
        arrived: Timestamp,
    ) -> Verdict {
        let probe = name.probe();
        let slot = SlotVersion::new(version);
        let (verdict, home) = match version.created_at {
            Some(at) => self.judge_dated(&probe, &slot, day_of(at)),
            None => self.judge_undated(&probe, &slot, day_of(arrived).div_euclid(7)),
        };
        match verdict {
            Verdict::New | Verdict::NewVersion => self.put(home, &probe, &[slot]),
            Verdict::Conflicting => {
                let mut versions = self.siblings(&probe, home);
                versions.push(slot);
                self.put(home, &probe, &versions);
            }
            Verdict::Duplicate | Verdict::Superseded => {}
        }
        verdict
    }

    /// Judges a version without remembering it.
    pub(crate) fn judge(
        &self,
        name: &KeyName<'_>,
        version: &Version,
        arrived: Timestamp,
    ) -> Verdict {
        let probe = name.probe();
        let slot = SlotVersion::new(version);
        match version.created_at {
            Some(at) => self.judge_dated(&probe, &slot, day_of(at)).0,
            None => self.judge_undated(&probe, &slot, day_of(arrived).div_euclid(7)).0,
        }
    }

    fn judge_dated(
        &self,
        probe: &Probe<'_>,
        version: &SlotVersion,
        day: i32,
    ) -> (Verdict, PartitionId) {
        let home = PartitionId::Day(day);
        let find = |partition| self.partitions.get(&partition)?.find(probe, version);
        let here = find(home);
        let verdict = match here {
            Some(hit) if hit.micros > version.micros => Verdict::Superseded,
            _ if find(PartitionId::Day(day.saturating_add(1))).is_some() => Verdict::Superseded,
            Some(hit) if hit.micros < version.micros => Verdict::NewVersion,
            Some(hit) if hit.exact => Verdict::Duplicate,
            Some(_) => Verdict::Conflicting,
            None if find(PartitionId::Day(day.saturating_sub(1))).is_some() => Verdict::NewVersion,
            None => Verdict::New,
        };
        (verdict, home)
    }

    fn judge_undated(
        &self,
        probe: &Probe<'_>,
        version: &SlotVersion,
        week: i32,
    ) -> (Verdict, PartitionId) {
        let undated = self.partitions.range(PartitionId::Undated(i32::MIN)..);
        let mut newest = week;
        for (id, partition) in undated.rev() {
            // A clock that went back must not put what is newest where it is asked last.
            newest = newest.max(id.parts().1);
            if let Some(hit) = partition.find(probe, version) {
                let verdict = if hit.exact { Verdict::Duplicate } else { Verdict::Conflicting };
                return (verdict, PartitionId::Undated(newest));
            }
        }
        (Verdict::New, PartitionId::Undated(newest))
    }

    /// What is known beside a version that conflicts.
    fn siblings(&self, probe: &Probe<'_>, home: PartitionId) -> Vec<SlotVersion> {
        let from = match home {
            PartitionId::Day(_) => home,
            PartitionId::Undated(_) => PartitionId::Undated(i32::MIN),
        };
        let partitions = self.partitions.range(from..=home).rev();
        let mut versions = partitions.map(|(_, partition)| partition.versions(probe));
        versions.find(|versions| !versions.is_empty()).unwrap_or_default()
    }

    fn put(&mut self, home: PartitionId, probe: &Probe<'_>, versions: &[SlotVersion]) {
        self.partitions.entry(home).or_default().memory.put(probe, versions);
    }

    /// The bytes of memory that the keys take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.partitions.values().map(|partition| partition.memory.bytes()).sum()
    }

    /// The most bytes the keys can come to while so many more are accepted.
    pub(crate) fn memory_bytes_after(&self, more: usize) -> usize {
        // Tables double in size. If all new keys fall into one partition, only that one grows; the
        // one that grows most counts.
        let now = self.memory_bytes();
        let growth = |partition: &Partition| {
            partition.memory.bytes_after(more).saturating_sub(partition.memory.bytes())
        };
        now + self.partitions.values().map(growth).max().unwrap_or(0)
    }

    /// How many keys there are: in memory, and sealed.
    pub(crate) fn len(&self) -> (u64, u64) {
        let memory: usize = self.partitions.values().map(|partition| partition.memory.len()).sum();
        let sealed: usize = self.runs().map(|(_, run)| run.sealed.len()).sum();
        (memory as u64, sealed as u64)
    }

    /// The sealed files that count, oldest first within a partition.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (PartitionId, &Run)> {
        self.partitions
            .iter()
            .flat_map(|(id, partition)| partition.runs.iter().map(move |run| (*id, run)))
    }

    /// Adds a sealed file that the checkpoint names.
    pub(crate) fn add(&mut self, run: Run) {
        self.partitions.entry(run.sealed.partition()).or_default().runs.push(run);
    }

    /// Seals everything in memory. The files are durable, their names are not yet.
    pub(crate) fn seal(&mut self, files: &mut Files<'_>) -> Result<(), LedgerError> {
        for (&id, partition) in &mut self.partitions {
            if partition.memory.len() == 0 {
                continue;
            }
            let (number, path) = files.next();
            let sealed = seal::seal(files.fs, &path, id, &partition.memory)?;
            partition.runs.push(Run { number, sealed });
            partition.memory = Memory::default();
        }
        Ok(())
    }

    /// Merges sealed files where a partition has too many; returns those that count no more.
    pub(crate) fn merge(&mut self, files: &mut Files<'_>) -> Result<Vec<u64>, LedgerError> {
        let mut obsolete = Vec::new();
        for (&id, partition) in &mut self.partitions {
            let keep = merge_from(&partition.runs);
            let Some(merging) = partition.runs.get(keep..).filter(|runs| runs.len() > 1) else {
                continue;
            };
            for run in merging {
                run.sealed.verify(&files.dir.join(run_name(run.number)))?;
            }
            let (number, path) = files.next();
            let inputs: Vec<_> = merging.iter().map(|run| &run.sealed).collect();
            let sealed = seal::merge(files.fs, &path, id, &inputs)?;
            obsolete.extend(partition.runs.drain(keep..).map(|run| run.number));
            partition.runs.push(Run { number, sealed });
        }
        Ok(obsolete)
    }

    /// Forgets the partitions outside of the retention; returns the files that count no more.
    pub(crate) fn sweep(&mut self, now: Timestamp, retention_days: i32) -> Vec<u64> {
        let today = day_of(now);
        let mut obsolete = Vec::new();
        self.partitions.retain(|id, partition| {
            let stays = !id.is_outside(today, retention_days);
            if !stays {
                obsolete.extend(partition.runs.iter().map(|run| run.number));
            }
            stays
        });
        obsolete
    }
}

/// From which file on a partition's files are to be merged: the newest ones, as far back as none is
/// more than twice as large as all newer ones together. So a key is rewritten only a few times,
/// however many files there have been.
fn merge_from(runs: &[Run]) -> usize {
    if runs.len() <= RUNS_MAX {
        return runs.len();
    }
    let (mut from, mut slots, mut heap) = (runs.len(), 0_usize, 0_usize);
    for run in runs.iter().rev() {
        let (len, bytes) = (run.sealed.len(), run.sealed.heap_bytes());
        let fits = slots + len <= SLOTS_MAX && heap + bytes <= HEAP_BYTES_MAX;
        let similar = len <= 2 * slots || runs.len() - from < 2;
        if !fits || !similar {
            break;
        }
        (from, slots, heap) = (from - 1, slots + len, heap + bytes);
    }
    from
}

/// A partition with more files than this is merged.
const RUNS_MAX: usize = 4;

/// The number of a slot is a `u32`.
const SLOTS_MAX: usize = u32::MAX as usize;

/// The heap of a file that is written is gathered in memory.
const HEAP_BYTES_MAX: usize = 64 << 20;

/// Gives sealed files their names.
pub(crate) struct Files<'a> {
    pub(crate) fs: &'a dyn Fs,
    pub(crate) dir: &'a Path,
    pub(crate) next: &'a mut u64,
}

impl Files<'_> {
    fn next(&mut self) -> (u64, PathBuf) {
        let number = *self.next;
        *self.next += 1;
        (number, self.dir.join(run_name(number)))
    }
}
