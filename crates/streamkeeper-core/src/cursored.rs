//! The policies of a stream that goes on from a cursor.
//!
//! The server gives each event an opaque id, and goes on behind it when it is asked with that id. So the
//! newest one that is committed here is kept, the cursor; and whatever stops the stream, the next connection
//! asks with it. What the server does not remember any more is lost; that is an incident, and never silent.
//!
//! [`Cursored`] composes the machines; its contract is that of [`Policy`](crate::policy::Policy), and every
//! `AskFirst` is answered by one `First`, every `Resync` by one `Resynced`.
//!
//! Where things are. Each part owns its data and says what happened; the [`Cursored`] composes them:
//! - of [`policy`]: the slot, what is refused;
//! - `point` (the cursor, and what moves it), `link` (the connection of the moment), `pauses` (how long until
//!   the next one), `incident` (what is wrong), `resync` (the snapshot after a loss), `tail` (what a connection
//!   has left to be committed).
//!
//! What leads from one to the other: `connections` (the reports of the connection), `gaps` (a lost resume
//! point), `steering` (what an operator asks), `record` (what is written down, and the stop), and here what
//! every input leads to.
//!
//! **What holds.** A connection asks with no cursor that is newer than what is durable, and not before what
//! was read on the one before is committed: so nothing comes twice within a process, and what comes again
//! after a crash is known. A cursor that no connection has brought is durable before it is asked with.

mod cause;
mod connections;
mod gaps;
mod incident;
mod input;
mod link;
mod output;
mod pauses;
mod point;
mod record;
mod resync;
mod settings;
mod steering;
mod tail;

use crate::backoff::Backoff;
use crate::id::{ConnectionId, Cursor, SlotId};
use crate::policy::effects::Effects;
use crate::policy::refused::Refused;
use crate::policy::slots::Slots;
use crate::policy::{self, Health, SlotState};
use crate::time::{Instant, Timestamp};

pub use self::cause::{Cause, GapSign, IncidentSummary, Sign};
pub use self::input::Input;
pub use self::output::{Output, Report, Target};
pub use self::settings::{CursoredConfig, CursoredState, FirstCursor, OpenIncident, Strategy};

use self::incident::Incidents;
use self::link::Link;
use self::pauses::Pauses;
use self::point::Point;
use self::record::Record;
use self::resync::Resync;
use self::tail::Tail;

/// Where the stream is in its life.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Before `Start`.
    Starting,
    /// The first cursor is being asked for.
    Asking,
    /// What it begins with is being written down.
    Recording { persisted: u64 },
    /// Reading.
    Running,
    /// The connection is being read to its end.
    Draining,
    /// Everything read is being committed.
    Flushing,
    /// The last state is being written.
    Closing { persisted: u64, clean: bool },
    /// Nothing more.
    Stopped,
}

/// The policies of one stream.
#[derive(Debug)]
pub struct Cursored {
    config: CursoredConfig,
    now: Instant,
    /// When it started, by both clocks.
    started: (Instant, Timestamp),
    stage: Stage,
    effects: Effects,
    seeds: fastrand::Rng,
    slots: Slots,
    link: Option<Link>,
    pauses: Pauses,
    point: Point,
    incidents: Incidents,
    resync: Resync,
    refused: Refused,
    record: Record,
    tail: Tail,
    /// The server has said that nothing more comes.
    ended: bool,
    /// No connection has brought a frame since the last attempt at one failed.
    unreachable: bool,
    /// Why nothing can be made durable.
    ledger_failed: Option<&'static str>,
}

impl Cursored {
    /// The policies of a stream that has not started. `seed` draws every jitter.
    #[must_use]
    pub fn new(config: CursoredConfig, seed: u64) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let pauses = Pauses::new(config.backoff, &mut seeds);
        Self {
            now: Instant::ZERO,
            started: (Instant::ZERO, Timestamp::from_micros(0)),
            stage: Stage::Starting,
            effects: Effects::default(),
            slots: Slots::new(config.slots(), &mut seeds),
            link: None,
            resync: Resync::new(Backoff::new(*pauses.config(), seeds.u64(..))),
            pauses,
            point: Point::default(),
            incidents: Incidents::default(),
            refused: Refused::default(),
            record: Record::default(),
            tail: Tail::default(),
            ended: false,
            unreachable: false,
            ledger_failed: None,
            seeds,
            config,
        }
    }

    /// Takes an input that happened at `now`. A `now` earlier than the last counts as the last.
    pub fn handle(&mut self, now: Instant, input: policy::Input) {
        let now = now.max(self.now);
        self.now = now;
        if input.is_an_operators() {
            self.try_now(now);
        }
        match input {
            policy::Input::Start { state, wall } => {
                let state = state.and_then(|state| state.into_cursored().ok());
                self.start(state, wall, now);
            }
            policy::Input::Opened(connection) => self.opened(connection, now),
            policy::Input::Data(connection) => self.data(connection, now),
            policy::Input::Late(connection, lack) => self.late(connection, lack),
            policy::Input::Stale(connection) => self.stale(connection, Cause::Stale, now),
            policy::Input::TooSlow(connection) => self.stale(connection, Cause::SlowFrame, now),
            policy::Input::Blocked(connection) => self.blocked(connection, true, now),
            policy::Input::Unblocked(connection) => self.blocked(connection, false, now),
            policy::Input::Ended { connection, end } => self.ended(connection, end, now),
            policy::Input::Committed { connection, span } => self.committed(connection, &span),
            policy::Input::Persisted(number) => self.persisted(number),
            policy::Input::LedgerFailed(reason) => self.ledger_failed = Some(reason),
            policy::Input::LedgerWell => self.ledger_failed = None,
            policy::Input::Cursored(input) => self.handle_own(input, now),
            policy::Input::Flushed => self.flushed(now),
            policy::Input::Recover => self.recover(),
            policy::Input::Pause => self.pause(now),
            policy::Input::Resume => self.resume(),
            policy::Input::Reconnect => self.reconnect(now),
            policy::Input::Stop { drain } => self.stop(drain, now),
            // The cursor holds whatever the time; a frame that cannot be read comes again no better.
            policy::Input::Suspended { .. }
            | policy::Input::Garbled(_)
            | policy::Input::Room
            | policy::Input::Marked(_)
            | policy::Input::Tick
            | policy::Input::TryNow => {}
        }
        self.slots.tick(self.is_running(), &mut self.effects, now);
        self.rotate_if_due(now);
        self.resync_if_due(now);
        self.connect_if_due(now);
        self.persist_if_due(now);
    }

    fn handle_own(&mut self, input: Input, now: Instant) {
        match input {
            Input::Heartbeat(connection) => self.heartbeat(connection, now),
            Input::Retry { connection, wait } => self.retry(connection, wait),
            Input::Planned(connection) => self.planned(connection),
            Input::Gap { connection, sign } => self.gap_shown(connection, sign, now),
            Input::GroupStale => self.group_stale(now),
            Input::First(cursor) => self.first(cursor, now),
            Input::Resynced { ok } => self.resynced(ok, now),
        }
    }

    /// The next effect, in order.
    pub fn poll(&mut self) -> Option<policy::Output> {
        self.effects.poll()
    }

    /// When to tick next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let slots = self.slots.deadline(self.is_running(), self.now);
        let own = [self.rotation_due(), self.resync.deadline(), self.record.due()];
        slots.into_iter().chain(own.into_iter().flatten().filter(|_| self.is_running())).min()
    }

    /// The slot's state, and whether it is late.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, SlotState, bool)> {
        self.slots.states()
    }

    /// The cursor that the next connection asks with.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.point.cursor().filter(|_| self.config.asks())
    }

    /// When the next attempt to connect may be made, if attempts are being held back.
    #[must_use]
    pub fn backing_off_until(&self) -> Option<Instant> {
        let connects = self.is_running() && !self.ended;
        self.slots.admission().held_until().filter(|&until| connects && until > self.now)
    }

    /// The incident under way.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentSummary> {
        self.incidents.summary(self.now)
    }

    /// The stream's state, in one word.
    #[must_use]
    pub fn health(&self) -> Health {
        let reads = self.slots.reads_or_drains() || self.slots.rest();
        match self.stage {
            Stage::Stopped => Health::Stopped,
            Stage::Draining | Stage::Flushing | Stage::Closing { .. } => Health::Stopping,
            _ if let Some(reason) = self.ledger_failed => Health::Degraded(reason),
            _ if self.slots.is_paused() => Health::Paused,
            _ if self.refused.token() => Health::Degraded("token_refused"),
            _ if self.resync.is_failing() => Health::Degraded("resync_failed"),
            _ if self.ended => Health::Ended,
            _ if self.unreachable && !reads => Health::Degraded("unreachable"),
            _ if self.incidents.is_under_way() => Health::Recovering,
            // Between two connections, it is no new start.
            Stage::Running if reads || self.point.has_read() => Health::Live,
            Stage::Starting | Stage::Asking | Stage::Recording { .. } | Stage::Running => {
                Health::Starting
            }
        }
    }

    const fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running)
    }

    /// Whether a connection that opened now would go on from where the last one was.
    fn resumes(&self) -> bool {
        self.cursor().is_some()
    }

    fn start(&mut self, state: Option<CursoredState>, wall: Timestamp, now: Instant) {
        self.started = (now, wall);
        if let Some(state) = state {
            let state = state.of_cursors_at(&self.config.cursor_at);
            self.point.take_over(&state);
            self.incidents.take_over(state.incidents, state.incident, now, wall);
            if state.snapshot_owed && self.config.resync {
                self.resync.owe(now);
            }
            if state.has_read && !state.clean && !self.resumes() && !self.config.full_state {
                self.gap(Sign::Break, now);
            }
        }
        let is_first = self.config.asks() && !self.resumes() && !self.point.is_forgotten();
        match &self.config.first_cursor {
            FirstCursor::Ask if is_first => {
                self.stage = Stage::Asking;
                self.effects.push(Output::AskFirst);
            }
            FirstCursor::Literal(cursor) if is_first => {
                self.point.begin(Some(cursor.clone()));
                self.record_start(now);
            }
            FirstCursor::None | FirstCursor::Ask | FirstCursor::Literal(_) => {
                self.record_start(now);
            }
        }
    }

    fn first(&mut self, cursor: Option<Cursor>, now: Instant) {
        if matches!(self.stage, Stage::Asking) {
            self.effects.report(Report::FirstCursor { found: cursor.is_some() });
            self.point.begin(cursor);
            self.record_start(now);
        }
    }

    /// Writes down what it begins with, and that a crash from here on is no clean end.
    fn record_start(&mut self, now: Instant) {
        let persisted = self.persist(false, now);
        self.stage = Stage::Recording { persisted };
    }

    /// The queue is full for the connection, or is no more. That its silence does not count meanwhile is the
    /// watchdog's business; what the server sends meanwhile can be asked for.
    fn blocked(&mut self, connection: ConnectionId, is_blocked: bool, now: Instant) {
        let reads = self.is_running();
        let _lasted = self.slots.blocked(connection, is_blocked, reads, now);
    }
}

#[cfg(test)]
mod tests;
