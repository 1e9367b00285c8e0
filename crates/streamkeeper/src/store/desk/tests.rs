//! Batches, commits, and disks that fail.

use std::path::Path;
use streamkeeper_core::cursored::CursoredState;
use streamkeeper_core::marked::StreamState;

use streamkeeper_core::id::{ConnectionId, Epoch, Reader, SlotId};
use streamkeeper_ledger::Outbox;
use streamkeeper_ledger::fs::{Fault, FaultyFs};
use streamkeeper_sse::{Event as SseEvent, Frame};

use crate::api::replay::ReplaySpec;
use crate::base::clock::Clock;
use crate::base::reports::ReportsReceiver;
use crate::config::{SseTable, StreamConfig};
use crate::dialect::event::Event;
use crate::dialect::sse::Sse;
use crate::dialect::{Reading, inform};
use crate::observe::registry::Consumer;
use crate::observe::tally::Tally;

use super::*;

fn event(id: u32, bytes: usize) -> Event {
    let pad = "x".repeat(bytes);
    let record = format!(
        r#"{{"id":"{id}","checksum":"a","created_at":"2026-11-21T00:00:00Z","pad":"{pad}"}}"#
    );
    let Reading::Event(event) = inform::read(Frame::Event(SseEvent::new(record))) else {
        panic!("a record is an event")
    };
    event
}

/// An event of a server that names its events.
fn named(id: &str, data: &str) -> Event {
    let config = StreamConfig::sse("a", "http://h", SseTable::preset("sse").unwrap());
    let mut reader = Sse::new(&config, config.as_sse().unwrap()).reader(None);
    let frame = Frame::Event(SseEvent::new(data).with_id(id));
    let mut events = Vec::new();
    reader.read(frame, &mut |reading| {
        let Reading::Event(event) = reading else { panic!("an event") };
        events.push(event);
    });
    events.remove(0)
}

/// A batch whose reader is gone.
fn batch(events: Vec<Event>) -> Batch {
    Batch {
        connection: ConnectionId { reader: Reader::Slot(SlotId(0)), epoch: Epoch(1) },
        arrived: streamkeeper_core::time::Instant::ZERO,
        replayed: false,
        poke: Some(Timestamp::from_micros(1)),
        events,
        cursor: None,
        tally: None,
        reader: Reports::channel(Clock::start()).0,
    }
}

fn ids(range: std::ops::Range<u32>) -> Vec<Event> {
    range.map(|id| event(id, 100)).collect()
}

/// A desk over a disk in memory, on a clock that the test moves.
struct Bench {
    disk: FaultyFs,
    desk: Desk,
    budget: Budget,
    entry: Arc<StreamEntry>,
    outbox: Outbox,
    reports: ReportsReceiver,
    now: Instant,
}

impl Bench {
    fn new(outbox_bytes_max: u64) -> Self {
        let disk = FaultyFs::new(1);
        let config = streamkeeper_ledger::LedgerConfig {
            sinks: vec!["sink".into()],
            outbox_bytes_max,
            frame_bytes: 1,
            segment_bytes: 1,
            ..streamkeeper_ledger::LedgerConfig::default()
        };
        let (ledger, _) =
            Ledger::open(Arc::new(disk.clone()), Path::new("/ledger"), config).unwrap();
        let (reports, receiver) = Reports::channel(Clock::start());
        let budget = Budget::new(100_000);
        let consumers = vec![Arc::new(Consumer::new("sink"))];
        let outbox = ledger.outbox();
        let entry = StreamEntry::new("s".into(), outbox.clone(), budget.clone(), consumers);
        let entry = Arc::new(entry);
        let now = Instant::now();
        let tools = Tools {
            ledger,
            bounds: GroupBounds { delay: Duration::from_millis(5), bytes: 10_000 },
            budget: budget.clone(),
            bells: Vec::new(),
            entry: Arc::clone(&entry),
            reports,
        };
        Self { disk, desk: Desk::new(tools, now), budget, entry, outbox, reports: receiver, now }
    }

    /// The present reader has read this.
    fn batch(&mut self, batch: Batch) {
        self.late_batch(Batch { reader: self.asker(), ..batch });
    }

    /// Whoever the batch says has read it.
    fn late_batch(&mut self, batch: Batch) {
        assert!(self.budget.try_take(batch.room()));
        self.desk.take(Job::Batch(batch), self.now);
    }

    fn persist(&mut self, number: u64) {
        let (state, asker) = (StreamState::at(None).into(), self.asker());
        self.desk.take(Job::Persist { number, state, asker }, self.now);
    }

    fn asker(&self) -> Reports {
        self.desk.tools.reports.clone()
    }

    /// Another supervisor takes the stream over.
    fn replace_reader(&mut self) {
        let (reports, receiver) = Reports::channel(Clock::start());
        self.desk.report_to(reports);
        self.reports = receiver;
    }

    /// Lets so much time pass, and the desk work whenever it wants to.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.desk.deadline() <= end {
            self.now = self.now.max(self.desk.deadline());
            assert!(self.desk.work(self.now));
        }
        self.now = end;
    }

    /// What was reported: new and duplicate per commit, or a word.
    fn reported(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Ok((_, input)) = self.reports.try_recv() {
            said.push(match input {
                Input::Committed { span, .. } => {
                    assert!(self.outbox.end() > span.new, "durable before it is said");
                    let poke = if span.poke.is_some() { " poke" } else { "" };
                    format!("{}+{}{poke}", span.new, span.duplicate)
                }
                Input::Persisted(number) => format!("persisted {number}"),
                Input::Flushed => "flushed".to_owned(),
                Input::LedgerFailed(reason) => reason.to_owned(),
                Input::LedgerWell => "well".to_owned(),
                other => panic!("{other:?}"),
            });
        }
        said
    }
}

const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_secs(20);

#[test]
fn a_large_batch_is_split_in_order_and_its_poke_comes_last() {
    let share = batch(ids(0..2)).room();
    let mut rest = batch(ids(0..5));
    let mut parts = Vec::new();
    while let Some(part) = rest.split_off_front(share) {
        assert!(part.room() <= share && part.poke.is_none());
        parts.push(part);
    }
    assert!(rest.poke.is_some());
    parts.push(rest);
    let keys = |part: &Batch| -> Vec<String> {
        part.events.iter().map(|event| event.key().to_owned()).collect()
    };
    let keys: Vec<_> = parts.iter().map(keys).collect();
    assert_eq!(keys, [vec!["0", "1"], vec!["2", "3"], vec!["4"]]);
}

#[test]
fn an_event_larger_than_the_share_goes_alone() {
    let mut rest = batch(vec![event(0, 500), event(1, 10)]);
    assert_eq!(rest.split_off_front(100).map(|part| part.events.len()), Some(1));
    assert!(rest.split_off_front(100).is_none());
}

#[test]
fn a_group_is_committed_after_the_delay_or_when_enough_waits() {
    let mut bench = Bench::new(u64::MAX);
    bench.batch(batch(ids(0..2)));
    bench.pass(Duration::from_millis(4));
    assert!(bench.reported().is_empty(), "it gathers");
    bench.batch(batch(ids(1..3)));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.reported(), ["2+0 poke", "1+1 poke"]);
    assert_eq!(bench.budget.taken(), 0, "what is durable or known needs no room");
    bench.batch(batch(vec![event(9, 20_000)]));
    bench.pass(Duration::ZERO);
    assert_eq!(bench.reported(), ["1+0 poke"]);
}

#[test]
fn what_is_asked_is_answered_in_order() {
    let mut bench = Bench::new(u64::MAX);
    bench.batch(batch(ids(0..1)));
    bench.persist(7);
    bench.batch(batch(ids(1..2)));
    let asker = bench.asker();
    bench.desk.take(Job::Flush { asker }, bench.now);
    bench.pass(Duration::ZERO);
    assert_eq!(bench.reported(), ["1+0 poke", "persisted 7", "1+0 poke", "flushed"]);
}

#[test]
fn while_the_disk_fails_everything_waits_and_nothing_is_lost() {
    for (fault, word) in
        [(Fault::DiskFull, "disk_full"), (Fault::Io, "disk_failed"), (Fault::Sync, "disk_failed")]
    {
        let mut bench = Bench::new(u64::MAX);
        bench.batch(batch(ids(0..2)));
        bench.pass(SOON);
        bench.disk.plan(0, fault);
        bench.batch(batch(ids(1..4)));
        bench.persist(1);
        bench.pass(LATER);
        assert_eq!(bench.reported(), ["2+0 poke", word], "said once, and nothing else");
        assert_eq!(bench.outbox.backlog("sink"), 2);
        assert_eq!(bench.budget.taken(), batch(ids(1..4)).room(), "the readers are held back");

        bench.disk.heal();
        bench.pass(LATER);
        assert_eq!(bench.reported(), ["2+1 poke", "persisted 1", "well"], "{fault:?}");
        assert_eq!(bench.outbox.backlog("sink"), 4);
        assert_eq!(bench.budget.taken(), 0);
    }
}

#[test]
fn what_an_abandoned_reader_left_behind_is_kept_and_proves_nothing_to_the_next() {
    let mut bench = Bench::new(u64::MAX);
    bench.disk.plan(0, Fault::DiskFull);
    bench.batch(batch(ids(0..2)));
    bench.persist(1);
    bench.pass(LATER);
    assert_eq!(bench.reported(), ["disk_full"]);

    bench.replace_reader();
    assert_eq!(bench.reported(), ["disk_full"], "the next one hears at once what it waits for");
    // Its connections have the same names, and another clock.
    bench.late_batch(batch(ids(2..3)));
    bench.persist(1);
    bench.batch(batch(ids(1..4)));
    bench.disk.heal();
    bench.pass(LATER);
    assert_eq!(bench.reported(), ["persisted 1", "1+2 poke", "well"], "answers to its own alone");
    assert_eq!(bench.outbox.backlog("sink"), 4, "nothing is lost");
}

#[test]
fn a_replay_counts_what_is_durable_once_however_often_the_disk_is_tried() {
    let mut bench = Bench::new(u64::MAX);
    bench.batch(batch(ids(0..1)));
    bench.pass(SOON);
    let spec = ReplaySpec {
        stream: "s".to_owned(),
        from: jiff::civil::date(2026, 11, 21),
        only: Vec::new(),
        dry_run: false,
    };
    let tally = Arc::new(Tally::new(spec, Timestamp::from_micros(0), bench.asker()));
    bench.disk.plan(0, Fault::DiskFull);
    bench.batch(Batch { tally: Some(Arc::clone(&tally)), ..batch(ids(0..3)) });
    bench.pass(LATER);
    bench.disk.heal();
    bench.pass(LATER);
    let status = tally.status();
    assert_eq!((status.new.get("other"), status.duplicate.get("other")), (Some(&2), Some(&1)));
}

#[test]
fn a_full_outbox_takes_a_part_of_a_batch_and_the_rest_when_there_is_room() {
    let mut bench = Bench::new(1);
    bench.batch(batch(ids(0..1)));
    bench.pass(SOON);
    assert_eq!(bench.reported(), ["1+0 poke"]);
    // What is known goes through; what is new waits, and the poke behind it.
    bench.batch(batch(ids(0..3)));
    bench.pass(LATER);
    assert_eq!(bench.reported(), ["0+1", "outbox_full"]);
    bench.outbox.acknowledge("sink", 2);
    bench.pass(LATER);
    assert_eq!(bench.reported(), ["2+0 poke", "well"]);
}

#[test]
fn closing_writes_down_the_sinks_places_and_waits_for_no_disk() {
    let mut bench = Bench::new(u64::MAX);
    bench.batch(batch(ids(0..3)));
    bench.pass(SOON);
    bench.outbox.acknowledge("sink", 3);
    let (done, closed) = oneshot::channel();
    bench.desk.take(Job::Close(done), bench.now);
    assert!(!bench.desk.work(bench.now));
    let Bench { disk, desk, .. } = bench;
    desk.close();
    assert_eq!(closed.blocking_recv(), Ok(()));
    disk.power_cut();
    let config = streamkeeper_ledger::LedgerConfig {
        sinks: vec!["sink".into()],
        ..streamkeeper_ledger::LedgerConfig::default()
    };
    let (ledger, _) = Ledger::open(Arc::new(disk), Path::new("/ledger"), config).unwrap();
    assert_eq!(ledger.outbox().cursor("sink"), Some(3));

    let mut bench = Bench::new(u64::MAX);
    bench.disk.plan(0, Fault::Io);
    bench.batch(batch(ids(0..3)));
    bench.pass(LATER);
    let (done, closed) = oneshot::channel();
    bench.desk.take(Job::Close(done), bench.now);
    assert!(!bench.desk.work(bench.now));
    bench.desk.close();
    assert_eq!(closed.blocking_recv(), Ok(()));
}

#[test]
fn an_id_with_another_content_is_another_event_under_an_id_of_its_own() {
    let mut bench = Bench::new(1 << 20);
    let one = || vec![named("1", "a"), named("2", "{}"), named("1", "a"), named("1", "b")];
    bench.batch(batch(one()));
    bench.pass(Duration::from_millis(5));
    bench.batch(batch(one()));
    bench.pass(Duration::from_millis(5));
    assert_eq!(bench.reported(), ["3+1 poke", "0+4 poke"]);
    let entries = bench.outbox.reader(1).read(9, 1_000).unwrap();
    let envelope = |entry| head::envelope(&"a".into(), entry).unwrap();
    let ids: Vec<_> = entries.into_iter().map(|entry| envelope(entry).id).collect();
    let other = format!("1~{:032x}", named("1", "b").version.checksum);
    assert_eq!(ids, ["1", "2", &other]);
    assert_eq!(bench.entry.counters.conflicting.load(std::sync::atomic::Ordering::Relaxed), 1);
}

/// What a process that starts now finds: events, and from where the server goes on behind them.
fn found(bench: &Bench) -> (u64, Option<String>) {
    bench.disk.kill();
    let config = streamkeeper_ledger::LedgerConfig {
        sinks: vec!["sink".into()],
        ..streamkeeper_ledger::LedgerConfig::default()
    };
    let opened = Ledger::open(Arc::new(bench.disk.clone()), Path::new("/ledger"), config);
    let (ledger, _) = opened.unwrap();
    (ledger.outbox().end() - 1, ledger.cursor().map(|cursor| cursor.as_str().to_owned()))
}

#[test]
fn a_crash_finds_an_event_and_its_cursor_or_neither() {
    let mut bench = Bench::new(u64::MAX);
    bench.batch(batch(vec![named("c1", "1"), named("c2", "2")]));
    bench.pass(Duration::from_millis(5));
    bench.batch(batch(vec![named("c3", "3")]));
    assert_eq!(found(&bench), (2, Some("c2".to_owned())));
}

#[test]
fn a_batch_of_which_a_part_has_room_has_the_cursor_of_that_part() {
    let mut bench = Bench::new(1);
    bench.batch(batch(vec![named("c1", "1")]));
    bench.pass(Duration::from_millis(5));
    bench.batch(batch(vec![named("c1", "1"), named("c2", "2")]));
    bench.pass(Duration::from_millis(5));
    assert_eq!(found(&bench), (1, Some("c1".to_owned())), "the second has no room");
}

#[test]
fn a_cursor_that_was_forgotten_does_not_come_back_and_one_behind_that_does() {
    for behind in [None, Some("d1")] {
        let mut bench = Bench::new(u64::MAX);
        bench.batch(batch(vec![named("c1", "1")]));
        for number in 1..=2 {
            let state = CursoredState { forgotten: true, ..CursoredState::default() };
            let (state, asker) = (state.into(), bench.asker());
            bench.desk.take(Job::Persist { number, state, asker }, bench.now);
            // The second state was made before this was known to be durable.
            let events = behind.filter(|_| number == 1).map(|cursor| named(cursor, "1"));
            if let Some(event) = events {
                bench.batch(batch(vec![event]));
            }
        }
        bench.pass(Duration::from_millis(5));
        assert_eq!(found(&bench).1.as_deref(), behind);
    }
}
