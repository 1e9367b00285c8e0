//! What keeps a ledger bounded: the outbox, the retention, the memory; and who may delete what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::Duration;

use common::{DAY, Event, Model, NOON, open, read_all, small};
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Verdict;
use streamkeeper_ledger::fs::{Fault, FaultyFs};
use streamkeeper_ledger::{Bound, Incoming, LedgerConfig, LedgerError};

fn event(number: u32, day: i64) -> Event {
    Event::new(&format!("{number:032x}"), Some(NOON + day * DAY), 1)
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_micros(NOON + day * DAY)
}

#[test]
fn a_full_outbox_refuses_what_is_new_and_judges_what_is_not() {
    let fs = FaultyFs::new(1);
    let config = LedgerConfig { outbox_bytes_max: 2_000, ..small() };
    let (mut ledger, _) = open(&fs, &config).unwrap();
    let mut number = 0;
    let error = loop {
        match ledger.accept(&event(number, 0).incoming()) {
            Ok(verdict) => assert_eq!(verdict, Verdict::New),
            Err(error) => break error,
        }
        ledger.commit().unwrap();
        number += 1;
        assert!(number < 100);
    };
    assert!(matches!(error, LedgerError::OutboxFull { bound: Bound::Bytes }));
    assert!(ledger.poisoned().is_none());
    assert_eq!(ledger.accept(&event(0, 0).incoming()).unwrap(), Verdict::Duplicate);
    let outbox = ledger.outbox();
    outbox.acknowledge("a", outbox.end());
    assert!(ledger.accept(&event(number, 0).incoming()).is_err(), "b has nothing yet");
    outbox.acknowledge("b", outbox.end());
    assert_eq!(outbox.bytes(), 0);
    assert_eq!(ledger.accept(&event(number, 0).incoming()).unwrap(), Verdict::New);
}

#[test]
fn an_outbox_that_is_too_old_refuses_what_is_new() {
    let fs = FaultyFs::new(1);
    let age = Duration::from_secs(2 * 86_400);
    let config = LedgerConfig { outbox_age_max: Some(age), ..small() };
    let (mut ledger, _) = open(&fs, &config).unwrap();
    let arriving = |number: u32, day: i64| {
        let event = event(number, 0);
        (event, at(day))
    };
    for (number, day, full) in [(0, 0, false), (1, 1, false), (2, 4, false), (3, 4, true)] {
        let (event, arrived) = arriving(number, day);
        let mut incoming = event.incoming();
        incoming.arrived = arrived;
        let judged = ledger.accept(&incoming);
        assert_eq!(judged.is_err(), full, "{number}");
        if let Err(error) = judged {
            assert!(matches!(error, LedgerError::OutboxFull { bound: Bound::Age }));
        }
        ledger.sweep(arrived, Some(arrived)).unwrap();
    }
}

#[test]
fn acknowledged_payloads_are_deleted_by_the_sweep_after_their_segment_is_a_day_old() {
    let fs = FaultyFs::new(1);
    let config = LedgerConfig { sinks: vec!["a".to_owned()], ..LedgerConfig::default() };
    let (mut ledger, _) = open(&fs, &config).unwrap();
    ledger.accept(&event(1, 0).incoming()).unwrap();
    ledger.commit().unwrap();
    let outbox = ledger.outbox();
    assert_eq!(ledger.sweep(at(2), Some(at(2))).unwrap().segments, 0, "not acknowledged");
    outbox.acknowledge("a", outbox.end());
    assert_eq!(ledger.sweep(at(2), Some(at(2))).unwrap().segments, 1);
    assert!(read_all(&ledger, 1).is_empty());
    assert_eq!(ledger.accept(&event(1, 0).incoming()).unwrap(), Verdict::Duplicate);
    drop(ledger);
    fs.power_cut();
    let (mut ledger, _) = open(&fs, &config).unwrap();
    assert_eq!(ledger.accept(&event(1, 0).incoming()).unwrap(), Verdict::Duplicate);
    ledger.accept(&event(2, 0).incoming()).unwrap();
    assert_eq!(ledger.commit().unwrap().sequences, 2..3, "sequence numbers go on");
}

#[test]
fn keys_are_forgotten_after_the_retention_and_not_before() {
    let fs = FaultyFs::new(1);
    let (mut ledger, _) = open(&fs, &small()).unwrap();
    let mut undated = event(9_999, 0);
    undated.version.created_at = None;
    ledger.accept(&undated.incoming()).unwrap();
    for number in 0..60 {
        ledger.accept(&event(number, i64::from(number % 6)).incoming()).unwrap();
        ledger.commit().unwrap();
    }
    let outbox = ledger.outbox();
    outbox.acknowledge("a", outbox.end());
    outbox.acknowledge("b", outbox.end());
    assert_eq!(
        ledger.sweep(at(35), Some(at(35))).unwrap().key_files,
        0,
        "35 days: the first is in it still"
    );
    assert!(ledger.sweep(at(37), Some(at(37))).unwrap().key_files >= 2);
    drop(ledger);
    fs.power_cut();
    let (mut ledger, _) = open(&fs, &small()).unwrap();
    for number in 0..60 {
        let forgotten = number % 6 < 2;
        let verdict = ledger.accept(&event(number, i64::from(number % 6)).incoming()).unwrap();
        assert_eq!(verdict.is_new(), forgotten, "{number}");
    }
    assert_eq!(ledger.accept(&undated.incoming()).unwrap(), Verdict::Duplicate);
    ledger.sweep(at(60), Some(at(60))).unwrap();
    assert_eq!(ledger.accept(&undated.incoming()).unwrap(), Verdict::New);
    assert_eq!(ledger.stats().key_files, 0);
}

#[test]
fn what_arrived_while_our_clock_was_weeks_ahead_is_deleted_and_its_key_stays() {
    let fs = FaultyFs::new(1);
    let config = LedgerConfig { sinks: vec!["a".to_owned()], ..LedgerConfig::default() };
    let (mut ledger, _) = open(&fs, &config).unwrap();
    let undated = Event::new("a rule", None, 1);
    let ahead = Incoming { arrived: at(60), ..undated.incoming() };
    assert_eq!(ledger.accept(&ahead).unwrap(), Verdict::New);
    ledger.commit().unwrap();
    let outbox = ledger.outbox();
    outbox.acknowledge("a", outbox.end());
    assert_eq!(ledger.sweep(at(0), Some(at(0))).unwrap().segments, 1, "not in two months");
    assert_eq!(ledger.accept(&undated.incoming()).unwrap(), Verdict::Duplicate);
    drop(ledger);
    fs.power_cut();
    let (mut ledger, _) = open(&fs, &config).unwrap();
    ledger.sweep(at(34), Some(at(34))).unwrap();
    assert_eq!(ledger.accept(&undated.incoming()).unwrap(), Verdict::Duplicate);
}

#[test]
fn memory_stays_within_its_bound_and_files_stay_few() {
    let fs = FaultyFs::new(1);
    let bound = 1 << 20;
    let config =
        LedgerConfig { sinks: Vec::new(), memory_bytes_max: bound, ..LedgerConfig::default() };
    let (mut ledger, _) = open(&fs, &config).unwrap();
    let mut model = Model::default();
    for number in 0..60_000_u32 {
        let key = format!("{:032x}", u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C));
        let event = Event::new(&key, Some(NOON + i64::from(number % 3) * DAY), 1);
        assert_eq!(ledger.accept(&event.incoming()).unwrap(), model.accept(&event));
        if number % 500 == 499 {
            ledger.commit().unwrap();
            let stats = ledger.stats();
            assert!(stats.memory_bytes <= bound as u64, "{stats:?}");
            assert!(stats.key_files <= 3 * 12, "{stats:?}");
        }
    }
    let stats = ledger.stats();
    assert_eq!(stats.keys_in_memory + stats.keys_sealed, 60_000);
    assert!(stats.keys_sealed > 30_000);
    for event in &model.accepted {
        assert_eq!(ledger.accept(&event.incoming()).unwrap(), Verdict::Duplicate);
    }
}

#[test]
fn what_a_failed_sync_was_to_save_is_never_given_to_a_sink_unless_it_is_durable() {
    for kill in [false, true] {
        let fs = FaultyFs::new(1);
        let (mut ledger, _) = open(&fs, &small()).unwrap();
        ledger.accept(&event(1, 0).incoming()).unwrap();
        ledger.commit().unwrap();
        ledger.accept(&event(2, 0).incoming()).unwrap();
        fs.plan(1, Fault::Sync);
        assert!(ledger.commit().is_err());
        assert_eq!(read_all(&ledger, 1).len(), 1);
        assert!(matches!(ledger.commit(), Err(LedgerError::Poisoned { .. })), "never tried again");
        assert!(matches!(
            ledger.accept(&event(3, 0).incoming()),
            Err(LedgerError::Poisoned { .. })
        ));
        fs.heal();
        if kill {
            drop(ledger);
            fs.kill();
            ledger = open(&fs, &small()).unwrap().0;
        } else {
            ledger.recover_in_place().unwrap().expect("a report");
            assert_eq!(ledger.accept(&event(2, 0).incoming()).unwrap(), Verdict::New);
            ledger.commit().unwrap();
        }
        // The kernel shows the bytes of the failed sync: given to a sink, they must survive.
        let given = read_all(&ledger, 1);
        drop(ledger);
        fs.power_cut();
        let (ledger, _) = open(&fs, &small()).unwrap();
        assert_eq!(read_all(&ledger, 1), given);
        assert_eq!(given.len(), 2);
    }
}

#[test]
fn a_sink_that_comes_back_is_told_what_it_missed() {
    let fs = FaultyFs::new(1);
    let (mut ledger, _) = open(&fs, &small()).unwrap();
    ledger.outbox().acknowledge("b", 1);
    drop(ledger);
    let only_a = LedgerConfig { sinks: vec!["a".to_owned()], ..small() };
    (ledger, _) = open(&fs, &only_a).unwrap();
    for number in 0..40 {
        ledger.accept(&event(number, 0).incoming()).unwrap();
        ledger.commit().unwrap();
    }
    let outbox = ledger.outbox();
    outbox.acknowledge("a", outbox.end());
    assert!(ledger.sweep(at(0), Some(at(0))).unwrap().segments > 0);
    drop(ledger);
    let (ledger, report) = open(&fs, &small()).unwrap();
    let first = ledger.outbox().cursor("b").unwrap();
    assert_eq!(report.missed, [("b".to_owned(), first - 1)]);
    assert_eq!(read_all(&ledger, first).len() as u64, 41 - first);
}

#[test]
fn a_crash_at_any_step_of_a_retention_sweep_forgets_no_more_than_it_should() {
    let prepared = |seed: u64| {
        let fs = FaultyFs::new(seed);
        let (mut ledger, _) = open(&fs, &small()).unwrap();
        for number in 0..60 {
            ledger.accept(&event(number, i64::from(number % 6)).incoming()).unwrap();
            ledger.commit().unwrap();
        }
        let outbox = ledger.outbox();
        outbox.acknowledge("a", outbox.end());
        outbox.acknowledge("b", 30);
        (fs, ledger)
    };
    let (fs, mut ledger) = prepared(0);
    let before = fs.steps();
    ledger.sweep(at(37), Some(at(37))).unwrap();
    let steps = fs.steps() - before;
    assert!(steps > 10, "{steps}");
    for step in 0..steps {
        for seed in 0..6 {
            let (fs, mut ledger) = prepared(seed * 1_000 + step);
            fs.plan(step, Fault::Crash);
            // A crash in a removal may come after it, and then the sweep may end well.
            drop(ledger.sweep(at(37), Some(at(37))));
            drop(ledger);
            if seed == 0 {
                fs.kill()
            } else {
                fs.power_cut()
            }
            let (mut ledger, _) = open(&fs, &small()).unwrap();
            let next = ledger.outbox().cursor("b").unwrap();
            assert!(next <= 30);
            assert_eq!(read_all(&ledger, next).len() as u64, 61 - next, "step {step}");
            ledger.sweep(at(37), Some(at(37))).unwrap();
            for number in 0..60 {
                let event = event(number, i64::from(number % 6));
                let verdict = ledger.accept(&event.incoming()).unwrap();
                assert_eq!(verdict.is_new(), number % 6 < 2, "step {step}, event {number}");
            }
        }
    }
}
