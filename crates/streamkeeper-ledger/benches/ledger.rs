//! The ledger beside fjall 3, on the workload of a stream: new events of 800 bytes in synced groups of
//! 1,000, then the same events again in random order; and a day of many keys: duplicate look-ups within
//! the memory bound, and the start after a kill.
//!
//! Sizes come from the environment: `EVENTS` (2,000,000), `KEYS` (12,000,000), `GROUP` (1,000),
//! `ROUNDS` (3), `BENCH_DIR` (where the ledgers are; the system's temporary directory). The report is
//! `docs/benchmarks/ledger.json`.
//!
//! Fairness: both make a group durable with one sync, both are asked for the key before they take an
//! event, both compress (fjall with its default, LZ4), both are written to by one thread, on one core,
//! in a process of its own. fjall keeps its default cache; its background threads' CPU time counts as
//! its own, and what they have still to do at the end does not.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark may panic"
)]

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Version;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Incoming, Ledger, LedgerConfig};

use crate::report::{
    Goal, Report, Rows, anonymous_mib, answer, child, rounds, row, size, task, timed,
};

#[path = "../../../benches/records.rs"]
mod records;
#[path = "../../../benches/report.rs"]
mod report;

/// 2026-11-21T00:00:00Z.
const DAY_START: i64 = 1_795_219_200_000_000;
const DAY: &str = "2026-11-21";

/// The bytes of an event's payload.
const EVENT_BYTES: usize = 800;

/// Records are made so many groups at a time, and what that takes is not measured.
const GROUPS_AT_A_TIME: usize = 50;

/// What the ledger is told of an event.
struct Record {
    id: String,
    version: Version,
    payload: Vec<u8>,
}

fn record(number: usize, total: usize, payload: bool) -> Record {
    let micros = DAY_START + (number as i64) * 86_399_000_000 / total as i64;
    let number = number as u64;
    let mut record = Record {
        id: format!("{:032x}", records::id(number)),
        version: Version {
            created_at: Some(Timestamp::from_micros(micros)),
            checksum: records::checksum(number),
            withdrawn: false,
        },
        payload: Vec::new(),
    };
    if payload {
        records::write(number, DAY, EVENT_BYTES, &mut record.payload);
    }
    record
}

fn incoming(record: &Record) -> Incoming<'_> {
    Incoming {
        kind: 0,
        key: &record.id,
        version: record.version,
        arrived: Timestamp::from_micros(DAY_START),
        head: b"",
        payload: &record.payload,
    }
}

/// The figures of `count` events (or keys) that took so much wall and CPU time.
fn figures(name: &str, count: usize, (wall, cpu): (f64, f64)) -> Rows {
    let count = count as f64;
    row(
        name,
        [
            ("per_second", count / wall),
            ("per_cpu_second", count / cpu),
            ("cpu_us_each", cpu * 1e6 / count),
            ("anonymous_mib", anonymous_mib()),
        ],
    )
}

/// Gives the events of `order` in groups to `take`, and measures that alone.
fn groups(
    order: impl Iterator<Item = usize>,
    total: usize,
    payload: bool,
    mut take: impl FnMut(&[Record]),
) -> (f64, f64) {
    let group = size("GROUP", 1_000);
    let (mut wall, mut cpu) = (0.0, 0.0);
    let mut order = order.map(|number| record(number, total, payload)).peekable();
    while order.peek().is_some() {
        let records: Vec<Record> = order.by_ref().take(group * GROUPS_AT_A_TIME).collect();
        let (more_wall, more_cpu) = timed(|| records.chunks(group).for_each(&mut take));
        wall += more_wall;
        cpu += more_cpu;
    }
    (wall, cpu)
}

/// All of `count` in random order.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap()).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut order);
    order.into_iter().map(|number| number as usize)
}

fn accept_new(ledger: &mut Ledger, records: &[Record]) {
    for record in records {
        assert!(ledger.accept(&incoming(record)).unwrap().is_new());
    }
    ledger.commit().unwrap();
}

fn accept_duplicates(ledger: &mut Ledger, records: &[Record]) {
    for record in records {
        assert!(!ledger.accept(&incoming(record)).unwrap().is_new());
    }
}

fn ledger_workload(dir: &Path, events: usize) -> Rows {
    let config = LedgerConfig { sinks: vec!["a".to_owned()], ..LedgerConfig::default() };
    let (mut ledger, _) = Ledger::open(Arc::new(RealFs), dir, config).unwrap();
    let new = groups(0..events, events, true, |records| accept_new(&mut ledger, records));
    let mut rows = figures("ledger, new", events, new);
    let stats = ledger.stats();
    let million = events as f64 / 1e6;
    rows.extend(row(
        "ledger, disk",
        [
            ("segment_bytes_per_million", stats.segment_bytes as f64 / million),
            ("key_bytes_per_million", stats.key_file_bytes as f64 / million),
        ],
    ));
    let again = groups(shuffled(events), events, false, |records| {
        accept_duplicates(&mut ledger, records);
    });
    rows.extend(figures("ledger, duplicate", events, again));
    let read = timed(|| {
        let mut reader = ledger.outbox().reader(1);
        let mut count = 0;
        loop {
            let batch = reader.read(1_000, 4 << 20).unwrap();
            if batch.is_empty() {
                break;
            }
            count += batch.len();
        }
        assert_eq!(count, events);
    });
    rows.extend(figures("ledger, read", events, read));
    rows
}

/// A day of so many keys: look-ups within the memory bound, and a start after a kill.
fn day(dir: &Path, keys: usize) -> Rows {
    let config = LedgerConfig { sinks: Vec::new(), ..LedgerConfig::default() };
    let (mut ledger, _) = Ledger::open(Arc::new(RealFs), dir, config.clone()).unwrap();
    let new = groups(0..keys, keys, false, |records| accept_new(&mut ledger, records));
    let mut rows = figures("day, new", keys, new);
    let some = keys.min(4_000_000);
    let mut random = fastrand::Rng::with_seed(7);
    let again = groups((0..some).map(|_| random.usize(..keys)), keys, false, |records| {
        accept_duplicates(&mut ledger, records);
    });
    rows.extend(figures("day, duplicate", some, again));
    let stats = ledger.stats();
    rows.extend(row(
        "day, keys",
        [
            ("in_memory", stats.keys_in_memory as f64),
            ("sealed", stats.keys_sealed as f64),
            ("key_files", stats.key_files as f64),
            ("key_file_bytes", stats.key_file_bytes as f64),
            ("memory_mib", stats.memory_bytes as f64 / f64::from(1 << 20)),
        ],
    ));
    // Nothing says goodbye to the disk: this is what a kill leaves.
    drop(ledger);
    let (wall, cpu) = timed(|| {
        let (ledger, _) = Ledger::open(Arc::new(RealFs), dir, config).unwrap();
        assert_eq!(ledger.stats().next_sequence, keys as u64 + 1);
    });
    rows.extend(row("day, open after a kill", [("seconds", wall), ("cpu_seconds", cpu)]));
    rows
}

fn fjall_workload(dir: &Path, events: usize) -> Rows {
    use fjall::{Database, KeyspaceCreateOptions, PersistMode};
    let database = Database::builder(dir).open().unwrap();
    let keys = database.keyspace("keys", KeyspaceCreateOptions::default).unwrap();
    let outbox = database.keyspace("outbox", KeyspaceCreateOptions::default).unwrap();
    let mut sequence = 0_u64;
    let version = |record: &Record| {
        let mut bytes = [0; 24];
        let at = record.version.created_at.unwrap().as_micros();
        bytes[..8].copy_from_slice(&at.to_le_bytes());
        bytes[8..].copy_from_slice(&record.version.checksum.to_le_bytes());
        bytes
    };
    let id = |record: &Record| u128::from_str_radix(&record.id, 16).unwrap().to_be_bytes();
    let new = groups(0..events, events, true, |records| {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for record in records {
            assert!(keys.get(id(record)).unwrap().is_none());
            sequence += 1;
            batch.insert(&keys, id(record), version(record));
            batch.insert(&outbox, sequence.to_be_bytes(), &record.payload[..]);
        }
        batch.commit().unwrap();
    });
    let mut rows = figures("fjall, new", events, new);
    let again = groups(shuffled(events), events, false, |records| {
        for record in records {
            assert_eq!(&keys.get(id(record)).unwrap().unwrap()[..], &version(record));
        }
    });
    rows.extend(figures("fjall, duplicate", events, again));
    rows
}

fn fresh() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("ledger-bench-");
    match std::env::var_os("BENCH_DIR") {
        Some(dir) => builder.tempdir_in(dir).unwrap(),
        None => builder.tempdir().unwrap(),
    }
}

fn main() {
    let (events, keys) = (size("EVENTS", 2_000_000), size("KEYS", 12_000_000));
    let dir = fresh();
    match task().first().map(String::as_str) {
        Some("ledger") => return answer(&ledger_workload(dir.path(), events)),
        Some("fjall") => return answer(&fjall_workload(dir.path(), events)),
        Some(_) => return answer(&day(dir.path(), keys)),
        None => {}
    }
    let settings = json!({
        "events": events, "event_bytes": EVENT_BYTES, "group": size("GROUP", 1_000), "keys": keys,
    });
    let mut report = Report::new("ledger", settings);
    for _ in 0..rounds() {
        report.round(["ledger", "fjall", "day"].map(|contender| child(&[contender])));
    }
    for row in ["new", "duplicate"] {
        for figure in ["per_second", "per_cpu_second"] {
            report.ratio(figure, &format!("ledger, {row}"), &format!("fjall, {row}"));
        }
    }
    let wall = report.ratio("per_second", "ledger, new", "fjall, new");
    report.goal("new events durable beside fjall 3, by the wall clock", wall, Goal::AtLeast(4.0));
    let each = report.figure("ledger, new", "cpu_us_each");
    report.goal("CPU for a new event of 800 bytes, in µs", each, Goal::AtMost(4.0));
    let day = "day, duplicate";
    let look_ups = report.figure(day, "per_second");
    report.goal(
        "duplicates of a replayed day, look-ups/s, by the wall clock",
        look_ups,
        Goal::AtLeast(1e6),
    );
    let look_ups = report.figure(day, "per_cpu_second");
    report.goal(
        "duplicates of a replayed day, look-ups per CPU second",
        look_ups,
        Goal::AtLeast(1e6),
    );
    let memory = report.figure(day, "anonymous_mib");
    report.goal(
        "anonymous memory of the process with a day of keys, in MiB",
        memory,
        Goal::AtMost(256.0),
    );
    let open = report.figure("day, open after a kill", "seconds");
    report.goal("open after a kill with a day of keys, in seconds", open, Goal::AtMost(3.0));
    report.write();
}
