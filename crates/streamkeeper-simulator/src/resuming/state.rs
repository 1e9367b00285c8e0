//! What connections and control port share: the events, who is connected, what goes wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::{
    Config,
    fault::{Fault, Kind},
    model::Model,
};
use crate::model::Millis;

/// What a connection is told to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Sends nothing more, for so long or for ever, and stays open.
    Hang(Option<Duration>),
    /// Is closed without the proper end.
    Cut,
    /// Ends properly.
    End,
}

/// A request for the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The cursor it was asked with.
    pub cursor: Option<String>,
    /// How it was answered.
    pub status: u16,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateView {
    /// The number of the newest event.
    pub newest: u64,
    /// The numbers of the open connections.
    pub open: Vec<u64>,
    /// The last requests for the stream, oldest first.
    pub asked: Vec<Asked>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    stop: watch::Sender<bool>,
    pub(super) config: Config,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) model: Model,
    started: Instant,
    clients: BTreeMap<u64, mpsc::UnboundedSender<Order>>,
    /// How many connections there have been.
    opened: u64,
    /// How long after the last word a heartbeat comes.
    pub(super) heartbeat_after: Duration,
    in_time: Duration,
    /// The next requests for the stream are answered so.
    statuses: VecDeque<(u16, Option<u64>)>,
    asked: VecDeque<Asked>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        let in_time = config.heartbeat.mul_f64(SENT_AFTER);
        let state = State {
            model: Model::new(&config),
            started: Instant::now(),
            clients: BTreeMap::new(),
            opened: 0,
            heartbeat_after: in_time,
            in_time,
            statuses: VecDeque::new(),
            asked: VecDeque::new(),
        };
        Self { state: Mutex::new(state), stop: watch::channel(false).0, config }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until everything is to stop.
    pub(super) async fn stopped(&self) {
        // The sender lives as long as this.
        drop(self.stop.subscribe().wait_for(|stop| *stop).await);
    }
}

impl State {
    pub(super) fn now(&self) -> Millis {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn newest(&self) -> u64 {
        self.model.newest(self.now())
    }

    pub(super) fn set_rate(&mut self, events_per_hour: u64) {
        self.model.set_rate(events_per_hour, self.now());
    }

    /// A connection is opened: its number, and what it is told.
    pub(super) fn open(&mut self) -> (u64, mpsc::UnboundedReceiver<Order>) {
        self.opened += 1;
        let (sender, orders) = mpsc::unbounded_channel();
        self.clients.insert(self.opened, sender);
        (self.opened, orders)
    }

    pub(super) fn closed(&mut self, number: u64) {
        self.clients.remove(&number);
    }

    /// The status that the next request meets, and after how many seconds it is to be tried again.
    pub(super) fn refusal(&mut self) -> Option<(u16, Option<u64>)> {
        self.statuses.pop_front()
    }

    pub(super) fn asked(&mut self, cursor: Option<String>, status: u16) {
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { cursor, status });
    }

    pub(super) fn view(&self) -> StateView {
        StateView {
            newest: self.newest(),
            open: self.clients.keys().copied().collect(),
            asked: self.asked.iter().cloned().collect(),
        }
    }

    /// Makes something go wrong; the connections it is done to.
    pub(super) fn fault(&mut self, fault: &Fault) -> Vec<u64> {
        let count = usize::try_from(fault.count.unwrap_or(1)).unwrap_or(usize::MAX);
        let order = match fault.kind {
            Kind::Hang => Order::Hang(fault.for_ms.map(Duration::from_millis)),
            Kind::Cut => Order::Cut,
            Kind::End => Order::End,
            Kind::Forget => {
                self.model.forget(fault.answer, self.now());
                return Vec::new();
            }
            Kind::Status => {
                let status = (fault.status.unwrap_or(503), fault.retry_after_s);
                self.statuses.extend(std::iter::repeat_n(status, count));
                return Vec::new();
            }
            Kind::Heartbeats => {
                self.heartbeat_after = fault.for_ms.map_or(self.in_time, Duration::from_millis);
                return Vec::new();
            }
            Kind::Clear => {
                self.statuses.clear();
                self.heartbeat_after = self.in_time;
                return Vec::new();
            }
        };
        let count = if fault.all { usize::MAX } else { count };
        // The newest first: that a client has gone shows when something is sent to it, and not before.
        let told = self.clients.iter().rev().filter(|(_, client)| client.send(order).is_ok());
        let told: Vec<_> = told.take(count).map(|(number, _)| *number).collect();
        if let Order::Hang(None) = order {
            // Nothing more can be done to it.
            told.iter().for_each(|number| self.closed(*number));
        }
        told
    }
}

/// How many requests are remembered.
const ASKED_MAX: usize = 1_000;

/// A heartbeat comes after that part of the interval in which it is due: a client that is strict about the
/// interval does not race with the server (Pilcrow: after 15 s where 20 s are announced).
const SENT_AFTER: f64 = 0.75;
