//! The policies of one stream, composed: all slots, hygiene, back-off, recovery, mark.
//!
//! **The contract.** After every [`StreamPolicy::handle`], drain [`StreamPolicy::poll`] to `None`
//! and carry the outputs out in order; then arrange to call `handle(now, Input::Tick)` at
//! [`StreamPolicy::deadline`]. An early tick is no fault. Every `Connect` is answered by exactly one
//! `Ended`, every `Call` by one `Answered`, every `Persist` by one `Persisted`.
//!
//! Where things are: `slots` and `admission` (who connects and rests), `incident` (the recovery), `verify`
//! (suspects read again), `left_behind` (streams that are not read any more), `lost_history` (what the service does not keep), `steering` (what an operator asks),
//! `proof` (what committed frames prove), `durable` (what is written down, and the stop), and here what every input
//! leads to.

mod absence;
mod admission;
mod durable;
mod incident;
mod input;
mod left_behind;
mod lost_history;
mod members;
mod output;
mod proof;
mod settings;
mod slots;
mod steering;
mod verify;

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::establish::{Call, Establish};
use crate::hygiene::Hygiene;
use crate::id::{ConnectionId, Epoch, IncidentId, Reader, SlotId, StreamId};
use crate::low_water::{LowWater, Position};
use crate::restart::Restart;
use crate::service_clock::ServiceClock;
use crate::time::{Instant, Timestamp, UtcDay};
use crate::watchdog::Lack;

pub use self::input::{Input, Members, Span, Target};
pub use self::lost_history::HISTORY_DAYS;
pub use self::output::{Cause, IncidentSummary, Lost, Output, Report};
pub use self::settings::{Health, OpenIncident, Phase, StreamPolicyConfig, StreamState};
pub use self::slots::SlotState;

use self::absence::Absence;
use self::admission::Admission;
use self::incident::Incident;
use self::left_behind::LeftBehind;
use self::lost_history::Unread;
use self::proof::Told;
use self::slots::Slot;
use self::verify::Verification;

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

#[derive(Clone, Copy, Debug, Default)]
struct Epochs(u64);

impl Epochs {
    const fn next(&mut self) -> Epoch {
        self.0 += 1;
        Epoch(self.0)
    }
}

/// The policies of one stream. The `Supervisor` actor owns one.
///
/// ```
/// use streamkeeper_core::establish::Call;
/// use streamkeeper_core::stream_policy::{Input, Output, StreamPolicy, StreamPolicyConfig};
/// use streamkeeper_core::time::{Instant, Timestamp};
///
/// let mut policy = StreamPolicy::new(StreamPolicyConfig::new("acme", 3), 1);
/// let now = Instant::ZERO;
/// policy.handle(now, Input::Start { state: None, wall: Timestamp::from_micros(0) });
/// while let Some(output) = policy.poll() {
///     match output {
///         Output::Persist { number, .. } => policy.handle(now, Input::Persisted(number)),
///         Output::Call(call) => assert_eq!(call, Call::List, "look before creating"),
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
pub struct StreamPolicy {
    config: StreamPolicyConfig,
    now: Instant,
    stage: Stage,
    outputs: VecDeque<Output>,
    seeds: fastrand::Rng,
    epochs: Epochs,
    incidents: IncidentId,

    stream: Option<StreamId>,
    stream_start: Option<UtcDay>,
    unread: Option<Unread>,
    /// When it was created, until the first connection to it opens.
    unopened_since: Option<Instant>,
    absence: Absence,
    doubt_told: Told,
    jump_told: Told,
    call: Option<Call>,
    token_refused: bool,
    left_behind: LeftBehind,
    /// Names of streams that were to be made alongside, and may exist.
    announced: Vec<String>,
    /// The state with the name of the stream that the call under way makes is not durable yet.
    announcing: Option<u64>,

    slots: Vec<Slot>,
    admission: Admission,
    limit: Option<u32>,
    /// Fewer than that, said once.
    fewer_said: Option<u32>,
    members: Option<u32>,
    /// How many clients there were when the service was last asked.
    counted: Option<u32>,
    /// When a poke or an answer last said how many clients there are, or we asked.
    counted_at: Instant,
    counting: bool,
    /// Attempts to connect since the service counted its clients.
    attempts: u32,
    /// The service has asked for so long a wait that it was said; it is over then.
    waits_until: Option<Instant>,
    closings: Vec<Instant>,
    excess_since: Option<Instant>,
    foreign_since: Option<Instant>,
    /// How many times it has been said since then.
    foreign_said: u32,
    foreign_recovered_at: Option<Instant>,

    clock: ServiceClock,
    water: LowWater,
    position: Position,
    settled_at: Instant,
    /// When something from a while ago was last read.
    backlog_at: Option<Instant>,
    /// A frame has come from this stream.
    has_read: bool,
    persisted_mark: (Option<Timestamp>, Instant),
    persists: u64,

    filling: bool,
    /// When everything was terminated for the present reading, or when that began.
    terminated: Instant,
    terminated_at: Timestamp,
    incident: Option<Incident>,
    restart: Restart,
    wanted_recovery: Option<(Cause, Instant)>,
    verification: Verification,
    span_days: u32,
    widened_days: u32,
    reading_ruled_out: bool,
    /// What was to be read to its end before the stop can be.
    ends_in_order: bool,
    /// Why nothing can be made durable.
    ledger_failed: Option<&'static str>,
    /// The operator wants no connection.
    paused: bool,
}

impl StreamPolicy {
    /// The policies of a stream that has not started. `seed` draws every jitter.
    #[must_use]
    pub fn new(config: StreamPolicyConfig, seed: u64) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let slots = (0..config.connections)
            .map(|slot| Slot::new(SlotId(slot), Hygiene::new(config.hygiene, seeds.u64(..))))
            .collect();
        let epoch = Timestamp::from_micros(0);
        Self {
            now: Instant::ZERO,
            stage: Stage::Starting,
            outputs: VecDeque::new(),
            epochs: Epochs::default(),
            incidents: IncidentId::default(),
            stream: None,
            stream_start: None,
            unread: None,
            unopened_since: None,
            absence: Absence::default(),
            doubt_told: Told::default(),
            jump_told: Told::default(),
            call: None,
            token_refused: false,
            left_behind: LeftBehind::default(),
            announced: Vec::new(),
            announcing: None,
            slots,
            admission: Admission::new(
                Backoff::new(config.backoff, seeds.u64(..)),
                Backoff::new(config.token_backoff(), seeds.u64(..)),
            ),
            limit: None,
            fewer_said: None,
            members: None,
            counted: None,
            counted_at: Instant::ZERO,
            counting: false,
            attempts: 0,
            waits_until: None,
            closings: Vec::new(),
            excess_since: None,
            foreign_since: None,
            foreign_said: 0,
            foreign_recovered_at: None,
            clock: ServiceClock::new(config.watchdog.late_after, Instant::ZERO, epoch),
            water: LowWater::new(config.position, None),
            position: Position::new(config.position, Instant::ZERO, false),
            settled_at: Instant::ZERO,
            backlog_at: None,
            has_read: false,
            persisted_mark: (None, Instant::ZERO),
            persists: 0,
            filling: false,
            terminated: Instant::ZERO,
            terminated_at: epoch,
            incident: None,
            restart: Restart::new(config.restart),
            wanted_recovery: None,
            verification: Verification::new(config.backoff, seeds.u64(..)),
            span_days: 0,
            widened_days: 0,
            reading_ruled_out: false,
            ends_in_order: true,
            ledger_failed: None,
            paused: false,
            seeds,
            config,
        }
    }

    /// Takes an input that happened at `now`. A `now` earlier than the last counts as the last.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let now = now.max(self.now);
        self.now = now;
        if input.is_an_operators() {
            self.try_now(now);
        }
        match input {
            Input::Start { state, wall } => self.start(state, wall, now),
            Input::Opened(connection) => match connection.reader {
                Reader::Slot(_) => self.opened(connection, now),
                Reader::Replay => self.verification_opened(connection, now),
            },
            Input::Poke { connection, members } => self.poked(connection, members, now),
            Input::Data(connection) => self.data(connection, now),
            Input::Late(connection, lack) => self.late(connection, lack),
            Input::Stale(connection) => self.stale(connection, Cause::Stale, now),
            Input::TooSlow(connection) => self.stale(connection, Cause::SlowFrame, now),
            Input::Suspended { .. } => {
                self.position.changed(now);
                self.verification_unsettled(now);
            }
            Input::Garbled(connection) => self.garbled(connection, now),
            Input::Paused(connection) => self.paused(connection, true, now),
            Input::Resumed(connection) => self.paused(connection, false, now),
            Input::Ended { connection, end } => self.ended(connection, end, now),
            Input::Committed { connection, span } => self.committed(connection, &span, now),
            Input::Persisted(number) => self.persisted(number, now),
            Input::LedgerFailed(reason) => self.ledger_failed = Some(reason),
            Input::LedgerWell => self.ledger_failed = None,
            Input::Answered(answer) => self.answered(answer, now),
            Input::Counted { stream, members } => self.counted(&stream, members, now),
            Input::Room => {
                if let Stage::Terminating { await_room, .. } = &mut self.stage {
                    *await_room = false;
                }
                self.go_on_terminating(now);
            }
            Input::Flushed => self.flushed(now),
            Input::Tick | Input::TryNow => {}
            Input::Recover => self.recover(Cause::Operator, now),
            Input::Pause => self.pause(now),
            Input::Resume => self.resume(now),
            Input::Reconnect => self.reconnect(now),
            Input::Stop { drain } => self.stop(drain, now),
        }
        self.slots_tick(now);
        self.recover_if_due(now);
        self.verify_if_due(now);
        self.next_call(now);
        self.count_if_due(now);
    }

    /// The next effect, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tick next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.slots_deadline(), self.incident_deadline(), self.verification_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The low-water mark.
    #[must_use]
    pub const fn mark(&self) -> Option<Timestamp> {
        self.water.mark()
    }

    /// How far the mark is behind, by the service's clock; `None` without a mark. Before the first poke our
    /// own clock stands in, and the mark's lag is off by as much as that is.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.mark().map(|mark| self.clock.at(self.now).since(mark))
    }

    /// How many suspects hold the mark down.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.water.suspects().len()
    }

    /// The slots' states, in order, and whether a live one is late.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, SlotState, bool)> {
        self.slots.iter().map(|slot| (slot.id, slot.state, slot.late))
    }

    /// The clients that the last poke counted, and the most that the service allows.
    #[must_use]
    pub const fn members(&self) -> Members {
        Members { count: self.members, max: self.limit }
    }

    /// When the next attempt to connect may be made, if attempts are being held back.
    #[must_use]
    pub fn backing_off_until(&self) -> Option<Instant> {
        self.admission.held_until().filter(|&until| until > self.now)
    }

    /// Whether a recovery waits for `Room` in the queue.
    #[must_use]
    pub const fn awaits_room(&self) -> bool {
        matches!(self.stage, Stage::Terminating { await_room: true, .. })
    }

    /// The incident under way.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentSummary> {
        self.incident.as_ref().map(|incident| incident.summary(self.now))
    }

    /// The stream's state, in one word.
    #[must_use]
    pub fn health(&self) -> Health {
        let live = |state| matches!(state, SlotState::Live | SlotState::Draining { .. });
        let reads = self.slots.iter().any(|slot| live(slot.state) && slot.proven);
        let rests = self.slots.iter().any(|slot| matches!(slot.state, SlotState::Resting { .. }));
        match &self.stage {
            Stage::Stopped => Health::Stopped,
            Stage::Draining | Stage::Flushing | Stage::Closing { .. } => Health::Stopping,
            _ if let Some(reason) = self.ledger_failed => Health::Degraded(reason),
            _ if self.paused => Health::Paused,
            _ if self.token_refused => Health::Degraded("token_refused"),
            Stage::Terminating { await_room: true, .. } => Health::Degraded("outbox_full"),
            Stage::Establishing(establish) if let Some(trouble) = establish.trouble() => {
                Health::Degraded(trouble)
            }
            Stage::Terminating { .. } | Stage::Establishing(_) | Stage::Recording { .. } => {
                if self.incident.is_some() { Health::Recovering } else { Health::Starting }
            }
            Stage::Running if self.wanted_recovery.is_some() => {
                Health::Degraded("too_many_recoveries")
            }
            // While an attempt is under way, too, or the state would change with each of them.
            Stage::Running if !reads && !rests && self.admission.has_failed() => {
                Health::Degraded("unreachable")
            }
            Stage::Running if self.incident.is_some() => Health::Recovering,
            Stage::Running if self.replay_is_refused() => Health::Degraded("replay_refused"),
            // Between a rest and the next frame, it is no new start.
            Stage::Running if reads || rests || self.has_read => Health::Live,
            Stage::Running | Stage::Starting => Health::Starting,
        }
    }

    fn report(&mut self, report: Report) {
        self.outputs.push_back(Output::Report(report));
    }

    fn start(&mut self, state: Option<StreamState>, wall: Timestamp, now: Instant) {
        self.clock = ServiceClock::new(self.config.watchdog.late_after, now, wall);
        self.settled_at = now;
        let Some(state) = state else {
            self.terminate(false, now);
            return;
        };
        self.water = LowWater::new(self.config.position, state.mark);
        self.stream = state.stream_id;
        self.left_behind.unlooked = self.stream.is_some();
        self.take_over_left_behind(state.left_behind, now);
        self.announced = state.announced;
        self.incidents = state.incidents;
        self.incident =
            state.incident.map(|open| Incident::resume(state.incidents, &open, now, wall));
        // Where nothing is verified any more, a recovery reads past what the last process could not.
        let unverifiable = !state.suspects.is_empty() && self.config.verify_every.is_none();
        if !state.clean || self.stream.is_none() || unverifiable {
            self.recover(Cause::UncleanStart, now);
            return;
        }
        self.water = LowWater::new(self.config.position, state.mark).held_by(state.suspects, wall);
        self.absence = Absence::taken_over(now, wall, state.mark);
        if self.absence.is_too_long() {
            self.recover(Cause::CheckpointExpired, now);
        } else {
            self.filling = state.mark.is_none();
            // The service's checkpoint holds, as long as this is on disk before we connect.
            let persisted = self.persist(Phase::Running, false, now);
            self.stage = Stage::Recording { persisted };
        }
    }

    fn late(&mut self, connection: ConnectionId, lack: Lack) {
        if let Some(slot) = self.slot_of(connection) {
            slot.late = true;
        }
        self.report(Report::Late(connection, lack));
    }

    fn garbled(&mut self, connection: ConnectionId, now: Instant) {
        // In a verification it was seen again as it was: holding the mark would not mend it.
        if connection.reader != Reader::Replay {
            self.water.suspect(self.clock.latest(now));
        }
    }

    /// From how long on a pause of reading unsettles: a queue that is full for moments, again and again, is
    /// how a backlog is read, and would never let it settle.
    fn long_pause(&self) -> Duration {
        self.config.position.settle / 16
    }

    fn paused(&mut self, connection: ConnectionId, paused: bool, now: Instant) {
        let long = self.long_pause();
        let running = matches!(self.stage, Stage::Running);
        if connection.reader == Reader::Replay {
            self.verification_paused(connection, paused, now);
        } else if let Some(slot) = self.slot_of(connection) {
            let since = slot.paused_since.take();
            slot.paused_since = paused.then(|| since.unwrap_or(now));
            slot.resumed = (!paused).then_some(now);
            if let (SlotState::Draining { until: Some(until), .. }, Some(since), false) =
                (&mut slot.state, since, paused)
                && running
            {
                *until = *until + now.since(since);
            }
            if !paused && since.is_some_and(|since| now.since(since) >= long) {
                self.position.changed(now);
            }
        }
    }

    fn ended(&mut self, connection: ConnectionId, end: crate::classify::End, now: Instant) {
        self.asked_to_wait(end.retry_after(), now);
        match connection.reader {
            Reader::Slot(_) => self.slot_ended(connection, end, now),
            Reader::Replay => self.verification_ended(connection, end, now),
        }
        self.go_on_terminating(now);
        self.flush_if_ended();
    }
}

#[cfg(test)]
mod tests;
