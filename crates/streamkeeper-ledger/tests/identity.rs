//! Which ledger it is: for whom a sequence number means what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{Event, NOON, dir, open};
use streamkeeper_ledger::fs::{Access, Fault, FaultyFs, Fs};
use streamkeeper_ledger::{Given, Ledger, LedgerConfig, LedgerError, verify};

/// Large bounds: one segment, nothing sealed.
fn large() -> LedgerConfig {
    LedgerConfig { sinks: vec!["a".to_owned()], ..LedgerConfig::default() }
}

/// A ledger that holds so many events.
fn filled(fs: &FaultyFs, events: u32) -> Ledger {
    let (mut ledger, _) = open(fs, &large()).unwrap();
    for number in 0..events {
        let event = Event::new(&format!("{number:032x}"), Some(NOON), 1);
        assert!(ledger.accept(&event.incoming()).unwrap().is_new());
    }
    ledger.commit().unwrap();
    ledger
}

/// A start for a sink that has everything before `next` of this ledger.
fn open_given(fs: &FaultyFs, ledger: Option<&str>, next: u64) -> Result<Ledger, LedgerError> {
    let given = vec![Given { ledger: ledger.map(str::to_owned), next }];
    open(fs, &LedgerConfig { given, ..large() }).map(|(ledger, _)| ledger)
}

fn remove_all(fs: &FaultyFs) {
    for name in fs.list(dir()).unwrap() {
        fs.remove(&dir().join(name)).unwrap();
    }
}

#[test]
fn it_stays_over_starts_and_is_never_that_of_another() {
    let fs = FaultyFs::new(1);
    let ledger = filled(&fs, 3);
    let identity = ledger.identity();
    assert_eq!(ledger.outbox().identity(), identity);
    let digits = identity.to_string();
    assert!(digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    drop(ledger);
    fs.power_cut();
    let (ledger, _) = open(&fs, &large()).unwrap();
    assert_eq!(ledger.identity(), identity);
    drop(ledger);
    remove_all(&fs);
    assert_ne!(filled(&fs, 3).identity(), identity);
    assert_ne!(filled(&FaultyFs::new(1), 3).identity(), identity);
}

#[test]
fn whatever_the_first_start_dies_of_nothing_is_accepted_before_it_is_durable() {
    for after in 0..40 {
        let fs = FaultyFs::new(after);
        fs.plan(after, Fault::Crash);
        let first = open(&fs, &large()).ok().map(|(ledger, _)| ledger.identity());
        fs.power_cut();
        let (ledger, _) = open(&fs, &large()).unwrap();
        assert!(first.is_none_or(|first| first == ledger.identity()), "{after}");
    }
}

#[test]
fn a_ledger_that_a_sink_is_ahead_of_gets_another_and_keeps_it() {
    let fs = FaultyFs::new(1);
    let ledger = filled(&fs, 3);
    let (identity, end) = (ledger.identity().to_string(), ledger.outbox().end());
    drop(ledger);
    let reopened =
        |given: Option<&str>, next| open_given(&fs, given, next).unwrap().identity().to_string();
    assert_eq!(reopened(Some(&identity), end), identity, "it has everything");
    assert_eq!(reopened(Some("of another"), end + 1), identity, "a place of another ledger");
    let copied_back = reopened(Some(&identity), end + 1);
    assert_ne!(copied_back, identity);
    assert_eq!(reopened(Some(&identity), end + 1), copied_back, "the old place is of another now");
    assert_ne!(reopened(None, end + 1), copied_back, "a place from before there were identities");
}

#[test]
fn a_place_of_another_ledger_makes_no_torn_tail_a_damage() {
    for (ledger, is_damage) in [(None, true), (Some("of another"), false), (Some("this"), true)] {
        let fs = FaultyFs::new(1);
        let identity = filled(&fs, 3).identity().to_string();
        let ledger = ledger.map(|name| if name == "this" { &*identity } else { name });
        let (path, bytes) = segment(&fs);
        assert!(fs.flip_bit(&path, bytes.len() - 1));
        let opened = open_given(&fs, ledger, 4);
        assert_eq!(opened.is_err(), is_damage, "{ledger:?}");
    }
}

#[test]
fn a_frame_with_extras_is_of_a_newer_version_and_no_damage() {
    // A flag that has no meaning yet, and room for extras without a flag.
    for (at, value) in [(4, 1 | 1 << 3), (4, 1 | 1 << 9), (6, 12)] {
        let fs = FaultyFs::new(1);
        drop(filled(&fs, 3));
        let (path, mut bytes) = segment(&fs);
        let header = 32;
        bytes[header + at] = (value & 0xFF) as u8;
        bytes[header + at + 1] = (value >> 8) as u8;
        let crc = crc32fast::hash(&bytes[header..header + 48]);
        bytes[header + 48..header + 52].copy_from_slice(&crc.to_le_bytes());
        fs.open(&path, Access::Write).unwrap().write_at(&bytes, 0).unwrap();
        let error = open(&fs, &large()).unwrap_err();
        assert!(matches!(&error, LedgerError::NewerFrame { offset: 32, .. }), "{error}");
        assert!(error.to_string().contains("use that version, or a newer one"), "{error}");
        assert_eq!(fs.open(&path, Access::Read).unwrap().len().unwrap(), bytes.len() as u64);
        let verified = verify(&fs, dir()).unwrap();
        assert!(matches!(verified.damage[..], [LedgerError::NewerFrame { .. }]), "{verified:?}");
    }
}

/// The one segment, and its bytes.
fn segment(fs: &FaultyFs) -> (std::path::PathBuf, Vec<u8>) {
    let path = dir().join(Path::new("outbox-00000000000000000001.log"));
    let file = fs.open(&path, Access::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    (path, bytes)
}
