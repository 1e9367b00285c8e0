//! What an operator asks, and rests.

use std::time::Duration;

use super::bench::{Bench, PROPER};
use crate::classify::End;
use crate::cursored::{self, CursoredConfig, GapSign, Strategy};
use crate::hygiene::HygieneConfig;
use crate::policy::{Health, Input, Output, Report};

#[test]
fn a_pause_reads_to_the_end_and_a_resume_goes_on_at_once() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Pause);
    assert_eq!(bench.take_others(), [Output::Drain(connection)]);
    assert_eq!(bench.policy.health(), Health::Paused);
    bench.event(connection, "e8");
    bench.end(connection, PROPER);
    bench.pass(10_000.0);
    assert_eq!(bench.connects(), 0);
    bench.input(Input::Resume);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e8"));
}

#[test]
fn a_pause_ends_an_attempt_too() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let (connection, _) = bench.take_connect();
    bench.input(Input::Pause);
    assert_eq!(bench.take_others(), [Output::Kill(connection)]);
    bench.end(connection, End::NotOpened { sent: false });
    bench.input(Input::Resume);
    assert_eq!(bench.connects(), 1);
}

#[test]
fn reconnect_reads_to_the_end_and_connects_at_once() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Reconnect);
    assert_eq!(bench.take_others(), [Output::Drain(connection)]);
    bench.end(connection, PROPER);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
}

#[test]
fn recover_closes_hard_and_connects_at_once() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Recover);
    assert_eq!(bench.take_others(), [Output::Kill(connection)]);
    bench.end(connection, End::Killed);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
    assert!(bench.reports.is_empty(), "what a person wants is no incident");
}

#[test]
fn whoever_asks_does_not_wait() {
    for act in [Input::Recover, Input::Reconnect, Input::Resume, Input::TryNow] {
        let mut bench = Bench::start(CursoredConfig::default(), None);
        bench.refuse(401);
        assert!(bench.policy.backing_off_until().is_some());
        bench.input(act);
        assert_eq!(bench.connects(), 1);
    }
}

#[test]
fn what_a_person_wants_is_no_break() {
    for act in [Input::Recover, Input::Reconnect, Input::Pause] {
        let config = CursoredConfig { strategy: Strategy::Reconnect, ..CursoredConfig::default() };
        let mut bench = Bench::start(config, None);
        let connection = bench.open();
        bench.input(act);
        bench.end(connection, End::Killed);
        assert!(bench.reports.is_empty());
    }
}

#[test]
fn a_snapshot_that_waits_is_tried_at_once_too() {
    let config = CursoredConfig { resync: true, ..CursoredConfig::default() };
    let (mut bench, connection) = Bench::reading(config, "e7");
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Event });
    bench.take_others();
    bench.input(cursored::Input::Resynced { ok: false });
    bench.input(Input::TryNow);
    assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
}

#[test]
fn heartbeats_call_for_a_rest_only_if_that_is_wanted_and_can_be_made_up_for() {
    let rests = HygieneConfig { enabled: true, ..HygieneConfig::default() };
    let resume = CursoredConfig { hygiene: rests, ..CursoredConfig::default() };
    let reconnect = CursoredConfig { strategy: Strategy::Reconnect, ..resume.clone() };
    for (config, expected) in
        [(resume, true), (reconnect, false), (CursoredConfig::default(), false)]
    {
        let (mut bench, connection) = Bench::reading(config, "e7");
        for _ in 0..10 {
            bench.input(cursored::Input::Heartbeat(connection));
        }
        let rested = bench.take_others() == [Output::Drain(connection)];
        assert_eq!(rested, expected);
        if rested {
            assert!(matches!(bench.common.last(), Some(Report::Rest { .. })));
            bench.end(connection, PROPER);
            assert_eq!(bench.policy.health(), Health::Live);
            let rest = bench.next_connect();
            assert!((5.0..=5.5).contains(&rest), "{rest}");
        }
    }
}

#[test]
fn a_rest_whose_end_comes_while_the_disk_fails_is_no_hot_loop() {
    let rests = HygieneConfig { enabled: true, ..HygieneConfig::default() };
    let config = CursoredConfig { hygiene: rests, ..CursoredConfig::default() };
    let (mut bench, connection) = Bench::reading(config, "e7");
    for _ in 0..10 {
        bench.input(cursored::Input::Heartbeat(connection));
    }
    bench.disk_answers = false;
    bench.end(connection, PROPER);
    bench.pass(600.0);
    assert_eq!(bench.connects(), 0);
    bench.disk_answers = true;
    bench.answer_disk();
    bench.input(Input::Tick);
    assert_eq!(bench.connects(), 1);
}

#[test]
fn a_blocked_connection_that_drains_is_not_cut_before_it_reads_again() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Reconnect);
    bench.take_others();
    bench.input(Input::Blocked(connection));
    bench.pass(600.0);
    assert_eq!(bench.take_others(), []);
    bench.input(Input::Unblocked(connection));
    bench.pass(31.0);
    assert_eq!(bench.take_others(), [Output::Kill(connection)]);
}

#[test]
fn a_stop_in_a_pause_is_one() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Pause);
    bench.end(connection, PROPER);
    bench.input(Input::Stop { drain: Duration::from_secs(1) });
    assert!(bench.take_others().contains(&Output::Stopped { clean: true }));
}
