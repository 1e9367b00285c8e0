//! How long it waits after which end.

use std::time::Duration;

use super::bench::{Bench, PROPER};
use crate::classify::{End, Refusal};
use crate::cursored::{self, CursoredConfig, Report};
use crate::id::ConnectionId;
use crate::policy::{self, Health, Input, Output};

const RESET: End = End::Reset;

/// How long it waits after a connection that has brought so many events and ended so.
fn after(bench: &mut Bench, events: usize, end: End) -> f64 {
    let connection = bench.open();
    for event in 0..events {
        bench.event(connection, &format!("e{event}"));
    }
    bench.end(connection, end);
    bench.next_connect()
}

#[test]
fn a_connection_without_an_event_counts_as_failed_whatever_its_end() {
    for end in [PROPER, End::Closed { mid_event: false }, RESET, End::Eof { mid_event: false }] {
        let mut bench = Bench::start(CursoredConfig::default(), None);
        for most in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let pause = after(&mut bench, 0, end);
            assert!((most / 2.0..=most).contains(&pause), "{pause} of {most} after {end:?}");
        }
    }
}

#[test]
fn an_event_resets_the_back_off() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    for _ in 0..5 {
        after(&mut bench, 0, RESET);
    }
    for _ in 0..5 {
        assert!(after(&mut bench, 1, RESET) <= 1.0);
    }
}

#[test]
fn a_proper_end_behind_events_is_planned_and_a_cut_one_is_not() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    for _ in 0..20 {
        assert!((0.1..=3.0).contains(&after(&mut bench, 3, PROPER)));
    }
    assert!((0.5..=1.0).contains(&after(&mut bench, 3, End::Closed { mid_event: true })));
}

#[test]
fn a_named_last_event_makes_any_end_a_planned_one() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let connection = bench.open();
    bench.event(connection, "e1");
    bench.input(cursored::Input::Planned(connection));
    bench.end(connection, RESET);
    let pause = bench.next_connect();
    assert!((0.1..=3.0).contains(&pause), "{pause}");
}

#[test]
fn an_event_behind_the_last_one_says_that_it_was_none() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let connection = bench.open();
    bench.input(cursored::Input::Planned(connection));
    // An end that is not planned may lose what nobody can be asked for: there is no cursor.
    bench.input(Input::Data(connection));
    bench.commit(connection, None);
    bench.end(connection, RESET);
    assert!(bench.reports.iter().any(|report| matches!(report, Report::Gap { .. })));
    assert!((0.5..=1.0).contains(&bench.next_connect()));
}

#[test]
fn retry_is_the_least_pause_after_any_end_and_holds_for_the_connections_behind() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let connection = bench.open();
    let wait = Duration::from_secs(5);
    bench.input(cursored::Input::Retry { connection, wait });
    bench.event(connection, "e1");
    bench.end(connection, PROPER);
    assert!((5.0..=6.0).contains(&bench.next_connect()));
    assert!((5.0..=6.0).contains(&after(&mut bench, 1, RESET)));
    let connection = bench.open();
    bench.event(connection, "e2");
    bench.input(Input::Stale(connection));
    bench.end(connection, End::Killed);
    assert!((bench.next_connect() - 5.0).abs() < 1e-9);
}

#[test]
fn a_retry_of_nothing_is_no_hot_loop_and_one_of_an_hour_is_a_minute() {
    for (asked, least, most) in [(0, 0.1, 0.2), (3_600_000, 60.0, 60.0)] {
        let mut bench = Bench::start(CursoredConfig::default(), None);
        let connection = bench.open();
        let wait = Duration::from_millis(asked);
        bench.input(cursored::Input::Retry { connection, wait });
        bench.event(connection, "e1");
        bench.end(connection, PROPER);
        let pause = bench.next_connect();
        assert!((least..=most).contains(&pause), "{pause} of {asked} ms");
    }
}

#[test]
fn a_refused_token_is_tried_rarely_and_said() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    for most in [10.0, 20.0, 40.0] {
        bench.refuse(401);
        assert_eq!(bench.policy.health(), Health::Degraded("token_refused"));
        let pause = bench.next_connect();
        assert!((most / 2.0..=most).contains(&pause), "{pause}");
    }
    let connection = bench.open();
    assert_eq!(bench.policy.health(), Health::Live);
    bench.end(connection, RESET);
    bench.refuse(403);
    assert!(bench.next_connect() <= 10.0);
}

#[test]
fn a_retry_after_is_obeyed_and_said_once() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let (connection, _) = bench.take_connect();
    let wait = Duration::from_secs(300);
    bench.end(connection, End::Refused(Refusal::from_status(503, Some(wait))));
    let said = policy::Report::AskedToWait { asked: wait, wait };
    assert!(bench.common.contains(&said));
    assert!((bench.next_connect() - 300.0).abs() < 1e-9);
}

#[test]
fn an_hour_of_refusals_is_seventy_attempts() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let (mut time, mut attempts) = (0.0, 0);
    let mut first_minute = 0;
    while time < 3_600.0 {
        time += bench.next_connect();
        let (connection, _) = bench.take_connect();
        bench.end(connection, End::NotOpened { sent: true });
        attempts += 1;
        first_minute += u32::from(time < 60.0);
    }
    assert!(attempts <= 130 && first_minute <= 8, "{attempts}, {first_minute}");
}

fn old(seconds: u64) -> CursoredConfig {
    CursoredConfig { max_age: Some(Duration::from_secs(seconds)), ..CursoredConfig::default() }
}

/// Waits until it is drained for its age: after so many seconds.
fn drained_after(bench: &mut Bench, connection: ConnectionId) -> f64 {
    let from = bench.now;
    while bench.take_others() != [Output::Drain(connection)] {
        bench.now = bench.policy.deadline().unwrap();
        bench.input(Input::Tick);
    }
    bench.now.since(from).as_secs_f64()
}

#[test]
fn an_old_connection_is_read_to_its_end_and_the_next_goes_on_from_the_cursor() {
    let mut bench = Bench::start(old(900), None);
    for _ in 0..20 {
        let connection = bench.open();
        let age = drained_after(&mut bench, connection);
        assert!((810.0..=900.0).contains(&age), "a little earlier, not all at once: {age}");
        bench.event(connection, "e9");
        bench.end(connection, PROPER);
        let pause = bench.next_connect();
        assert!((0.1..=3.0).contains(&pause), "{pause}");
        assert_eq!(bench.policy.cursor().map(|cursor| cursor.as_str()), Some("e9"));
    }
    assert!(!bench.reports.iter().any(|report| matches!(report, Report::Gap { .. })));
}

#[test]
fn an_old_connection_without_an_event_was_ended_by_plan_all_the_same() {
    let mut bench = Bench::start(old(900), None);
    for _ in 0..5 {
        let connection = bench.open();
        drained_after(&mut bench, connection);
        // The server does not hear the half-close.
        bench.pass(30.0);
        assert_eq!(bench.take_others(), [Output::Kill(connection)]);
        bench.end(connection, End::Killed);
        assert!((0.1..=3.0).contains(&bench.next_connect()));
    }
}
