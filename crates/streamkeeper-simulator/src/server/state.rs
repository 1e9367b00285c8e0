//! The one state all connections and calls of an organization share, and its control port.
//!
//! It is behind one lock, never held across an await: the model is fast, and one order of things
//! makes a run explicable.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    config::{RunningClock, SimulatorConfig},
    journal::{CallEntry, ConnectionEntry, Journal},
};
use crate::{
    fault::{Break, Call, CallFault, ConnectionFault, Fault, Scope, Target},
    model::{ClientId, Millis, Model, Refusal, Span, StreamId},
    truth::TruthRow,
};

/// One organization: its state.
#[derive(Debug)]
pub(crate) struct Organization(Mutex<State>);

impl Organization {
    pub(crate) fn new(config: SimulatorConfig) -> Self {
        Self(Mutex::new(State::new(config)))
    }

    /// A panic elsewhere leaves the state as it was; a simulator goes on with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The truth from row `from` on, `max` rows at most. Rendering happens outside the lock.
    pub(crate) fn truth(&self, from: usize, max: usize) -> Vec<TruthRow> {
        let (events, seed, style) = {
            let mut state = self.lock();
            let now = state.now();
            state.model.advance(now);
            let events = state.model.ids().skip(from).take(max);
            let events: Vec<_> = events.map(|(id, event)| (id, *event)).collect();
            (events, state.config.seed, state.config.style)
        };
        events.iter().map(|(id, event)| TruthRow::of(seed, *id, event, style)).collect()
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: SimulatorConfig,
    pub(crate) model: Model,
    pub(crate) journal: Journal,
    /// Open event streams by number.
    live: BTreeMap<u64, Live>,
    clock: RunningClock,
    armed: Vec<Armed>,
    foreign: Vec<Foreign>,
    pokes_late_until: Option<Millis>,
    held_until: Option<Millis>,
    refused_until: Option<Millis>,
    errors_made: u64,
}

#[derive(Debug)]
struct Live {
    orders: UnboundedSender<ConnectionFault>,
    /// A fault has broken it already.
    broken: bool,
}

#[derive(Debug)]
struct Armed {
    fault: CallFault,
    call: Option<Call>,
    left: Option<u32>,
    until: Option<Millis>,
}

#[derive(Debug)]
struct Foreign {
    client: ClientId,
    until: Option<Millis>,
}

/// Why a fault could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No stream has this id or name.
    #[error("no such stream")]
    UnknownStream,
    /// The service refused it as it would any client.
    #[error("the service refused it")]
    Refused(#[source] Refusal),
}

impl State {
    fn new(config: SimulatorConfig) -> Self {
        let clock = RunningClock::start(config.clock);
        Self {
            model: Model::new(config.model.clone(), config.seed, clock.now()),
            config,
            journal: Journal::default(),
            live: BTreeMap::new(),
            clock,
            armed: Vec::new(),
            foreign: Vec::new(),
            pokes_late_until: None,
            held_until: None,
            refused_until: None,
            errors_made: 0,
        }
    }

    /// The service's time.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// When, by this machine's clock, the service's shows that.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.clock.instant(at)
    }

    /// Counts an error, to give the forms of errors in turn.
    pub(crate) fn count_error(&mut self) -> u64 {
        self.errors_made += 1;
        self.errors_made - 1
    }

    /// The stream of that id or name.
    pub(crate) fn find(&self, stream: &str) -> Option<StreamId> {
        let mut streams = self.model.streams();
        streams.find(|s| s.name == stream || s.id.to_string() == stream).map(|s| s.id)
    }

    /// An event stream opens; gives its number.
    pub(crate) fn open(
        &mut self,
        stream: Option<StreamId>,
        orders: UnboundedSender<ConnectionFault>,
    ) -> u64 {
        let number = self.journal.open(self.now(), stream.map(|id| id.to_string()));
        self.live.insert(number, Live { orders, broken: false });
        number
    }

    /// An event stream's socket is gone.
    pub(crate) fn closed(&mut self, number: u64) {
        self.live.remove(&number);
    }

    /// The fault that is to happen to this call, if any.
    pub(crate) fn call_fault(&mut self, call: Call) -> Option<CallFault> {
        let now = self.now();
        self.armed
            .retain(|armed| armed.left != Some(0) && armed.until.is_none_or(|until| now < until));
        let armed = self
            .armed
            .iter_mut()
            .find(|armed| armed.fault.fits(call) && armed.call.is_none_or(|only| only == call))?;
        armed.left = armed.left.map(|left| left - 1);
        Some(armed.fault)
    }

    /// Until when the listener is to stay closed.
    pub(crate) fn refused_until(&self) -> Option<Instant> {
        let until = self.refused_until.filter(|until| *until > self.now())?;
        Some(self.clock.instant(until))
    }

    /// Does a fault. Gives the numbers of the connections it is done to.
    pub(crate) fn apply(&mut self, fault: Fault) -> Result<Vec<u64>, FaultError> {
        let now = self.now();
        let later = |for_ms: Option<Millis>| Some(for_ms.map_or(Millis::MAX, |span| now + span));
        match fault {
            Fault::Connection(target, fault) => return Ok(self.order(&target, fault)),
            Fault::Call(fault, Scope { call, count, for_ms }) => {
                let until = for_ms.map(|span| now + span);
                self.armed.push(Armed { fault, call, left: count, until });
            }
            Fault::Refused { for_ms } => self.refused_until = Some(now + for_ms),
            Fault::LatePokes { late_ms, for_ms } => {
                self.model.config_mut().poke_late = Span::between(0, late_ms);
                self.pokes_late_until = later(for_ms);
            }
            Fault::Held { hold_ms, for_ms } => {
                self.model.config_mut().release_after = Span::exactly(hold_ms);
                self.held_until = later(for_ms);
            }
            Fault::Evicted { stream } => {
                let id = self.find(&stream).ok_or(FaultError::UnknownStream)?;
                self.model.evict(id, now).map_err(FaultError::Refused)?;
            }
            Fault::Foreign { stream, count, for_ms } => {
                let id = self.find(&stream).ok_or(FaultError::UnknownStream)?;
                for _ in 0..count {
                    let client = self.model.connect(id, now).map_err(FaultError::Refused)?;
                    self.foreign.push(Foreign { client, until: for_ms.map(|span| now + span) });
                }
            }
            Fault::Clear => self.clear(now),
        }
        Ok(Vec::new())
    }

    /// What has to be done now and then: foreign clients read and leave, faults end.
    pub(crate) fn tick(&mut self) {
        let now = self.now();
        let mut swallowed = Vec::new();
        for foreign in &self.foreign {
            self.model.poll(foreign.client, now, usize::MAX, &mut swallowed);
            if foreign.until.is_some_and(|until| until <= now) {
                self.model.end(foreign.client, now);
            }
        }
        self.foreign.retain(|foreign| foreign.until.is_none_or(|until| until > now));
        if self.pokes_late_until.is_some_and(|until| until <= now) {
            self.model.config_mut().poke_late = self.config.model.poke_late;
            self.pokes_late_until = None;
        }
        if self.held_until.is_some_and(|until| until <= now) {
            self.model.config_mut().release_after = self.config.model.release_after;
            self.held_until = None;
        }
    }

    pub(crate) fn view(&mut self) -> StateView {
        let now = self.now();
        self.model.advance(now);
        let stream = |id: StreamId, name: &str| StreamView {
            id: id.to_string(),
            name: name.to_owned(),
            members: self.model.members(id),
        };
        StateView {
            now_ms: now,
            events: self.model.events().len() as u64,
            events_per_hour: self.model.config().events_per_hour,
            streams: self.model.streams().map(|s| stream(s.id, &s.name)).collect(),
            replays: self.model.replays(),
            foreign: self.foreign.len(),
            open: self.live.keys().copied().collect(),
            call_counts: self.journal.counts(),
            calls: self.journal.calls(),
            connections: self.journal.connections(),
        }
    }

    fn order(&mut self, target: &Target, fault: ConnectionFault) -> Vec<u64> {
        let breaks = matches!(fault, ConnectionFault::Break { .. } | ConnectionFault::End);
        let resets = ConnectionFault::Break { how: Break::Reset, mid_event: false };
        // What hangs can still be reset; else each fault looks for a sound connection.
        let fit = |live: &Live| !live.broken || fault == resets;
        let numbers: Vec<u64> = match target {
            Target::Which(which) => which.clone(),
            Target::All => self.live.keys().copied().collect(),
            Target::Count(count) => {
                let sound = self.live.iter().filter(|(_, live)| fit(live));
                sound.map(|(number, _)| *number).take(*count).collect()
            }
        };
        let mut done = Vec::new();
        for number in numbers {
            let Some(live) = self.live.get_mut(&number) else { continue };
            if live.orders.send(fault).is_ok() {
                live.broken |= breaks;
                done.push(number);
            }
        }
        done
    }

    fn clear(&mut self, now: Millis) {
        self.armed.clear();
        for foreign in &mut self.foreign {
            foreign.until = Some(now);
        }
        self.pokes_late_until = self.pokes_late_until.and(Some(now));
        self.held_until = self.held_until.and(Some(now));
        self.refused_until = None;
        self.tick();
    }
}

/// What `GET /state` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateView {
    /// The service's time, milliseconds since the epoch.
    pub now_ms: Millis,
    /// Events published so far.
    pub events: u64,
    /// The generator's rate.
    pub events_per_hour: u64,
    /// The organization's streams.
    pub streams: Vec<StreamView>,
    /// Replays that are open or not yet released.
    pub replays: usize,
    /// Foreign clients connected.
    pub foreign: usize,
    /// Numbers of the connections whose sockets are open.
    pub open: Vec<u64>,
    /// Calls by kind, since the start.
    pub call_counts: BTreeMap<Call, u64>,
    /// The latest calls, the oldest first.
    pub calls: Vec<CallEntry>,
    /// The latest connections, the oldest first, open ones included.
    pub connections: Vec<ConnectionEntry>,
}

/// A stream, as `GET /state` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Clients that count as members.
    pub members: usize,
}
