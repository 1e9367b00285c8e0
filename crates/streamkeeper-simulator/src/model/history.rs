//! The history of events: all that was ever published, and the generator that adds to it.
//!
//! Events lie in one shared list; users hold indices into it, feeds hold cursors into the users.
//! Invariants: a user's events are in order of `created_at` and of `available_at`; a record's
//! versions have strictly increasing `created_at`. The generator draws from a seed of its own, so
//! what is generated does not depend on what clients do.
#![expect(
    clippy::indexing_slicing,
    reason = "indices of users, records and events are made here and nothing is ever removed"
)]

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    HOUR, Millis,
    config::Config,
    event::{Event, EventId, Kind, Resource, What},
};

#[derive(Debug)]
pub(super) struct History {
    pub(super) events: Vec<Event>,
    /// Each user's events.
    pub(super) users: Vec<Vec<u32>>,
    records: Vec<Record>,
    /// Published, but still in the service's queues.
    arrivals: BinaryHeap<Reverse<(Millis, u32)>>,
    /// When the generator publishes next, in microseconds; rates go beyond one per millisecond.
    next_micros: Option<u64>,
    events_per_hour: u64,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Record {
    user: u32,
    kind: Kind,
    resource: Resource,
    content: u32,
    content_before: u32,
    contents: u32,
    /// The event of its newest version.
    latest: u32,
}

/// What comes next in the history's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// An event leaves the queues.
    Arrival,
    /// The generator publishes.
    Generate,
}

impl History {
    pub(super) fn new(config: &Config, seed: u64, from: Millis) -> Self {
        let mut history = Self {
            events: Vec::new(),
            users: vec![Vec::new(); config.users.max(1) as usize],
            records: Vec::new(),
            arrivals: BinaryHeap::new(),
            next_micros: None,
            events_per_hour: 0,
            rng: fastrand::Rng::with_seed(seed),
        };
        history.set_rate(config.events_per_hour, from);
        history
    }

    /// The generator's rate from now on; 0 stops it.
    pub(super) fn set_rate(&mut self, events_per_hour: u64, now: Millis) {
        self.events_per_hour = events_per_hour;
        self.next_micros = self.gap().map(|gap| now * 1_000 + gap);
    }

    /// The earliest thing to happen, arrivals first.
    pub(super) fn next(&self) -> Option<(Millis, Due)> {
        let arrival = self.arrivals.peek().map(|Reverse((at, _))| (*at, Due::Arrival));
        let generate = self.next_micros.map(|at| (at / 1_000, Due::Generate));
        arrival.into_iter().chain(generate).min()
    }

    /// Takes the next event out of the queues.
    pub(super) fn arrive(&mut self) -> Option<EventId> {
        self.arrivals.pop().map(|Reverse((_, event))| EventId(event))
    }

    /// Publishes the generator's next event and sets its next time.
    pub(super) fn generate(&mut self, config: &Config) {
        let Some(at) = self.next_micros else { return };
        self.next_micros = self.gap().map(|gap| at + gap);
        let users = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        let draws = 0..config.activity_skew.max(1);
        let user = draws.map(|_| self.rng.u32(0..users)).min().unwrap_or(0);
        let what = self.draw_what(config, user);
        self.publish(config, user, what, at / 1_000);
    }

    /// Publishes an event. `None` if it names a record that does not exist or is not data.
    pub(super) fn publish(
        &mut self,
        config: &Config,
        user: u32,
        what: What,
        now: Millis,
    ) -> Option<EventId> {
        let id = u32::try_from(self.events.len()).ok()?;
        let (record, withdrawn) = match what {
            What::New(resource) => (self.add_record(user, Kind::Data, resource), false),
            What::Rule => (self.add_record(user, Kind::Rule, Resource::Summary), false),
            What::Connection => (self.add_record(user, Kind::Connection, Resource::Summary), false),
            What::Corrected(record) => (self.change(record, false)?, false),
            What::Restored(record) => (self.change(record, true)?, false),
            What::Withdrawn(record) => (self.data_record(record)?, true),
        };
        let entry = &mut self.records[record as usize];
        let user = entry.user;
        while self.users.len() <= user as usize {
            self.users.push(Vec::new());
        }
        let own = &mut self.users[user as usize];
        let before = own.last().map(|last| self.events[*last as usize]);
        let newest = self.events.get(entry.latest as usize).filter(|_| entry.latest != NONE);
        // A later version bears a later date, even within the same millisecond.
        let created_at = now
            .max(before.map_or(0, |e| e.created_at))
            .max(newest.map_or(0, |newest| newest.created_at + 1));
        let longest = match self.rng.u8(..10) {
            0 => config.queueing_delay_max,
            _ => config.queueing_delay_max / 10,
        };
        let delay = if longest == 0 { 0 } else { self.rng.u64(0..=longest) };
        let start_lag = self.rng.u64(0..=config.start_lag_max);
        self.events.push(Event {
            created_at,
            available_at: (created_at + delay).max(before.map_or(0, |e| e.available_at)),
            record,
            version: newest.map_or(0, |newest| newest.version + 1),
            user,
            content: entry.content,
            start_lag: u32::try_from(start_lag).unwrap_or(u32::MAX),
            kind: entry.kind,
            resource: entry.resource,
            withdrawn,
        });
        entry.latest = id;
        own.push(id);
        self.arrivals.push(Reverse((self.events[id as usize].available_at, id)));
        Some(EventId(id))
    }

    /// The newest version of a record.
    pub(super) fn latest(&self, record: u32) -> Option<EventId> {
        self.records.get(record as usize).map(|record| EventId(record.latest))
    }

    fn gap(&mut self) -> Option<u64> {
        let mean = (HOUR * 1_000).checked_div(self.events_per_hour)?;
        Some(if mean == 0 { 1 } else { self.rng.u64(1..=2 * mean) })
    }

    fn draw_what(&mut self, config: &Config, user: u32) -> What {
        let draw = self.rng.u32(..1_000);
        let rule = config.rule_permille;
        let connection = rule + config.connection_permille;
        let withdrawn = connection + config.withdrawn_permille;
        let corrected = withdrawn + config.corrected_permille;
        if draw < rule {
            return What::Rule;
        }
        if draw < connection {
            return What::Connection;
        }
        let earlier = if draw < corrected { self.draw_record(user) } else { None };
        match earlier {
            Some(record) if draw < withdrawn => What::Withdrawn(record),
            Some(record) if self.rng.u8(..3) == 0 => What::Restored(record),
            Some(record) => What::Corrected(record),
            None => What::New(Resource::ALL[self.rng.usize(..Resource::ALL.len())]),
        }
    }

    /// One of the user's data records: half the time among the last few, else any.
    fn draw_record(&mut self, user: u32) -> Option<u32> {
        let own = self.users.get(user as usize).filter(|own| !own.is_empty())?;
        let reach = if self.rng.bool() { own.len().min(8) } else { own.len() };
        let event = self.events[own[own.len() - 1 - self.rng.usize(..reach)] as usize];
        (event.kind == Kind::Data).then_some(event.record)
    }

    fn add_record(&mut self, user: u32, kind: Kind, resource: Resource) -> u32 {
        let number = u32::try_from(self.records.len()).unwrap_or(NONE);
        self.records.push(Record {
            user,
            kind,
            resource,
            content: 0,
            content_before: 0,
            contents: 1,
            latest: NONE,
        });
        number
    }

    fn data_record(&self, record: u32) -> Option<u32> {
        self.records.get(record as usize).filter(|r| r.kind == Kind::Data).map(|_| record)
    }

    fn change(&mut self, record: u32, restore: bool) -> Option<u32> {
        self.data_record(record)?;
        let entry = &mut self.records[record as usize];
        let restore = restore && entry.content_before != entry.content;
        let next = if restore { entry.content_before } else { entry.contents };
        entry.contents += u32::from(!restore);
        entry.content_before = entry.content;
        entry.content = next;
        Some(record)
    }
}

/// No event yet.
const NONE: u32 = u32::MAX;
