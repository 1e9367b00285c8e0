//! How the cursor moves, and when it is written down.

use std::time::Duration;

use super::bench::{Bench, PROPER};
use crate::cursored::{self, CursoredConfig};
use crate::id::Cursor;
use crate::policy::{Health, Input};
use crate::time::Instant;

#[test]
fn only_a_commit_moves_it() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Data(connection));
    bench.input(cursored::Input::Heartbeat(connection));
    bench.commit(connection, None);
    assert_eq!(bench.policy.cursor(), Cursor::new("e7").as_ref());
    bench.commit(connection, Some("e8"));
    assert_eq!(bench.policy.cursor(), Cursor::new("e8").as_ref());
}

#[test]
fn the_next_connection_waits_until_what_was_read_is_committed() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.disk_answers = false;
    bench.input(Input::Data(connection));
    bench.end(connection, PROPER);
    bench.pass(30.0);
    assert_eq!(bench.connects(), 0, "it would ask for what waits to be committed");
    bench.commit(connection, Some("e8"));
    bench.disk_answers = true;
    bench.answer_disk();
    bench.input(Input::Tick);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e8"));
}

#[test]
fn an_attempt_that_did_not_open_has_nothing_to_commit() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.end(connection, PROPER);
    bench.disk_answers = false;
    bench.refuse(503);
    bench.pass(60.0);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
}

#[test]
fn it_is_written_down_at_once_when_idle_and_every_second_while_data_flows() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e0");
    bench.pass(5.0);
    bench.persisted.clear();
    for event in 1..=35 {
        bench.event(connection, &format!("e{event}"));
        bench.pass(0.1);
    }
    bench.pass(5.0);
    let written: Vec<_> = bench
        .persisted
        .iter()
        .map(|(at, state)| (*at, state.cursor.as_ref().map(Cursor::as_str).unwrap_or_default()))
        .collect();
    let expected = ["e1", "e10", "e20", "e30", "e35"];
    assert_eq!(written.iter().map(|(_, cursor)| *cursor).collect::<Vec<_>>(), expected);
    for (second, (then, _)) in (5..).zip(&written) {
        let due = Instant::ZERO + Duration::from_secs(second);
        assert!(*then >= due && then.since(due) < Duration::from_millis(1), "{then:?}");
    }
}

#[test]
fn a_disk_that_is_slow_is_not_asked_twice() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e0");
    bench.pass(5.0);
    bench.persisted.clear();
    bench.disk_answers = false;
    for event in 1..=50 {
        bench.event(connection, &format!("e{event}"));
        bench.pass(0.1);
    }
    assert_eq!(bench.persisted.len(), 1);
    bench.disk_answers = true;
    bench.answer_disk();
    bench.input(Input::Tick);
    assert_eq!(bench.last_state().cursor, Cursor::new("e50"));
}

#[test]
fn the_stream_is_degraded_while_nothing_can_be_made_durable() {
    let (mut bench, _) = Bench::reading(CursoredConfig::default(), "e0");
    bench.input(Input::LedgerFailed("disk_full"));
    assert_eq!(bench.policy.health(), Health::Degraded("disk_full"));
    bench.input(Input::LedgerWell);
    assert_eq!(bench.policy.health(), Health::Live);
}

#[test]
fn a_report_of_an_earlier_connection_is_not_of_this_one() {
    let (mut bench, old) = Bench::reading(CursoredConfig::default(), "e0");
    bench.event(old, "e1");
    bench.end(old, PROPER);
    let new = bench.open();
    for input in [Input::Stale(old), Input::Ended { connection: old, end: PROPER }] {
        bench.input(input);
    }
    bench.input(cursored::Input::Gap { connection: old, sign: cursored::GapSign::Event });
    bench.input(cursored::Input::Retry { connection: old, wait: Duration::from_secs(40) });
    assert!(bench.take_others().is_empty() && bench.reports.is_empty());
    bench.event(new, "e2");
    bench.end(new, PROPER);
    assert!(bench.next_connect() <= 3.0);
}
