//! Looking into a ledger that is in use: the numbers are those of the ledger, and nothing is disturbed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Event, NOON, dir, kept, open, small};
use streamkeeper_core::marked::StreamState;
use streamkeeper_ledger::fs::{FaultyFs, RealFs};
use streamkeeper_ledger::{Contents, Ledger, inspect};

/// Accepts and commits the events of these numbers, and acknowledges what came long before.
fn work(ledger: &mut Ledger, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let event = Event::new(&format!("{number:032x}"), Some(NOON + i64::from(number)), 1);
        assert!(ledger.accept(&event.incoming()).unwrap().is_new());
    }
    ledger.commit().unwrap();
    let outbox = ledger.outbox();
    for sink in ["a", "b"] {
        outbox.acknowledge(sink, outbox.end().saturating_sub(50));
    }
}

#[test]
fn the_numbers_are_those_of_the_ledger() {
    let fs = FaultyFs::new(1);
    let (mut ledger, _) = open(&fs, &small()).unwrap();
    let mut most = (0, 0);
    for round in 0..200 {
        work(&mut ledger, round * 4..(round + 1) * 4);
        let (contents, stats) = (inspect(&fs, dir()).unwrap(), ledger.stats());
        let Contents { segments, segment_bytes, key_files, key_file_bytes, .. } = contents;
        assert_eq!(contents.next_sequence, stats.next_sequence);
        assert_eq!((segments, segment_bytes), (stats.segments, stats.segment_bytes));
        assert_eq!((key_files, key_file_bytes), (stats.key_files, stats.key_file_bytes));
        assert_eq!(contents.keys_sealed, stats.keys_sealed);
        // No key came twice.
        assert_eq!(contents.next_sequence - contents.sealed_to, stats.keys_in_memory);
        most = (most.0.max(segments), most.1.max(key_files));
    }
    assert!(most.0 > 1 && most.1 > 1, "segments were rolled, keys were sealed: {most:?}");
    assert!(inspect(&fs, dir()).unwrap().oldest_sequence > 1, "and segments were removed");
    let state = kept(&StreamState::at(None));
    ledger.persist(&state).unwrap();
    let contents = inspect(&fs, dir()).unwrap();
    assert_eq!(contents.state, Some(state));
    let places: Vec<_> =
        contents.sinks.iter().map(|place| (place.sink.as_str(), place.next)).collect();
    assert_eq!(places, [("a", 751), ("b", 751)]);
}

#[test]
fn an_empty_folder_and_a_first_start_hold_nothing() {
    let fs = FaultyFs::new(1);
    let nothing =
        Contents { next_sequence: 1, oldest_sequence: 1, sealed_to: 1, ..Contents::default() };
    assert_eq!(inspect(&fs, dir()).unwrap(), nothing);
    let (ledger, _) = open(&fs, &small()).unwrap();
    let contents = inspect(&fs, dir()).unwrap();
    assert_eq!(contents.identity, Some(ledger.identity()));
    assert_eq!((contents.segments, contents.next_sequence, contents.state), (1, 1, None));
}

#[test]
fn files_that_come_and_go_meanwhile_are_no_error() {
    let parent = tempfile::tempdir().unwrap();
    let (mut ledger, _) = Ledger::open(Arc::new(RealFs), parent.path(), small()).unwrap();
    std::thread::scope(|scope| {
        let working = scope.spawn(move || {
            for round in 0..120 {
                work(&mut ledger, round * 4..(round + 1) * 4);
            }
        });
        let (mut looks, mut last) = (0, 0);
        while !working.is_finished() {
            let contents = inspect(&RealFs, parent.path()).unwrap();
            assert!(contents.next_sequence >= last, "it never goes back");
            last = contents.next_sequence;
            looks += 1;
        }
        working.join().unwrap();
        assert!(looks > 10, "{looks}");
    });
    assert_eq!(inspect(&RealFs, parent.path()).unwrap().next_sequence, 481);
}
