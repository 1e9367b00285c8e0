//! Reads back the files of every past format version, kept in `fixtures/`.
//!
//! A new format version adds a folder; none is ever rewritten. `write_a_fixture` makes one, on request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{DAY, Event, NOON, kept, read_all, small};
use streamkeeper_core::id::{Cursor, IncidentId, SlotId, StreamId};
use streamkeeper_core::marked::low_water::Suspect;
use streamkeeper_core::marked::{Cause, OpenIncident, Phase, StreamState};
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Verdict;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Ledger, SinkPlace, Start, export, inspect, verify};

/// Every kind of key and version that the format knows.
fn events() -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..30_u32 {
        let at = Some(NOON + i64::from(number % 3) * DAY + i64::from(number));
        events.push(Event::new(&format!("{number:032x}"), at, u128::from(number) << 77));
        events.push(Event::new(&format!("{number:024x}"), at, 5));
        events.push(Event::new(&format!("Short {number}"), at, 6));
        events.push(Event::new(&format!("longer than a slot can hold {number}"), at, 7));
        let mut undated = Event::new(&format!("rule {number}"), None, 8);
        undated.kind = 1;
        events.push(undated);
    }
    let mut sibling = Event::new("Short 4", Some(NOON + DAY + 4), 9);
    sibling.version.withdrawn = true;
    events.push(sibling);
    events
}

/// An event that was committed after the last state; since version 4.
fn last() -> Event {
    Event::new("last", Some(NOON), 1)
}

fn all_events(version: &str) -> Vec<Event> {
    events().into_iter().chain((version >= "v4").then(last)).collect()
}

fn state(version: &str) -> StreamState {
    let since_2 = version != "v1";
    StreamState {
        phase: Phase::Recovering,
        stream_id: Some(StreamId("5f0e1d2c3b4a59687786950f".to_owned())),
        suspects: vec![
            Suspect { low: None, at: Timestamp::from_micros(NOON - 1) },
            Suspect { low: Some(Timestamp::from_micros(-5)), at: Timestamp::from_micros(NOON) },
        ],
        incidents: IncidentId(3),
        incident: Some(OpenIncident {
            cause: Cause::Stale(SlotId(2)),
            since: Timestamp::from_micros(NOON - 7),
            recoveries: 2,
            new: 1 << 40,
            recovered: 5,
            duplicate: 6,
            lost: None,
        }),
        left_behind: if since_2 { vec![StreamId("left".to_owned())] } else { Vec::new() },
        announced: if since_2 { vec!["acme~2".to_owned(), String::new()] } else { Vec::new() },
        ..StreamState::at(Some(Timestamp::from_micros(NOON)))
    }
}

/// What the service goes on from behind the event of that number.
fn cursor(number: usize) -> Cursor {
    Cursor::new(&format!("[{{\"behind\":{number}}}]")).unwrap()
}

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

#[test]
#[ignore = "writes the fixture of the current version; only for a version that has none"]
fn write_a_fixture() {
    let version = "v4";
    let dir = fixture(version);
    std::fs::remove_dir_all(&dir).unwrap_or_default();
    let config = streamkeeper_ledger::LedgerConfig { memory_bytes_max: 1, ..small() };
    let (mut ledger, _) = Ledger::open(Arc::new(RealFs), &dir, config.clone()).unwrap();
    for (number, event) in events().iter().enumerate() {
        if number == 100 {
            ledger.commit().unwrap();
            drop(ledger);
            // From here on keys stay in the log.
            let config = streamkeeper_ledger::LedgerConfig { replay_bytes_max: 1 << 20, ..small() };
            let config = streamkeeper_ledger::LedgerConfig { memory_bytes_max: 1 << 20, ..config };
            (ledger, _) = Ledger::open(Arc::new(RealFs), &dir, config).unwrap();
        }
        assert!(ledger.accept(&event.incoming()).unwrap().is_new());
        ledger.goes_on_from(&cursor(number));
        if number % 20 == 19 {
            ledger.commit().unwrap();
        }
    }
    ledger.outbox().acknowledge("a", 40);
    ledger.persist(&kept(&state(version))).unwrap();
    // What the state does not say.
    assert!(ledger.accept(&last().incoming()).unwrap().is_new());
    ledger.goes_on_from(&cursor(events().len()));
    ledger.commit().unwrap();
}

#[test]
fn every_version_is_read_back() {
    ["v1", "v2", "v3", "v4"].into_iter().for_each(is_read_back);
}

fn is_read_back(version: &str) {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(version)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let verified = verify(&RealFs, copy.path()).unwrap();
    assert!(verified.damage.is_empty(), "{:?}", verified.damage);
    assert!(verified.keys_sealed >= 60 && verified.segments > 1);
    let mut exported = Vec::new();
    let mut export_from = |from, most| {
        exported.clear();
        export(&RealFs, copy.path(), from, |entry| {
            exported.push(entry);
            if exported.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        exported.clone()
    };
    let exported = export_from(1, usize::MAX);
    for from in [0, 1, 19, 20, 21, 100, 101, 151, 152, 1_000] {
        let expected: Vec<_> = exported.iter().filter(|e| e.sequence >= from).take(7).collect();
        assert_eq!(export_from(from, 7).iter().collect::<Vec<_>>(), expected, "from {from}");
    }
    let contents = inspect(&RealFs, copy.path()).unwrap();
    let found = contents.state.unwrap();
    assert!(!found.clean);
    assert_eq!(StreamState::decode(&found.bytes), Ok(state(version)));
    let had_identity = contents.identity;
    assert_eq!(had_identity.is_some(), version >= "v3");
    let place = |sink: &str, next| SinkPlace { sink: sink.into(), next, active: true };
    assert_eq!(contents.sinks, [place("a", 40), place("b", 1)]);
    assert_eq!(
        (contents.oldest_sequence, contents.next_sequence),
        (1, 1 + all_events(version).len() as u64)
    );
    assert_eq!(contents.keys_sealed, verified.keys_sealed);
    assert_eq!(contents.segments, verified.segments);
    let on_disk = |name: &str| -> u64 {
        let files = std::fs::read_dir(copy.path()).unwrap().map(Result::unwrap);
        let named = files.filter(|file| file.file_name().to_str().unwrap().starts_with(name));
        named.map(|file| file.metadata().unwrap().len()).sum()
    };
    assert_eq!(contents.segment_bytes, on_disk("outbox-"));
    assert_eq!(contents.key_file_bytes, on_disk("keys-"));
    let small_files = ["state", "checkpoint", "identity"].map(on_disk);
    assert_eq!(contents.small_file_bytes, small_files.iter().sum::<u64>());

    let (mut ledger, report) = Ledger::open(Arc::new(RealFs), copy.path(), small()).unwrap();
    assert_eq!((report.start, report.torn), (Start::Unclean, None));
    assert!(report.replayed >= 20);
    assert_eq!(ledger.state(), Some(&found));
    assert!(had_identity.is_none_or(|identity| identity == ledger.identity()));
    let identity = ledger.identity();
    assert_eq!((ledger.outbox().cursor("a"), ledger.outbox().cursor("b")), (Some(40), Some(1)));
    let (entries, events) = (read_all(&ledger, 1), all_events(version));
    let behind = (version >= "v4").then(|| cursor(events.len() - 1));
    assert_eq!(ledger.cursor(), behind.as_ref());
    assert_eq!(entries, exported);
    assert_eq!(entries.len(), events.len());
    for (entry, event) in entries.iter().zip(&events) {
        assert!(event.is(entry), "{entry:?}");
        assert_eq!(ledger.accept(&event.incoming()).unwrap(), Verdict::Duplicate);
    } // What is written from here on is of this version, and is the same to the next start.
    ledger.persist(&kept(&state(version))).unwrap();
    drop(ledger);
    let contents = inspect(&RealFs, copy.path()).unwrap();
    assert_eq!(contents.identity, Some(identity));
    assert_eq!(StreamState::decode(&contents.state.unwrap().bytes), Ok(state(version)));
    let (ledger, _) = Ledger::open(Arc::new(RealFs), copy.path(), small()).unwrap();
    assert_eq!(ledger.cursor(), behind.as_ref());
}
