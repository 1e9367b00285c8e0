//! The ledger beside fjall 3, on the workload of a stream: new 790-byte events in synced groups of
//! 1,000, then the same events again in random order; and a day of many keys: duplicate look-ups within
//! the memory bound, and the start after a kill.
//!
//! One line of JSON for each measurement on stdout. Sizes come from the environment: `EVENTS`
//! (100,000), `KEYS` (200,000), `GROUP` (1,000), `COMPARE` (1; 0 leaves fjall out), `BENCH_DIR` (the
//! system's temporary directory). The published figures are those of `EVENTS=2000000 KEYS=12000000`.
//!
//! Fairness: both make a group durable with one sync, both are asked for the key before they take an
//! event, both compress (fjall with its default, LZ4), both run with a writer on one thread. fjall
//! keeps its default cache; its background threads' CPU time counts as its own.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may panic, and answers on stdout"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Version;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Config, Incoming, Ledger};

/// 2026-11-21T00:00:00Z.
const DAY_START: i64 = 1_795_219_200_000_000;

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

/// Event `number`: ids and checksums as random as the service's.
struct Record {
    id: String,
    version: Version,
    payload: Vec<u8>,
}

fn mix(number: u64) -> u128 {
    let mut rng = fastrand::Rng::with_seed(number);
    rng.u128(..)
}

fn record(number: usize, total: usize, payload: bool) -> Record {
    let id = format!("{:032x}", mix(number as u64));
    let checksum = mix(number as u64 + (1 << 40));
    let micros = DAY_START + (number as i64) * 86_399_000_000 / total as i64;
    let version =
        Version { created_at: Some(Timestamp::from_micros(micros)), checksum, withdrawn: false };
    let payload = if payload { body(&id, checksum, number) } else { Vec::new() };
    Record { id, version, payload }
}

fn body(id: &str, checksum: u128, number: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(number as u64 ^ 0xABCD);
    let (user, value) = (rng.u64(..) % 350_000, rng.u32(0..20_000));
    let (day, second) = (rng.u32(1..28), rng.u32(10..60));
    let mut text = format!(
        r#"{{"id":"{id}","checksum":"{checksum:032x}","type":"summary","category":"daily","log_id":"2026-11-{day:02}","version":"1.0","start_time":"2026-11-{day:02}T05:00:00Z","end_time":"2026-11-{day:02}T04:59:{second}Z","created_at":"2026-11-21T16:48:{second}.{:03}Z","deleted_at":null,"utc_offset":-18000,"offset_origin":"profile","source":{{"type":"fitbit","device":null}},"metrics":[{{"type":"steps","origin":"device","unit":"count","value":{value}}},{{"type":"distance","origin":"device","unit":"meter","value":{}}},{{"type":"energy_burned","origin":"device","unit":"kcal","value":{}}}],"segments":[],"tags":[],"user_notes":[],"user":{{"user_id":"{:024x}","uid":"customer-{user:06}","organization_id":"5f0e1d2c3b4a59687786950f"}}}}"#,
        number % 1000,
        value * 7 / 10,
        value / 9,
        mix(user) >> 32,
    );
    while text.len() < 790 {
        text.push(' ');
    }
    text.into_bytes()
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

/// CPU seconds of the process, user and system.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// Anonymous resident memory in MiB.
fn anonymous_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Measures `work`, less what making its events costs (`making`, CPU and wall seconds an event).
fn measure(store: &str, what: &str, count: usize, work: impl FnOnce() -> (f64, f64)) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let (wall, cpu) = work();
    println!(
        r#"{{"store":"{store}","what":"{what}","count":{count},"per_second":{:.0},"wall_s":{wall:.3},"cpu_s":{cpu:.3},"cpu_us_each":{:.3},"per_cpu_second":{:.0},"anonymous_mib":{:.0},"load":"{load}"}}"#,
        count as f64 / wall,
        cpu * 1e6 / count as f64,
        count as f64 / cpu,
        anonymous_mib(),
    );
}

/// Runs over chunks of events: making them is not measured, `take` is.
fn chunks(
    order: &[u32],
    chunk: usize,
    total: usize,
    payload: bool,
    mut take: impl FnMut(&[Record]),
) -> (f64, f64) {
    let (mut wall, mut busy) = (0.0, 0.0);
    // Many groups at a time: the CPU clock ticks every 10 ms.
    for block in order.chunks(chunk * 50) {
        let records: Vec<Record> =
            block.iter().map(|&number| record(number as usize, total, payload)).collect();
        let (start, before) = (Instant::now(), cpu());
        for group in records.chunks(chunk) {
            take(group);
        }
        wall += start.elapsed().as_secs_f64();
        busy += cpu() - before;
    }
    (wall, busy)
}

fn orders(count: usize) -> (Vec<u32>, Vec<u32>) {
    let order: Vec<u32> = (0..u32::try_from(count).unwrap()).collect();
    let mut random = order.clone();
    fastrand::Rng::with_seed(7).shuffle(&mut random);
    (order, random)
}

fn ledger_workload(dir: &Path, events: usize, group: usize) {
    let (order, random) = orders(events);
    let config = Config { sinks: vec!["a".to_owned()], ..Config::default() };
    let (mut ledger, _) = Ledger::open(Arc::new(RealFs), dir, config).unwrap();
    measure("ledger", "new", events, || {
        chunks(&order, group, events, true, |records| {
            for record in records {
                assert!(ledger.accept(&incoming(record)).unwrap().is_new());
            }
            ledger.commit().unwrap();
        })
    });
    let stats = ledger.stats();
    let bytes = stats.segment_bytes + stats.key_file_bytes;
    println!(
        r#"{{"store":"ledger","what":"disk","count":{events},"bytes_per_million":{}}}"#,
        bytes * 1_000_000 / events as u64
    );
    measure("ledger", "duplicate", events, || {
        chunks(&random, group, events, false, |records| {
            for record in records {
                assert!(!ledger.accept(&incoming(record)).unwrap().is_new());
            }
        })
    });
    measure("ledger", "read", events, || {
        let (start, before) = (Instant::now(), cpu());
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
        (start.elapsed().as_secs_f64(), cpu() - before)
    });
}

/// A day of so many keys: look-ups within the memory bound, and a start after a kill.
fn day(dir: &Path, keys: usize, group: usize) {
    let (order, random) = orders(keys);
    let config = Config { sinks: Vec::new(), ..Config::default() };
    let (mut ledger, _) = Ledger::open(Arc::new(RealFs), dir, config.clone()).unwrap();
    measure("ledger", "day_new", keys, || {
        chunks(&order, group.max(1_000), keys, false, |records| {
            for record in records {
                assert!(ledger.accept(&incoming(record)).unwrap().is_new());
            }
            ledger.commit().unwrap();
        })
    });
    let some = &random[..keys.min(4_000_000)];
    measure("ledger", "day_duplicate", some.len(), || {
        chunks(some, group, keys, false, |records| {
            for record in records {
                assert!(!ledger.accept(&incoming(record)).unwrap().is_new());
            }
        })
    });
    let stats = ledger.stats();
    println!(
        r#"{{"store":"ledger","what":"day_keys","in_memory":{},"sealed":{},"files":{},"memory_bytes":{}}}"#,
        stats.keys_in_memory, stats.keys_sealed, stats.key_files, stats.memory_bytes
    );
    // Nothing says goodbye to the disk: this is what a kill leaves.
    drop(ledger);
    measure("ledger", "open_unclean", keys, || {
        let (start, before) = (Instant::now(), cpu());
        let (ledger, _) = Ledger::open(Arc::new(RealFs), dir, config).unwrap();
        assert_eq!(ledger.stats().next_sequence, keys as u64 + 1);
        (start.elapsed().as_secs_f64(), cpu() - before)
    });
}

fn fjall_workload(dir: &Path, events: usize, group: usize) {
    use fjall::{Database, KeyspaceCreateOptions, PersistMode};
    let (order, random) = orders(events);
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
    measure("fjall", "new", events, || {
        chunks(&order, group, events, true, |records| {
            let mut batch = database.batch().durability(Some(PersistMode::SyncData));
            for record in records {
                assert!(keys.get(id(record)).unwrap().is_none());
                sequence += 1;
                batch.insert(&keys, id(record), version(record));
                batch.insert(&outbox, sequence.to_be_bytes(), &record.payload[..]);
            }
            batch.commit().unwrap();
        })
    });
    measure("fjall", "duplicate", events, || {
        chunks(&random, group, events, false, |records| {
            for record in records {
                assert_eq!(&keys.get(id(record)).unwrap().unwrap()[..], &version(record));
            }
        })
    });
}

fn main() {
    let (events, keys) = (size("EVENTS", 100_000), size("KEYS", 200_000));
    let (group, compare) = (size("GROUP", 1_000), size("COMPARE", 1));
    let fresh = || {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("ledger-bench-");
        match std::env::var_os("BENCH_DIR") {
            Some(dir) => builder.tempdir_in(dir).unwrap(),
            None => builder.tempdir().unwrap(),
        }
    };
    if events > 0 {
        ledger_workload(fresh().path(), events, group);
        if compare > 0 {
            fjall_workload(fresh().path(), events, group);
        }
    }
    if keys > 0 {
        day(fresh().path(), keys, group);
    }
}
