//! [`Model`]: the calls of the API, and what the service does by itself as time passes.
#![expect(
    clippy::indexing_slicing,
    reason = "feeds and clients are never removed; ids from outside are looked up with `get`"
)]

use super::{
    Millis,
    client::{Client, ClientId, Frame, Hang, State},
    config::Config,
    event::{Event, EventId, What},
    feed::{Feed, World},
    history::History,
    refusal::Refusal,
    stream::{NewReplay, NewStream, Stream, StreamId},
    timeline::{Timeline, Timer},
};

/// The service. See the [module](super) for an example.
///
/// `now` never runs backwards: an earlier one counts as the latest there was. Ids of clients that
/// are gone, or were never given out, are ignored.
#[derive(Debug)]
pub struct Model {
    pub(super) config: Config,
    pub(super) now: Millis,
    pub(super) rng: fastrand::Rng,
    pub(super) history: History,
    pub(super) feeds: Vec<Feed>,
    /// Feeds that exist, streams and replays: indices into `feeds`.
    pub(super) existing: Vec<u32>,
    pub(super) clients: Vec<Client>,
    /// Clients that frames may still come out of: indices into `clients`.
    pub(super) readable: Vec<u32>,
    pub(super) timeline: Timeline,
}

impl Model {
    /// A service whose clock stands at `start`, with [`Config::history_for`] of history.
    pub fn new(config: Config, seed: u64, start: Millis) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let from = start.saturating_sub(config.history_for);
        let mut model = Self {
            history: History::new(&config, rng.u64(..), from),
            config,
            now: from,
            rng,
            feeds: Vec::new(),
            existing: Vec::new(),
            clients: Vec::new(),
            readable: Vec::new(),
            timeline: Timeline::default(),
        };
        model.advance(start);
        model
    }

    /// The latest time the model was told.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// What the service is like.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes what the service is like from now on. The rate has [`Model::set_rate`].
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The truth: everything published so far, in order of publication.
    pub fn events(&self) -> &[Event] {
        &self.history.events
    }

    /// The same with their names.
    pub fn ids(&self) -> impl Iterator<Item = (EventId, &Event)> {
        (0..).map(EventId).zip(&self.history.events)
    }

    /// One event.
    pub fn event(&self, id: EventId) -> Option<&Event> {
        self.history.events.get(id.index())
    }

    /// The newest version of a record.
    pub fn latest(&self, record: u32) -> Option<EventId> {
        self.history.latest(record)
    }

    /// The generator's rate from now on; 0 stops it.
    pub fn set_rate(&mut self, events_per_hour: u64, now: Millis) {
        self.advance(now);
        self.config.events_per_hour = events_per_hour;
        self.history.set_rate(events_per_hour, self.now);
    }

    /// Publishes an event beside the generator. `user` matters for new records, rules and
    /// connections. `None` if `what` names a record that does not exist or is not data.
    pub fn publish(&mut self, user: u32, what: What, now: Millis) -> Option<EventId> {
        self.advance(now);
        self.history.publish(&self.config, user, what, self.now)
    }

    /// The organization's streams, oldest first.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.feeds_of(false).map(|(_, feed)| &feed.stream)
    }

    /// One stream.
    pub fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams().find(|stream| stream.id == id)
    }

    /// How many clients count as members of a stream, closed ones not yet released included.
    pub fn members(&self, id: StreamId) -> usize {
        self.find(id).map_or(0, |feed| self.feeds[feed].counted)
    }

    /// How many replays are open, or closed and not yet released.
    pub fn replays(&self) -> usize {
        self.feeds_of(true).count()
    }

    /// Creates a stream.
    ///
    /// # Errors
    /// [`Refusal::TooManyStreams`], [`Refusal::DuplicateName`].
    pub fn create(&mut self, new: NewStream, now: Millis) -> Result<StreamId, Refusal> {
        self.advance(now);
        if self.streams().count() >= self.config.streams_max {
            return Err(Refusal::TooManyStreams);
        }
        if self.streams().any(|stream| stream.name == new.name) {
            return Err(Refusal::DuplicateName);
        }
        let stream = Stream {
            id: StreamId::draw(&mut self.rng),
            name: new.name,
            start_day: new.start_day,
            filter: new.filter,
            created_at: self.now,
            updated_at: self.now,
        };
        let id = stream.id;
        self.add_feed(stream, false);
        Ok(id)
    }

    /// Renames a stream.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::DuplicateName`].
    pub fn rename(&mut self, id: StreamId, name: &str, now: Millis) -> Result<(), Refusal> {
        self.advance(now);
        let feed = self.find(id).ok_or(Refusal::NotFound)?;
        if self.streams().any(|other| other.id != id && other.name == name) {
            return Err(Refusal::DuplicateName);
        }
        let stream = &mut self.feeds[feed].stream;
        name.clone_into(&mut stream.name);
        stream.updated_at = self.now;
        Ok(())
    }

    /// Deletes a stream and gives it back as it was.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::StillConnected`] while any client counts as a member.
    pub fn delete(&mut self, id: StreamId, now: Millis) -> Result<Stream, Refusal> {
        self.advance(now);
        let feed = self.find(id).ok_or(Refusal::NotFound)?;
        if self.feeds[feed].counted > 0 {
            return Err(Refusal::StillConnected);
        }
        self.remove_feed(feed);
        Ok(self.feeds[feed].stream.clone())
    }

    /// The service loses a stream: its connections end properly, and it does not exist any more.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn evict(&mut self, id: StreamId, now: Millis) -> Result<(), Refusal> {
        self.advance(now);
        let feed = self.find(id).ok_or(Refusal::NotFound)?;
        for member in self.feeds[feed].active.clone() {
            self.leave(member);
        }
        self.remove_feed(feed);
        Ok(())
    }

    /// A client connects to a stream. Its users come with the rebalance this starts.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::TooManyClients`], closed ones not yet released included.
    pub fn connect(&mut self, id: StreamId, now: Millis) -> Result<ClientId, Refusal> {
        self.advance(now);
        let feed = self.find(id).ok_or(Refusal::NotFound)?;
        if self.feeds[feed].counted >= self.config.members_max {
            return Err(Refusal::TooManyClients);
        }
        let walk = self.config.walk.draw(&mut self.rng);
        Ok(self.join(feed, walk))
    }

    /// A client opens a replay: the whole stream to it alone.
    ///
    /// # Errors
    /// [`Refusal::TooManyReplays`], closed ones not yet released included.
    pub fn replay(&mut self, new: NewReplay, now: Millis) -> Result<ClientId, Refusal> {
        self.advance(now);
        if self.replays() >= self.config.replays_max {
            return Err(Refusal::TooManyReplays);
        }
        let stream = Stream {
            id: StreamId::draw(&mut self.rng),
            name: String::new(),
            start_day: Some(new.day),
            filter: new.filter,
            created_at: self.now,
            updated_at: self.now,
        };
        let feed = self.add_feed(stream, true);
        let walk = self.config.replay_walk.draw(&mut self.rng);
        Ok(self.join(feed, walk))
    }

    /// The client shuts down its writing side (FIN) and reads on. The service notices after
    /// [`Config::notice_after`], writes until then, and ends properly: the last frame is
    /// [`Frame::End`], and nothing is lost to a client that reads up to it.
    pub fn half_close(&mut self, client: ClientId, now: Millis) {
        self.advance(now);
        self.hear_close(client);
    }

    /// The connection breaks: closed at once by the client, or reset on the way. What was due and
    /// not read, and what the service writes until it notices, counts as streamed and is lost.
    pub fn abort(&mut self, client: ClientId, now: Millis) {
        self.advance(now);
        self.cut(client);
        self.hear_close(client);
    }

    /// The connection hangs: from now on nothing arrives, and what is written is lost.
    pub fn hang(&mut self, client: ClientId, hang: Hang, now: Millis) {
        self.advance(now);
        self.cut(client);
        let Some(state) = self.clients.get_mut(client.0 as usize) else { return };
        if hang == Hang::Deaf && state.is_written_to() {
            state.state = State::Leaving;
            state.leaves_at = self.now + self.config.hold_for.draw(&mut self.rng);
            self.timeline.add(state.leaves_at, Timer::Notice { client: client.0 });
        }
    }

    /// The service ends a connection properly (a deploy): what is due is written, then the end.
    pub fn end(&mut self, client: ClientId, now: Millis) {
        self.advance(now);
        if (client.0 as usize) < self.clients.len() {
            self.leave(client.0);
        }
    }

    /// Reads what the service wrote to this client by `now`, at most `frames_max` frames. What is
    /// not read is not written: the service waits for a slow client.
    pub fn poll(&mut self, client: ClientId, now: Millis, frames_max: usize, out: &mut Vec<Frame>) {
        self.advance(now);
        let Some(state) = self.clients.get_mut(client.0 as usize) else { return };
        let pending = state.pending.len().min(frames_max);
        out.extend(state.pending.drain(..pending));
        if state.reachable && state.is_written_to() {
            let feed = &mut self.feeds[state.feed as usize];
            let left = frames_max - pending;
            let world = World { config: &self.config, history: &self.history, now: self.now };
            feed.write(world, state, &mut self.rng, left, |frame| out.push(frame));
        }
        if !state.is_readable() {
            self.readable.retain(|other| *other != client.0);
        }
    }

    /// When something is due for this client, as far as is known now; it may be in the past.
    /// `None` if nothing will come any more.
    pub fn due(&mut self, client: ClientId) -> Option<Millis> {
        let state = self.clients.get_mut(client.0 as usize).filter(|c| c.is_readable())?;
        if let Some(frame) = state.pending.front() {
            return Some(frame.at());
        }
        let ends_at = (state.state == State::Leaving).then_some(state.leaves_at);
        let feed = &mut self.feeds[state.feed as usize];
        let world = World { config: &self.config, history: &self.history, now: self.now };
        let due = feed.due(world, state);
        Some(ends_at.map_or(due, |at| at.min(due)))
    }

    /// The next time at which anything can change or be due, as far as is known now: a driver
    /// that polls at these times misses no frame's time. `None` if nothing will ever happen.
    pub fn next_due(&mut self) -> Option<Millis> {
        let mut next = self.timeline.next_at();
        let mut consider = |at: Option<Millis>| next = next.into_iter().chain(at).min();
        for place in 0..self.readable.len() {
            consider(self.due(ClientId(self.readable[place])));
        }
        if !self.readable.is_empty() {
            consider(self.history.next().map(|(at, _)| at));
        }
        next
    }

    /// Lets the service do what it does by itself up to `now`. Every other call does this first.
    pub fn advance(&mut self, now: Millis) {
        let now = now.max(self.now);
        loop {
            let timer = self.timeline.next_at().filter(|at| *at <= now);
            let history = self.history.next().filter(|(at, _)| *at <= now);
            match (timer, history) {
                (Some(at), other) if other.is_none_or(|(first, _)| at < first) => {
                    self.now = at;
                    if let Some((_, timer)) = self.timeline.pop() {
                        self.fire(timer);
                    }
                }
                (_, Some((at, due))) => {
                    self.now = self.now.max(at);
                    self.pass(due);
                }
                _ => break,
            }
        }
        self.now = now;
    }

    fn feeds_of(&self, replay: bool) -> impl Iterator<Item = (usize, &Feed)> {
        let existing = self.existing.iter().map(|feed| *feed as usize);
        existing.map(|feed| (feed, &self.feeds[feed])).filter(move |(_, f)| f.replay == replay)
    }

    fn find(&self, id: StreamId) -> Option<usize> {
        self.feeds_of(false).find(|(_, feed)| feed.stream.id == id).map(|(place, _)| place)
    }
}
