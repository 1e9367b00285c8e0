//! A shell in virtual time: it acknowledges what is persisted and flushed, logs what is wanted, and lets a
//! test play the server.

use std::time::Duration;

use crate::classify::{End, Refusal};
use crate::cursored::{self, Cursored, CursoredConfig, CursoredState, Report, Target};
use crate::id::{ConnectionId, Cursor};
use crate::policy::{self, Input, Output, Span};
use crate::state::PolicyState;
use crate::time::{Instant, Timestamp};

/// Our wall clock at instant zero: 2026-11-21T12:00:00Z.
pub(super) const NOON: i64 = 1_795_262_400;

pub(super) struct Bench {
    pub(super) policy: Cursored,
    pub(super) now: Instant,
    /// What was wanted since the last look, persists, flushes and reports aside.
    pub(super) wanted: Vec<Output>,
    pub(super) reports: Vec<Report>,
    /// What is reported of any stream.
    pub(super) common: Vec<policy::Report>,
    /// When what was asked to be written down.
    pub(super) persisted: Vec<(Instant, CursoredState)>,
    /// Persists and flushes are answered only while this is true.
    pub(super) disk_answers: bool,
    unanswered: Vec<Input>,
}

impl Bench {
    pub(super) fn new(config: CursoredConfig) -> Self {
        Self {
            policy: Cursored::new(config, 1),
            now: Instant::ZERO,
            wanted: Vec::new(),
            reports: Vec::new(),
            common: Vec::new(),
            persisted: Vec::new(),
            disk_answers: true,
            unanswered: Vec::new(),
        }
    }

    pub(super) fn start(config: CursoredConfig, state: Option<CursoredState>) -> Self {
        let mut bench = Self::new(config);
        let state = state.map(PolicyState::Cursored);
        bench.input(Input::Start { state, wall: Timestamp::from_micros(NOON * 1_000_000) });
        bench
    }

    /// A stream that goes on from this cursor, with its connection open.
    #[track_caller]
    pub(super) fn reading(config: CursoredConfig, at: &str) -> (Self, ConnectionId) {
        let mut bench = Self::start(config, Some(state(at)));
        let connection = bench.open();
        (bench, connection)
    }

    pub(super) fn input(&mut self, input: impl Into<Input>) {
        self.policy.handle(self.now, input.into());
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.policy.poll() {
            match output {
                Output::Persist { number, state } => {
                    self.persisted.push((self.now, state.into_cursored().unwrap()));
                    self.unanswered.push(Input::Persisted(number));
                }
                Output::Flush => self.unanswered.push(Input::Flushed),
                Output::Report(policy::Report::Cursored(report)) => self.reports.push(report),
                Output::Report(report) => self.common.push(report),
                other => self.wanted.push(other),
            }
        }
        self.answer_disk();
    }

    pub(super) fn answer_disk(&mut self) {
        while self.disk_answers && !self.unanswered.is_empty() {
            let answer = self.unanswered.remove(0);
            self.policy.handle(self.now, answer);
            self.collect();
        }
    }

    /// Lets this time pass, ticking at every deadline.
    pub(super) fn pass(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut ticks = 0;
        while let Some(deadline) = self.policy.deadline().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
            ticks += 1;
            assert!(ticks < 10_000, "a hot loop: {:?}", self.policy);
        }
        self.now = end;
    }

    /// When the next connection is asked for, in seconds from now; within two hours.
    #[track_caller]
    pub(super) fn next_connect(&mut self) -> f64 {
        let from = self.now;
        while self.connects() == 0 {
            let deadline = self.policy.deadline().expect("something is to happen");
            assert!(deadline.since(from) < Duration::from_secs(7_200));
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
        }
        self.now.since(from).as_secs_f64()
    }

    /// How many connections are asked for and not taken yet.
    pub(super) fn connects(&self) -> usize {
        self.wanted.iter().filter(|output| matches!(output, Output::Connect { .. })).count()
    }

    /// The one connection that is asked for, and the cursor that it asks with.
    #[track_caller]
    pub(super) fn take_connect(&mut self) -> (ConnectionId, Option<String>) {
        assert_eq!(self.connects(), 1, "{:?}", self.wanted);
        let place = self.wanted.iter().position(|output| matches!(output, Output::Connect { .. }));
        match self.wanted.remove(place.unwrap()) {
            Output::Connect { connection, target: policy::Target::Cursored(Target { cursor }) } => {
                (connection, cursor.map(|cursor| cursor.as_str().to_owned()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the next connection: the cursor that it asks with, and its name.
    #[track_caller]
    pub(super) fn asks(&mut self) -> (ConnectionId, Option<String>) {
        self.next_connect();
        self.take_connect()
    }

    /// Opens the next connection, with a first heartbeat.
    #[track_caller]
    pub(super) fn open(&mut self) -> ConnectionId {
        let (connection, _) = self.asks();
        self.input(Input::Opened(connection));
        self.input(cursored::Input::Heartbeat(connection));
        connection
    }

    /// An event with this cursor comes, and is committed.
    pub(super) fn event(&mut self, connection: ConnectionId, at: &str) {
        self.input(Input::Data(connection));
        self.commit(connection, Some(at));
    }

    pub(super) fn commit(&mut self, connection: ConnectionId, at: Option<&str>) {
        let cursor = at.and_then(Cursor::new);
        let (data, arrived) = (Vec::new(), self.now);
        let span = Span { arrived, poke: None, data, cursor, new: 1, duplicate: 0 };
        self.input(Input::Committed { connection, span });
    }

    pub(super) fn end(&mut self, connection: ConnectionId, end: End) {
        self.input(Input::Ended { connection, end });
    }

    /// The next connection is answered with this status.
    #[track_caller]
    pub(super) fn refuse(&mut self, status: u16) {
        let (connection, _) = self.asks();
        self.end(connection, End::Refused(Refusal::from_status(status, None)));
    }

    /// What is wanted besides connections.
    pub(super) fn take_others(&mut self) -> Vec<Output> {
        let connects = |output: &Output| matches!(output, Output::Connect { .. });
        let (connects, others) = std::mem::take(&mut self.wanted).into_iter().partition(connects);
        self.wanted = connects;
        others
    }

    pub(super) fn last_state(&self) -> &CursoredState {
        &self.persisted.last().unwrap().1
    }
}

/// A state that goes on from there, after a clean stop.
pub(super) fn state(at: &str) -> CursoredState {
    CursoredState { cursor: Cursor::new(at), has_read: true, clean: true, ..Default::default() }
}

pub(super) const PROPER: End = End::Terminated { mid_event: false };
