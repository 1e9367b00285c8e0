//! The event loop: the server, the network, the process and its ledger in one virtual time.
//!
//! Time jumps to whatever is due next; nothing sleeps. The first thing that does not hold ends the run.

mod shell;
mod trouble;

use std::fmt;

use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::policy::{Health, Input};
use streamkeeper_simulator::model::{MINUTE, Millis};

use super::facts::Facts;
use super::ledger::Ledger;
use super::plan::{Moment, Plan, Shows};
use super::server::{Answer, Number, Server};
use super::wire::{Sent, Wire};
use crate::agenda::Agenda;
use crate::checkers::Verdict;
use streamkeeper_core::classify::End;

use self::shell::Process;

/// Names a connection within a run: its place in the list of all there ever were.
type Place = usize;

/// Something that happens later.
#[derive(Debug)]
enum Happening {
    /// An event is published.
    Publish,
    /// Heartbeats are sent.
    Beat,
    /// The request of a connection reaches the server.
    Request(Place),
    /// Something reaches us.
    Arrives(Place, Sent),
    /// Our half-close, or our close, reaches the server.
    Closes(Place),
    /// The server ends an answer that is old enough.
    LifeOver(Place),
    /// A killed socket is gone.
    Gone(Place),
    /// Something reaches the policies of that process.
    Report(u64, Input),
    /// What the ledger of that process works on is done.
    Work(u64),
    /// A process is started.
    Start,
    /// The process dies.
    Dies,
    /// The fault of that number strikes.
    Fault(usize),
    /// A person wants something of whatever process there is.
    Person(Input),
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first thing that did not hold, and how long after the start.
    pub violation: Option<(Millis, String)>,
    /// Events accepted.
    pub accepted: usize,
    /// Events published.
    pub published: usize,
    /// Gaps reported.
    pub gaps: usize,
    /// Connections asked for.
    pub connects: usize,
    /// Processes started.
    pub processes: u64,
    /// Simulated time.
    pub lasted: Millis,
}

/// A run.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    rng: fastrand::Rng,
    now: Millis,
    agenda: Agenda<Happening>,
    server: Server,
    ledger: Ledger,
    wires: Vec<Wire>,
    process: Option<Process>,
    facts: Facts,
    /// Nothing becomes durable before.
    disk_waits_until: Millis,
    /// The process dies so long after the next time that this happens.
    dies_after: Option<(Moment, Millis)>,
    /// No snapshot is had before.
    no_snapshot_until: Millis,
    outcome: Outcome,
    trace: bool,
}

/// Plays a plan; with `trace`, says what happens.
#[must_use]
pub fn run(plan: Plan, trace: bool) -> Outcome {
    let mut world = World::new(plan, trace);
    world.play();
    let Facts { gaps, .. } = world.facts;
    Outcome {
        accepted: world.ledger.accepted.len(),
        published: usize::try_from(world.server.next - 1).unwrap_or(usize::MAX),
        gaps,
        lasted: world.now,
        ..world.outcome
    }
}

/// After the faults there is so much time for everything to be well again.
const CALM: Millis = 20 * MINUTE;

impl World {
    fn new(plan: Plan, trace: bool) -> Self {
        let mut agenda = Agenda::default();
        agenda.add(0, Happening::Start);
        agenda.add(1, Happening::Publish);
        agenda.add(plan.heartbeat, Happening::Beat);
        for (number, (at, _)) in plan.faults.iter().enumerate() {
            agenda.add(*at, Happening::Fault(number));
        }
        for act in [Input::Resume, Input::TryNow] {
            agenda.add(plan.calm_at + MINUTE, Happening::Person(act));
        }
        Self {
            rng: fastrand::Rng::with_seed(plan.seed ^ 0x5eed),
            now: 0,
            agenda,
            server: Server::default(),
            ledger: Ledger::default(),
            wires: Vec::new(),
            process: None,
            facts: Facts::default(),
            disk_waits_until: 0,
            dies_after: None,
            no_snapshot_until: 0,
            outcome: Outcome::default(),
            trace,
            plan,
        }
    }

    fn play(&mut self) {
        let end = self.plan.calm_at + CALM;
        let mut before_the_end = 0;
        let mut at_once = 0;
        loop {
            let next = [self.agenda.next_at(), self.process_due()].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            at_once = if next > self.now { 0 } else { at_once + 1 };
            if at_once > 10_000 {
                self.broken("time stands still".into());
            }
            self.now = self.now.max(next);
            while let Some(happening) = self.agenda.pop_due(self.now) {
                self.happens(happening);
            }
            self.tick();
            if self.now < end - CALM / 2 {
                before_the_end = self.server.next;
            }
            if self.outcome.violation.is_some() {
                return;
            }
        }
        let verdict = self.facts.complete(&self.ledger, &self.plan, before_the_end);
        self.check(verdict);
        let health = self.process.as_ref().map(|process| process.policy.health());
        if health != Some(Health::Live) {
            self.broken(format!("{health:?} in the end"));
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Publish => self.publish(),
            Happening::Beat => {
                self.agenda.add(self.now + self.plan.heartbeat, Happening::Beat);
                (0..self.wires.len()).for_each(|place| self.send(place, Sent::Beat));
            }
            Happening::Request(place) => self.request(place),
            Happening::Arrives(place, sent) => self.arrives(place, sent),
            Happening::Closes(place) => self.ends(place, false),
            Happening::LifeOver(place) => self.ends(place, true),
            Happening::Gone(place) => {
                self.report(place, |connection| Input::Ended { connection, end: End::Killed });
            }
            Happening::Report(process, input) => {
                if self.process.as_ref().is_some_and(|now| now.number == process) {
                    self.handle(input);
                }
            }
            Happening::Work(process) => self.work(process),
            Happening::Start => self.start(),
            Happening::Dies => self.crash(0),
            Happening::Fault(number) => self.strike(number),
            Happening::Person(input) => {
                if self.process.is_some() {
                    self.handle(input);
                }
            }
        }
    }

    fn publish(&mut self) {
        let wait = self.rng.u64(1..=self.plan.every);
        self.agenda.add(self.now + wait, Happening::Publish);
        self.server.trim(self.plan.keeps, self.now);
        let event = self.server.publish(self.now);
        (0..self.wires.len()).for_each(|place| self.send(place, Sent::Event(event)));
    }

    /// The server answers a request.
    fn request(&mut self, place: Place) {
        self.server.trim(self.plan.keeps, self.now);
        let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.ours) else { return };
        match self.server.answer(&self.plan, wire.asked, self.now) {
            Answer::Refused(refusal) => {
                let end = Sent::End(End::Refused(refusal));
                self.agenda.add(self.now + self.plan.latency, Happening::Arrives(place, end));
            }
            Answer::From { first, lost } => {
                wire.first = Some(first);
                wire.serving = true;
                self.serve(place, first, lost);
            }
        }
    }

    fn serve(&mut self, place: Place, first: Number, lost: bool) {
        let shows = |sign| lost && self.plan.shows == sign;
        let (other, reset) = (shows(Shows::Header), shows(Shows::Event));
        self.send(place, Sent::Head { other });
        if let Some(retry) = self.plan.retry {
            self.send(place, Sent::Retry(retry));
        }
        if self.now < self.server.drops_until {
            self.ends(place, false);
            return;
        }
        if reset {
            self.send(place, Sent::Reset);
        }
        (first..self.server.next).for_each(|event| self.send(place, Sent::Event(event)));
        if let Some(life) = self.plan.life {
            self.agenda.add(self.now + life, Happening::LifeOver(place));
        }
    }

    /// The server ends an answer in order.
    fn ends(&mut self, place: Place, by_plan: bool) {
        if by_plan && self.plan.names_end {
            self.send(place, Sent::Last);
        }
        self.send(place, Sent::End(End::Terminated { mid_event: false }));
        if let Some(wire) = self.wires.get_mut(place) {
            wire.serving = false;
        }
    }

    /// The server sends something, if it still does on that connection.
    fn send(&mut self, place: Place, sent: Sent) {
        let Some(wire) = self.wires.get_mut(place).filter(|wire| wire.serving && wire.ours) else {
            return;
        };
        if !wire.hangs {
            wire.last_arrival = wire.last_arrival.max(self.now + self.plan.latency);
            self.agenda.add(wire.last_arrival, Happening::Arrives(place, sent));
        }
    }

    fn place_of(&self, connection: ConnectionId) -> Option<Place> {
        let process = self.process.as_ref()?.number;
        self.wires.iter().rposition(|wire| wire.process == process && wire.id == connection)
    }

    fn check(&mut self, verdict: Verdict) {
        if let Err(what) = verdict {
            self.broken(what);
        }
    }

    fn broken(&mut self, what: String) {
        self.say(format_args!("BROKEN: {what}"));
        self.outcome.violation.get_or_insert((self.now, what));
    }

    #[expect(clippy::print_stdout, reason = "the trace")]
    fn say(&self, what: fmt::Arguments<'_>) {
        if self.trace {
            println!("{:>12.3} {what}", self.now as f64 / 1_000.0);
        }
    }
}
