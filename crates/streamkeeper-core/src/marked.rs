//! The policies of a stream that is read again from a mark.
//!
//! The service remembers how far a client has read, and says nothing of what was sent into a connection that
//! had died. So one number is kept, the low-water mark; and whatever stops the stream, it is made anew from the
//! UTC day of the mark. [`Marked`] composes the machines; its contract is that of
//! [`Policy`](crate::policy::Policy), and every `Call` is answered by one `Answered`, every `Count` by one
//! `Counted`.
//!
//! Where things are. Each part owns its data and says what happened:
//! - of [`policy`]: slots and admission (who connects and rests), what is refused;
//! - `remote` (the stream on the service) with `left_behind` (streams that are not read any more) and
//!   `lost_history` (what the service does not keep); `census` (whose its clients are);
//! - `reading` (how far it has been read) with `proof` (what committed frames prove) and `absence`;
//! - `incident` (what is being recovered from), `widening`, `verify` (suspects read again, by a `reread`), `record`
//!   (what is written down, and the stop).
//!
//! What leads from one to the other: `connections` (the reports of slots), `recover` (the recovery) with
//! `same_stream` (the one that makes no new stream), `steering`
//! (what an operator asks), and here what every input leads to. Beside it stands [`Replay`], a machine of its own
//! for what an operator asks to be read again.

mod cause;
mod census;
mod connections;
pub mod establish;
mod incident;
mod input;
mod left_behind;
mod lost_history;
pub mod low_water;
mod output;
mod reading;
mod record;
mod recover;
mod remote;
mod replay;
mod reread;
mod same_stream;
mod settings;
mod steering;
mod verify;
mod widening;

use std::time::Duration;

use crate::id::SlotId;
use crate::marked::establish::Establish;
use crate::policy::effects::Effects;
use crate::policy::refused::Refused;
use crate::policy::slots::Slots;
use crate::policy::{self, Health, SlotState};
use crate::time::{Instant, Timestamp};

pub use self::cause::{Cause, IncidentSummary, Lost, Obstacle};
pub use self::input::{Input, Members};
pub use self::lost_history::HISTORY_DAYS;
pub use self::output::{Output, Report, Target};
pub use self::replay::{Replay, ReplayOutput};
pub use self::settings::{MarkedConfig, OpenIncident, Phase, Strategy, StreamState};

use self::census::Census;
use self::incident::Recovery;
use self::reading::Reading;
use self::record::Record;
use self::remote::Remote;
use self::verify::Verification;
use self::widening::Widening;

/// Where the stream is in its life.
#[derive(Clone, Debug)]
enum Stage {
    /// Before `Start`, or before its first state is durable.
    Starting,
    /// Everything is being closed, and written down.
    Terminating { persisted: Option<u64>, await_room: bool },
    /// A new stream is being made.
    Establishing(Box<Establish>),
    /// The new stream is being written down.
    Recording { persisted: u64 },
    /// Reading.
    Running,
    /// Every connection is being read to its end.
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
pub struct Marked {
    config: MarkedConfig,
    now: Instant,
    stage: Stage,
    effects: Effects,
    seeds: fastrand::Rng,
    slots: Slots,
    refused: Refused,
    remote: Remote,
    census: Census,
    reading: Reading,
    recovery: Recovery,
    widening: Widening,
    verification: Verification,
    record: Record,
    /// What was to be read to its end before the stop can be.
    ends_in_order: bool,
    /// Why nothing can be made durable.
    ledger_failed: Option<&'static str>,
}

impl Marked {
    /// The policies of a stream that has not started. `seed` draws every jitter.
    #[must_use]
    pub fn new(config: MarkedConfig, seed: u64) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        Self {
            now: Instant::ZERO,
            stage: Stage::Starting,
            effects: Effects::default(),
            slots: Slots::new(config.slots(), &mut seeds),
            refused: Refused::default(),
            remote: Remote::new(&config),
            census: Census::new(&config),
            reading: Reading::new(&config),
            recovery: Recovery::new(config.restart),
            widening: Widening::new(config.lookback_days),
            verification: Verification::new(config.backoff, seeds.u64(..)),
            record: Record::new(),
            ends_in_order: true,
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
                let state = state.and_then(|state| state.into_marked().ok());
                self.start(state, wall, now);
            }
            policy::Input::Opened(connection) => self.opened(connection, now),
            policy::Input::Data(connection) => self.data(connection, now),
            policy::Input::Late(connection, lack) => self.late(connection, lack),
            policy::Input::Stale(connection) => self.stale(connection, Cause::Stale, now),
            policy::Input::TooSlow(connection) => self.stale(connection, Cause::SlowFrame, now),
            policy::Input::Suspended { .. } => {
                self.reading.changed(now);
                self.verification.unsettled(now);
            }
            policy::Input::Garbled(connection) => self.garbled(connection, now),
            policy::Input::Blocked(connection) => self.blocked(connection, true, now),
            policy::Input::Unblocked(connection) => self.blocked(connection, false, now),
            policy::Input::Ended { connection, end } => self.ended(connection, end, now),
            policy::Input::Committed { connection, span } => self.committed(connection, &span, now),
            policy::Input::Persisted(number) => self.persisted(number, now),
            policy::Input::LedgerFailed(reason) => self.ledger_failed = Some(reason),
            policy::Input::LedgerWell => self.ledger_failed = None,
            policy::Input::Marked(input) => self.handle_own(input, now),
            policy::Input::Room => self.room(now),
            policy::Input::Flushed => self.flushed(now),
            policy::Input::Tick | policy::Input::TryNow | policy::Input::Cursored(_) => {}
            policy::Input::Recover => self.recover(Cause::Operator, now),
            policy::Input::Pause => self.pause(now),
            policy::Input::Resume => self.resume(now),
            policy::Input::Reconnect => self.reconnect(now),
            policy::Input::Stop { drain } => self.stop(drain, now),
        }
        self.slots.tick(self.is_running(), &mut self.effects, now);
        self.connect_slots(now);
        self.recover_if_due(now);
        self.verify_if_due(now);
        self.next_call(now);
        self.count_if_due(now);
    }

    fn handle_own(&mut self, input: Input, now: Instant) {
        match input {
            Input::Poke { connection, members } => self.poked(connection, members, now),
            Input::Answered(answer) => self.answered(answer, now),
            Input::Counted { stream, members } => self.counted(&stream, members, now),
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
        [slots, self.count_due(), self.incident_deadline(), self.verification_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The low-water mark.
    #[must_use]
    pub const fn mark(&self) -> Option<Timestamp> {
        self.reading.mark()
    }

    /// How far the mark is behind, by the service's clock; `None` without a mark. Before the first poke our
    /// own clock stands in, and the mark's lag is off by as much as that is.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.mark().map(|mark| self.reading.time(self.now).since(mark))
    }

    /// How many suspects hold the mark down.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.reading.suspects().len()
    }

    /// The slots' states, in order, and whether a live one is late.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, SlotState, bool)> {
        self.slots.states()
    }

    /// The clients that the last poke counted, and the most that the service allows.
    #[must_use]
    pub const fn members(&self) -> Members {
        self.census.members()
    }

    /// When the next attempt to connect may be made, if attempts are being held back.
    #[must_use]
    pub fn backing_off_until(&self) -> Option<Instant> {
        self.slots.admission().held_until().filter(|&until| until > self.now)
    }

    /// Whether a recovery waits for `Room` in the queue.
    #[must_use]
    pub const fn awaits_room(&self) -> bool {
        matches!(self.stage, Stage::Terminating { await_room: true, .. })
    }

    /// The incident under way.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentSummary> {
        self.recovery.summary(self.now)
    }

    /// Whether slots read what was sent before: the history of a stream that was made anew.
    #[must_use]
    pub fn replays(&self) -> bool {
        self.recovery.is_under_way() && !self.recovery.rereads()
    }

    /// The stream's state, in one word.
    #[must_use]
    pub fn health(&self) -> Health {
        let reads = self.slots.reads_or_drains();
        let rests = self.slots.rest();
        match &self.stage {
            Stage::Stopped => Health::Stopped,
            Stage::Draining | Stage::Flushing | Stage::Closing { .. } => Health::Stopping,
            _ if let Some(reason) = self.ledger_failed => Health::Degraded(reason),
            _ if self.slots.is_paused() => Health::Paused,
            _ if self.refused.token() => Health::Degraded("token_refused"),
            Stage::Terminating { await_room: true, .. } => Health::Degraded("outbox_full"),
            Stage::Establishing(establish) if let Some(trouble) = establish.trouble() => {
                Health::Degraded(trouble)
            }
            Stage::Terminating { .. } | Stage::Establishing(_) | Stage::Recording { .. } => {
                if self.recovery.is_under_way() { Health::Recovering } else { Health::Starting }
            }
            Stage::Running if self.recovery.is_wanted() => Health::Degraded("too_many_recoveries"),
            // While an attempt is under way, too, or the state would change with each of them.
            Stage::Running if !reads && !rests && self.slots.admission().has_failed() => {
                Health::Degraded("unreachable")
            }
            Stage::Running if self.recovery.is_under_way() => Health::Recovering,
            Stage::Running if self.replay_is_refused() => Health::Degraded("replay_refused"),
            // Between a rest and the next frame, it is no new start.
            Stage::Running if reads || rests || self.reading.has_read() => Health::Live,
            Stage::Running | Stage::Starting => Health::Starting,
        }
    }

    const fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running)
    }

    fn start(&mut self, state: Option<StreamState>, wall: Timestamp, now: Instant) {
        self.reading.start(self.config.watchdog.late_after, now, wall);
        let Some(state) = state else {
            self.terminate(false, now);
            return;
        };
        self.reading.read_before(state.mark);
        self.remote.take_over(&state, &mut self.seeds, now);
        self.recovery.take_over(state.incidents, state.incident.as_ref(), now, wall);
        // Where nothing is verified any more, a recovery reads past what the last process could not.
        let unverifiable = !state.suspects.is_empty() && self.config.verify_every.is_none();
        if !state.clean || state.stream_id.is_none() || unverifiable {
            // The same stream will do if its history has been read, and the service remembers how far.
            let goes_on = state.phase != Phase::Recovering
                && self.config.strategy == Strategy::Replay
                && self.reading.go_on(Vec::new(), now, wall);
            if goes_on {
                self.reading.start_over(None, None, now);
            } else {
                self.reading.begin_filling();
            }
            self.recover(Cause::UncleanStart, now);
        } else if self.reading.go_on(state.suspects, now, wall) {
            // The service's checkpoint holds, as long as this is on disk before we connect.
            let persisted = self.persist(Phase::Running, false, now);
            self.stage = Stage::Recording { persisted };
        } else {
            self.recover(Cause::CheckpointExpired, now);
        }
    }

    fn room(&mut self, now: Instant) {
        if let Stage::Terminating { await_room, .. } = &mut self.stage {
            *await_room = false;
        }
        self.go_on_terminating(now);
    }
}

#[cfg(test)]
mod tests;
