//! Starts and stops.

use std::time::Duration;

use super::bench::{Bench, NOON, PROPER, state};
use crate::classify::End;
use crate::cursored::{
    self, Cause, CursoredConfig, CursoredState, FirstCursor, OpenIncident, Report, Sign, Strategy,
};
use crate::id::{Cursor, IncidentId};
use crate::marked::StreamState;
use crate::policy::{Health, Input, Output};
use crate::time::Timestamp;

fn first(first_cursor: FirstCursor) -> CursoredConfig {
    CursoredConfig { first_cursor, ..CursoredConfig::default() }
}

#[test]
fn a_first_start_asks_for_nothing_and_connects_when_its_start_is_durable() {
    let mut bench = Bench::new(CursoredConfig::default());
    bench.disk_answers = false;
    bench.input(Input::Start { state: None, wall: Timestamp::from_micros(0) });
    assert_eq!((bench.connects(), bench.policy.health()), (0, Health::Starting));
    bench.disk_answers = true;
    bench.answer_disk();
    let (connection, cursor) = bench.take_connect();
    assert_eq!(cursor, None);
    bench.input(Input::Opened(connection));
    bench.input(cursored::Input::Heartbeat(connection));
    assert_eq!((bench.policy.health(), bench.reports.len()), (Health::Live, 0));
}

#[test]
fn a_restart_asks_with_what_was_written_down_and_strikes_out_that_the_stop_was_clean() {
    let mut bench = Bench::start(CursoredConfig::default(), Some(state("e7")));
    assert!(!bench.last_state().clean);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
}

#[test]
fn a_first_cursor_is_durable_before_it_is_asked_with() {
    let mut bench = Bench::start(first(FirstCursor::Ask), None);
    assert_eq!(bench.take_others(), [cursored::Output::AskFirst.into()]);
    assert_eq!(bench.connects(), 0);
    bench.disk_answers = false;
    bench.input(cursored::Input::First(Cursor::new("boot")));
    assert_eq!(bench.last_state().cursor, Cursor::new("boot"));
    assert_eq!(bench.connects(), 0);
    bench.disk_answers = true;
    bench.answer_disk();
    assert_eq!(bench.take_connect().1.as_deref(), Some("boot"));
    assert_eq!(bench.reports, [Report::FirstCursor { found: true }]);
}

#[test]
fn a_first_cursor_that_is_not_to_be_had_is_none() {
    let mut bench = Bench::start(first(FirstCursor::Ask), None);
    bench.take_others();
    bench.input(cursored::Input::First(None));
    assert_eq!(bench.take_connect().1, None);
    assert_eq!(bench.reports, [Report::FirstCursor { found: false }]);
    bench.input(cursored::Input::First(Cursor::new("late")));
    assert_eq!(bench.policy.cursor(), None);
}

#[test]
fn a_literal_first_cursor_is_written_down_too_and_only_for_a_stream_without_one() {
    let config = first(FirstCursor::Literal(Cursor::new("0").unwrap()));
    let mut bench = Bench::start(config.clone(), None);
    assert_eq!(bench.last_state().cursor, Cursor::new("0"));
    assert_eq!(bench.take_connect().1.as_deref(), Some("0"));
    let mut bench = Bench::start(config, Some(state("e7")));
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
}

#[test]
fn after_a_lost_point_the_first_cursor_is_not_asked_with_again() {
    let config = first(FirstCursor::Literal(Cursor::new("0").unwrap()));
    let mut bench = Bench::start(config.clone(), Some(state("e7")));
    bench.refuse(410);
    let forgotten = bench.last_state().clone();
    assert_eq!((bench.asks().1, forgotten.forgotten), (None, true));
    let mut bench = Bench::start(config, Some(CursoredState { clean: true, ..forgotten }));
    assert_eq!(bench.take_connect().1, None);
}

#[test]
fn reconnect_never_asks_with_a_cursor_and_fetches_none() {
    for first_cursor in [FirstCursor::Ask, FirstCursor::Literal(Cursor::new("0").unwrap())] {
        let config = CursoredConfig { strategy: Strategy::Reconnect, ..first(first_cursor) };
        let mut bench = Bench::start(config, Some(state("e7")));
        let (connection, cursor) = bench.take_connect();
        assert_eq!((cursor, bench.take_others()), (None, Vec::new()));
        bench.input(Input::Opened(connection));
        bench.event(connection, "e8");
        bench.end(connection, PROPER);
        assert_eq!(bench.asks().1, None);
    }
}

#[test]
fn a_state_of_another_family_is_none() {
    let mut bench = Bench::new(CursoredConfig::default());
    let state = Some(StreamState::at(None).into());
    bench.input(Input::Start { state, wall: Timestamp::from_micros(0) });
    assert_eq!(bench.take_connect().1, None);
}

#[test]
fn an_incident_goes_on_after_a_restart_with_its_snapshot() {
    let incident = OpenIncident {
        cause: Cause::Gap(Sign::Gone),
        since: Timestamp::from_micros((NOON - 30) * 1_000_000),
        gaps: 2,
        stalls: 1,
        new: 5,
        duplicate: 3,
    };
    let old = CursoredState {
        snapshot_owed: true,
        incidents: IncidentId(7),
        incident: Some(incident),
        ..state("e7")
    };
    let config = CursoredConfig { resync: true, ..CursoredConfig::default() };
    let mut bench = Bench::start(config, Some(old));
    let summary = bench.policy.incident().unwrap();
    assert_eq!((summary.id, summary.gaps, summary.stalls), (IncidentId(7), 2, 1));
    assert_eq!(summary.duration, Duration::from_secs(30));
    assert_eq!(bench.last_state().incident, Some(incident));
    assert_eq!((bench.take_others(), bench.connects()), (vec![cursored::Output::Resync.into()], 0));
    bench.input(cursored::Input::Resynced { ok: true });
    bench.open();
    assert!(matches!(bench.reports.last(), Some(Report::IncidentOver(over)) if over.id.0 == 7));
}

#[test]
fn a_stop_reads_to_the_end_commits_and_writes_down_the_newest_cursor() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    assert_eq!(bench.take_others(), [Output::Drain(connection)]);
    bench.disk_answers = false;
    bench.input(Input::Data(connection));
    bench.end(connection, PROPER);
    assert_eq!(bench.policy.health(), Health::Stopping);
    bench.commit(connection, Some("e8"));
    bench.disk_answers = true;
    bench.answer_disk();
    assert_eq!(bench.take_others(), [Output::Stopped { clean: true }]);
    let last = bench.last_state();
    assert_eq!((&last.cursor, last.clean), (&Cursor::new("e8"), true));
    assert_eq!(bench.policy.health(), Health::Stopped);
}

#[test]
fn a_stop_kills_what_does_not_end_in_time_and_is_clean_all_the_same() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    bench.pass(10.0);
    assert_eq!(bench.take_others(), [Output::Drain(connection), Output::Kill(connection)]);
    bench.end(connection, End::Killed);
    assert_eq!(bench.take_others(), [Output::Stopped { clean: true }]);
}

#[test]
fn a_stop_after_a_panic_is_not_clean() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.end(connection, End::Panicked);
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    assert_eq!(bench.take_others(), [Output::Stopped { clean: false }]);
    assert!(!bench.last_state().clean);
}

#[test]
fn a_stop_while_the_first_cursor_is_fetched_does_not_wait_for_it() {
    let mut bench = Bench::start(first(FirstCursor::Ask), None);
    bench.take_others();
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    assert_eq!(bench.take_others(), [Output::Stopped { clean: true }]);
    bench.input(cursored::Input::First(Cursor::new("boot")));
    assert_eq!(bench.connects(), 0);
}

#[test]
fn a_cursor_that_stood_elsewhere_is_not_asked_with_and_that_is_a_gap() {
    let at = |place: &str| CursoredState { cursor_at: place.into(), ..state("e7") };
    let config = |place: &str| CursoredConfig { cursor_at: place.into(), ..Default::default() };
    let first = FirstCursor::Literal(Cursor::new("0").unwrap());
    for (config, old, asks, gaps) in [
        (config("id"), at("id"), Some("e7"), 0),
        (config("id"), at(""), Some("e7"), 0),
        (config("/seq"), at("id"), None, 1),
        (config("none"), at("id"), None, 1),
        (CursoredConfig { first_cursor: first, ..config("/seq") }, at("id"), None, 1),
        // There was none.
        (config("/seq"), CursoredState { cursor: None, ..at("none") }, None, 0),
    ] {
        let mut bench = Bench::start(config.clone(), Some(old));
        assert_eq!(bench.asks().1.as_deref(), asks, "{config:?}");
        let is_gap = |report: &&Report| matches!(report, Report::Gap { .. });
        assert_eq!(bench.reports.iter().filter(is_gap).count(), gaps, "{config:?}");
        assert_eq!(bench.last_state().cursor_at, config.cursor_at);
        assert_eq!(bench.last_state().forgotten, gaps > 0, "what is in the log counts no more");
    }
}
