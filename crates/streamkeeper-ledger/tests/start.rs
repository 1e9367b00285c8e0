//! The start-up truth table: what a start finds, and what it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{Event, NOON, dir, kept, open, read_all, small};
use streamkeeper_core::id::Cursor;
use streamkeeper_core::marked::StreamState;
use streamkeeper_core::version::Verdict;
use streamkeeper_ledger::fs::{Access, Fault, FaultyFs, Fs, RealFs};
use streamkeeper_ledger::{Given, KeptState, Ledger, LedgerConfig, LedgerError, Start};

fn event(number: u32) -> Event {
    Event::new(&format!("{number:032x}"), Some(NOON + i64::from(number)), 1)
}

fn state(clean: bool) -> KeptState {
    kept(&StreamState { clean, ..StreamState::at(None) })
}

/// A ledger with so many events, in commits of four.
fn filled(fs: &FaultyFs, events: u32, config: &LedgerConfig) -> Ledger {
    let (mut ledger, report) = open(fs, config).unwrap();
    assert_eq!(report.start, Start::First);
    for number in 0..events {
        assert_eq!(ledger.accept(&event(number).incoming()).unwrap(), Verdict::New);
        if number % 4 == 3 {
            ledger.commit().unwrap();
        }
    }
    ledger.commit().unwrap();
    ledger
}

/// Large bounds: one segment, nothing sealed.
fn large() -> LedgerConfig {
    LedgerConfig { sinks: vec!["a".to_owned()], ..LedgerConfig::default() }
}

fn file(fs: &FaultyFs, prefix: &str) -> PathBuf {
    let mut names = fs.list(dir()).unwrap();
    names.sort();
    dir().join(names.into_iter().find(|name| name.starts_with(prefix)).unwrap())
}

#[test]
fn a_missing_directory_is_created_and_a_first_start() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("streams/acme");
    let (ledger, report) = Ledger::open(Arc::new(RealFs), &dir, large()).unwrap();
    assert_eq!((report.start, report.torn), (Start::First, None));
    assert_eq!(ledger.state(), None);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.clone()), 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_second_process_is_kept_out_and_told_who_holds_the_lock() {
    let parent = tempfile::tempdir().unwrap();
    let held = Ledger::open(Arc::new(RealFs), parent.path(), large()).unwrap();
    let error = Ledger::open(Arc::new(RealFs), parent.path(), large()).unwrap_err();
    let LedgerError::Locked { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())));
    drop(held);
    Ledger::open(Arc::new(RealFs), parent.path(), large()).unwrap();
}

#[test]
fn a_clean_and_an_unclean_end_are_told_apart() {
    let fs = FaultyFs::new(1);
    let mut ledger = filled(&fs, 8, &large());
    ledger.persist(&state(true)).unwrap();
    drop(ledger);
    let (mut ledger, report) = open(&fs, &large()).unwrap();
    assert_eq!(report.start, Start::Clean);
    assert_eq!(ledger.state(), Some(&state(true)));
    ledger.persist(&state(false)).unwrap();
    drop(ledger);
    fs.power_cut();
    let (ledger, report) = open(&fs, &large()).unwrap();
    assert_eq!((report.start, report.replayed), (Start::Unclean, 8));
    assert_eq!(ledger.state(), Some(&state(false)));
}

#[test]
fn a_read_only_directory_is_refused() {
    let fs = FaultyFs::new(1);
    drop(filled(&fs, 8, &large()));
    fs.set_read_only(true);
    let error = open(&fs, &large()).unwrap_err();
    assert!(matches!(error, LedgerError::Io { .. }), "{error}");
}

#[test]
fn on_a_full_disk_a_first_start_is_refused_and_a_later_one_is_not() {
    let fs = FaultyFs::new(1);
    fs.plan(0, Fault::DiskFull);
    assert!(open(&fs, &large()).unwrap_err().is_disk_full());
    fs.heal();
    drop(filled(&fs, 8, &large()));
    // What is written in place needs no room; only a ledger that rewrites its tail is tried here.
    let (ledger, _) = open(&fs, &large()).unwrap();
    assert_eq!(read_all(&ledger, 1).len(), 8);
}

#[test]
fn a_torn_tail_is_cut_at_any_byte() {
    let fs = FaultyFs::new(1);
    drop(filled(&fs, 8, &large()));
    let path = file(&fs, "outbox-");
    let whole = fs.open(&path, Access::Read).unwrap().len().unwrap();
    let commit = whole - last_frame(&fs, &path, whole);
    for cut in commit + 1..whole {
        let fs = FaultyFs::new(1);
        drop(filled(&fs, 8, &large()));
        let file = fs.open(&path, Access::Write).unwrap();
        file.set_len(cut).unwrap();
        let (mut ledger, report) = open(&fs, &large()).unwrap();
        let torn = report.torn.expect("a report");
        assert_eq!((torn.offset, torn.bytes), (commit, cut - commit));
        assert_eq!(ledger.stats().next_sequence, 5);
        assert_eq!(ledger.accept(&event(3).incoming()).unwrap(), Verdict::Duplicate);
        assert_eq!(ledger.accept(&event(4).incoming()).unwrap(), Verdict::New);
        ledger.commit().unwrap();
        assert_eq!(read_all(&ledger, 1).len(), 5);
    }
}

/// The bytes of the last frame: the file is two commits of equal shape.
fn last_frame(fs: &FaultyFs, path: &std::path::Path, whole: u64) -> u64 {
    let file = fs.open(path, Access::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(whole).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    let last = bytes.windows(4).rposition(|window| window == b"SKF1").unwrap();
    whole - last as u64
}

#[test]
fn damage_before_the_tail_refuses_the_start_with_file_and_offset() {
    for sealed in [false, true] {
        let config = if sealed { small() } else { large() };
        let fs = FaultyFs::new(1);
        drop(filled(&fs, 16, &config));
        let path = file(&fs, "outbox-");
        assert!(fs.flip_bit(&path, 100));
        let error = match open(&fs, &config) {
            Err(error) => error,
            // Keys before the checkpoint are not read again; reading the event finds it.
            Ok((ledger, _)) => {
                assert!(sealed);
                ledger.outbox().reader(1).read(1, 1).unwrap_err()
            }
        };
        let LedgerError::Damaged { path: named, offset, .. } = &error else { panic!("{error}") };
        assert_eq!((named, *offset), (&path, 32));
        assert!(error.to_string().contains("Restore the directory"), "{error}");
        assert!(!streamkeeper_ledger::verify(&fs, dir()).unwrap().damage.is_empty());
    }
}

#[test]
fn a_missing_tail_that_was_committed_is_damage_and_not_a_torn_tail() {
    let fs = FaultyFs::new(1);
    let mut ledger = filled(&fs, 8, &large());
    ledger.persist(&state(false)).unwrap();
    drop(ledger);
    let path = file(&fs, "outbox-");
    let log = fs.open(&path, Access::Write).unwrap();
    log.set_len(log.len().unwrap() - 1).unwrap();
    let error = open(&fs, &large()).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    fs.remove(&path).unwrap();
    let error = open(&fs, &large()).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
}

#[test]
fn a_damaged_last_frame_that_a_sink_has_had_is_damage_and_not_a_torn_tail() {
    for to in [5, 8] {
        let fs = FaultyFs::new(1);
        drop(filled(&fs, 8, &large()));
        let path = file(&fs, "outbox-");
        let whole = fs.open(&path, Access::Read).unwrap().len().unwrap();
        let last = whole - last_frame(&fs, &path, whole);
        assert!(fs.flip_bit(&path, usize::try_from(whole).unwrap() - 1));
        // The file sink's own place: it has some of the frame.
        let given = |next| vec![Given { ledger: None, next }];
        let error = open(&fs, &LedgerConfig { given: given(to + 1), ..large() }).unwrap_err();
        let LedgerError::Damaged { path: named, offset, .. } = &error else { panic!("{error}") };
        assert_eq!((named, *offset), (&path, last));
        for advice in ["Restore the directory", "an older copy", "`<path>.cursor`"] {
            assert!(error.to_string().contains(advice), "{error}");
        }
        assert_eq!(fs.open(&path, Access::Read).unwrap().len().unwrap(), whole, "nothing is cut");
        // Whoever has nothing of it proves nothing.
        let (_, report) = open(&fs, &LedgerConfig { given: given(5), ..large() }).unwrap();
        assert!(report.torn.is_some());
    }
}

#[test]
fn a_damaged_last_frame_that_was_committed_is_said_by_whoever_reads_it() {
    let fs = FaultyFs::new(1);
    let mut ledger = filled(&fs, 8, &large());
    ledger.persist(&state(false)).unwrap();
    drop(ledger);
    let path = file(&fs, "outbox-");
    let whole = fs.open(&path, Access::Read).unwrap().len().unwrap();
    let last = whole - last_frame(&fs, &path, whole);
    assert!(fs.flip_bit(&path, usize::try_from(whole).unwrap() - 1));
    let at = |error: &LedgerError| match error {
        LedgerError::Damaged { offset, .. } => *offset,
        error => panic!("{error}"),
    };
    let verified = streamkeeper_ledger::verify(&fs, dir()).unwrap();
    assert_eq!(verified.torn, None, "a start would not cut it");
    assert_eq!(verified.damage.iter().map(at).collect::<Vec<_>>(), [last]);
    let mut exported = 0;
    let error = streamkeeper_ledger::export(&fs, dir(), 1, |_| {
        exported += 1;
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!((at(&error.unwrap_err()), exported), (last, 4));
}

#[test]
fn a_damaged_or_missing_small_or_key_file_refuses_the_start() {
    for prefix in ["checkpoint", "state", "identity", "keys-"] {
        for missing in [false, true] {
            let fs = FaultyFs::new(1);
            drop(filled(&fs, 60, &small()));
            let path = file(&fs, prefix);
            if missing {
                fs.remove(&path).unwrap();
            } else {
                assert!(fs.flip_bit(&path, 21));
            }
            let opened = open(&fs, &small());
            if missing && prefix != "keys-" {
                // Every segment is still there, and what is missing follows from them.
                let (mut ledger, _) = opened.unwrap();
                for number in 0..60 {
                    let verdict = ledger.accept(&event(number).incoming()).unwrap();
                    assert_eq!(verdict, Verdict::Duplicate);
                }
                continue;
            }
            let error = opened.unwrap_err();
            assert!(matches!(error, LedgerError::Damaged { .. }), "{prefix} {missing}: {error}");
        }
    }
}

#[test]
fn a_file_of_a_newer_version_is_refused_with_what_to_do() {
    let files = [("checkpoint", 1), ("state", 4), ("identity", 1), ("keys-", 1), ("outbox-", 2)];
    for (prefix, current) in files {
        let fs = FaultyFs::new(1);
        drop(filled(&fs, 60, &small()));
        let path = file(&fs, prefix);
        let newer = u16::to_le_bytes(current + 1);
        fs.open(&path, Access::Write).unwrap().write_at(&newer, 8).unwrap();
        let error = open(&fs, &small()).unwrap_err();
        let LedgerError::NewerVersion { found, known, .. } = &error else { panic!("{error}") };
        assert_eq!((*found, *known), (current + 1, current));
        assert!(error.to_string().contains("newer"), "{error}");
    }
}

#[test]
fn a_cursor_that_is_damaged_is_damage_and_no_other_cursor() {
    let cursor = Cursor::new("[{\"offset\":7}]").unwrap();
    // Length, text and sum of the extras, behind the headers of segment and frame.
    for byte in 0..2 + cursor.as_str().len() + 4 {
        let fs = FaultyFs::new(1);
        let (mut ledger, _) = open(&fs, &large()).unwrap();
        for number in 0..2 {
            assert!(ledger.accept(&event(number).incoming()).unwrap().is_new());
            ledger.goes_on_from(&cursor);
            ledger.commit().unwrap();
        }
        drop(ledger);
        let path = file(&fs, "outbox-");
        assert!(fs.flip_bit(&path, 32 + 52 + byte));
        let error = open(&fs, &large()).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{byte}: {error}");
    }
}

#[test]
fn a_state_that_was_not_finished_is_no_obstacle_to_another_list_of_sinks() {
    let fs = FaultyFs::new(1);
    drop(filled(&fs, 8, &large()));
    fs.create(&dir().join("state.tmp")).unwrap();
    let config = LedgerConfig { sinks: vec!["a".to_owned(), "another".to_owned()], ..large() };
    let (ledger, _) = open(&fs, &config).unwrap();
    assert_eq!(ledger.outbox().cursor("another"), Some(1));
}

#[test]
fn nothing_on_disk_is_changed_by_a_start_that_is_refused() {
    let fs = FaultyFs::new(1);
    drop(filled(&fs, 60, &small()));
    assert!(fs.flip_bit(&file(&fs, "keys-"), 20));
    let names = |fs: &FaultyFs| {
        let mut names = fs.list(dir()).unwrap();
        names.sort();
        names
    };
    let before = names(&fs);
    open(&fs, &small()).unwrap_err();
    assert_eq!(names(&fs), before);
}
