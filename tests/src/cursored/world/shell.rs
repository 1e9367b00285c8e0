//! The process around the policies: it reads its connection, makes durable, carries out what is wanted.

use std::time::Duration;

use streamkeeper_core::cursored::{self, CursoredState, GapSign, Target};
use streamkeeper_core::id::{ConnectionId, Cursor};
use streamkeeper_core::policy::{self, Input, Output, Policy, Span};
use streamkeeper_core::state::PolicyState;
use streamkeeper_core::time::{Instant, Timestamp};
use streamkeeper_core::watchdog::{Signal, Watchdog};
use streamkeeper_simulator::model::{Millis, SECOND};

use super::super::ledger::{Job, Jobs, number};
use super::super::plan::{Moment, Naive, Shows};
use super::super::server::Number;
use super::super::wire::{Sent, Wire};
use super::{Happening, Place, World};

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u64,
    started: Millis,
    pub(super) policy: Policy,
    pub(super) jobs: Jobs,
    pub(super) working: bool,
    /// So many of them are being made durable.
    pub(super) under_way: usize,
    /// What was reported arrives in order: nothing before this.
    last_report: Millis,
    pub(super) starts_again_in: Millis,
}

impl Process {
    fn instant(&self, now: Millis) -> Instant {
        Instant::ZERO + Duration::from_millis(now - self.started)
    }

    /// The first millisecond that is not before.
    fn time_of(&self, at: Instant) -> Millis {
        let nanos = at.since(Instant::ZERO).as_nanos();
        let millis = Millis::try_from(nanos.div_ceil(1_000_000)).unwrap_or(Millis::MAX / 2);
        self.started.saturating_add(millis)
    }
}

impl World {
    pub(super) fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let in_commit = self.plan.cursor_in_commit && self.plan.naive != Some(Naive::OldState);
        let state = self.ledger.start(self.plan.ids, in_commit);
        let number = self.outcome.processes + 1;
        self.outcome.processes = number;
        let seed = self.plan.seed.wrapping_add(number);
        self.process = Some(Process {
            number,
            started: self.now,
            policy: Policy::cursored(self.plan.config.clone(), seed),
            jobs: Jobs::new(),
            working: false,
            under_way: 0,
            last_report: self.now,
            starts_again_in: SECOND,
        });
        self.say(format_args!("process {number} starts with {state:?}"));
        self.facts.starts(&self.ledger, &self.plan, &state, self.now);
        let wall = Timestamp::from_micros(i64::try_from(self.now * 1_000).unwrap_or(0));
        self.handle(Input::Start { state: state.map(PolicyState::Cursored), wall });
    }

    /// When the process is to be looked at next.
    pub(super) fn process_due(&self) -> Option<Millis> {
        let process = self.process.as_ref()?;
        let watchdogs = self.wires.iter().filter(|wire| wire.ours);
        let watchdogs = watchdogs.filter_map(|wire| wire.watchdog.as_ref()?.deadline());
        watchdogs.chain(process.policy.deadline()).map(|due| process.time_of(due)).min()
    }

    /// Judges the silence, and lets the policies look at the time.
    pub(super) fn tick(&mut self) {
        let Some(process) = &self.process else { return };
        let now = process.instant(self.now);
        let due = process.policy.deadline().is_some_and(|due| now >= due);
        for place in 0..self.wires.len() {
            let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.ours) else { continue };
            let signal = wire.watchdog.as_mut().and_then(|watchdog| watchdog.tick(now));
            match signal {
                Some(Signal::Late(lack)) => self.report(place, |id| Input::Late(id, lack)),
                Some(Signal::Stale(_)) => self.report(place, Input::Stale),
                Some(Signal::Suspended(_)) => self.broken("nobody was away".into()),
                None => {}
            }
        }
        if due {
            self.handle(Input::Tick);
        }
    }

    /// Something of a connection goes to the policies, through the mailbox.
    pub(super) fn report(&mut self, place: Place, input: impl FnOnce(ConnectionId) -> Input) {
        let Some(wire) = self.wires.get(place) else { return };
        let Some(process) = &mut self.process else { return };
        if process.number == wire.process {
            let at = self.now + self.rng.u64(0..=self.plan.mailbox);
            process.last_report = process.last_report.max(at);
            let report = Happening::Report(process.number, input(wire.id));
            self.agenda.add(process.last_report, report);
        }
    }

    /// Something reaches us.
    pub(super) fn arrives(&mut self, place: Place, sent: Sent) {
        let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.ours) else { return };
        if wire.held {
            wire.waiting.push_back(sent);
        } else {
            self.read(place, sent);
        }
    }

    fn read(&mut self, place: Place, sent: Sent) {
        let Some(process) = &self.process else { return };
        let now = process.instant(self.now);
        let Some(wire) = self.wires.get_mut(place) else { return };
        if let (Some(watchdog), false) = (&mut wire.watchdog, matches!(sent, Sent::End(_))) {
            watchdog.frame(now);
        }
        match sent {
            Sent::Head { other } => {
                wire.watchdog = Some(Watchdog::new(self.plan.config.watchdog, now));
                self.report(place, Input::Opened);
                self.moment(Moment::Opened);
                if other {
                    self.hold(place, GapSign::Header);
                }
            }
            Sent::Event(event) => self.read_event(place, event),
            Sent::Beat => {
                wire.told_data = false;
                self.report(place, |id| cursored::Input::Heartbeat(id).into());
            }
            Sent::Reset => self.hold(place, GapSign::Event),
            Sent::Last => {
                wire.told_data = false;
                self.report(place, |id| cursored::Input::Planned(id).into());
            }
            Sent::Retry(wait) => self.report(place, |connection| {
                let wait = Duration::from_millis(wait);
                cursored::Input::Retry { connection, wait }.into()
            }),
            Sent::End(end) => {
                wire.ours = false;
                self.moment(Moment::Ended);
                self.report(place, |connection| Input::Ended { connection, end });
            }
        }
    }

    fn read_event(&mut self, place: Place, event: Number) {
        let Some(wire) = self.wires.get_mut(place) else { return };
        let again = self.plan.resumes_at && wire.due == Some(event + 1);
        if self.plan.shows == Shows::Sequence && wire.due.is_some_and(|due| due != event) && !again
        {
            wire.due = None;
            if self.plan.naive != Some(Naive::ReadsOn) {
                wire.waiting.push_front(Sent::Event(event));
                return self.hold(place, GapSign::Sequence);
            }
            self.hold(place, GapSign::Sequence);
        }
        let Some(wire) = self.wires.get_mut(place) else { return };
        if self.plan.ids {
            wire.due = Some(event + 1);
        }
        let id = wire.id;
        if !std::mem::replace(&mut wire.told_data, true) {
            self.report(place, Input::Data);
        }
        let verdict = self.facts.queues(&self.plan);
        self.check(verdict);
        self.ask_ledger(Job::Event(id, event));
    }

    /// A sign of a lost point: nothing behind it is read before the policies say so.
    fn hold(&mut self, place: Place, sign: GapSign) {
        let Some(process) = &self.process else { return };
        let now = process.instant(self.now);
        let reads_on = self.plan.naive == Some(Naive::ReadsOn);
        if let Some(wire) = self.wires.get_mut(place).filter(|_| !reads_on) {
            wire.held = true;
            if let Some(watchdog) = &mut wire.watchdog {
                watchdog.block(now);
            }
        }
        self.moment(Moment::Sign);
        self.report(place, |connection| cursored::Input::Gap { connection, sign }.into());
    }

    fn go_on(&mut self, place: Place) {
        let Some(process) = &self.process else { return };
        let now = process.instant(self.now);
        let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.ours) else { return };
        wire.held = false;
        if let Some(watchdog) = &mut wire.watchdog {
            watchdog.unblock(now);
        }
        while let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.ours && !wire.held)
            && let Some(sent) = wire.waiting.pop_front()
        {
            self.read(place, sent);
        }
    }

    fn ask_ledger(&mut self, job: Job) {
        let Some(process) = &mut self.process else { return };
        process.jobs.push_back(job);
        self.work_if_idle();
    }

    fn work_if_idle(&mut self) {
        let takes = self.rng.u64(1..=self.plan.commit);
        let Some(process) = self.process.as_mut().filter(|process| !process.working) else {
            return;
        };
        let events = process.jobs.iter().take_while(|job| matches!(job, Job::Event(..))).count();
        process.under_way = events.max(usize::from(!process.jobs.is_empty()));
        process.working = process.under_way > 0;
        if process.working {
            let done = (self.now + takes).max(self.disk_waits_until);
            self.agenda.add(done, Happening::Work(process.number));
        }
    }

    /// What the ledger works on is durable.
    pub(super) fn work(&mut self, number: u64) {
        let Some(process) = self.process.as_mut().filter(|process| process.number == number) else {
            return;
        };
        process.working = false;
        let (started, taken) = (process.started, process.under_way);
        let done: Vec<Job> = process.jobs.drain(..taken).collect();
        let arrived = Instant::ZERO + Duration::from_millis(self.now - started);
        let mut answers = Vec::new();
        for job in done {
            match job {
                Job::Event(connection, event) => {
                    let verdict = self.facts.accepts(&self.plan);
                    self.check(verdict);
                    match self.ledger.accept(event, self.plan.identity) {
                        Ok(new) => {
                            add(&mut answers, connection, (event, new), (arrived, self.plan.ids))
                        }
                        Err(what) => self.broken(what),
                    }
                }
                Job::Persist(number, state) => {
                    self.ledger.persist(*state);
                    answers.push(Input::Persisted(number));
                }
                Job::Flush => answers.push(Input::Flushed),
            }
        }
        self.look_at_the_ledger();
        if let Some(process) = &mut self.process {
            for answer in answers {
                process.last_report = process.last_report.max(self.now);
                self.agenda.add(process.last_report, Happening::Report(number, answer));
            }
        }
        self.work_if_idle();
    }

    pub(super) fn look_at_the_ledger(&mut self) {
        let first = self.wires.iter().rev().find_map(|wire| wire.first);
        let verdict = self.facts.durable(&self.ledger, first, &self.plan);
        self.check(verdict);
    }

    /// Gives an input to the policies and carries out what they want.
    pub(super) fn handle(&mut self, input: Input) {
        let first = connection_of(&input).and_then(|connection| {
            self.place_of(connection).and_then(|place| self.wires.get(place)?.first)
        });
        let Some(process) = &mut self.process else { return };
        if self.trace && input != Input::Tick {
            let now = self.now as f64 / 1_000.0;
            #[expect(clippy::print_stdout, reason = "the trace")]
            {
                println!("{now:>12.3} {input:?}");
            }
        }
        let due = self.facts.hears(&input, first, &self.ledger, self.now);
        process.policy.handle(process.instant(self.now), input);
        let outputs: Vec<Output> = std::iter::from_fn(|| process.policy.poll()).collect();
        let verdict = self.facts.says(&outputs, due, &self.ledger);
        self.check(verdict);
        for output in outputs {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        if !matches!(output, Output::Persist { .. }) {
            self.say(format_args!("  {output:?}"));
        }
        match output {
            Output::Connect { connection, target: policy::Target::Cursored(Target { cursor }) } => {
                self.connect(connection, cursor.as_ref());
            }
            Output::Connect { .. } | Output::Marked(_) => self.broken("of another family".into()),
            Output::Drain(connection) => {
                if let Some(place) =
                    self.place_of(connection).filter(|_| self.plan.hears_half_close)
                {
                    self.agenda.add(self.now + self.plan.latency, Happening::Closes(place));
                }
            }
            Output::Kill(connection) => self.kill(connection),
            Output::Cursored(output) => self.ask(output),
            Output::Persist { number, state } => match state.into_cursored() {
                Ok(state) => self.persist(number, state),
                Err(error) => self.broken(error.to_string()),
            },
            Output::Flush if self.plan.naive == Some(Naive::FlushedAtOnce) => {
                if let Some(process) = &self.process {
                    let flushed = Happening::Report(process.number, Input::Flushed);
                    self.agenda.add(self.now, flushed);
                }
            }
            Output::Flush => self.ask_ledger(Job::Flush),
            Output::Stopped { clean } => self.stopped(clean),
            Output::Report(_) => {}
        }
    }

    fn persist(&mut self, number: u64, state: CursoredState) {
        self.ask_ledger(Job::Persist(number, Box::new(state)));
    }

    fn connect(&mut self, connection: ConnectionId, cursor: Option<&Cursor>) {
        let asked = cursor.and_then(number);
        let Some(process) = &self.process else { return };
        let waiting = process.jobs.iter().any(|job| matches!(job, Job::Event(..)));
        let ledger = (&self.ledger, waiting);
        let verdict = self.facts.connects((connection, asked), ledger, &self.plan, self.now);
        self.outcome.connects += 1;
        let mut wire = Wire::new(connection, process.number, asked);
        wire.due = asked.map(|asked| asked + 1);
        self.check(verdict);
        self.wires.push(wire);
        let place = self.wires.len() - 1;
        self.agenda.add(self.now + self.plan.latency, Happening::Request(place));
    }

    fn kill(&mut self, connection: ConnectionId) {
        let Some(place) = self.place_of(connection) else { return };
        let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.ours) else { return };
        wire.ours = false;
        wire.serving = false;
        let gone = self.now + self.rng.u64(1..=50);
        self.agenda.add(gone, Happening::Gone(place));
    }

    /// Fetches a document of the server.
    fn ask(&mut self, output: cursored::Output) {
        let Some(process) = self.process.as_ref().map(|process| process.number) else { return };
        let answer = match output {
            cursored::Output::AskFirst => {
                let newest = (self.server.next - 1).to_string();
                cursored::Input::First(Cursor::new(&newest).filter(|_| self.rng.u8(..4) > 0))
            }
            cursored::Output::Resync => {
                cursored::Input::Resynced { ok: self.now >= self.no_snapshot_until }
            }
            // There is no other stream.
            cursored::Output::CallGroup => return,
            cursored::Output::GoOn(connection) => {
                if let Some(place) = self.place_of(connection) {
                    self.go_on(place);
                }
                return;
            }
        };
        let at = self.now + 2 * self.plan.latency;
        self.agenda.add(at, Happening::Report(process, answer.into()));
    }

    fn stopped(&mut self, clean: bool) {
        let Some(process) = self.process.take() else { return };
        if let Some(state) = self.ledger.state.as_ref()
            && state.clean != clean
        {
            self.broken("what is written down is not how it stopped".into());
        }
        if !process.jobs.is_empty() {
            self.broken("stopped while something waits to be durable".into());
        }
        self.agenda.add(self.now + process.starts_again_in.max(SECOND / 2), Happening::Start);
    }
}

/// Adds an event to what is answered: a span for each connection in a row.
fn add(
    answers: &mut Vec<Input>,
    of: ConnectionId,
    (event, new): (Number, bool),
    (arrived, ids): (Instant, bool),
) {
    let starts =
        !matches!(answers.last(), Some(Input::Committed { connection, .. }) if *connection == of);
    if starts {
        let data = Vec::new();
        let span = Span { arrived, poke: None, data, cursor: None, new: 0, duplicate: 0 };
        answers.push(Input::Committed { connection: of, span });
    }
    if let Some(Input::Committed { span, .. }) = answers.last_mut() {
        span.new += u64::from(new);
        span.duplicate += u64::from(!new);
        span.cursor = Cursor::new(&event.to_string()).filter(|_| ids);
    }
}

/// The connection that an input is about.
const fn connection_of(input: &Input) -> Option<ConnectionId> {
    match input {
        Input::Opened(connection) | Input::Cursored(cursored::Input::Gap { connection, .. }) => {
            Some(*connection)
        }
        _ => None,
    }
}
