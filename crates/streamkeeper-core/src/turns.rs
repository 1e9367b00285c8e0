//! Whose turn it is at a sink: which streams its next delivery carries, and when again after a failure.
//!
//! A sink takes one delivery at a time, and its streams take turns at it. A stream that has nothing new is in
//! no list here, so that a thousand quiet ones cost nothing; one that has much gets a fair share of each
//! delivery and then stands behind those that came meanwhile. What fails says whom it blames:
//!
//! - a **stream**: it alone waits, with a back-off of its own, and no other stream is delayed. What was in
//!   the same delivery is sent again at once, without it, and it is tried again alone;
//! - the **sink as a whole** (no connection, a full disk): all wait together, with one back-off. What comes
//!   next is tried alone, and from another stream, so that a sink which blames itself for what is one
//!   stream's fault starves nobody.
//!
//! A back-off grows until a delivery succeeds: of that stream, or of the sink. What no retry alone will
//! overcome is *held*: tried again at the longest pause, since a hand may have mended it.
//!
//! Answer each output with one input before you ask for the next. [`Turns`] neither reads the outbox nor
//! knows what an event is; it is told what was read.

mod health;
mod messages;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::backoff::Backoff;
use crate::id::FeedId;
use crate::time::Instant;

pub use self::messages::{Input, Output, Retry, TurnsConfig};

use self::health::{Feed, SinkHealth, State, pause};

/// The turns of a sink's streams.
///
/// ```
/// use std::time::Duration;
///
/// use streamkeeper_core::backoff::BackoffConfig;
/// use streamkeeper_core::id::FeedId;
/// use streamkeeper_core::time::Instant;
/// use streamkeeper_core::turns::{Input, Output, Turns, TurnsConfig};
///
/// let backoff = BackoffConfig::default();
/// let linger = Duration::ZERO;
/// let config = TurnsConfig { events_max: 100, bytes_max: 1 << 20, several: true, linger, backoff };
/// let (mut turns, now) = (Turns::new(config, 7), Instant::ZERO);
/// turns.handle(now, Input::Add(FeedId(1)));
/// assert_eq!(turns.poll(now), Some(Output::Resume(FeedId(1))));
/// turns.handle(now, Input::Resumed);
/// assert!(matches!(turns.poll(now), Some(Output::Read { feed: FeedId(1), .. })));
/// turns.handle(now, Input::Read { events: 3, bytes: 900, more: false });
/// assert_eq!(turns.poll(now), Some(Output::Deliver));
/// turns.handle(now, Input::Delivered);
/// assert_eq!(turns.poll(now), None, "until there is news");
/// ```
#[derive(Debug)]
pub struct Turns {
    config: TurnsConfig,
    rng: fastrand::Rng,
    feeds: BTreeMap<FeedId, Feed>,
    /// The sink has to be told where these are, in this order.
    untold: VecDeque<FeedId>,
    /// These may have something, in the order of their turns.
    ready: VecDeque<FeedId>,
    /// These wait until then.
    waiting: BTreeSet<(Instant, FeedId)>,
    /// These are in the delivery that is being gathered, or under way.
    gathered: Vec<FeedId>,
    /// These were, and have gone since.
    gone: Vec<FeedId>,
    events: usize,
    bytes: usize,
    /// No delivery begins before.
    lingers_until: Option<Instant>,
    /// What was asked for and has not been answered.
    asked: Option<Output>,
    sink: SinkHealth,
}

impl Turns {
    /// No stream yet; `seed` draws the jitter.
    #[must_use]
    pub fn new(config: TurnsConfig, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let backoff = Backoff::new(config.backoff, rng.u64(..));
        Self {
            config,
            rng,
            feeds: BTreeMap::new(),
            untold: VecDeque::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            gathered: Vec::new(),
            gone: Vec::new(),
            events: 0,
            bytes: 0,
            lingers_until: None,
            asked: None,
            sink: SinkHealth { backoff, paused_until: None, held: false, alone: false },
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
            answer => {
                let asked = self.asked.take();
                self.answered(now, asked, answer);
            }
        }
    }

    /// What is to be done next; `None`: nothing until there is news, or the [deadline](Self::deadline),
    /// or while something is unanswered.
    pub fn poll(&mut self, now: Instant) -> Option<Output> {
        if self.asked.is_some() || self.sink.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.sink.paused_until = None;
        self.wake(now);
        // Reading for a delivery is the beginning of it.
        let lingers = self.lingers_until.is_some_and(|until| now < until);
        if lingers && self.gathered.is_empty() && self.untold.is_empty() {
            return None;
        }
        self.asked = self.next();
        if self.asked == Some(Output::Deliver) {
            let has_all = self.ready.is_empty() && !self.config.linger.is_zero();
            self.lingers_until = has_all.then(|| now + self.config.linger);
        }
        self.asked
    }

    /// When there is something to do without any news.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let wakes = self.waiting.first().map(|(until, _)| *until);
        if self.asked.is_some() {
            return None;
        }
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
        self.asked.is_none() && (is_held || !waits && !self.has_turn())
    }

    /// How often in a row the stream has failed; `None`: the sink as a whole.
    #[must_use]
    pub fn attempts(&self, feed: Option<FeedId>) -> u32 {
        match feed {
            None => self.sink.backoff.attempt(),
            Some(feed) => self.feeds.get(&feed).map_or(0, |feed| feed.backoff.attempt()),
        }
    }

    fn add(&mut self, id: FeedId) {
        let backoff = Backoff::new(self.config.backoff, self.rng.u64(..));
        let feed = Feed { told: false, state: State::Queued, held: false, backoff };
        let known = self.feeds.insert(id, feed);
        assert!(known.is_none(), "a feed's number is used once");
        self.untold.push_back(id);
    }

    fn remove(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.remove(&id) else { return };
        if let State::Waits { until } = feed.state {
            self.waiting.remove(&(until, id));
        }
        self.untold.retain(|other| *other != id);
        self.ready.retain(|other| *other != id);
        if self.gathered.contains(&id) {
            self.gathered.retain(|other| *other != id);
            self.gone.push(id);
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
        !(self.untold.is_empty() && self.ready.is_empty())
    }

    fn next(&mut self) -> Option<Output> {
        if let Some(feed) = self.untold.front()
            && self.gathered.is_empty()
        {
            return Some(Output::Resume(*feed));
        }
        let room = self.config.events_max.max(1).saturating_sub(self.events);
        let room_bytes = self.config.bytes_max.max(1).saturating_sub(self.bytes);
        let is_full = room == 0 || room_bytes == 0 || !self.untold.is_empty();
        let front = self.ready.front().copied().filter(|_| !is_full);
        let joins = |front: &FeedId| {
            self.gathered.is_empty()
                || !(self.goes_alone(*front) || self.gathered.iter().any(|id| self.goes_alone(*id)))
        };
        let Some(feed) = front.filter(joins) else {
            return (!self.gathered.is_empty()).then_some(Output::Deliver);
        };
        // A fair share for each that waits for its turn; the last one gets what is left.
        let shares = if self.goes_alone(feed) { 1 } else { self.ready.len() };
        self.ready.pop_front();
        self.set(feed, State::Gathered { more: false });
        let (events_max, bytes_max) = ((room / shares).max(1), (room_bytes / shares).max(1));
        Some(Output::Read { feed, events_max, bytes_max })
    }

    /// Whether nothing else may be in a delivery of this stream: what has failed would drag it along.
    fn goes_alone(&self, id: FeedId) -> bool {
        let has_failed = |feed: &Feed| feed.backoff.attempt() > 0;
        !self.config.several || self.sink.alone || self.feeds.get(&id).is_some_and(has_failed)
    }

    fn answered(&mut self, now: Instant, asked: Option<Output>, answer: Input) {
        match (asked, answer) {
            (Some(Output::Resume(feed)), Input::Resumed) => self.resumed(feed),
            (Some(Output::Resume(feed)), Input::Failed { retry, of }) => {
                self.resume_failed(now, feed, retry, of.is_none());
            }
            (Some(Output::Read { feed, .. }), Input::Read { events, bytes, more }) => {
                self.read(feed, events, bytes, more);
            }
            (Some(Output::Read { feed, .. }), Input::Unreadable) => {
                self.wait(now, feed, Retry::Held);
            }
            (Some(Output::Deliver), Input::Delivered) => self.delivered(),
            (Some(Output::Deliver), Input::Failed { retry, of: None }) => {
                self.sink_failed(now, retry);
            }
            (Some(Output::Deliver), Input::Failed { retry, of: Some(feeds) }) => {
                self.feeds_failed(now, retry, &feeds);
            }
            (asked, answer) => panic!("{answer:?} is no answer to {asked:?}"),
        }
    }

    fn resumed(&mut self, id: FeedId) {
        self.sink.is_well();
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.told = true;
            feed.is_well();
            self.untold.retain(|other| *other != id);
            self.ready.push_back(id);
        }
    }

    fn resume_failed(&mut self, now: Instant, id: FeedId, retry: Retry, is_whole: bool) {
        if is_whole {
            self.sink.failed(now, retry);
        } else {
            self.sink.is_well();
            self.untold.retain(|other| *other != id);
            self.wait(now, id, retry);
        }
    }

    fn read(&mut self, id: FeedId, events: usize, bytes: usize, more: bool) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        if events > 0 {
            if let State::Gathered { more: news } = &mut feed.state {
                *news |= more;
            }
            self.gathered.push(id);
            self.events += events;
            self.bytes += bytes;
        } else {
            self.back(id);
        }
    }

    fn delivered(&mut self) {
        self.sink.is_well();
        for id in self.take_gathered() {
            if let Some(feed) = self.feeds.get_mut(&id) {
                feed.is_well();
                self.back(id);
            }
        }
    }

    fn sink_failed(&mut self, now: Instant, retry: Retry) {
        self.sink.failed(now, retry);
        self.sink.alone = true;
        for id in self.take_gathered() {
            self.set(id, State::Queued);
            self.ready.push_back(id);
        }
    }

    fn feeds_failed(&mut self, now: Instant, retry: Retry, feeds: &[FeedId]) {
        self.sink.is_well();
        // Nobody else is to blame for one that has gone meanwhile.
        let known = self.gathered.iter().chain(&self.gone).any(|id| feeds.contains(id));
        let gathered = self.take_gathered();
        for id in gathered.into_iter().rev() {
            if !known || feeds.contains(&id) {
                self.wait(now, id, retry);
            } else {
                // The others keep their turn.
                self.set(id, State::Queued);
                self.ready.push_front(id);
            }
        }
    }

    fn take_gathered(&mut self) -> Vec<FeedId> {
        (self.events, self.bytes) = (0, 0);
        self.gone.clear();
        std::mem::take(&mut self.gathered)
    }

    /// Behind the others if it has more, or away.
    fn back(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        if feed.state == (State::Gathered { more: true }) {
            feed.state = State::Queued;
            self.ready.push_back(id);
        } else {
            feed.state = State::Quiet;
        }
    }

    fn wait(&mut self, now: Instant, id: FeedId, retry: Retry) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        let until = now + pause(&mut feed.backoff, retry);
        feed.state = State::Waits { until };
        feed.held = retry == Retry::Held;
        self.waiting.insert((until, id));
    }

    fn set(&mut self, id: FeedId, state: State) {
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.state = state;
        }
    }
}

#[cfg(test)]
mod tests;
