//! The process: the shell that a real one has around the policies, without the I/O.
//!
//! It gives the policies their inputs and carries out what they want; that is put on the agenda,
//! never done in their call. The queue and its ledger are `desk`.

use streamkeeper_core::classify::{End, Refusal};
use streamkeeper_core::id::{ConnectionId, Reader};
use streamkeeper_core::marked;
use streamkeeper_core::marked::establish::{Answer, CallFailure};
use streamkeeper_core::policy::{Input, Output, Policy, Report, Target};
use streamkeeper_core::time::Instant;
use streamkeeper_simulator::model::Millis;

use crate::checkers::calls::Calls;
use crate::checkers::connections::Connections;
use crate::checkers::incidents::Incidents;
use crate::checkers::lag::Lag;
use crate::checkers::streams::Streams;
use crate::plan::millis;

use super::desk::Desk;
use super::replays::{Running, is_of_replay};
use super::storage::Readers;
use super::{ForShell, Happening, World};

/// One life of our process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) policy: Policy,
    /// When the policies want to tick: it changes with their inputs only.
    due: Option<Instant>,
    pub(super) connections: Connections,
    pub(super) incidents: Incidents,
    pub(super) calls: Calls,
    streams: Streams,
    pub(super) lag: Lag,
    pub(super) stopping: Option<Millis>,
    started: Millis,
    pub(super) desk: Desk,
    pub(super) readers: Readers,
    /// The operator's, if one runs.
    pub(super) replay: Option<Running>,
    pub(super) was_full: bool,
}

impl Process {
    /// Our monotonic clock.
    pub(super) fn instant(&self, now: Millis) -> Instant {
        Instant::from_nanos((now - self.started + 1) * 1_000_000)
    }

    /// The world's time of an instant of our clock, rounded up.
    pub(super) fn time_of(&self, instant: Instant) -> Millis {
        (instant.as_nanos().div_ceil(1_000_000) + self.started).saturating_sub(1)
    }

    pub(super) fn has_room(&self, frames: usize) -> bool {
        self.desk.frames() < frames
    }

    /// Somebody found the queue full.
    pub(super) fn found_full(&mut self, now: Millis) -> Instant {
        self.was_full = true;
        self.instant(now)
    }
}

impl World {
    pub(super) fn start_process(&mut self) {
        let Some((ledger, readers, state)) = self.open_ledger() else { return };
        self.processes += 1;
        let number = self.processes;
        let slots = usize::from(self.plan.policy.connections);
        let stale = millis(self.plan.policy.watchdog.stale_after);
        self.process = Some(Process {
            number,
            policy: Policy::marked(self.plan.policy.clone(), self.rng.u64(..)),
            due: None,
            connections: Connections::new(slots, stale + self.scaled(10)),
            incidents: Incidents::default(),
            calls: Calls::new(self.scaled(60), slots),
            streams: Streams::new(
                self.plan.policy.strategy,
                state.as_ref().and_then(|state| state.stream_id.clone()),
            ),
            lag: Lag::new(self.lag_bound()),
            stopping: None,
            started: self.now,
            desk: Desk::new(ledger),
            readers,
            replay: None,
            was_full: false,
        });
        self.model.set_rate(self.plan.rate, self.now);
        self.read_log();
        let sweep = Happening::Shell(number, ForShell::Sweep);
        self.agenda.add(self.now + self.plan.storage.sweep_every, sweep);
        self.mark.begin(state.as_ref().and_then(|state| state.mark));
        self.say(format_args!("process {number} starts with {state:?}"));
        let wall = self.plan.wall(self.now);
        self.handle(Input::Start { state: state.map(Into::into), wall });
    }

    /// Something goes to the policies, through the mailbox.
    pub(super) fn report(&mut self, input: Input) {
        let Some(number) = self.process.as_ref().map(|p| p.number) else { return };
        // One delay per run: reports do not overtake each other.
        let delay = self.plan.mailbox.max;
        self.agenda.add(self.now + delay, Happening::Shell(number, ForShell::Report(input)));
    }

    pub(super) fn happen_to_shell(&mut self, what: ForShell) {
        match what {
            ForShell::Report(input) if is_of_replay(&input) => self.replay_hears(&input),
            ForShell::Report(input) => self.handle(input),
            ForShell::Answer(answer) => self.answered(answer),
            ForShell::Work => self.work(),
            ForShell::Dies => self.dies(true),
            ForShell::Sweep => self.sweep(),
            ForShell::Sink(sink) => self.sink_reads(sink),
            ForShell::StopTimesOut => self.stop_times_out(),
        }
    }

    /// The policies take an input; what they want is carried out.
    pub(super) fn handle(&mut self, input: Input) {
        let now = self.now;
        if !matches!(
            input,
            Input::Marked(marked::Input::Poke { .. }) | Input::Committed { .. } | Input::Tick
        ) {
            self.say(format_args!("> {input:?}"));
        }
        let Some(process) = &mut self.process else { return };
        let mut verdict = Ok(());
        match &input {
            Input::Marked(marked::Input::Poke { connection, members }) if is_slot(*connection) => {
                if let Some(max) = members.max.and_then(|max| usize::try_from(max).ok()) {
                    process.connections.announced(max, now);
                }
            }
            Input::Ended { connection, end } => {
                if let Some(shadow) = &mut self.shadow {
                    shadow.ended(*connection);
                }
                verdict = process.connections.ended(*connection);
                if matches!(end, End::Refused(_) | End::NotOpened { .. }) {
                    verdict = verdict.and(process.calls.failed(now));
                }
                if let End::Refused(Refusal::Unavailable { retry_after: Some(wait), .. }) = end
                    && is_slot(*connection)
                {
                    process.calls.asked_to_wait(now + millis(*wait));
                }
            }
            Input::Recover | Input::Resume | Input::Reconnect => process.calls.operator_acts(),
            _ => {}
        }
        let (before, suspects_before) = (process.policy.mark(), process.policy.suspects());
        process.policy.handle(process.instant(now), input);
        let mut outputs = Vec::new();
        while let Some(output) = process.policy.poll() {
            outputs.push(output);
        }
        process.due = process.policy.deadline();
        let (after, suspects) = (process.policy.mark(), process.policy.suspects());
        self.check(verdict);
        if suspects != suspects_before {
            self.say(format_args!("{suspects} suspects"));
        }
        if before != after {
            let mark = after.map(|mark| mark.as_micros() / 1_000);
            self.say(format_args!("mark {:?} ms ago", mark.map(|m| now as i64 - m)));
        }
        if let Err(what) = self.mark.look(after, &self.events) {
            self.broken(what);
        }
        for output in outputs {
            self.act(output);
        }
    }

    pub(super) fn tick_policies(&mut self) {
        if self.policies_due() <= self.now {
            self.handle(Input::Tick);
        }
    }

    pub(super) fn policies_due(&self) -> Millis {
        let due = self.process.as_ref().and_then(|p| Some(p.time_of(p.due?)));
        due.unwrap_or(Millis::MAX)
    }

    fn act(&mut self, output: Output) {
        let now = self.now;
        if !matches!(output, Output::Persist { .. }) {
            self.say(format_args!("  {output:?}"));
        }
        let Some(process) = &mut self.process else { return };
        match output {
            Output::Connect { connection, target: Target::Marked(target) } => {
                process.streams.connect(&target);
                let verdict = process.connections.connect(connection, &target);
                let verdict = verdict.and(if is_slot(connection) {
                    process.calls.asked(now).and(process.calls.connects(now))
                } else {
                    process.calls.reread(now)
                });
                self.check(verdict);
                self.connect(connection, target);
            }
            Output::Drain(connection) => {
                if let Some(place) = self.find(connection) {
                    self.drain(place);
                }
            }
            Output::Kill(connection) => {
                if let Some(place) = self.find(connection) {
                    self.kill(place);
                }
            }
            Output::Marked(marked::Output::Call(call)) => {
                let deletes = process.streams.call(&call);
                self.outcome.deletes += usize::from(deletes == Ok(true));
                let verdict = process.connections.call(&call).and(deletes.map(drop));
                let verdict = verdict.and(process.calls.asked(now));
                let verdict = verdict.and(process.calls.called(&call, now));
                self.check(verdict);
                self.call(call);
            }
            Output::Marked(marked::Output::Count(stream)) => self.count_members(stream),
            Output::Persist { number, state } => match state.into_marked() {
                Ok(state) => self.persist(number, state),
                Err(error) => self.broken(error.to_string()),
            },
            Output::Connect { .. } | Output::Cursored(_) => {
                self.broken("an output of another family".into());
            }
            Output::Flush => self.flush(),
            Output::Stopped { clean } => self.stopped(clean),
            Output::Report(report) => {
                let verdict = process.incidents.report(&report);
                let verdict = verdict.and(process.streams.report(&report));
                self.check(verdict);
                self.count(&report);
            }
        }
    }

    fn count(&mut self, report: &Report) {
        match report {
            Report::Marked(marked::Report::RecoveryStarted { .. }) => self.outcome.recoveries += 1,
            Report::Marked(marked::Report::VerificationDone { .. }) => {
                self.outcome.verifications += 1
            }
            Report::Rest { .. } => self.outcome.rests += 1,
            _ => {}
        }
    }

    fn answered(&mut self, answer: Answer) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        process.connections.answered();
        let verdict = if matches!(answer, Answer::Failed { failure: CallFailure::Held, .. }) {
            // Refused, but there is somebody there.
            process.calls.answered();
            process.calls.failed(now)
        } else if matches!(answer, Answer::Failed { .. }) {
            process.calls.failed(now)
        } else {
            process.calls.succeeded(now);
            Ok(())
        };
        self.check(verdict);
        self.handle(marked::Input::Answered(answer).into());
    }
}

/// A replay is a stream of its own: what its pokes say of clients is not about ours.
const fn is_slot(connection: ConnectionId) -> bool {
    matches!(connection.reader, Reader::Slot(_))
}
