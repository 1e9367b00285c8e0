//! What the service does by itself, and how clients come and go.
//!
//! The order of things at a departure carries the model's point: first everything due is written
//! to the connection by the old partition (lost if nobody reads it, and streamed all the same),
//! then the client's users go to the others, and only later is its place free.
#![expect(
    clippy::indexing_slicing,
    reason = "feeds and clients are never removed; ids from outside are looked up with `get`"
)]

use std::collections::VecDeque;

use super::{
    Millis,
    client::{Client, ClientId, Frame, State},
    feed::{Feed, World, poke_gap},
    history::Due,
    service::Model,
    stream::Stream,
    timeline::Timer,
};

impl Model {
    pub(super) fn pass(&mut self, due: Due) {
        match due {
            Due::Generate => self.history.generate(&self.config),
            Due::Arrival => {
                let Some(id) = self.history.arrive() else { return };
                let event = &self.history.events[id.index()];
                for feed in &self.existing {
                    self.feeds[*feed as usize].arrived(event, &mut self.clients);
                }
            }
        }
    }

    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            // A hang puts off what a close had announced.
            Timer::Notice { client } if self.now < self.clients[client as usize].leaves_at => {}
            Timer::Notice { client } => self.leave(client),
            Timer::Release { client } => {
                self.clients[client as usize].state = State::Released;
                let feed = self.clients[client as usize].feed as usize;
                self.feeds[feed].counted -= 1;
                if self.feeds[feed].replay {
                    self.remove_feed(feed);
                }
            }
            Timer::Rebalanced { feed, round } => {
                let feed = &mut self.feeds[feed as usize];
                if feed.rebalancing && feed.round == round {
                    let (config, history) = (&self.config, &self.history);
                    let world = World { config, history, now: self.now };
                    feed.partition(world, &mut self.clients, &mut self.rng);
                }
            }
        }
    }

    pub(super) fn join(&mut self, feed: usize, walk: Millis) -> ClientId {
        let client = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        let first_poke = self.now + poke_gap(&self.config, &mut self.rng);
        self.clients.push(Client::new(index(feed), self.now, first_poke));
        self.readable.push(client);
        let state = &mut self.feeds[feed];
        state.counted += 1;
        if state.active.is_empty() {
            let world = World { config: &self.config, history: &self.history, now: self.now };
            state.occupy(world, walk);
        }
        self.rebalance(feed, Some(client));
        ClientId(client)
    }

    /// The service notices that a client is gone, or ends it: the last writes, a proper end for
    /// one that still reads, its place kept until it is released, its users to the others.
    pub(super) fn leave(&mut self, client: u32) {
        let state = &mut self.clients[client as usize];
        if !state.is_written_to() {
            return;
        }
        let feed = state.feed as usize;
        self.write_out(client);
        let state = &mut self.clients[client as usize];
        if state.reachable {
            state.pending.push_back(Frame::End { at: self.now });
        }
        state.state = State::Closed;
        state.ring = VecDeque::new();
        self.feeds[feed].active.retain(|other| *other != client);
        let rebalanced = self.rebalance(feed, None);
        let release = self.now + self.config.release_after.draw(&mut self.rng);
        self.timeline.add(release.max(rebalanced), Timer::Release { client });
    }

    /// Begins a rebalance, with a new member if there is one. Gives back when it will be done.
    fn rebalance(&mut self, feed: usize, joins: Option<u32>) -> Millis {
        // What was written to dead members so far went by the old partition.
        for member in self.feeds[feed].active.clone() {
            if !self.clients[member as usize].reachable {
                self.write_out(member);
            }
        }
        let state = &mut self.feeds[feed];
        state.active.extend(joins);
        if state.active.is_empty() {
            state.empty_since = Some(self.now);
        }
        state.rebalancing = true;
        state.round += 1;
        let takes = if state.replay { 0 } else { self.config.rebalance_takes.draw(&mut self.rng) };
        let timer = Timer::Rebalanced { feed: index(feed), round: state.round };
        self.timeline.add(self.now + takes, timer);
        self.now + takes
    }

    /// Writes everything due to this client: lost if it is unreachable, else for it to read.
    pub(super) fn write_out(&mut self, client: u32) {
        let state = &mut self.clients[client as usize];
        let feed = &mut self.feeds[state.feed as usize];
        let mut written = std::mem::take(&mut state.pending);
        let reachable = state.reachable;
        let keep = |frame| {
            if reachable {
                written.push_back(frame)
            }
        };
        let world = World { config: &self.config, history: &self.history, now: self.now };
        feed.write(world, state, &mut self.rng, usize::MAX, keep);
        state.pending = written;
    }

    /// From now on nothing reaches the client; what was due and unread is lost.
    pub(super) fn cut(&mut self, client: ClientId) {
        let Some(state) = self.clients.get_mut(client.0 as usize) else { return };
        state.reachable = false;
        state.pending.clear();
        if state.is_written_to() {
            self.write_out(client.0);
        }
        self.readable.retain(|other| *other != client.0);
    }

    /// A FIN or RST is on its way to the service, unless that is deaf to it.
    pub(super) fn hear_close(&mut self, client: ClientId) {
        let Some(state) = self.clients.get_mut(client.0 as usize) else { return };
        if state.state == State::Serving {
            state.state = State::Leaving;
            state.leaves_at = self.now + self.config.notice_after.draw(&mut self.rng);
            self.timeline.add(state.leaves_at, Timer::Notice { client: client.0 });
        }
    }

    pub(super) fn add_feed(&mut self, stream: Stream, replay: bool) -> usize {
        let place = self.feeds.len();
        self.feeds.push(Feed::new(stream, replay, self.rng.u64(..)));
        self.existing.push(index(place));
        place
    }

    pub(super) fn remove_feed(&mut self, feed: usize) {
        self.existing.retain(|other| *other as usize != feed);
        self.feeds[feed].forget();
    }
}

/// Feeds are counted in `u32`; nobody makes four billion of them.
fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
