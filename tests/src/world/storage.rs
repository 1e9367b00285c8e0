//! The disk and the sinks around the process: opening, failing, dying, reading.
//!
//! After everything the ledger does, its outbox is read to its end: what is found there is what was
//! accepted, and goes to the checkers. Sinks read by themselves, each at its own pace.

use streamkeeper_core::marked::StreamState;
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::fs::Fault;
use streamkeeper_ledger::{Entry, Ledger, LedgerError, OpenReport, Outbox, OutboxReader, Start};
use streamkeeper_simulator::model::Millis;

use crate::disk::{is_unaltered, place_of};
use crate::fault::{CrashKind, DiskFault, Which};
use crate::naive::Naive;

use super::{ForShell, Happening, World};

/// What reads the outbox of one process.
#[derive(Debug)]
pub(super) struct Readers {
    outbox: Outbox,
    /// Reads for the checkers.
    log: OutboxReader,
    sinks: Vec<SinkReader>,
}

#[derive(Debug)]
struct SinkReader {
    name: String,
    reader: OutboxReader,
    /// Its next turn is on the agenda.
    busy: bool,
}

impl World {
    /// Opens the ledger as a process that starts does; `None` if it cannot start yet.
    pub(super) fn open_ledger(&mut self) -> Option<(Ledger, Readers, Option<StreamState>)> {
        // A process can die over its start, too.
        if self.processes > 0 && self.rng.u8(..6) == 0 {
            let after = self.rng.u64(..16);
            self.disk.fs.plan(after, Fault::Crash);
            let opened = self.disk.open();
            let died = self.disk.fs.is_dead();
            drop(opened);
            let power = self.rng.bool();
            self.disk_dies(if power && died { CrashKind::Power } else { CrashKind::Process });
        }
        match self.disk.open() {
            Ok((ledger, report)) => {
                let readers = self.ledger_opened(&ledger, &report);
                let kept = ledger.state().map(|kept| StreamState::decode(&kept.bytes)).transpose();
                let mut state = match kept {
                    Ok(state) => state,
                    Err(error) => {
                        self.broken(format!("the state cannot be read: {error:?}"));
                        return None;
                    }
                };
                if let Some(state) = &mut state {
                    state.clean = report.start == Start::Clean;
                    if self.plan.naive == Some(Naive::AdoptAfterCrash) {
                        state.clean = true;
                    }
                }
                if state.is_none() && self.durable_mark.is_set() {
                    self.broken("the state that was on disk is gone".into());
                }
                self.look_at_durable_mark(state.as_ref().and_then(|state| state.mark));
                Some((ledger, readers, state))
            }
            Err(_) if self.disk.fs.is_dead() => {
                // What was to kill the process before has waited for this one.
                self.disk_dies(CrashKind::Process);
                self.agenda.add(self.now + self.plan.storage.pauses.1, Happening::Start);
                None
            }
            Err(LedgerError::Io { .. }) if self.disk_fails_lately() => {
                self.agenda.add(self.now + self.plan.storage.pauses.1, Happening::Start);
                None
            }
            Err(error) => {
                self.broken(format!("the ledger does not open: {error:?}"));
                None
            }
        }
    }

    fn ledger_opened(&mut self, ledger: &Ledger, report: &OpenReport) -> Readers {
        self.say(format_args!("opened: {report:?}"));
        let outbox = ledger.outbox();
        let verdict = self.sinks.opened(outbox.end());
        self.check(verdict);
        if let Some((sink, missed)) = report.missed.first() {
            self.broken(format!("{sink} missed {missed} events"));
        }
        if std::mem::take(&mut self.stopped_clean) && report.start != Start::Clean {
            self.broken("a clean stop is not seen as one".into());
        }
        let mut sinks = Vec::new();
        for (sink, name) in self.plan.storage.ledger.sinks.iter().enumerate() {
            let cursor = outbox.cursor(name).unwrap_or(u64::MAX);
            let verdict = self.sinks.resumes(sink, cursor);
            if let Err(what) = verdict {
                let after = self.now - self.plan.start;
                self.outcome.violation.get_or_insert(super::Violation { after, what });
            }
            let reader = outbox.reader(cursor);
            sinks.push(SinkReader { name: name.clone(), reader, busy: false });
        }
        let log = outbox.reader(1);
        Readers { outbox, log, sinks }
    }

    /// Reads what has become durable, for the checkers; wakes the sinks.
    pub(super) fn read_log(&mut self) {
        loop {
            let Some(readers) = self.process.as_mut().map(|process| &mut process.readers) else {
                return;
            };
            let entries = match readers.log.read(1_000, 1 << 20) {
                Ok(entries) if entries.is_empty() => break,
                Ok(entries) => entries,
                Err(error) => return self.broken(format!("the log cannot be read: {error:?}")),
            };
            for entry in &entries {
                if let Err(what) = self.durable(entry) {
                    return self.broken(what);
                }
            }
        }
        self.wake_sinks();
    }

    fn durable(&mut self, entry: &Entry) -> Result<(), String> {
        let place = self.look_at_entry(entry)?;
        if self.sinks.durable(entry.sequence, place)?
            && let Some(event) = self.model.events().get(place)
        {
            self.events.accepted(place, event)?;
        }
        Ok(())
    }

    fn look_at_entry(&self, entry: &Entry) -> Result<usize, String> {
        let place = place_of(entry).unwrap_or(usize::MAX);
        match self.model.events().get(place) {
            Some(event) if is_unaltered(entry, place, event) => Ok(place),
            _ => Err(format!("what has sequence {} was altered", entry.sequence)),
        }
    }

    fn wake_sinks(&mut self) {
        let Some(readers) = self.process.as_mut().map(|process| &mut process.readers) else {
            return;
        };
        let end = readers.outbox.end();
        for (sink, reads) in readers.sinks.iter_mut().enumerate() {
            let Some(plan) = self.plan.storage.sinks.get(sink) else { continue };
            if reads.busy || reads.reader.next_sequence() >= end {
                continue;
            }
            reads.busy = true;
            let takes = self.rng.u64(plan.takes.min..=plan.takes.max);
            let paused = self.conditions.slow_sinks_until.get(sink).copied().unwrap_or(0);
            let at = (self.now + takes).max(paused);
            self.agenda.add(at, Happening::Shell(self.processes, ForShell::Sink(sink)));
        }
    }

    /// A sink takes a batch.
    pub(super) fn sink_reads(&mut self, sink: usize) {
        let Some(plan) = self.plan.storage.sinks.get(sink).copied() else { return };
        let Some(readers) = self.process.as_mut().map(|process| &mut process.readers) else {
            return;
        };
        let Some(reads) = readers.sinks.get_mut(sink) else { return };
        reads.busy = false;
        let entries = match reads.reader.read(plan.events, 64 << 10) {
            Ok(entries) => entries,
            Err(error) => return self.broken(format!("sink {sink} cannot read: {error:?}")),
        };
        let mut next = reads.reader.next_sequence();
        if self.rng.u32(..1_000) < plan.fails_permille {
            // It has some of it, and does not know how much more.
            let first = entries.first().map_or(next, |entry| entry.sequence);
            next = self.rng.u64(first..=next);
            reads.reader = readers.outbox.reader(next);
        }
        readers.outbox.acknowledge(&reads.name, next);
        for entry in &entries {
            let given = self.look_at_entry(entry);
            let given = given.and_then(|place| self.sinks.gives(sink, entry.sequence, place));
            if let Err(what) = given {
                return self.broken(what);
            }
        }
        self.sinks.acknowledges(sink, next);
        let verdict = self.sinks.resumes(sink, next);
        self.check(verdict);
        if let Some(last) = entries.last().filter(|_| self.rng.u8(..32) == 0) {
            self.look_after_power_cut(sink, last.sequence);
        }
        self.wake_sinks();
    }

    /// What would be there if the power failed now.
    fn look_after_power_cut(&mut self, sink: usize, given: u64) {
        match self.disk.end_after_power_cut(self.rng.u64(..)) {
            Ok(end) if end > given => {}
            Ok(_) => self.broken(format!("sink {sink} was given {given} before it was durable")),
            Err(error) => self.broken(format!("the power fails, and nothing opens: {error:?}")),
        }
    }

    pub(super) fn look_at_durable_mark(&mut self, mark: Option<Timestamp>) {
        if let Err(what) = self.durable_mark.look(mark, &self.events) {
            self.broken(format!("on disk: {what}"));
        }
    }

    /// The disk fails for a while.
    pub(super) fn disk_fails(&mut self, fault: DiskFault, after: u64, lasts: Millis) {
        self.disk.fs.heal();
        self.conditions.disk = Some(fault);
        self.conditions.disk_fails_until = self.now + lasts;
        self.disk.fs.plan(after, fault.fault());
        self.agenda.add(self.now + lasts, Happening::DiskHeals);
    }

    pub(super) fn disk_heals(&mut self) {
        if self.now >= self.conditions.disk_fails_until {
            self.say(format_args!("! the disk is well"));
            self.conditions.disk = None;
            self.disk.fs.heal();
        }
    }

    /// Whether an error of the disk may still be heard of.
    pub(super) fn disk_fails_lately(&self) -> bool {
        let longest = self.plan.storage.pauses.1.max(self.plan.storage.sweep_every);
        self.now <= self.conditions.disk_fails_until + longest
    }

    /// Nothing of the process is left; of the disk, what this kind of death leaves.
    pub(super) fn disk_dies(&mut self, kind: CrashKind) {
        match kind {
            CrashKind::Process => self.disk.fs.kill(),
            CrashKind::Power => self.disk.fs.power_cut(),
        }
        if let Some(fault) = self.conditions.disk {
            self.disk.fs.plan(0, fault.fault());
        }
    }

    pub(super) fn slow_sinks(&mut self, which: Which, lasts: Millis) {
        let until = self.now + lasts;
        let sinks = self.plan.storage.sinks.len();
        self.conditions.slow_sinks_until.resize(sinks, 0);
        let chosen = self.rng.usize(..sinks.max(1));
        for (sink, paused) in self.conditions.slow_sinks_until.iter_mut().enumerate() {
            if which == Which::All || sink == chosen {
                *paused = until;
            }
        }
    }
}
