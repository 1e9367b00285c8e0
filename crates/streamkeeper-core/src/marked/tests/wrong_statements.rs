//! What the service says wrongly, and what our wall clock hides: no claim of ours is made from it.

use super::bench::{Bench, NOON, restless, s};
use crate::classify::End;
use crate::id::{ConnectionId, Reader, UserKey};
use crate::marked::establish::{Answer, Call};
use crate::marked::low_water::Suspect;
use crate::marked::{self, Cause, MarkedConfig, Members, Report, StreamState};
use crate::policy::{Datum, Health, Input, Output};
use crate::time::Timestamp;

const DAY: i64 = 86_400;

fn ts(seconds: f64) -> Timestamp {
    Timestamp::from_micros(((NOON as f64 + seconds) * 1e6) as i64)
}

fn recoveries(bench: &Bench, cause: Cause) -> usize {
    let is = |r: &&Report| matches!(r, Report::RecoveryStarted { cause: c, .. } if *c == cause);
    bench.reports.iter().filter(is).count()
}

/// A poke that is so many seconds off.
fn off(bench: &mut Bench, connection: ConnectionId, off: i64) {
    bench.input(marked::Input::Poke { connection, members: Members::default() });
    let said = ts(bench.seconds() + off as f64);
    bench.commit(connection, Some(said), Vec::new());
}

fn data(bench: &mut Bench, connection: ConnectionId) {
    let created_at = ts(bench.seconds());
    bench.input(Input::Data(connection));
    let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
    bench.commit(connection, None, vec![datum]);
}

fn bury(bench: &mut Bench) {
    let killed = bench.killed();
    killed.iter().for_each(|&connection| bench.end(connection, End::Killed));
}

/// How far the mark is behind.
fn lag(bench: &Bench) -> f64 {
    (ts(bench.seconds()).as_micros() - bench.policy.mark().unwrap().as_micros()) as f64 / 1e6
}

#[test]
fn suspects_of_the_last_process_are_verified_though_our_wall_clock_is_wrong() {
    for wrong in [0i64, -900i64, -4 * DAY, -NOON] {
        let mut bench = Bench::new(restless(1));
        let state = StreamState {
            stream_id: Some(s("s1")),
            clean: true,
            suspects: vec![Suspect { low: Some(ts(-400.0)), at: ts(-10.0) }],
            ..StreamState::at(Some(ts(-400.0)))
        };
        let wall = ts(wrong as f64);
        bench.input(Input::Start { state: Some(state.into()), wall });
        bench.open_all();
        for hours in 1..=6 {
            bench.poke_until(hours as f64 * 1_000.0);
            bench.open_all();
        }
        assert_eq!(bench.policy.suspects(), 0, "{wrong}");
    }
}

#[test]
fn a_suspect_that_is_younger_than_a_verification_is_not_dropped_by_it() {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    bench.end(bench.slot(0), End::Reset);
    bench.open_all();
    bench.poke_until(1_205.0);
    let replay = bench.take_connects()[0];
    assert_eq!(replay.reader, Reader::Replay);
    bench.input(Input::Opened(replay));
    // The replay is in the middle of its walk.
    bench.poke_until(1_700.0);
    assert_eq!(bench.policy.suspects(), 1);
    let (first, second) = (bench.slot(0), bench.slot(1));
    // One host is a quarter of an hour behind, once; then the other connection is reset.
    bench.pass_to(1_705.0);
    off(&mut bench, first, -900);
    bench.end(second, End::Reset);
    let lost = ts(bench.seconds() - 1.0);
    bench.open_all();
    // The replay comes to its end: it brings what was sent until 1,600, and nothing later.
    while bench.policy.suspects() > 0 && bench.seconds() < 2_000.0 {
        bench.pass_to(bench.seconds() + 5.0);
        for slot in [0, 1] {
            let connection = bench.slot(slot);
            bench.poke(connection);
        }
        let created_at = ts(1_600.0);
        let datum = Datum { user: UserKey(9), created_at, start_day: None, new: false };
        bench.commit(replay, None, vec![datum]);
    }
    bench.poke_until(3_000.0);
    assert!(
        bench.policy.mark().unwrap() <= lost,
        "the mark passed what the second reset may have lost"
    );
}

#[test]
fn an_absence_of_which_our_clock_saw_only_half_counts_whole() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(700.0);
    let connection = bench.slot(0);
    bench.end(connection, End::Terminated { mid_event: false });
    bench.take_connects();
    // An outage of 3.8 days by our clock, and as much again in which the machine stood still.
    let half = 3.8 * 86_400.0;
    bench.pass_to(700.0 + half);
    let connection = *bench.connections.keys().next_back().unwrap();
    bench.input(Input::Opened(connection));
    for _ in 0..60 {
        bench.pass_to(bench.seconds() + 5.0);
        off(&mut bench, connection, half as i64);
        if recoveries(&bench, Cause::CheckpointExpired) > 0 {
            break;
        }
    }
    assert_eq!(recoveries(&bench, Cause::CheckpointExpired), 1, "7.6 days without a reader");
}

#[test]
fn a_stop_that_the_wall_clock_hides_and_an_outage_count_together() {
    let mut bench = Bench::new(restless(1));
    let mark = ts(-4.0 * DAY as f64);
    let state =
        StreamState { stream_id: Some(s("s1")), clean: true, ..StreamState::at(Some(mark)) };
    bench.input(Input::Start { state: Some(state.into()), wall: mark });
    let connection = bench.take_connects()[0];
    bench.pass_to(4.0 * DAY as f64);
    bench.input(Input::Opened(connection));
    bench.poke_until(4.0 * DAY as f64 + 300.0);
    assert_eq!(recoveries(&bench, Cause::CheckpointExpired), 1, "8 days without a reader");
}

#[test]
fn a_wrong_time_that_was_taken_back_leaves_no_incident_for_days() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    let connection = bench.slot(0);
    for _ in 0..3 {
        bench.pass_to(bench.seconds() + 5.0);
        off(&mut bench, connection, 3 * DAY);
    }
    bench.input(Input::Stale(connection));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-24"));
    bench.open_all();
    bench.poke_until(bench.seconds() + 30.0);
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s2") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s3").as_deref(), Some("2026-11-21"));
    bench.open_all();
    for hour in 1..=24 {
        bench.poke_until(900.0 + 3_600.0 * hour as f64);
    }
    assert_eq!(bench.policy.health(), Health::Live);
}

#[test]
fn a_wrong_time_that_was_taken_back_takes_the_mark_back() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    let connection = bench.slot(0);
    for _ in 0..3 {
        bench.pass_to(bench.seconds() + 5.0);
        off(&mut bench, connection, 3 * DAY);
    }
    bench.poke_until(1_200.0);
    assert!(lag(&bench) > 0.0);
}

#[test]
fn a_suspect_of_a_wrong_time_is_verified() {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    let (a, b) = (bench.slot(0), bench.slot(1));
    // A is busy, and pokes only when idle; B's host is a day ahead.
    for _ in 0..30 {
        bench.pass_to(bench.seconds() + 5.0);
        data(&mut bench, a);
        off(&mut bench, b, DAY);
    }
    bench.end(b, End::Reset);
    bench.open_all();
    for _ in 0..20 {
        bench.poke_until(bench.seconds() + 1_000.0);
        for c in bench.take_connects() {
            bench.input(Input::Opened(c));
        }
    }
    assert_eq!(bench.policy.suspects(), 0);
}

#[test]
fn hosts_that_count_differently_do_not_stop_the_mark() {
    let mut bench = Bench::running(restless(2));
    while bench.seconds() < 3_000.0 {
        bench.pass_to(bench.seconds() + 5.0);
        for (slot, count) in [(0, 1), (1, 2)] {
            let connection = bench.slot(slot);
            let members = Members { count: Some(count), max: Some(20) };
            bench.input(marked::Input::Poke { connection, members });
            let said = ts(bench.seconds());
            bench.commit(connection, Some(said), Vec::new());
        }
    }
    assert!(bench.policy.mark().is_some());
}

#[test]
fn one_poke_ahead_then_only_data_the_mark_moves() {
    for wrong in [6, 3 * DAY] {
        let mut bench = Bench::running(restless(1));
        bench.poke_until(900.0);
        let connection = bench.slot(0);
        bench.pass_to(905.0);
        off(&mut bench, connection, wrong);
        while bench.seconds() < 12.0 * 3_600.0 {
            bench.pass_to(bench.seconds() + 5.0);
            data(&mut bench, connection);
        }
        assert!(lag(&bench) < 900.0, "{wrong}: {}", lag(&bench));
    }
}

#[test]
fn one_poke_behind_then_only_data_the_mark_moves() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    let connection = bench.slot(0);
    bench.pass_to(905.0);
    off(&mut bench, connection, -10 * 365 * DAY);
    while bench.seconds() < 12.0 * 3_600.0 {
        bench.pass_to(bench.seconds() + 5.0);
        data(&mut bench, connection);
    }
    assert!(lag(&bench) < 900.0, "{}", lag(&bench));
}

#[test]
fn one_host_of_three_that_stands_still_stops_the_mark_for_a_day_at_most() {
    let mut bench = Bench::running(restless(3));
    bench.poke_until(900.0);
    let frozen = 890i64;
    while bench.seconds() < 25.0 * 3_600.0 {
        bench.pass_to(bench.seconds() + 5.0);
        for slot in [0, 1, 2] {
            let connection = bench.slot(slot);
            let wrong = if slot == 2 { frozen - bench.seconds() as i64 } else { 0 };
            off(&mut bench, connection, wrong);
        }
    }
    // What comes from it may have waited on its way, but not for longer than that.
    assert!(!bench.reports.iter().any(|r| matches!(r, Report::TimeJumped { .. })));
    assert!(lag(&bench) < 3_600.0);
}

#[test]
fn suspects_at_a_start_where_nothing_is_verified_any_more() {
    let mut bench = Bench::new(MarkedConfig { verify_every: None, ..restless(1) });
    let state = StreamState {
        stream_id: Some(s("s1")),
        clean: true,
        suspects: vec![Suspect { low: Some(ts(-400.0)), at: ts(-10.0) }],
        ..StreamState::at(Some(ts(-400.0)))
    };
    bench.input(Input::Start { state: Some(state.into()), wall: ts(0.0) });
    assert_eq!(recoveries(&bench, Cause::UncleanStart), 1);
}

#[test]
fn a_stream_that_was_made_after_the_sleep_is_not_made_again() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    bench.input(Input::Stale(bench.slot(0)));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    bench.answer_create("s2");
    let connection = bench.take_connects()[0];
    bench.input(Input::Opened(connection));
    for _ in 0..10 {
        bench.pass_to(bench.seconds() + 5.0);
        off(&mut bench, connection, 7 * DAY);
    }
    assert_eq!(recoveries(&bench, Cause::CheckpointExpired), 0);
}

#[test]
fn times_without_sense_break_nothing() {
    for micros in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
        let said = Timestamp::from_micros(micros);
        let mut bench = Bench::running(restless(2));
        bench.poke_until(900.0);
        for _ in 0..40 {
            bench.pass_to(bench.seconds() + 5.0);
            let c = bench.slot(0);
            bench.commit(
                c,
                Some(said),
                vec![Datum { user: UserKey(3), created_at: said, start_day: None, new: true }],
            );
        }
    }
}

#[test]
fn a_stream_never_starts_on_a_day_to_come() {
    let mut bench = Bench::new(restless(1));
    let state =
        StreamState { stream_id: Some(s("s1")), ..StreamState::at(Some(ts(3.0 * DAY as f64))) };
    bench.input(Input::Start { state: Some(state.into()), wall: ts(0.0) });
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    let date = bench.answer_create("s2");
    bench.open_all();
    bench.poke_until(4_000.0);
    let again =
        bench.reports.iter().filter(|r| matches!(r, Report::RecoveryStarted { .. })).count();
    assert!(date.as_deref() <= Some("2026-11-21") || again > 1);
}

#[test]
fn one_poke_of_ten_years_ago_before_a_hang_recreates_from_no_earlier_day() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    let connection = bench.slot(0);
    bench.pass_to(905.0);
    off(&mut bench, connection, -10 * 365 * DAY);
    bench.input(Input::Stale(connection));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    let date = bench.answer_create("s2");
    assert_eq!(date.as_deref(), Some("2026-11-21"));
}

#[test]
fn the_mark_waits_until_it_is_known_how_long_nobody_read() {
    let mut bench = Bench::new(restless(1));
    let mark = Some(ts(-8.0 * DAY as f64));
    let state = StreamState { stream_id: Some(s("s1")), clean: true, ..StreamState::at(mark) };
    bench.input(Input::Start { state: Some(state.into()), wall: ts(-5.0 * DAY as f64) });
    let c = bench.take_connects()[0];
    bench.input(Input::Opened(c));
    while bench.seconds() < 120.0 {
        bench.pass_to(bench.seconds() + 2.0);
        data(&mut bench, c);
    }
    let before = bench.policy.mark();
    bench.poke_until(180.0);
    assert_eq!(before, mark);
}

#[test]
fn a_slot_that_rests_could_say_otherwise() {
    let mut bench = Bench::running(MarkedConfig::new("acme", 2));
    bench.poke_until(900.0);
    let (a, b) = (bench.slot(0), bench.slot(1));
    for _ in 0..6 {
        bench.pass_to(bench.seconds() + 5.0);
        bench.poke(b);
        data(&mut bench, a);
        if bench.wanted.contains(&Output::Drain(b)) {
            bench.end(b, End::Terminated { mid_event: false });
            break;
        }
    }
    for _ in 0..3 {
        bench.pass_to(bench.seconds() + 5.0);
        off(&mut bench, a, 3 * DAY);
    }
    assert!(bench.reports.iter().any(|r| matches!(r, Report::TimeDoubted { .. })));
    assert!(!bench.reports.iter().any(|r| matches!(r, Report::TimeJumped { .. })));
}

#[test]
fn two_hosts_of_which_one_is_wrong_for_good_delete_nothing_and_are_told_once_an_hour() {
    for wrong in [20, 360, 7 * DAY] {
        let mut bench = Bench::running(restless(2));
        bench.poke_until(900.0);
        // A is mostly busy, and says the right time now and then; B is wrong.
        for turn in 0..1_440 {
            bench.pass_to(bench.seconds() + 5.0);
            let (a, b) = (bench.slot(0), bench.slot(1));
            if turn % 24 < 3 {
                off(&mut bench, a, 0)
            } else {
                data(&mut bench, a)
            }
            off(&mut bench, b, wrong);
        }
        let told = |report: &&Report| matches!(report, Report::TimeJumped { again: false, .. });
        assert!(bench.reports.iter().filter(told).count() <= 2, "{wrong}");
        let recovers = |report: &Report| matches!(report, Report::RecoveryStarted { .. });
        assert!(!bench.reports.iter().any(recovers), "{wrong}");
    }
}

#[test]
fn one_wrong_count_of_members_is_no_suspect() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    let connection = bench.slot(0);
    for count in [1, 1, 4, 1, 1, 1] {
        bench.pass_to(bench.seconds() + 5.0);
        let members = Members { count: Some(count), max: Some(20) };
        bench.input(marked::Input::Poke { connection, members });
        off(&mut bench, connection, 0);
    }
    assert_eq!(bench.policy.suspects(), 0);
}

#[test]
fn fewer_places_are_believed_when_said_twice() {
    let mut bench = Bench::running(restless(3));
    bench.poke_until(100.0);
    let connection = bench.slot(0);
    let mut say = |max| {
        let members = Members { count: None, max: Some(max) };
        bench.input(marked::Input::Poke { connection, members });
        bench.wanted.iter().filter(|wanted| matches!(wanted, Output::Drain(_))).count()
    };
    assert_eq!([say(20), say(1), say(20), say(1)], [0; 4]);
    assert_eq!(say(1), 2);
}
