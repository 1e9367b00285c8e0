//! Streams that are started anew together.

use super::bench::{Bench, PROPER};
use crate::cursored::{self, CursoredConfig, Report};
use crate::id::ConnectionId;
use crate::policy::{Input, Output};

fn calling() -> CursoredConfig {
    CursoredConfig { calls_group: true, ..CursoredConfig::default() }
}

/// How many times the group was called since the last look.
fn calls(bench: &mut Bench) -> usize {
    let call = Output::from(cursored::Output::CallGroup);
    bench.take_others().into_iter().filter(|output| *output == call).count()
}

fn killed(connection: ConnectionId) -> Input {
    Input::Ended { connection, end: crate::classify::End::Killed }
}

#[test]
fn one_stall_calls_once_however_long_it_goes_on() {
    let (mut bench, mut connection) = Bench::reading(calling(), "e0");
    for (round, expected) in [1, 0, 0].into_iter().enumerate() {
        bench.input(Input::Stale(connection));
        assert_eq!(calls(&mut bench), expected, "{round}");
        bench.input(killed(connection));
        (connection, _) = bench.asks();
        bench.input(Input::Opened(connection));
    }
    bench.input(cursored::Input::Heartbeat(connection));
    bench.input(Input::Stale(connection));
    assert_eq!(calls(&mut bench), 1, "it was heard between");
}

#[test]
fn who_is_not_configured_to_calls_nobody() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e0");
    bench.input(Input::Stale(connection));
    assert_eq!(calls(&mut bench), 0);
}

#[test]
fn who_is_called_goes_on_from_the_cursor_at_once_and_has_failed_at_nothing() {
    // Also one that has brought no event.
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(cursored::Input::GroupStale);
    assert_eq!(bench.take_others(), [Output::Kill(connection)]);
    assert_eq!(bench.reports, [Report::CalledByGroup { connection }]);
    bench.input(killed(connection));
    assert!(bench.next_connect() <= 0.1 + 1e-9);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
    assert_eq!(bench.policy.incident(), None);
}

#[test]
fn two_stale_streams_do_not_call_each_other_for_ever() {
    let (mut bench, connection) = Bench::reading(calling(), "e0");
    bench.input(Input::Stale(connection));
    assert_eq!(calls(&mut bench), 1);
    // The other one was stale in the same moment, and a while later it still is.
    bench.input(cursored::Input::GroupStale);
    bench.input(killed(connection));
    let (next, _) = bench.asks();
    bench.input(Input::Opened(next));
    bench.input(cursored::Input::GroupStale);
    assert!(bench.take_others().is_empty(), "it is being started anew, or just was");
}

#[test]
fn without_a_cursor_it_is_read_to_its_end() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let connection = bench.open();
    bench.input(cursored::Input::GroupStale);
    assert_eq!(bench.take_others(), [Output::Drain(connection)]);
    bench.end(connection, PROPER);
    bench.asks();
    assert_eq!(bench.policy.incident(), None, "nothing was lost");
}

#[test]
fn who_waits_for_something_else_is_left_alone() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e0");
    bench.input(Input::Pause);
    bench.take_others();
    bench.input(cursored::Input::GroupStale);
    bench.end(connection, PROPER);
    bench.input(cursored::Input::GroupStale);
    assert!(bench.take_others().is_empty());
}
