//! The supervisor of one stream: owns its policy, its connection actors, its lifecycle actor.
//!
//! A thin shell: it stamps what happens with the time, gives it to the [`Policy`], and carries
//! the outputs out. Everything that happens reaches it through one channel, in order; event data
//! does not pass through it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, StreamHandler,
};
use actix_rt::ArbiterHandle;
use streamkeeper_core::classify::End;
use streamkeeper_core::cursored;
use streamkeeper_core::id::{ConnectionId, Epoch, Reader};
use streamkeeper_core::marked;
use streamkeeper_core::marked::establish::{Answer, Call, CallFailure};
use streamkeeper_core::policy::{
    Health, Incident, Input, Output, Policy, Report, SlotState, Target,
};
use streamkeeper_core::state::PolicyState;
use streamkeeper_core::time::Instant;
use streamkeeper_core::watchdog::WatchdogConfig;
use tokio::sync::oneshot;

use crate::api::condition::{SlotCondition, StreamCondition};
use crate::base::clock::wall;
use crate::base::reports::ReportsReceiver;
use crate::dialect::Dialect;
use crate::observe::history::{Bounds, Sight};
use crate::observe::telemetry::{incident_status, tell};
use crate::observe::vital::Vital;
use crate::stream::connection::{Connect, Connection, Hold};
use crate::stream::documents;
use crate::stream::group;
use crate::stream::lifecycle::{Count, Make, StreamLifecycle};
use crate::stream::replay_places::{ReplayPlace, ReplayPlaces};
use crate::stream::tools::Tools;

/// The actor.
pub(crate) struct Supervisor {
    policy: Policy,
    tools: Tools,
    /// What it starts with.
    state: Option<PolicyState>,
    /// What it last asked to be made durable.
    last_state: Option<PolicyState>,
    arbiters: Vec<ArbiterHandle>,
    actors: HashMap<Reader, Addr<Connection>>,
    holds: HashMap<ConnectionId, Hold>,
    /// Of a marked stream.
    lifecycle: Option<Addr<StreamLifecycle>>,
    reports: Option<ReportsReceiver>,
    timer: Option<(Instant, SpawnHandle)>,
    waits_for_room: bool,
    group: Option<group::Place>,
    replay_places: ReplayPlaces,
    /// That of the replay that is read.
    replay_place: Option<ReplayPlace>,
    stopped: Option<oneshot::Sender<Option<PolicyState>>>,
    _vital: Vital,
}

/// What the supervisor of a stream begins with.
pub(crate) struct Parts {
    pub(crate) tools: Tools,
    /// What the stream was when it was last written down.
    pub(crate) state: Option<PolicyState>,
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) reports: ReportsReceiver,
    /// Its place among the streams of its server.
    pub(crate) group: Option<group::Place>,
    pub(crate) replay_places: ReplayPlaces,
    /// Told when it has stopped, and in which state.
    pub(crate) stopped: oneshot::Sender<Option<PolicyState>>,
    /// Tells if it dies.
    pub(crate) vital: Vital,
}

impl Supervisor {
    /// The supervisor of a stream.
    pub(crate) fn new(policy: Policy, parts: Parts) -> Self {
        let Parts { tools, state, arbiters, reports, group, replay_places, stopped, vital } = parts;
        let WatchdogConfig { late_after, stale_after, .. } = tools.watchdog;
        tools.entry.history.set_bounds(Bounds { late_after, stale_after });
        let lifecycle = lifecycle(&tools);
        Self {
            policy,
            last_state: state.clone(),
            state,
            arbiters,
            actors: HashMap::new(),
            holds: HashMap::new(),
            lifecycle,
            reports: Some(reports),
            timer: None,
            waits_for_room: false,
            group,
            replay_places,
            replay_place: None,
            stopped: Some(stopped),
            _vital: vital,
            tools,
        }
    }

    /// Gives an input to the policy and carries out what it wants.
    fn handle_input(&mut self, now: Instant, input: Input, ctx: &mut Context<Self>) {
        if let Input::Ended { connection, end } = input {
            self.tools.entry.measured.ended(end);
            self.holds.remove(&connection);
            if connection.reader == Reader::Replay {
                self.replay_place = None;
            }
        }
        self.policy.handle(now, input);
        while let Some(output) = self.policy.poll() {
            self.carry_out(output, ctx);
        }
        self.wait_for_room(ctx);
        self.arm(ctx);
        self.publish();
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        match output {
            Output::Connect { connection, target } => self.connect(connection, &target),
            Output::Drain(connection) => {
                if let Some(hold) = self.holds.get(&connection) {
                    hold.half_close();
                }
            }
            Output::Kill(connection) => {
                if let Some(hold) = self.holds.get(&connection) {
                    hold.kill();
                }
            }
            Output::Marked(output) => self.ask_service(output),
            Output::Cursored(output) => self.ask_server(output),
            Output::Persist { number, state } => {
                self.last_state = Some(state.clone());
                self.tools.writer.persist(number, state, &self.tools.reports);
            }
            Output::Flush => self.tools.writer.flush(&self.tools.reports),
            Output::Report(report) => self.tell(&report),
            Output::Stopped { clean } => {
                self.publish();
                self.end(clean, ctx);
            }
        }
    }

    /// Says in which state it ends, and ends.
    fn end(&mut self, clean: bool, ctx: &mut Context<Self>) {
        let state = self.last_state.clone().map(|state| state.with_clean(clean));
        if let Some(stopped) = self.stopped.take()
            && stopped.send(state).is_err()
        {
            tracing::trace!("nobody waits for the stream to stop");
        }
        ctx.stop();
    }

    fn ask_service(&mut self, output: marked::Output) {
        match output {
            marked::Output::Call(call) => self.make_call(call),
            marked::Output::Count(stream) => {
                let asked =
                    self.lifecycle.as_ref().map(|calls| calls.try_send(Count(stream.clone())));
                if !matches!(asked, Some(Ok(()))) {
                    let counted = marked::Input::Counted { stream, members: None };
                    self.tools.reports.send(counted);
                }
            }
        }
    }

    fn ask_server(&self, output: cursored::Output) {
        let Dialect::Sse(sse) = &self.tools.dialect else { return };
        let (tools, sse) = (self.tools.clone(), Arc::clone(sse));
        match output {
            cursored::Output::AskFirst => drop(actix_rt::spawn(documents::first(tools, sse))),
            cursored::Output::Resync => {
                let connection = ConnectionId { reader: Reader::Replay, epoch: Epoch(0) };
                drop(actix_rt::spawn(documents::resync(tools, sse, connection)));
            }
            cursored::Output::CallGroup => {
                if let Some(group) = &self.group {
                    group.call_others();
                }
            }
            cursored::Output::GoOn(connection) => {
                if let Some(hold) = self.holds.get(&connection) {
                    hold.go_on();
                }
            }
        }
    }

    /// Sends a call to the lifecycle actor; one that has died is replaced.
    fn make_call(&mut self, call: Call) {
        if self.lifecycle.as_ref().is_some_and(|calls| !calls.connected()) {
            self.lifecycle = lifecycle(&self.tools);
        }
        let asked = self.lifecycle.as_ref().map(|calls| calls.try_send(Make(call)));
        if !matches!(asked, Some(Ok(()))) {
            let failure = CallFailure::Unavailable { status: None, acted: false };
            let answer = Answer::Failed { failure, retry_after: None };
            self.tools.reports.send(marked::Input::Answered(answer));
        }
    }

    /// Sends a connection to its slot's actor; an actor that has died is replaced.
    fn connect(&mut self, connection: ConnectionId, target: &Target) {
        let hold = Hold::default();
        let Some(ask) = self.tools.dialect.ask(target) else {
            return self.not_opened(connection);
        };
        if connection.reader == Reader::Replay {
            self.replay_place = self.replay_places.take(&self.tools.config);
            if self.replay_place.is_none() {
                let stream: &str = &self.tools.entry.name;
                tracing::info!(
                    stream,
                    "a replay waits: the organization has all that it may have at a time"
                );
                return self.not_opened(connection);
            }
        }
        let frames = self.tools.dialect.reader(target);
        let connect = Connect { connection, ask, frames, hold: hold.clone() };
        if self.actor(connection.reader).try_send(connect).is_err() {
            return self.not_opened(connection);
        }
        self.holds.insert(connection, hold);
    }

    fn not_opened(&self, connection: ConnectionId) {
        self.tools.reports.send(Input::Ended { connection, end: End::NotOpened { sent: false } });
    }

    /// The living actor of a slot, on the slot's arbiter.
    fn actor(&mut self, reader: Reader) -> Addr<Connection> {
        if let Some(actor) = self.actors.get(&reader).filter(|actor| actor.connected()) {
            return actor.clone();
        }
        let place = match reader {
            Reader::Slot(slot) => usize::from(slot.0),
            Reader::Replay => self.arbiters.len().saturating_sub(1),
        };
        let tools = self.tools.clone();
        let actor = match self.arbiters.get(place % self.arbiters.len().max(1)) {
            Some(arbiter) => Connection::start_in_arbiter(arbiter, |_| Connection::new(tools)),
            None => Connection::new(tools).start(),
        };
        self.actors.insert(reader, actor.clone());
        actor
    }

    fn tell(&self, report: &Report) {
        let entry = &self.tools.entry;
        tell(entry, report);
        let over = match report {
            Report::Marked(marked::Report::CaughtUp { incident }) => incident.map(Incident::Marked),
            Report::Cursored(cursored::Report::IncidentOver(summary)) => {
                Some(Incident::Cursored(*summary))
            }
            _ => None,
        };
        if let Some(incident) = over {
            entry.update(|view| view.last_incident = Some(incident_status(&incident)));
        }
    }

    /// After a full queue, tells the policy when there is room again.
    fn wait_for_room(&mut self, ctx: &mut Context<Self>) {
        if self.policy.awaits_room() && !self.waits_for_room {
            self.waits_for_room = true;
            let budget = self.tools.budget.clone();
            let wait = actix::fut::wrap_future(async move { budget.half_free().await });
            ctx.spawn(actix::fut::ActorFutureExt::map(wait, |(), actor: &mut Self, ctx| {
                actor.waits_for_room = false;
                let now = actor.tools.clock.now();
                actor.handle_input(now, Input::Room, ctx);
            }));
        }
    }

    /// Sets the timer to the policy's deadline.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.policy.deadline();
        if self.timer.map(|(at, _)| at) == deadline {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(deadline) = deadline else { return };
        let wait = deadline.since(self.tools.clock.now()).max(TIMER_MIN);
        let timer = ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            let now = actor.tools.clock.now();
            actor.handle_input(now, Input::Tick, ctx);
        });
        self.timer = Some((deadline, timer));
    }

    /// Lets readers see the state.
    fn publish(&self) {
        let policy = &self.policy;
        let entry = &self.tools.entry;
        let incident = policy.incident();
        self.tools.replaying.store(policy.replays(), Ordering::Relaxed);
        let backing_off = policy.backing_off_until().is_some();
        let slots: Vec<_> =
            policy.slots().map(|(_, state, late)| condition(state, late, backing_off)).collect();
        entry.history.observe(Sight {
            slots: &slots,
            replaying: policy.replays(),
            events: entry.counters.read(),
            bytes: entry.counters.bytes_received.load(Ordering::Relaxed),
            lag: policy.lag(),
        });
        let members = policy.members();
        let (state, detail) = match policy.health() {
            Health::Starting => (StreamCondition::Starting, None),
            Health::Live => (StreamCondition::Live, None),
            Health::Recovering => (StreamCondition::Recovering, None),
            Health::Degraded(detail) => (StreamCondition::Degraded, Some(detail)),
            Health::Ended => (StreamCondition::Ended, None),
            Health::Paused => (StreamCondition::Paused, None),
            Health::Stopping => (StreamCondition::Stopping, None),
            Health::Stopped => (StreamCondition::Stopped, None),
        };
        let changed = entry.update(|view| {
            view.state = state;
            view.detail = detail;
            view.mark = policy.mark();
            view.suspects = policy.suspects();
            view.slots = slots;
            view.members = members.count;
            view.members_max = members.max;
            view.incident = incident.as_ref().map(incident_status);
        });
        if changed {
            let stream: &str = &entry.name;
            tracing::info!(stream, %state, reason = detail, "the stream is {state}");
        }
    }
}

/// A fresh lifecycle actor, for a stream that is made.
fn lifecycle(tools: &Tools) -> Option<Addr<StreamLifecycle>> {
    let Dialect::Inform(inform) = &tools.dialect else { return None };
    let lifecycle = StreamLifecycle::new(
        tools.transport.clone(),
        inform.clone(),
        tools.reports.clone(),
        Arc::clone(&tools.entry),
    );
    Some(lifecycle.start())
}

/// A slot's state for readers.
const fn condition(state: SlotState, late: bool, backing_off: bool) -> SlotCondition {
    match state {
        SlotState::Idle if backing_off => SlotCondition::BackingOff,
        SlotState::Idle => SlotCondition::Idle,
        SlotState::Connecting => SlotCondition::Connecting,
        SlotState::Live if late => SlotCondition::Late,
        SlotState::Live => SlotCondition::Live,
        SlotState::Draining { .. } => SlotCondition::Draining,
        SlotState::Closing => SlotCondition::Closing,
        SlotState::Resting { .. } => SlotCondition::Resting,
        SlotState::Limited => SlotCondition::Unused,
    }
}

/// A deadline that has passed is met at the next turn, not in a hot loop.
const TIMER_MIN: Duration = Duration::from_millis(1);

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(mut reports) = self.reports.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| reports.poll_recv(cx)));
        }
        let start = Input::Start { state: self.state.take(), wall: wall() };
        self.handle_input(self.tools.clock.now(), start, ctx);
    }
}

impl StreamHandler<(Instant, Input)> for Supervisor {
    fn handle(&mut self, (at, input): (Instant, Input), ctx: &mut Self::Context) {
        self.handle_input(at, input, ctx);
    }
}

/// Stop the stream, ending each connection within `drain`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    pub(crate) drain: Duration,
}

impl Handler<Stop> for Supervisor {
    type Result = ();

    fn handle(&mut self, Stop { drain }: Stop, ctx: &mut Self::Context) {
        self.handle_input(self.tools.clock.now(), Input::Stop { drain }, ctx);
    }
}

/// End now; whatever may be lost by it is read again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Abandon;

impl Handler<Abandon> for Supervisor {
    type Result = ();

    fn handle(&mut self, Abandon: Abandon, ctx: &mut Self::Context) {
        self.end(false, ctx);
    }
}

impl Drop for Supervisor {
    /// Whatever ends the supervisor ends its connections: nobody would judge them any more.
    fn drop(&mut self) {
        for hold in self.holds.values() {
            hold.kill();
        }
    }
}
