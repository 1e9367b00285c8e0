//! The ledger's desk: from a frame that was read to what it proves when it is durable.
//!
//! One queue in the order of reading, with the states to be written down in it; one thing at a
//! time, from its front. What is durable goes to the checkers, and the policies are told. While
//! nothing can be made durable, everything waits where it is, and is tried again after a pause.

use std::collections::VecDeque;

use streamkeeper_core::id::{ConnectionId, UserKey};
use streamkeeper_core::marked::StreamState;
use streamkeeper_core::policy::{Datum, Input, Span};
use streamkeeper_core::time::{Instant, Timestamp};
use streamkeeper_ledger::{KeptState, Ledger, LedgerError};
use streamkeeper_simulator::model::{Frame, Millis};

use crate::checkers::replays;
use crate::naive::Naive;
use crate::plan::micros;

use super::replays::{Running, is_replay};
use super::{ForShell, Happening, World};

/// A frame that was read and is not yet durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    connection: ConnectionId,
    arrived: Instant,
    frame: Frame,
}

/// Something that the stream asks of its ledger.
#[derive(Debug)]
enum Job {
    Frame(Queued),
    Persist {
        number: u64,
        state: StreamState,
    },
    Flush,
    /// The operator's replay has read what is before.
    FlushReplay,
}

/// The ledger of one process, and what waits for it.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) ledger: Ledger,
    jobs: VecDeque<Job>,
    frames: usize,
    /// Work is on the agenda.
    busy: bool,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    reason: &'static str,
    pause: Millis,
}

/// What a group commit made durable, by connection, and what stopped it.
type Group = (Vec<(ConnectionId, Span)>, Option<LedgerError>);

impl Desk {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger, jobs: VecDeque::new(), frames: 0, busy: false, trouble: None }
    }

    /// How many frames wait.
    pub(super) const fn frames(&self) -> usize {
        self.frames
    }

    pub(super) const fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }
}

impl World {
    /// A frame was read.
    pub(super) fn enqueue(&mut self, connection: ConnectionId, frame: Frame) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let arrived = process.instant(now);
        process.desk.frames += 1;
        process.desk.jobs.push_back(Job::Frame(Queued { connection, arrived, frame }));
        self.work_if_idle();
    }

    /// A state is to be written down, after everything that was read before.
    pub(super) fn persist(&mut self, number: u64, state: StreamState) {
        let Some(process) = &mut self.process else { return };
        process.desk.jobs.push_back(Job::Persist { number, state });
        self.work_if_idle();
    }

    pub(super) fn flush(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.desk.jobs.push_back(Job::Flush);
        self.work_if_idle();
    }

    pub(super) fn flush_replay(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.desk.jobs.push_back(Job::FlushReplay);
        self.work_if_idle();
    }

    fn work_if_idle(&mut self) {
        let Some(desk) = self.process.as_mut().map(|process| &mut process.desk) else { return };
        if desk.busy {
            return;
        }
        let Some(job) = desk.jobs.front() else { return };
        desk.busy = true;
        let takes = match job {
            Job::Frame(_) => {
                let slow = self.now < self.conditions.slow_commits_until;
                let more = if slow { self.conditions.slow_commit } else { 0 };
                self.draw(self.plan.commit_takes) + more
            }
            Job::Persist { .. } => self.draw(self.plan.persist_takes),
            Job::Flush | Job::FlushReplay => 0,
        };
        self.work_after(takes);
    }

    fn work_after(&mut self, pause: Millis) {
        let work = Happening::Shell(self.processes, ForShell::Work);
        self.agenda.add(self.now + pause, work);
    }

    /// Something is done; after trouble, everything that waits.
    pub(super) fn work(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.desk.busy = false;
        let troubled = process.desk.is_in_trouble();
        loop {
            let done = self.work_step();
            self.read_log();
            if let Err(error) = done {
                self.ledger_failed(&error);
                break;
            }
            let Some(desk) = self.process.as_mut().map(|process| &mut process.desk) else { return };
            if !troubled || desk.jobs.is_empty() {
                if desk.trouble.take().is_some() {
                    self.report(Input::LedgerWell);
                }
                break;
            }
        }
        self.make_room();
        self.work_if_idle();
    }

    fn work_step(&mut self) -> Result<(), LedgerError> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let desk = &mut process.desk;
        desk.ledger.recover_in_place()?;
        match desk.jobs.front() {
            Some(Job::Frame(_)) => {
                let (spans, error) = self.commit()?;
                self.read_log();
                for (connection, span) in spans {
                    if let Some(shadow) = &mut self.shadow {
                        shadow.committed(connection, &span);
                    }
                    self.committed(connection, span);
                }
                return error.map_or(Ok(()), Err);
            }
            Some(Job::Persist { number, state }) => {
                desk.ledger.persist(&kept(state))?;
                let (number, mark) = (*number, state.mark);
                desk.jobs.pop_front();
                self.look_at_durable_mark(mark);
                self.handle(Input::Persisted(number));
            }
            Some(Job::Flush) => {
                desk.jobs.pop_front();
                self.report(Input::Flushed);
            }
            Some(Job::FlushReplay) => {
                desk.jobs.pop_front();
                self.replay_hears(&Input::Flushed);
            }
            None => {}
        }
        Ok(())
    }

    /// Frames are durable, or judged at least.
    fn committed(&mut self, connection: ConnectionId, span: Span) {
        let committed = Input::Committed { connection, span };
        if is_replay(connection) {
            let dry = self.runs_dry();
            self.replay_hears(&committed);
            if dry {
                return;
            }
        }
        self.handle(committed);
    }

    /// Whether an operator's replay runs that takes nothing.
    fn runs_dry(&self) -> bool {
        let replay = self.process.as_ref().and_then(|process| process.replay.as_ref());
        replay.is_some_and(Running::is_dry)
    }

    /// Commits a group from the front of the queue.
    fn commit(&mut self) -> Result<Group, LedgerError> {
        let arrived = self.plan.wall(self.now);
        let own_clock = self.plan.naive == Some(Naive::OwnClock);
        let dry = self.runs_dry();
        let Some(process) = &mut self.process else { return Ok((Vec::new(), None)) };
        let mut spans: Vec<(ConnectionId, Span)> = Vec::new();
        let (mut taken, mut accepted, mut full) = (0, 0, None);
        for job in process.desk.jobs.iter().take(self.plan.commit_frames) {
            let Job::Frame(queued) = job else { break };
            let mut datum = None;
            if let Frame::Event { event: id, .. } = queued.frame
                && let Some(event) = self.model.event(id)
            {
                let ledger = &mut process.desk.ledger;
                let looks = dry && is_replay(queued.connection);
                let verdict = if looks {
                    self.disk.judge(ledger, event, arrived)
                } else {
                    self.disk.accept(ledger, id.index(), event, arrived)
                };
                match verdict {
                    Ok(verdict) => {
                        accepted += u64::from(!looks && verdict.is_new());
                        datum = Some(Datum {
                            user: UserKey(u64::from(event.user)),
                            created_at: Timestamp::from_micros(micros(event.created_at)),
                            start_day: Some(
                                Timestamp::from_micros(micros(event.start_at())).utc_day(),
                            ),
                            new: verdict.is_new(),
                        });
                    }
                    Err(error @ LedgerError::OutboxFull { .. }) => {
                        full = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            if spans.last().is_none_or(|(connection, _)| *connection != queued.connection) {
                let arrived = queued.arrived;
                let data = Vec::new();
                let span = Span { arrived, poke: None, data, cursor: None, new: 0, duplicate: 0 };
                spans.push((queued.connection, span));
            }
            let Some((_, span)) = spans.last_mut() else { continue };
            span.arrived = queued.arrived;
            if let Frame::Poke { at, .. } = queued.frame {
                span.poke = Some(if own_clock {
                    self.plan.wall(process.time_of(queued.arrived))
                } else {
                    Timestamp::from_micros(micros(at))
                });
            }
            if let Some(datum) = datum {
                span.new += u64::from(datum.new);
                span.duplicate += u64::from(!datum.new);
                span.data.push(datum);
            }
            taken += 1;
        }
        let sequences = process.desk.ledger.commit()?.sequences;
        process.desk.jobs.drain(..taken);
        process.desk.frames -= taken;
        self.check(replays::committed(accepted, sequences.end - sequences.start));
        Ok((spans, full))
    }

    /// Deletes what is old, now and then.
    pub(super) fn sweep(&mut self) {
        let now = self.plan.wall(self.now);
        let number = self.processes;
        let again = Happening::Shell(number, ForShell::Sweep);
        self.agenda.add(self.now + self.plan.storage.sweep_every, again);
        let Some(process) = &mut self.process else { return };
        let desk = &mut process.desk;
        if desk.is_in_trouble() {
            return;
        }
        let swept = desk.ledger.recover_in_place().and_then(|_| desk.ledger.sweep(now, Some(now)));
        self.read_log();
        if let Err(error) = swept {
            self.ledger_failed(&error);
        }
    }

    /// The process dies over its work: nobody hears what came of it.
    pub(super) fn die_working(&mut self) {
        let now = self.plan.wall(self.now);
        let fs = self.disk.fs.clone();
        while !fs.is_faulty() && self.process.as_ref().is_some_and(|p| !p.desk.jobs.is_empty()) {
            let Some(process) = &mut self.process else { return };
            let desk = &mut process.desk;
            let done = match desk.jobs.front() {
                Some(Job::Frame(_)) => self.commit().and_then(|(_, full)| full.map_or(Ok(()), Err)),
                Some(Job::Persist { state, .. }) => {
                    let done = desk.ledger.persist(&kept(state));
                    desk.jobs.pop_front();
                    done
                }
                Some(Job::Flush | Job::FlushReplay) | None => {
                    desk.jobs.pop_front().map_or(Ok(()), |_| Ok(()))
                }
            };
            if done.is_err() {
                return;
            }
        }
        if let Some(process) = &mut self.process
            && let Err(error) = process.desk.ledger.sweep(now, Some(now))
        {
            self.say(format_args!("  died over a sweep: {error}"));
        }
    }

    fn ledger_failed(&mut self, error: &LedgerError) {
        if self.disk.fs.is_dead() {
            return self.dies(false);
        }
        let (reason, expected) = match error {
            LedgerError::OutboxFull { .. } => ("outbox_full", true),
            LedgerError::Io { .. } | LedgerError::Poisoned { .. } => {
                let reason = if error.is_disk_full() { "disk_full" } else { "disk_failed" };
                (reason, self.disk_fails_lately())
            }
            _ => ("disk_failed", false),
        };
        if !expected {
            self.broken(format!("the ledger fails on a disk that is well: {error:?}"));
        }
        let (first, longest) = self.plan.storage.pauses;
        let Some(desk) = self.process.as_mut().map(|process| &mut process.desk) else { return };
        let pause = match &desk.trouble {
            Some(trouble) if trouble.reason == reason => (trouble.pause * 2).min(longest),
            _ => first,
        };
        let again = desk.trouble.as_ref().is_some_and(|trouble| trouble.reason == reason);
        desk.trouble = Some(Trouble { reason, pause });
        let waits = std::mem::replace(&mut desk.busy, true);
        if !again {
            self.report(Input::LedgerFailed(reason));
        }
        if !waits {
            self.work_after(pause);
        }
    }

    fn make_room(&mut self) {
        let half = self.plan.queue_frames / 2;
        let Some(process) = &mut self.process else { return };
        if process.was_full && process.has_room(half.max(1)) {
            process.was_full = false;
            self.unblock_all();
            self.report(Input::Room);
        }
    }
}

/// A state as the ledger keeps it.
fn kept(state: &StreamState) -> KeptState {
    KeptState { clean: state.clean, bytes: state.encode() }
}
