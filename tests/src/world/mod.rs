//! The event loop: the service, the network, the process and its disk in one virtual time.
//!
//! Time jumps to whatever is due next; nothing sleeps. A step lets the service write, lets happen
//! what is due, lets the process (unless it is stopped or suspended) read its sockets, judge the
//! silence and tick its policies, and looks at what must hold. The first thing that does not ends
//! the run.

mod desk;
mod network;
mod phases;
mod replays;
mod service;
mod shell;
mod storage;
mod trouble;

use std::fmt;

use streamkeeper_core::classify::End;
use streamkeeper_core::marked::establish::{Answer, Call};
use streamkeeper_core::policy::Input;
use streamkeeper_simulator::model::{ClientId, Millis, Model, SECOND, Span};

use crate::agenda::Agenda;
use crate::checkers::events::Events;
use crate::checkers::mark::{MarkWatch, holds};
use crate::checkers::sinks::Sinks;
use crate::disk::Disk;
use crate::naive::{Naive, ShadowMark};
use crate::plan::{Plan, millis};

use self::network::{Conditions, Connection};
use self::phases::Phase;
use self::shell::Process;

/// Names a connection within a run: its place in the list of all there ever were.
type Place = usize;

/// Something that happens later.
#[derive(Debug)]
enum Happening {
    /// The fault of that number strikes.
    Fault(usize),
    /// The request of an attempt reaches the service.
    RequestArrives(Place),
    /// The answer to an attempt reaches us.
    AnswerArrives(Place, Result<(), End>),
    /// An attempt has waited long enough.
    AttemptTimesOut(Place),
    /// A killed socket is gone.
    SocketGone(Place),
    /// A call reaches the service, from the process of that number.
    CallArrives(u64, Call),
    /// A foreign client leaves.
    ForeignLeaves(ClientId),
    /// The operator's pause is over.
    Resume,
    /// The machine wakes up.
    Woke,
    /// Nobody keeps its connections any more.
    Forsaken,
    /// The disk is well again, unless another fault has come.
    DiskHeals,
    /// A process is started.
    Start,
    /// For the process of that number; waits while it is suspended.
    Shell(u64, ForShell),
}

/// Something that happens to the process.
#[derive(Debug)]
enum ForShell {
    /// A report reaches the policies.
    Report(Input),
    /// The answer to a call comes.
    Answer(Answer),
    /// Something that waits for the ledger is done.
    Work,
    /// It dies.
    Dies,
    /// What is old is deleted.
    Sweep,
    /// That sink takes a batch.
    Sink(usize),
    /// It has been stopping for too long.
    StopTimesOut,
}

/// What is broken, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// So long after the start.
    pub after: Millis,
    /// What.
    pub what: String,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first thing that did not hold.
    pub violation: Option<Violation>,
    /// Versions accepted.
    pub accepted: usize,
    /// Versions published.
    pub published: usize,
    /// Recoveries started.
    pub recoveries: usize,
    /// Streams of ours that the service was asked to delete.
    pub deletes: usize,
    /// Verifications done.
    pub verifications: usize,
    /// Operators' replays that read everything.
    pub replays: usize,
    /// Rests.
    pub rests: usize,
    /// Resets that a connection of ours saw.
    pub resets: usize,
    /// Clean stops that were clean in the policies' eyes, too.
    pub clean_stops: usize,
    /// A shadow mark was false.
    pub shadow_lied: bool,
    /// Simulated time.
    pub lasted: Millis,
    /// Steps of the event loop.
    pub steps: u64,
}

/// A run.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    now: Millis,
    rng: fastrand::Rng,
    agenda: Agenda<Happening>,
    model: Model,
    connections: Vec<Connection>,
    /// Those that are not gone.
    open: Vec<Place>,
    foreign: Vec<ClientId>,
    conditions: Conditions,
    process: Option<Process>,
    processes: u64,
    disk: Disk,
    stopped_clean: bool,
    phase: Phase,
    events: Events,
    sinks: Sinks,
    mark: MarkWatch,
    durable_mark: MarkWatch,
    shadow: Option<ShadowMark>,
    trace: bool,
    outcome: Outcome,
    stuck: u32,
}

/// Runs a plan to its end. `trace`: say on stdout what happens.
#[must_use]
pub fn run(plan: Plan, trace: bool) -> Outcome {
    let mut world = World::new(plan, trace);
    world.run_to_end();
    world.outcome
}

impl World {
    /// A world in which nothing has happened yet.
    #[must_use]
    pub fn new(plan: Plan, trace: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0x5eed);
        let mut model = Model::new(plan.service.clone(), rng.u64(..), plan.start);
        model.set_rate(plan.rate, plan.start);
        let mut agenda = Agenda::default();
        agenda.add(plan.start, Happening::Start);
        for (number, &(after, _)) in plan.faults.iter().enumerate() {
            agenda.add(plan.start + after, Happening::Fault(number));
        }
        let mut world = Self {
            now: plan.start,
            rng,
            agenda,
            model,
            connections: Vec::new(),
            open: Vec::new(),
            foreign: Vec::new(),
            conditions: Conditions::default(),
            process: None,
            processes: 0,
            disk: Disk::new(
                plan.seed,
                plan.storage.ledger.clone(),
                plan.naive == Some(Naive::IdAndChecksum),
            ),
            stopped_clean: false,
            phase: Phase::Faults,
            events: Events::default(),
            sinks: Sinks::new(plan.storage.sinks.len()),
            mark: MarkWatch::default(),
            durable_mark: MarkWatch::default(),
            shadow: plan.naive.and_then(ShadowMark::of),
            trace,
            outcome: Outcome::default(),
            stuck: 0,
            plan,
        };
        world.disk.fs.lie(world.plan.storage.lie);
        world.make_other_streams();
        world
    }

    fn run_to_end(&mut self) {
        self.say(format_args!("{:#?}", self.plan));
        while self.outcome.violation.is_none() && self.phase != Phase::Over {
            self.step();
        }
        self.outcome.accepted = self.events.count();
        self.outcome.published = self.model.events().len();
        self.outcome.lasted = self.now - self.plan.start;
        if let Some(violation) = self.outcome.violation.clone() {
            self.say(format_args!("VIOLATION {}", violation.what));
        }
    }

    fn step(&mut self) {
        let service_due = self.model.next_due();
        let next = self.next_at(service_due).max(self.now);
        self.stuck = if next == self.now { self.stuck + 1 } else { 0 };
        if self.stuck > 20_000 {
            self.broken("time stands still: a hot loop".into());
        }
        self.outcome.steps += 1;
        self.now = next;
        self.model.advance(next);
        self.learn();
        if service_due.is_some_and(|due| due <= next) {
            self.service_writes();
        }
        self.let_happen();
        if self.is_awake() {
            self.read_sockets();
            self.judge_silence();
            self.tick_policies();
        }
        self.let_happen();
        self.look();
        self.go_on_with_phase();
    }

    fn let_happen(&mut self) {
        while let Some(happening) = self.agenda.pop_due(self.now) {
            self.happen(happening);
            if self.outcome.violation.is_some() {
                return;
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Fault(number) => self.strike(number),
            Happening::RequestArrives(place) => self.request_arrives(place),
            Happening::AnswerArrives(place, answer) => self.answer_arrives(place, answer),
            Happening::AttemptTimesOut(place) => self.attempt_times_out(place),
            Happening::SocketGone(place) => self.socket_gone(place),
            Happening::CallArrives(process, call) => self.call_arrives(process, call),
            Happening::ForeignLeaves(client) => {
                self.foreign.retain(|other| *other != client);
                self.model.abort(client, self.now);
            }
            Happening::Resume => self.resume_keeper(),
            Happening::Woke => self.woke(),
            Happening::Forsaken => self.forsaken(),
            Happening::DiskHeals => self.disk_heals(),
            Happening::Start => self.start_process(),
            Happening::Shell(process, what) => {
                if self.process.as_ref().is_none_or(|ours| ours.number != process) {
                    return;
                }
                if !self.is_awake() {
                    let until = self.conditions.suspended_until;
                    self.agenda.add(until, Happening::Shell(process, what));
                    return;
                }
                self.happen_to_shell(what);
            }
        }
    }

    /// When something can happen next.
    fn next_at(&self, service_due: Option<Millis>) -> Millis {
        let mut next = self.agenda.next_at().unwrap_or(Millis::MAX);
        next = next.min(self.service_looked_at(service_due));
        if self.is_awake() {
            next = next.min(self.network_due()).min(self.policies_due());
        } else if self.process.is_some() {
            next = next.min(self.conditions.suspended_until);
        }
        next.min(self.phase_due())
    }

    fn learn(&mut self) {
        let plan = &self.plan;
        self.events.learn(self.model.events(), |event| plan.delivers(event));
    }

    /// Looks at what must hold at any time.
    fn look(&mut self) {
        let awake = self.is_awake();
        let Some(process) = &mut self.process else { return };
        let mark = process.policy.mark();
        if let Err(what) = self.mark.look(mark, &self.events) {
            self.broken(what);
            return;
        }
        if let Some(shadow) = &self.shadow
            && holds(shadow.mark(), &self.events).is_err()
        {
            self.outcome.shadow_lied = true;
        }
        let mut open = self.open.iter().filter_map(|place| self.connections.get(*place));
        let may_act = awake && !open.any(Connection::is_blocked);
        let verdict = process.connections.tick(self.now, may_act);
        self.check(verdict);
        self.look_at_lag();
    }

    fn check(&mut self, verdict: Result<(), String>) {
        if let Err(what) = verdict {
            self.broken(what);
        }
    }

    fn broken(&mut self, what: String) {
        if let Some(event) =
            self.events.oldest_missing().and_then(|(_, p)| self.model.events().get(p))
        {
            let ago = |at: Millis| self.now as i64 - at as i64;
            let (created, available) = (ago(event.created_at), ago(event.available_at));
            self.say(format_args!(
                "oldest missing: created {created} ms ago, available {available} ms ago: {event:?}"
            ));
        }
        let after = self.now - self.plan.start;
        self.outcome.violation.get_or_insert(Violation { after, what });
    }

    /// Whether a process is there and runs.
    fn is_awake(&self) -> bool {
        self.process.is_some() && self.now >= self.conditions.suspended_until
    }

    fn draw(&mut self, span: Span) -> Millis {
        if span.max <= span.min { span.min } else { self.rng.u64(span.min..=span.max) }
    }

    /// A time of production, at the scale of this run.
    fn scaled(&self, seconds: u64) -> Millis {
        (seconds * SECOND / self.plan.scale).max(1)
    }

    fn settle(&self) -> Millis {
        millis(self.plan.policy.position.settle)
    }

    #[expect(clippy::print_stdout, reason = "the trace was asked for")]
    fn say(&self, what: fmt::Arguments<'_>) {
        if self.trace {
            let after = self.now - self.plan.start;
            println!("{:>8}.{:03} {what}", after / SECOND, after % SECOND);
        }
    }
}
