//! The slots: who connects when it may, what the reports of connections mean, when they rest.
//!
//! `Idle → Connecting → Live → (Draining → Resting | Closing)` and back to `Idle`. Whether an
//! attempt may be made now is the business of `admission`. What a slot reads, and what its end means for
//! what has been read, is none of the slots' business: they say what happened.

mod ends;
mod view;

use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::hygiene::{Hygiene, HygieneConfig};
use crate::id::{ConnectionId, Epoch, Reader, SlotId};
use crate::time::Instant;

use super::admission::Admission;

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Has no connection and wants one.
    Idle,
    /// A connection is being opened.
    Connecting,
    /// Reading.
    Live,
    /// Half-closed, reading to the end until this instant.
    Draining {
        /// When it is closed hard; `None` when that has been done.
        until: Option<Instant>,
        /// How long it rests then, if it rests.
        rest: Option<Duration>,
    },
    /// Killed; the socket is not gone yet.
    Closing,
    /// Disconnected on purpose until this instant.
    Resting {
        /// When it connects again.
        until: Instant,
    },
    /// Not used: the service allows fewer connections.
    Limited,
}

/// One slot.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    id: SlotId,
    state: SlotState,
    epoch: Epoch,
    hygiene: Hygiene,
    opened: Instant,
    /// A frame came on this connection.
    proven: bool,
    /// It has lived long enough to forget the failures before it.
    lasted: bool,
    /// When the last committed frame of this connection was read.
    heard: Option<Instant>,
    blocked_since: Option<Instant>,
    unblocked: Option<Instant>,
    late: bool,
    /// When its connection is old enough to be replaced.
    replace_at: Option<Instant>,
}

impl Slot {
    const fn new(id: SlotId, hygiene: Hygiene) -> Self {
        Self {
            id,
            state: SlotState::Idle,
            epoch: Epoch(0),
            hygiene,
            opened: Instant::ZERO,
            proven: false,
            lasted: false,
            heard: None,
            blocked_since: None,
            unblocked: None,
            late: false,
            replace_at: None,
        }
    }

    pub(crate) const fn state(&self) -> SlotState {
        self.state
    }

    const fn connection(&self) -> ConnectionId {
        ConnectionId { reader: Reader::Slot(self.id), epoch: self.epoch }
    }

    /// Whether it has a connection, in the service's eyes or ours.
    const fn is_connected(&self) -> bool {
        matches!(
            self.state,
            SlotState::Connecting
                | SlotState::Live
                | SlotState::Draining { .. }
                | SlotState::Closing
        )
    }

    const fn is_resting(&self) -> bool {
        matches!(self.state, SlotState::Resting { .. })
    }

    /// Whether frames come on it.
    pub(crate) const fn reads(&self) -> bool {
        matches!(self.state, SlotState::Live) && self.proven
    }

    /// Whether it has been reading for longer than that.
    pub(crate) fn is_live_for_longer_than(&self, time: Duration, now: Instant) -> bool {
        self.state == SlotState::Live && now.since(self.opened) > time
    }

    fn connect(&mut self, epoch: Epoch) -> ConnectionId {
        self.epoch = epoch;
        self.state = SlotState::Connecting;
        self.proven = false;
        self.lasted = false;
        self.heard = None;
        self.late = false;
        self.blocked_since = None;
        self.unblocked = None;
        self.replace_at = None;
        self.connection()
    }

    /// A poke came without data since the last.
    pub(crate) const fn poke(&mut self) {
        self.hygiene.poke();
    }

    /// Data came.
    pub(crate) const fn data(&mut self) {
        self.hygiene.data();
    }

    /// It has completed no frame for a while.
    pub(crate) const fn is_late(&mut self) {
        self.late = true;
    }

    /// A frame that was read then is durable. For how long none had been: what was sent meanwhile comes after it.
    pub(crate) fn hear(&mut self, arrived: Instant) -> Duration {
        let last = self.heard.replace(arrived).unwrap_or(self.opened);
        arrived.since(last)
    }

    /// Whether what comes now may have waited while we did not read.
    pub(crate) fn reads_what_waited(&self, now: Instant, lately: Duration) -> bool {
        self.unblocked.is_some_and(|unblocked| now.since(unblocked) <= lately)
    }
}

/// The age at which a connection is replaced: earlier only, since behind it may be a limit of the server's, and
/// spread, since many may have been opened together.
pub(crate) fn spread(max_age: Duration, seeds: &mut fastrand::Rng) -> Duration {
    max_age.mul_f64(1.0 - seeds.f64() / 10.0)
}

/// How many connections the service has room for, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// So many at most.
    pub(crate) allowed: usize,
    /// So many attempts will not be refused for want of room.
    pub(crate) free: u32,
}

/// What the end of a slot's connection was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) slot: SlotId,
    /// Events may have been lost by it.
    pub(crate) suspect: bool,
    /// It may have been a client of the service.
    pub(crate) was_client: bool,
    /// It counts as a failed attempt.
    pub(crate) failed: bool,
}

/// What the slots of a stream depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotsConfig {
    pub(crate) connections: u8,
    pub(crate) hygiene: HygieneConfig,
    pub(crate) backoff: BackoffConfig,
    /// Between attempts that are refused for the token.
    pub(crate) token_backoff: BackoffConfig,
    /// A connection that lives as long forgets the failures before it.
    pub(crate) late_after: Duration,
    /// How long a half-closed connection may take to end.
    pub(crate) drain_limit: Duration,
    /// Who is to wake within so long wakes with the first.
    pub(crate) wake_together: Duration,
}

/// The slots of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    config: SlotsConfig,
    slots: Vec<Slot>,
    admission: Admission,
    epochs: Epoch,
    /// The operator wants no connection.
    paused: bool,
}

impl Slots {
    /// `seeds` draws every jitter.
    pub(crate) fn new(config: SlotsConfig, seeds: &mut fastrand::Rng) -> Self {
        let slots = (0..config.connections)
            .map(|slot| Slot::new(SlotId(slot), Hygiene::new(config.hygiene, seeds.u64(..))))
            .collect();
        let mut backoff = |config: BackoffConfig| Backoff::new(config, seeds.u64(..));
        Self {
            slots,
            admission: Admission::new(backoff(config.backoff), backoff(config.token_backoff)),
            epochs: Epoch(0),
            paused: false,
            config,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// The slot whose present connection this is.
    pub(crate) fn of(&mut self, connection: ConnectionId) -> Option<&mut Slot> {
        let Reader::Slot(id) = connection.reader else { return None };
        self.slots
            .iter_mut()
            .find(|slot| slot.id == id && slot.epoch == connection.epoch && slot.is_connected())
    }

    /// The number of a connection that has not been there before.
    pub(crate) const fn new_epoch(&mut self) -> Epoch {
        self.epochs.0 += 1;
        self.epochs
    }

    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Somebody wants an attempt now, whatever it waits for.
    pub(crate) fn try_now(&mut self, now: Instant) {
        self.admission.try_now(now);
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether that is news.
    pub(crate) const fn set_paused(&mut self, paused: bool) -> bool {
        std::mem::replace(&mut self.paused, paused) != paused
    }

    /// A connection for each slot that wants one and may have it: they are to be opened.
    pub(crate) fn connect(&mut self, places: Places, now: Instant) -> Vec<ConnectionId> {
        if self.paused {
            return Vec::new();
        }
        self.wake(now);
        let mut connecting = self.connecting();
        let mut connected = self.connected();
        let mut free = places.free;
        let mut opening = Vec::new();
        for slot in &mut self.slots {
            // One more than the service has places for, by its own last count, would be refused;
            // one at a time finds out whether the count is still true.
            let place = (connecting == 0 || free > 0) && connected < places.allowed;
            if slot.state == SlotState::Idle && place && self.admission.admit(slot.id, now) {
                connecting += 1;
                connected += 1;
                free = free.saturating_sub(1);
                self.epochs.0 += 1;
                opening.push(slot.connect(self.epochs));
            }
        }
        opening
    }

    /// Who is to wake soon wakes with the first: each join is a rebalance, in which nobody on the
    /// stream gets data, and twenty slots that come and go one by one would starve it.
    fn wake(&mut self, now: Instant) {
        let wakes = |slot: &Slot, by: Instant| matches!(slot.state, SlotState::Resting { until } if by >= until);
        if !self.slots.iter().any(|slot| wakes(slot, now)) {
            return;
        }
        for slot in
            self.slots.iter_mut().filter(|slot| wakes(slot, now + self.config.wake_together))
        {
            slot.state = SlotState::Idle;
        }
    }

    /// The response head came: whether a connection was waited for.
    pub(crate) fn opened(&mut self, connection: ConnectionId, now: Instant) -> bool {
        let slot = self.of(connection).filter(|slot| slot.state == SlotState::Connecting);
        let Some(slot) = slot else { return false };
        slot.state = SlotState::Live;
        slot.opened = now;
        slot.hygiene.opened();
        true
    }

    /// The connection is to be replaced when it is so old.
    pub(crate) fn replace_after(&mut self, connection: ConnectionId, age: Duration, now: Instant) {
        if let Some(slot) = self.of(connection) {
            slot.replace_at = Some(now + age);
        }
    }

    /// A frame came: the connection has proven itself. Whether it is its first one; only that speaks for
    /// attempts to connect: that a connection goes on says nothing about one that is refused beside it.
    pub(crate) fn alive(&mut self, connection: ConnectionId, now: Instant) -> bool {
        let late_after = self.config.late_after;
        let Some(slot) = self.of(connection) else { return false };
        slot.late = false;
        let first = !std::mem::replace(&mut slot.proven, true);
        let opened = slot.opened;
        let lasted = !slot.lasted && now.since(opened) >= late_after;
        slot.lasted |= lasted;
        if lasted {
            self.admission.lasted(opened);
        }
        if first {
            self.admission.proven(opened, now);
        }
        first
    }

    /// The queue is full for this connection, or is no more: how long it was, once it is over. `reads`: we
    /// are not about to end everything anyway.
    pub(crate) fn blocked(
        &mut self,
        connection: ConnectionId,
        is_blocked: bool,
        reads: bool,
        now: Instant,
    ) -> Option<Duration> {
        let slot = self.of(connection)?;
        let since = slot.blocked_since.take();
        slot.blocked_since = is_blocked.then(|| since.unwrap_or(now));
        slot.unblocked = (!is_blocked).then_some(now);
        let lasted = now.since(since.filter(|_| !is_blocked)?);
        if let SlotState::Draining { until: Some(until), .. } = &mut slot.state
            && reads
        {
            *until = *until + lasted;
        }
        Some(lasted)
    }
}
