//! A shell in virtual time: it acknowledges what is persisted, logs what is wanted, and lets a test
//! play the service.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::classify::End;
use crate::id::{ConnectionId, Reader, SlotId, StreamId};
use crate::marked::establish::{Answer, Call};
use crate::marked::{self, Marked, MarkedConfig, Members, Report, StreamState, Target};
use crate::policy::{self, Datum, Input, Output, Span};
use crate::time::{Instant, Timestamp};

/// The service's time at our instant zero: 2026-11-21T12:00:00Z.
pub(super) const NOON: i64 = 1_795_262_400;

pub(super) struct Bench {
    pub(super) policy: Marked,
    pub(super) now: Instant,
    /// What was wanted since the last look, persists and reports aside.
    pub(super) wanted: Vec<Output>,
    pub(super) reports: Vec<Report>,
    /// What is reported of any stream.
    pub(super) common: Vec<policy::Report>,
    pub(super) persisted: Vec<StreamState>,
    pub(super) connections: BTreeMap<ConnectionId, Target>,
    /// Persists are answered only while this is true.
    pub(super) disk_answers: bool,
    unanswered: Vec<u64>,
}

impl Bench {
    pub(super) fn new(config: MarkedConfig) -> Self {
        Self {
            policy: Marked::new(config, 1),
            now: Instant::ZERO,
            wanted: Vec::new(),
            reports: Vec::new(),
            common: Vec::new(),
            persisted: Vec::new(),
            connections: BTreeMap::new(),
            disk_answers: true,
            unanswered: Vec::new(),
        }
    }

    /// A stream `acme` that has been created and reads with so many slots.
    pub(super) fn running(config: MarkedConfig) -> Self {
        let mut bench = Self::new(config);
        bench.start(None);
        bench.answer(&Call::List, Answer::Listed(Vec::new()));
        bench.answer_create("s1");
        bench.open_all();
        bench
    }

    pub(super) fn start(&mut self, state: Option<StreamState>) {
        self.input(Input::Start { state: state.map(Into::into), wall: Timestamp::from_micros(0) });
    }

    pub(super) fn input(&mut self, input: impl Into<Input>) {
        self.policy.handle(self.now, input.into());
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.policy.poll() {
            match output {
                Output::Persist { number, state } => {
                    self.persisted.push(state.into_marked().unwrap());
                    self.unanswered.push(number);
                    self.answer_disk();
                }
                Output::Report(policy::Report::Marked(report)) => self.reports.push(report),
                Output::Report(report) => self.common.push(report),
                Output::Connect { connection, target: policy::Target::Marked(ref target) } => {
                    self.connections.insert(connection, target.clone());
                    self.wanted.push(output);
                }
                other => self.wanted.push(other),
            }
        }
    }

    pub(super) fn answer_disk(&mut self) {
        while self.disk_answers
            && let Some(number) = self.unanswered.pop()
        {
            self.policy.handle(self.now, Input::Persisted(number));
            self.collect();
        }
    }

    /// Lets the time pass to `seconds` after the start, ticking at every deadline.
    pub(super) fn pass_to(&mut self, seconds: f64) {
        let end = Instant::ZERO + Duration::from_secs_f64(seconds);
        while let Some(deadline) = self.policy.deadline().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    pub(super) fn seconds(&self) -> f64 {
        self.now.since(Instant::ZERO).as_secs_f64()
    }

    /// The calls wanted since the last look.
    pub(super) fn calls(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        self.wanted.retain(|output| match output {
            Output::Marked(marked::Output::Call(call)) => {
                calls.push(call.clone());
                false
            }
            _ => true,
        });
        calls
    }

    /// Answers the next call, which comes within a moment.
    #[track_caller]
    pub(super) fn answer(&mut self, call: &Call, answer: Answer) {
        let wanted = |output: &Output| matches!(output, Output::Marked(marked::Output::Call(_)));
        if !self.wanted.iter().any(wanted) {
            self.pass_to(self.seconds() + 0.25);
        }
        assert_eq!(self.calls().as_slice(), std::slice::from_ref(call));
        self.input(marked::Input::Answered(answer));
    }

    #[track_caller]
    pub(super) fn answer_create(&mut self, id: &str) -> Option<String> {
        let calls = self.calls();
        let [Call::Create { start_date, .. }] = calls.as_slice() else { panic!("{calls:?}") };
        let date = start_date.map(|date| date.to_string());
        self.input(marked::Input::Answered(Answer::Created(StreamId(id.into()))));
        date
    }

    /// Opens whatever is wanted, with a first poke, until nothing more is.
    pub(super) fn open_all(&mut self) {
        loop {
            let opening: Vec<_> = self.take_connects();
            if opening.is_empty() {
                return;
            }
            for connection in opening {
                self.input(Input::Opened(connection));
                self.poke(connection);
            }
        }
    }

    /// The connections wanted since the last look.
    pub(super) fn take_connects(&mut self) -> Vec<ConnectionId> {
        let mut opening = Vec::new();
        self.wanted.retain(|output| match output {
            Output::Connect { connection, .. } => {
                opening.push(*connection);
                false
            }
            _ => true,
        });
        opening
    }

    /// A poke without members, reported and committed.
    pub(super) fn poke(&mut self, connection: ConnectionId) {
        self.input(marked::Input::Poke { connection, members: Members::default() });
        let ts = Timestamp::from_micros(NOON * 1_000_000).plus(self.now.since(Instant::ZERO));
        self.commit(connection, Some(ts), Vec::new());
    }

    pub(super) fn commit(
        &mut self,
        connection: ConnectionId,
        poke: Option<Timestamp>,
        data: Vec<Datum>,
    ) {
        let new = data.iter().filter(|datum| datum.new).count() as u64;
        let span = Span { arrived: self.now, poke, data, cursor: None, new, duplicate: 0 };
        self.input(Input::Committed { connection, span });
    }

    /// Every connection that is open now, pokes every 5 s until `seconds` after the start. Hygiene
    /// has to be off.
    pub(super) fn poke_until(&mut self, seconds: f64) {
        while self.seconds() + 5.0 <= seconds {
            self.pass_to(self.seconds() + 5.0);
            let open: Vec<_> = self.connections.keys().copied().collect();
            open.into_iter().for_each(|connection| self.poke(connection));
        }
    }

    pub(super) fn end(&mut self, connection: ConnectionId, end: End) {
        self.connections.remove(&connection);
        self.input(Input::Ended { connection, end });
    }

    pub(super) fn killed(&mut self) -> Vec<ConnectionId> {
        let mut killed = Vec::new();
        self.wanted.retain(|output| match output {
            Output::Kill(connection) => {
                killed.push(*connection);
                false
            }
            _ => true,
        });
        killed
    }

    pub(super) fn slot(&self, slot: u8) -> ConnectionId {
        let reader = Reader::Slot(SlotId(slot));
        *self.connections.keys().rev().find(|connection| connection.reader == reader).unwrap()
    }
}

/// A stream's id.
pub(super) fn s(id: &str) -> StreamId {
    StreamId(id.into())
}

/// The default settings without rests.
pub(super) fn restless(connections: u8) -> MarkedConfig {
    let mut config = MarkedConfig::new("acme", connections);
    config.hygiene.enabled = false;
    config
}
