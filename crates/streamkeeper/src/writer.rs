//! The ledger's writers: a fixed pool of threads, each stream's ledger pinned to one.
//!
//! Frames reach a ledger through its stream's one queue, pokes among the data, so that what a poke
//! proves can never overtake the data before it. The writer judges the events, commits them in
//! groups, appends the new ones to the outbox, and only then answers `Committed` to the supervisor.
//! The queue is bounded in bytes by the stream's [`Budget`], which the sender takes from.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::low_water::Datum;
use streamkeeper_core::stream_policy::{Input, Span, StreamState};
use streamkeeper_core::time::{Instant, Timestamp};
use streamkeeper_core::version::Verdict;
use streamkeeper_sink::Envelope;

use crate::dialect::Event;
use crate::ledger::Ledger;
use crate::outbox::{Budget, Entry, Outbox};
use crate::registry::{Counters, StreamEntry};
use crate::supervisor::Reports;

/// What one connection read at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) connection: ConnectionId,
    /// When its last frame was read.
    pub(crate) arrived: Instant,
    /// It is part of a replay.
    pub(crate) replayed: bool,
    /// The service's time of its last poke.
    pub(crate) poke: Option<Timestamp>,
    pub(crate) events: Vec<Event>,
}

impl Batch {
    /// The room it takes in the stream's budget.
    pub(crate) fn room(&self) -> usize {
        self.events.iter().map(room_of).sum()
    }

    /// Takes so much off the front that it fits into `share`, one event at least; `None` if the
    /// whole fits. The poke stays behind: what it proves must not overtake the data before it.
    pub(crate) fn split_off_front(&mut self, share: usize) -> Option<Self> {
        let mut room = 0;
        let fits = |event: &&Event| {
            room += room_of(event);
            room <= share
        };
        let count = self.events.iter().take_while(fits).count().max(1);
        if count >= self.events.len() {
            return None;
        }
        let rest = self.events.split_off(count);
        let events = std::mem::replace(&mut self.events, rest);
        Some(Self { events, poke: None, ..*self })
    }
}

/// The room an event takes from its socket to the slowest consumer: payload, names, bookkeeping.
fn room_of(event: &Event) -> usize {
    event.data.len() + event.identity.key.len() + EVENT_OVERHEAD
}

/// What an event costs beyond its payload.
const EVENT_OVERHEAD: usize = 256;

/// A group commit takes what is waiting, up to so many batches.
const GROUP_BATCHES_MAX: usize = 256;

enum Job {
    Batch(Batch),
    Persist { number: u64, state: StreamState },
    Flush,
}

/// What a stream's ledger works with.
pub(crate) struct Desk {
    pub(crate) ledger: Box<dyn Ledger>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) budget: Budget,
    pub(crate) entry: Arc<StreamEntry>,
    pub(crate) reports: Reports,
}

enum Request {
    Open { key: u64, desk: Box<Desk> },
    Job { key: u64, job: Job },
    Close { key: u64 },
}

/// The threads.
#[derive(Clone, Debug)]
pub(crate) struct WriterPool {
    threads: Vec<Sender<Request>>,
}

/// A stream's way to its ledger.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    key: u64,
    thread: Sender<Request>,
}

impl WriterPool {
    /// Starts that many threads; they end when the pool and all its writers are gone.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let mut senders = Vec::new();
        for number in 0..threads.max(1) {
            let (sender, receiver) = channel();
            std::thread::Builder::new()
                .name(format!("sk-writer-{number}"))
                .spawn(move || write(&receiver))?;
            senders.push(sender);
        }
        Ok(Self { threads: senders })
    }

    /// Pins a ledger to a thread. `key` is the stream's number.
    pub(crate) fn open(&self, key: u64, desk: Desk) -> Option<Writer> {
        let place = usize::try_from(key).unwrap_or(0) % self.threads.len().max(1);
        let thread = self.threads.get(place)?.clone();
        thread.send(Request::Open { key, desk: Box::new(desk) }).ok()?;
        Some(Writer { key, thread })
    }
}

impl Writer {
    /// Hands a batch over; its room has been taken.
    pub(crate) fn batch(&self, batch: Batch) {
        self.send(Job::Batch(batch));
    }

    /// Makes a state durable; answered by `Persisted`.
    pub(crate) fn persist(&self, number: u64, state: StreamState) {
        self.send(Job::Persist { number, state });
    }

    /// Answered by `Flushed` when everything before it is durable.
    pub(crate) fn flush(&self) {
        self.send(Job::Flush);
    }

    /// Closes the ledger.
    pub(crate) fn close(&self) {
        self.request(Request::Close { key: self.key });
    }

    fn send(&self, job: Job) {
        self.request(Request::Job { key: self.key, job });
    }

    fn request(&self, request: Request) {
        if self.thread.send(request).is_err() {
            tracing::error!("a writer thread has ended; nothing is accepted any more");
        }
    }
}

/// A writer thread: takes what is waiting, commits it, answers.
fn write(requests: &Receiver<Request>) {
    let mut desks: HashMap<u64, Box<Desk>> = HashMap::new();
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(GROUP_BATCHES_MAX));
        let mut accepted: HashMap<u64, Vec<Accepted>> = HashMap::new();
        for request in group {
            match request {
                Request::Open { key, desk } => {
                    desks.insert(key, desk);
                }
                Request::Job { key, job: Job::Batch(batch) } => {
                    if let Some(desk) = desks.get_mut(&key) {
                        accepted.entry(key).or_default().push(desk.accept(batch));
                    }
                }
                Request::Job { key, job } => {
                    if let Some(desk) = desks.get_mut(&key) {
                        desk.commit(accepted.remove(&key).unwrap_or_default());
                        desk.answer(job);
                    }
                }
                Request::Close { key } => {
                    if let Some(mut desk) = desks.remove(&key) {
                        desk.commit(accepted.remove(&key).unwrap_or_default());
                    }
                }
            }
        }
        for (key, batches) in accepted {
            if let Some(desk) = desks.get_mut(&key) {
                desk.commit(batches);
            }
        }
    }
}

/// A batch that has been judged and is not durable yet.
struct Accepted {
    connection: ConnectionId,
    span: Span,
    entries: Vec<Entry>,
    /// The room of what was dropped.
    dropped: usize,
    replayed: bool,
}

impl Desk {
    fn accept(&mut self, batch: Batch) -> Accepted {
        let Batch { connection, arrived, replayed, poke, events } = batch;
        let mut data: Vec<Datum> = Vec::with_capacity(events.len());
        let mut entries = Vec::new();
        let mut dropped = 0;
        let total = events.len();
        for event in events {
            let verdict = self.ledger.accept(&event);
            data.extend(event.datum(verdict.is_new()));
            let bytes = room_of(&event);
            if verdict.is_new() {
                self.note_conflict(verdict);
                entries.push(Entry { envelope: self.envelope(event, replayed), bytes });
            } else {
                dropped += bytes;
            }
        }
        let new = entries.len() as u64;
        let duplicate = total as u64 - new;
        let span = Span { arrived, poke, data, new, duplicate };
        Accepted { connection, span, entries, dropped, replayed }
    }

    fn commit(&mut self, batches: Vec<Accepted>) {
        if batches.is_empty() {
            return;
        }
        self.ledger.commit();
        for accepted in batches {
            let Accepted { connection, span, entries, dropped, replayed } = accepted;
            self.count(&span, &entries, replayed);
            if dropped > 0 {
                self.budget.give(dropped);
            }
            self.outbox.append(entries.into_iter());
            self.reports.send(Input::Committed { connection, span });
        }
    }

    fn answer(&mut self, job: Job) {
        match job {
            Job::Persist { number, state } => {
                self.ledger.persist(&state);
                self.reports.send(Input::Persisted(number));
            }
            Job::Flush => self.reports.send(Input::Flushed),
            Job::Batch(_) => {}
        }
    }

    fn envelope(&self, event: Event, replayed: bool) -> Envelope {
        let Event { identity, data, .. } = event;
        Envelope {
            id: identity.version_id(),
            source: Arc::clone(&self.entry.name),
            kind: identity.event_type.as_str().into(),
            time_us: identity.created_at,
            subject: identity.user_id,
            sequence: 0,
            replayed,
            // A copy of its own: a slice would keep the whole block that was read alive.
            data: Bytes::copy_from_slice(&data),
        }
    }

    fn note_conflict(&self, verdict: Verdict) {
        if verdict == Verdict::Conflicting {
            self.entry.counters.conflicting.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self, span: &Span, entries: &[Entry], replayed: bool) {
        let counters = &self.entry.counters;
        Counters::add(&counters.accepted, span.new);
        Counters::add(&counters.duplicate, span.duplicate);
        if replayed {
            Counters::add(&counters.replayed_new, span.new);
            Counters::add(&counters.replayed_duplicate, span.duplicate);
        }
        if !entries.is_empty() {
            let bytes = entries.iter().map(|entry| entry.envelope.data.len() as u64).sum();
            Counters::add(&counters.accepted_bytes, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::dialect::{Reading, read_inform};
    use crate::ledger::MemoryLedger;
    use crate::registry::Consumer;
    use streamkeeper_core::id::{Epoch, Reader, SlotId};
    use streamkeeper_sse::{Event as SseEvent, Frame};

    fn event(id: u32, bytes: usize) -> Event {
        let pad = "x".repeat(bytes);
        let record = format!(
            r#"{{"id":"{id}","checksum":"a","created_at":"2026-11-21T00:00:00Z","pad":"{pad}"}}"#
        );
        let Reading::Event(event) = read_inform(Frame::Event(SseEvent::new(record))) else {
            panic!("a record is an event")
        };
        event
    }

    fn batch(events: Vec<Event>) -> Batch {
        let connection = ConnectionId { reader: Reader::Slot(SlotId(0)), epoch: Epoch(1) };
        let poke = Some(Timestamp::from_micros(1));
        Batch { connection, arrived: Instant::ZERO, replayed: false, poke, events }
    }

    #[test]
    fn a_large_batch_is_split_in_order_and_its_poke_comes_last() {
        let share = 2 * room_of(&event(0, 100));
        let mut rest = batch((0..5).map(|id| event(id, 100)).collect());
        let mut parts = Vec::new();
        while let Some(part) = rest.split_off_front(share) {
            assert!(part.room() <= share && part.poke.is_none());
            parts.push(part);
        }
        assert!(rest.poke.is_some());
        parts.push(rest);
        let ids = |part: &Batch| -> Vec<String> {
            part.events.iter().map(|event| event.identity.key.clone()).collect()
        };
        let ids: Vec<_> = parts.iter().map(ids).collect();
        assert_eq!(ids, [vec!["0", "1"], vec!["2", "3"], vec!["4"]]);
    }

    #[test]
    fn an_event_larger_than_the_share_goes_alone() {
        let mut rest = batch(vec![event(0, 500), event(1, 10)]);
        assert_eq!(rest.split_off_front(100).map(|part| part.events.len()), Some(1));
        assert!(rest.split_off_front(100).is_none());
    }

    #[test]
    fn committed_comes_after_the_events_are_in_the_outbox_and_repeats_give_their_room_back() {
        let (reports, mut receiver) = Reports::channel(Clock::start());
        let budget = Budget::new(100_000);
        let outbox = Arc::new(Outbox::new(budget.clone(), 1));
        let entry = StreamEntry::new("s".into(), Arc::clone(&outbox), vec![Consumer::new("c")]);
        let desk = Desk {
            ledger: Box::new(MemoryLedger::default()),
            outbox: Arc::clone(&outbox),
            budget: budget.clone(),
            entry: Arc::new(entry),
            reports,
        };
        let pool = WriterPool::start(1).unwrap();
        let writer = pool.open(0, desk).unwrap();
        for events in [vec![event(1, 10), event(2, 10)], vec![event(2, 10), event(3, 10)]] {
            let batch = batch(events);
            assert!(budget.try_take(batch.room()));
            writer.batch(batch);
        }
        writer.flush();
        let mut counts = Vec::new();
        loop {
            match receiver.blocking_recv().unwrap().1 {
                Input::Committed { span, .. } => {
                    counts.push((span.new, span.duplicate));
                    assert!(outbox.backlog(0) >= counts.iter().map(|(new, _)| new).sum::<u64>());
                }
                Input::Flushed => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(counts, [(2, 0), (1, 1)]);
        assert_eq!(outbox.bytes(), 3 * room_of(&event(1, 10)));
        outbox.acknowledge(0, 4);
        assert_eq!(outbox.bytes(), 0);
    }
}
