//! What a stream or a replay sends: cursors into the history, the partition, the writing.
//!
//! A feed holds one cursor per user (its checkpoint) and one owner per user (its partition). An
//! owner's ring holds those of its users that have something available; writing takes the user at
//! the front, sends one event, and puts it back at the end: a fair round over the users.
//! A replay is a feed with one member and no rebalance.
#![expect(
    clippy::indexing_slicing,
    reason = "feeds grow with the history's users; clients and events are never removed"
)]

use super::{
    Millis,
    client::{Client, Frame},
    config::{Config, Pokes},
    event::{Event, EventId, Kind, mix},
    history::History,
    stream::Stream,
};

/// What a feed looks at.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) config: &'a Config,
    pub(super) history: &'a History,
    pub(super) now: Millis,
}

#[derive(Debug)]
pub(super) struct Feed {
    pub(super) stream: Stream,
    pub(super) replay: bool,
    /// Written to, in order of joining: the members that users are partitioned over.
    pub(super) active: Vec<u32>,
    /// How many clients count as members.
    pub(super) counted: usize,
    /// Since when nobody is connected; `None` while somebody is.
    pub(super) empty_since: Option<Millis>,
    /// Whether anybody ever connected.
    pub(super) started: bool,
    /// A rebalance is under way: no data.
    pub(super) rebalancing: bool,
    /// Tells rebalances apart.
    pub(super) round: u32,
    /// No data before this: the end of the walk, or of the last rebalance.
    pub(super) data_from: Millis,
    /// Somebody has been connected since then; earlier connection events are gone.
    present_since: Millis,
    salt: u64,
    cursors: Vec<Cursor>,
}

#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The next of the user's events to send.
    next: u32,
    /// The first one this feed may send.
    first: u32,
    /// The client that has this user, or had it last.
    owner: u32,
    /// Whether the user is in its owner's ring.
    queued: bool,
}

const NOBODY: u32 = u32::MAX;
const FRESH: Cursor = Cursor { next: 0, first: 0, owner: NOBODY, queued: false };

impl Feed {
    pub(super) fn new(stream: Stream, replay: bool, salt: u64) -> Self {
        Self {
            stream,
            replay,
            active: Vec::new(),
            counted: 0,
            empty_since: None,
            started: false,
            rebalancing: false,
            round: 0,
            data_from: 0,
            present_since: 0,
            salt,
            cursors: Vec::new(),
        }
    }

    /// The service learns of a first client: begins, goes on from the checkpoint, or begins again.
    pub(super) fn occupy(&mut self, world: World<'_>, walk: Millis) {
        let World { config, history, now } = world;
        let expired = self.empty_since.is_some_and(|since| now - since > config.checkpoint_for);
        self.empty_since = None;
        self.present_since = now;
        if self.started && !expired {
            return;
        }
        self.started = true;
        self.data_from = now + walk;
        let kept = now.saturating_sub(config.retention);
        let by_created = if config.start_date_by_start_time { None } else { self.stream.start_day };
        let from = by_created.map_or(kept, |day| super::day_start(day).max(kept));
        self.cursors.clear();
        self.cursors.extend(history.users.iter().map(|own| {
            let first = own.partition_point(|e| history.events[*e as usize].created_at < from);
            let first = u32::try_from(first).unwrap_or(u32::MAX);
            Cursor { next: first, first, ..FRESH }
        }));
    }

    /// Spreads the users over the active members anew; some events come again.
    pub(super) fn partition(
        &mut self,
        World { config, history, now }: World<'_>,
        clients: &mut [Client],
        rng: &mut fastrand::Rng,
    ) {
        self.rebalancing = false;
        self.data_from = self.data_from.max(now);
        if self.active.is_empty() {
            return; // the cursors and their last owners stay: that is the checkpoint
        }
        self.cursors.resize(history.users.len(), FRESH);
        for member in &self.active {
            clients[*member as usize].ring.clear();
        }
        let begin = rng.usize(..self.cursors.len());
        for place in (begin..self.cursors.len()).chain(0..begin) {
            let owner = self.owner_of(place);
            let cursor = &mut self.cursors[place];
            if cursor.owner != NOBODY && cursor.owner != owner {
                let again = u32::try_from(config.redeliver.draw(rng)).unwrap_or(u32::MAX);
                cursor.next = cursor.next.saturating_sub(again).max(cursor.first);
            }
            cursor.owner = owner;
            let waiting = history.users[place].get(cursor.next as usize);
            cursor.queued =
                waiting.is_some_and(|e| history.events[*e as usize].available_at <= now);
            if cursor.queued {
                clients[owner as usize].ring.push_back(place as u32);
            }
        }
    }

    /// An event has left the service's queues: its user joins its owner's ring.
    pub(super) fn arrived(&mut self, event: &Event, clients: &mut [Client]) {
        // A rebalance that is under way will find it.
        if self.active.is_empty() || self.rebalancing || !self.carries(event, false) {
            return;
        }
        let place = event.user as usize;
        if place >= self.cursors.len() {
            self.cursors.resize(place + 1, FRESH);
        }
        if self.cursors[place].owner == NOBODY {
            self.cursors[place].owner = self.owner_of(place);
        }
        let cursor = &mut self.cursors[place];
        if !cursor.queued {
            cursor.queued = true;
            clients[cursor.owner as usize].ring.push_back(event.user);
        }
    }

    /// The member that a user belongs to; there must be one.
    fn owner_of(&self, user: usize) -> u32 {
        let hash = mix(self.salt ^ user as u64) as usize;
        self.active[hash % self.active.len()]
    }

    /// It exists no more: frees what it holds, and disowns a rebalance under way.
    pub(super) fn forget(&mut self) {
        self.active = Vec::new();
        self.cursors = Vec::new();
        self.rebalancing = false;
    }

    /// Whether this feed sends that event.
    fn carries(&self, event: &Event, by_start_time: bool) -> bool {
        if !self.stream.filter.passes(event.kind, event.resource) {
            return false;
        }
        if event.kind == Kind::Connection && !self.replay {
            return event.available_at >= self.present_since;
        }
        let day = self.stream.start_day.filter(|_| by_start_time);
        day.is_none_or(|day| event.start_at() >= super::day_start(day))
    }

    /// The client's next event and when it may be written, if that is by `now`'s knowledge.
    /// Users with nothing to send leave the ring.
    ///
    /// What a client that has not read for long is given now is written as it would have been then: a user
    /// whose event came only later does not hold up the others behind it.
    fn next_event(
        &mut self,
        world: World<'_>,
        client: &mut Client,
    ) -> Option<(Millis, u32, EventId)> {
        if self.rebalancing {
            return None;
        }
        while let Some(user) = client.ring.front().copied()
            && self.waiting(world, user).is_none()
        {
            self.cursors[user as usize].queued = false;
            client.ring.pop_front();
        }
        let free = self.data_from.max(client.last_write_at).max(client.next_slot_micros / 1_000);
        let first = client.ring.front().and_then(|user| self.waiting(world, *user));
        if first.is_some_and(|(available_at, _)| available_at > free) {
            let at = |user| self.waiting(world, user).map_or(Millis::MAX, |(at, _)| at.max(free));
            let earliest =
                client.ring.iter().copied().map(at).enumerate().min_by_key(|(_, at)| *at);
            client.ring.rotate_left(earliest.map_or(0, |(place, _)| place));
        }
        let user = client.ring.front().copied()?;
        let (available_at, event) = self.waiting(world, user)?;
        Some((available_at.max(free), user, event))
    }

    /// The next event of that user that this feed may send by now, and since when.
    fn waiting(
        &mut self,
        World { config, history, now }: World<'_>,
        user: u32,
    ) -> Option<(Millis, EventId)> {
        let own = &history.users[user as usize];
        while let Some(id) = own.get(self.cursors[user as usize].next as usize) {
            let event = &history.events[*id as usize];
            if event.available_at > now {
                break;
            }
            if self.carries(event, config.start_date_by_start_time) {
                return Some((event.available_at, EventId(*id)));
            }
            self.cursors[user as usize].next += 1;
        }
        None
    }

    /// When the next frame for this client is due, as far as is known.
    pub(super) fn due(&mut self, world: World<'_>, client: &mut Client) -> Millis {
        let event = self.next_event(world, client).map(|(at, ..)| at);
        event.map_or(client.next_poke_at, |at| at.min(client.next_poke_at))
    }

    /// Writes what is due to this client by `now`, in order of time, `max` frames at most.
    pub(super) fn write(
        &mut self,
        world: World<'_>,
        client: &mut Client,
        rng: &mut fastrand::Rng,
        max: usize,
        mut out: impl FnMut(Frame),
    ) {
        let World { config, now, .. } = world;
        for _ in 0..max {
            let event = self.next_event(world, client);
            match event {
                Some((at, user, event)) if at <= now.min(client.next_poke_at) => {
                    let cursor = &mut self.cursors[user as usize];
                    cursor.next += 1;
                    // Back to the end of the round; `next_event` drops it if nothing is left.
                    client.ring.rotate_left(1);
                    client.last_write_at = at;
                    client.next_slot_micros = client.next_slot_micros.max(at * 1_000)
                        + 1_000_000 / u64::from(config.history_rate.max(1));
                    if config.pokes == Pokes::WhenIdle {
                        client.next_poke_at = at + poke_gap(config, rng);
                    }
                    out(Frame::Event { at, event });
                }
                _ if client.next_poke_at <= now => {
                    let at = client.next_poke_at.max(client.last_write_at);
                    client.last_write_at = at;
                    client.next_poke_at = at + poke_gap(config, rng);
                    let max = if self.replay { 1 } else { config.members_max };
                    out(Frame::Poke { at, count: self.counted, max });
                }
                _ => break,
            }
        }
    }
}

/// From one write to the next poke.
pub(super) fn poke_gap(config: &Config, rng: &mut fastrand::Rng) -> Millis {
    config.poke_every.max(1) + config.poke_late.draw(rng)
}
