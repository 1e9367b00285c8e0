//! Carries the faults out.

use std::time::Duration;

use streamkeeper_core::classify::End;
use streamkeeper_core::cursored;
use streamkeeper_core::policy::Input;
use streamkeeper_simulator::model::{Millis, SECOND};

use super::super::ledger::Job;
use super::super::plan::{Fault, Moment};
use super::super::wire::Sent;
use super::{Happening, World};

impl World {
    pub(super) fn strike(&mut self, number: usize) {
        let Some((_, fault)) = self.plan.faults.get(number).copied() else { return };
        self.say(format_args!("{fault:?}"));
        let until = |wait: Millis| (self.now + wait).min(self.plan.calm_at);
        match fault {
            Fault::Hang => {
                if let Some(wire) = self.wires.last_mut() {
                    wire.hangs = wire.serving;
                }
            }
            Fault::Reset => self.breaks(End::Reset),
            Fault::Cut => self.breaks(End::Eof { mid_event: false }),
            Fault::Refuses(status, wait) => self.server.refuses = Some((status, until(wait))),
            Fault::Drops(wait) => self.server.drops_until = until(wait),
            Fault::Forgets => self.server.forget(),
            Fault::Crash(wait) => self.crash(wait),
            Fault::DiesAfter(moment, wait) => self.dies_after = Some((moment, wait)),
            Fault::Stop(wait) => {
                if let Some(process) = &mut self.process {
                    process.starts_again_in = wait;
                    self.handle(Input::Stop { drain: Duration::from_secs(5) });
                }
            }
            Fault::DiskWaits(wait) => self.disk_waits_until = until(wait),
            Fault::NoSnapshot(wait) => self.no_snapshot_until = until(wait),
            Fault::Pause(wait) => {
                let resumes = until(wait);
                self.agenda.add(resumes, Happening::Person(Input::Resume));
                self.person(Input::Pause);
            }
            Fault::Reconnect => self.person(Input::Reconnect),
            Fault::GroupStale => self.person(cursored::Input::GroupStale.into()),
            Fault::Recover => self.person(Input::Recover),
        }
    }

    /// This happens now: it may be the moment to die.
    pub(super) fn moment(&mut self, moment: Moment) {
        if let Some((_, wait)) = self.dies_after.take_if(|(wanted, _)| *wanted == moment)
            && self.now + wait < self.plan.calm_at
        {
            self.agenda.add(self.now + wait, Happening::Dies);
        }
    }

    fn person(&mut self, input: Input) {
        if self.process.is_some() {
            self.handle(input);
        }
    }

    /// Closes a connection with what was under way on it.
    fn breaks(&mut self, end: End) {
        let Some(place) = self.wires.len().checked_sub(1) else { return };
        let Some(wire) = self.wires.last_mut().filter(|wire| wire.serving && wire.ours) else {
            return;
        };
        wire.serving = false;
        self.agenda
            .take_out(|happening| matches!(happening, Happening::Arrives(on, _) if *on == place));
        self.agenda.add(self.now + 1, Happening::Arrives(place, Sent::End(end)));
    }

    /// The process dies. What was being made durable is, or is not.
    pub(super) fn crash(&mut self, wait: Millis) {
        let Some(process) = self.process.take() else { return };
        self.wires.iter_mut().for_each(|wire| {
            wire.ours = false;
            wire.serving = false;
        });
        self.agenda.add(self.now + wait.max(SECOND / 2), Happening::Start);
        if !process.working || self.rng.bool() {
            return;
        }
        let mut jobs = process.jobs;
        for job in jobs.drain(..process.under_way) {
            match job {
                Job::Event(_, event) => {
                    let verdict = self.facts.accepts(&self.plan);
                    let accepted = self.ledger.accept(event, self.plan.identity).map(drop);
                    self.check(verdict.and(accepted));
                }
                Job::Persist(_, state) => self.ledger.persist(*state),
                Job::Flush => {}
            }
        }
        self.look_at_the_ledger();
    }
}
