//! Whose turn it is at a sink: which streams its next delivery carries, and when again after a failure.
//!
//! A sink takes a few deliveries at a time, mostly one, and its streams take turns at it. A stream that has nothing new is in
//! no list here, so that a thousand quiet ones cost nothing; one that has much gets a fair share of each
//! delivery and then stands behind those that came meanwhile. What fails says whom it blames:
//!
//! - a **stream**: it alone waits, with a back-off of its own, and no other stream is delayed. What was in
//!   the same delivery is sent again at once, without it, and it is tried again alone;
//! - an **event**: it is looked for, if need be by halves and without a pause, and tried alone. Refused alone for
//!   the last time, it is set aside and its stream goes on behind it. Where that is the lot of most events,
//!   it is not theirs: then it is held against the sink as a whole;
//! - the **sink as a whole** (no connection, a full disk): all wait together, with one back-off. What comes
//!   next is tried alone, and from another stream, so that a sink which blames itself for what is one
//!   stream's fault starves nobody.
//!
//! A back-off grows until a delivery succeeds: of that stream, or of the sink. What no retry alone will
//! overcome is *held*: tried again at the longest pause, since a hand may have mended it.
//!
//! Answer each output with one input before you ask for the next; a delivery alone may be answered later.
//! [`Turns`] neither reads the outbox nor knows what an event is; it is told what was read.

mod answers;
mod health;
mod messages;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::backoff::Backoff;
use crate::id::FeedId;
use crate::time::Instant;

pub use self::messages::{Blamed, DeliveryId, Fate, Input, Output, Retry, TurnsConfig};

use self::health::{Blight, Feed, SinkHealth, State, Suspicion, pause};

/// The turns of a sink's streams.
///
/// ```
/// use std::time::Duration;
///
/// use streamkeeper_core::backoff::BackoffConfig;
/// use streamkeeper_core::id::FeedId;
/// use streamkeeper_core::time::Instant;
/// use streamkeeper_core::turns::{DeliveryId, Input, Output, Turns, TurnsConfig};
///
/// let config = TurnsConfig {
///     events_max: 100,
///     bytes_max: 1 << 20,
///     several: true,
///     in_flight: 1,
///     linger: Duration::ZERO,
///     backoff: BackoffConfig::default(),
///     attempts: Some(20),
/// };
/// let (mut turns, now) = (Turns::new(config, 7), Instant::ZERO);
/// turns.handle(now, Input::Add(FeedId(1)));
/// assert_eq!(turns.poll(now), Some(Output::Open));
/// turns.handle(now, Input::Opened);
/// assert_eq!(turns.poll(now), Some(Output::Resume(FeedId(1))));
/// turns.handle(now, Input::Resumed);
/// assert!(matches!(turns.poll(now), Some(Output::Read { feed: FeedId(1), .. })));
/// turns.handle(now, Input::Read { events: 3, bytes: 900, more: false });
/// let Some(Output::Deliver(delivery)) = turns.poll(now) else { unreachable!() };
/// turns.handle(now, Input::Delivered(delivery));
/// assert_eq!(turns.poll(now), None, "until there is news");
/// ```
#[derive(Debug)]
pub struct Turns {
    config: TurnsConfig,
    rng: fastrand::Rng,
    /// The sink is ready.
    opened: bool,
    feeds: BTreeMap<FeedId, Feed>,
    /// The sink has to be told where these are, in this order.
    untold: VecDeque<FeedId>,
    /// These may have something, in the order of their turns.
    ready: VecDeque<FeedId>,
    /// These wait until then.
    waiting: BTreeSet<(Instant, FeedId)>,
    /// The first event of each of these is to be set aside.
    refused: VecDeque<FeedId>,
    gathering: Gathering,
    under_way: BTreeMap<DeliveryId, Vec<Part>>,
    /// How many deliveries there have been.
    deliveries: u64,
    /// No delivery begins before.
    lingers_until: Option<Instant>,
    /// What was asked for and has not been answered; of a delivery it is not waited for.
    asked: Option<Output>,
    sink: SinkHealth,
}

/// The delivery that is being gathered.
#[derive(Debug, Default)]
struct Gathering {
    parts: Vec<Part>,
    events: usize,
    bytes: usize,
    /// A stream was read that had nothing wanted, and more: what there is goes first.
    sifted: bool,
}

/// A stream in a delivery.
#[derive(Clone, Copy, Debug)]
struct Part {
    feed: FeedId,
    events: usize,
}

impl Turns {
    /// No stream yet; `seed` draws the jitter.
    #[must_use]
    pub fn new(config: TurnsConfig, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let backoff = Backoff::new(config.backoff, rng.u64(..));
        let blight = Blight::default();
        Self {
            config,
            rng,
            opened: false,
            feeds: BTreeMap::new(),
            untold: VecDeque::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            refused: VecDeque::new(),
            gathering: Gathering::default(),
            under_way: BTreeMap::new(),
            deliveries: 0,
            lingers_until: None,
            asked: None,
            sink: SinkHealth { backoff, paused_until: None, held: false, alone: false, blight },
        }
    }

    /// Takes note of what happened.
    ///
    /// # Panics
    /// If an answer comes to what was not asked.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Add(feed) => self.add(feed),
            Input::Remove(feed) => self.remove(feed),
            Input::News(feed) => self.news(feed),
            Input::Delivered(delivery) => self.delivered(delivery),
            Input::Failed { delivery, whole, fates } => self.failed(now, delivery, whole, &fates),
            answer => {
                let asked = self.asked.take();
                self.answered(now, asked, answer);
            }
        }
    }

    /// What is to be done next; `None`: nothing until there is news, an answer, or the
    /// [deadline](Self::deadline), or while something is unanswered.
    pub fn poll(&mut self, now: Instant) -> Option<Output> {
        if self.asked.is_some() || self.sink.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.sink.paused_until = None;
        self.wake(now);
        // Reading for a delivery is the beginning of it.
        let lingers = self.lingers_until.is_some_and(|until| now < until);
        if lingers && self.gathering.parts.is_empty() && !self.has_errand() {
            return None;
        }
        let next = self.next();
        if let Some(Output::Deliver(delivery)) = next {
            let Gathering { parts, .. } = std::mem::take(&mut self.gathering);
            self.under_way.insert(delivery, parts);
            let has_all = self.ready.is_empty() && !self.config.linger.is_zero();
            self.lingers_until = has_all.then(|| now + self.config.linger);
        } else {
            self.asked = next;
        }
        next
    }

    /// When there is something to do without any news or answer.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.asked.is_some() || self.is_busy() {
            return None;
        }
        let wakes = self.waiting.first().map(|(until, _)| *until);
        match self.sink.paused_until.max(self.lingers_until) {
            None => wakes,
            Some(until) if self.has_turn() => Some(until),
            Some(until) => wakes.map(|wakes| wakes.max(until)),
        }
    }

    /// Whether nothing is left that time alone may bring to the sink: what is held is not waited for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let held = |feed: &FeedId| self.feeds.get(feed).is_some_and(|feed| feed.held);
        let waits = self.waiting.iter().any(|(_, feed)| !held(feed));
        let is_held = self.sink.held && self.sink.paused_until.is_some();
        let is_idle = self.asked.is_none() && self.under_way.is_empty();
        is_idle && (is_held || !waits && !self.has_turn())
    }

    /// How often in a row the stream has failed; `None`: the sink as a whole.
    #[must_use]
    pub fn attempts(&self, feed: Option<FeedId>) -> u32 {
        match feed {
            None => self.sink.backoff.attempt(),
            Some(feed) => self.feeds.get(&feed).map_or(0, |feed| feed.backoff.attempt()),
        }
    }

    /// Whether most of the latest events were refused for what they are, so that no more are set aside: it
    /// looks like a fault of the sink.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.sink.blight.stopped
    }

    fn add(&mut self, id: FeedId) {
        let backoff = Backoff::new(self.config.backoff, self.rng.u64(..));
        let suspicion = Suspicion::default();
        let feed = Feed { told: false, state: State::Queued, held: false, backoff, suspicion };
        let known = self.feeds.insert(id, feed);
        assert!(known.is_none(), "a feed's number is used once");
        self.untold.push_back(id);
    }

    /// Of a delivery that it is in it stays a part, and what becomes of it there is of no interest.
    fn remove(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.remove(&id) else { return };
        if let State::Waits { until } = feed.state {
            self.waiting.remove(&(until, id));
        }
        for queue in [&mut self.untold, &mut self.ready, &mut self.refused] {
            queue.retain(|other| *other != id);
        }
    }

    /// A stream that has gone may have had news.
    fn news(&mut self, id: FeedId) {
        match self.feeds.get_mut(&id).map(|feed| &mut feed.state) {
            Some(state @ State::Quiet) => {
                *state = State::Queued;
                self.ready.push_back(id);
            }
            Some(State::Gathered { more }) => *more = true,
            Some(State::Queued | State::Waits { .. }) | None => {}
        }
    }

    /// Whoever has waited long enough takes a turn again.
    fn wake(&mut self, now: Instant) {
        while let Some(&(until, id)) = self.waiting.first()
            && until <= now
        {
            self.waiting.pop_first();
            if let Some(feed) = self.feeds.get_mut(&id) {
                feed.state = State::Queued;
                let queue = if feed.told { &mut self.ready } else { &mut self.untold };
                queue.push_back(id);
            }
        }
    }

    fn has_turn(&self) -> bool {
        !self.ready.is_empty() || self.has_errand()
    }

    /// Whether something is to be done that is no delivery.
    fn has_errand(&self) -> bool {
        !(self.untold.is_empty() && self.refused.is_empty())
    }

    /// Whether no further delivery may begin. A sink that has failed as a whole is tried with one.
    fn is_busy(&self) -> bool {
        let most =
            if self.sink.alone || !self.untold.is_empty() { 1 } else { self.config.in_flight };
        self.under_way.len() >= most.max(1)
    }

    fn next(&mut self) -> Option<Output> {
        if let Some(feed) = self.refused.pop_front() {
            return Some(Output::SetAside(feed));
        }
        if self.is_busy() {
            return None;
        }
        if let Some(feed) = self.untold.front()
            && self.gathering.parts.is_empty()
        {
            return Some(if self.opened { Output::Resume(*feed) } else { Output::Open });
        }
        self.gather().or_else(|| {
            (!self.gathering.parts.is_empty()).then(|| {
                self.deliveries += 1;
                Output::Deliver(DeliveryId(self.deliveries))
            })
        })
    }

    /// What is read next for the delivery that is being gathered; `None` if it is complete.
    fn gather(&mut self) -> Option<Output> {
        let Gathering { parts, events, bytes, sifted } = &self.gathering;
        let room = self.config.events_max.max(1).saturating_sub(*events);
        let room_bytes = self.config.bytes_max.max(1).saturating_sub(*bytes);
        let is_full = room == 0 || room_bytes == 0 || !self.untold.is_empty();
        if is_full || (*sifted && !parts.is_empty()) {
            return None;
        }
        let feed = *self.ready.front()?;
        let has_loner = parts.iter().any(|part| self.goes_alone(part.feed));
        if !parts.is_empty() && (has_loner || self.goes_alone(feed)) {
            return None;
        }
        // A fair share for each that waits for its turn; the last one gets what is left.
        let shares = if self.goes_alone(feed) { 1 } else { self.ready.len() };
        self.ready.pop_front();
        self.set(feed, State::Gathered { more: false });
        let (events_max, bytes_max) = ((room / shares).max(1), (room_bytes / shares).max(1));
        let suspicion = self.feeds.get(&feed).map(|feed| feed.suspicion).unwrap_or_default();
        Some(Output::Read { feed, events_max: suspicion.limit(events_max), bytes_max })
    }

    /// Whether nothing else may be in a delivery of this stream: what has failed would drag it along.
    fn goes_alone(&self, id: FeedId) -> bool {
        let has_failed = |feed: &Feed| feed.backoff.attempt() > 0 || feed.suspicion.is_any();
        !self.config.several || self.sink.alone || self.feeds.get(&id).is_some_and(has_failed)
    }

    fn set(&mut self, id: FeedId, state: State) {
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.state = state;
        }
    }
}

#[cfg(test)]
mod tests;
