//! Stalls, suspects, verifications, full queues, too many recoveries.

use std::time::Duration;

use super::bench::{Bench, NOON, restless, s};
use crate::classify::{End, Refusal};
use crate::id::{Reader, UserKey};
use crate::marked::establish::{Answer, Call, CallFailure, Listed};
use crate::marked::{self, Cause, Members, Phase, Report, StreamState};
use crate::policy::{Datum, Health, Input, Output};
use crate::time::Timestamp;

/// Two slots, read for a quarter of an hour: settled, gate open, the mark near the present.
fn settled() -> Bench {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    assert!(bench.policy.mark().is_some());
    bench
}

/// Ends every connection that is being killed.
fn bury(bench: &mut Bench) -> usize {
    let killed = bench.killed();
    killed.iter().for_each(|&connection| bench.end(connection, End::Killed));
    killed.len()
}

#[test]
fn a_stale_connection_ends_them_all_before_the_first_call() {
    let mut bench = settled();
    let mark = bench.policy.mark().unwrap();
    bench.disk_answers = false;
    bench.input(Input::Stale(bench.slot(0)));
    let killed = bench.killed();
    assert_eq!(killed.len(), 2, "even a single hung connection loses events for all");
    let state = bench.persisted.last().unwrap().clone();
    assert_eq!((state.phase, state.mark), (Phase::Recovering, Some(mark)));
    bench.end(killed[0], End::Killed);
    assert_eq!(bench.calls(), []);
    bench.end(killed[1], End::Killed);
    assert_eq!(bench.calls(), [], "the intent is not durable yet");
    bench.disk_answers = true;
    bench.answer_disk();
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-21"));
    assert_eq!(bench.take_connects().len(), 2, "all slots at once");
    assert_eq!(bench.policy.health(), Health::Recovering);
}

#[test]
fn the_day_is_the_marks_not_todays() {
    let mut bench = settled();
    // Twelve hours on, past midnight, without another settled moment: a slot flaps.
    let late = Datum {
        user: UserKey(1),
        created_at: Timestamp::from_micros((NOON + 800) * 1_000_000),
        start_day: None,
        new: true,
    };
    let slot = bench.slot(0);
    bench.commit(slot, None, vec![late]);
    bench.pass_to(43_200.0 + 600.0);
    bench.input(Input::Stale(bench.slot(0)));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-21"));
}

#[test]
fn the_day_is_never_before_the_streams_first() {
    let mut config = restless(1);
    config.start_date = "2026-11-20".parse().ok();
    let mut bench = Bench::running(config);
    bench.poke_until(580.0);
    // The first event of the first day: a margin below it lies the day before.
    let first = Datum {
        user: UserKey(1),
        created_at: Timestamp::from_micros((NOON - 36 * 3_600 + 1) * 1_000_000),
        start_day: None,
        new: true,
    };
    let slot = bench.slot(0);
    bench.commit(slot, None, vec![first]);
    bench.poke_until(620.0);
    assert_eq!(
        bench.policy.mark().map(|mark| mark.utc_day().to_string()).as_deref(),
        Some("2026-11-19")
    );
    bench.input(Input::Stale(slot));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-20"));
}

#[test]
fn the_day_is_never_to_come() {
    let mut bench = settled();
    let slots = [bench.slot(0), bench.slot(1)];
    // For so long that it is believed.
    for _ in 0..30 {
        bench.pass_to(bench.seconds() + 5.0);
        let ahead = NOON + 3 * 86_400 + bench.seconds() as i64;
        for slot in slots {
            bench.commit(slot, Some(Timestamp::from_micros(ahead * 1_000_000)), Vec::new());
        }
    }
    assert!(bench.policy.mark().is_some_and(|mark| mark.utc_day().to_string() == "2026-11-24"));
    bench.input(Input::Stale(slots[0]));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-24"));
    // It is taken back: such a stream would be silent until then.
    bench.open_all();
    bench.poke_until(bench.seconds() + 30.0);
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s2") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s3").as_deref(), Some("2026-11-21"));
}

#[test]
fn one_poke_that_says_a_time_to_come_moves_no_mark() {
    let mut bench = settled();
    let slot = bench.slot(0);
    for ahead in [360, 3 * 86_400, 400 * 86_400] {
        let before = bench.policy.mark();
        let ahead = NOON + ahead + bench.seconds() as i64;
        bench.commit(slot, Some(Timestamp::from_micros(ahead * 1_000_000)), Vec::new());
        assert_eq!(bench.policy.mark(), before);
        let doubted = |report: &Report| matches!(report, Report::TimeDoubted { .. });
        assert!(bench.reports.iter().any(doubted));
        bench.poke_until(bench.seconds() + 30.0);
    }
}

#[test]
fn a_clock_of_ours_that_is_ahead_delays_no_end() {
    let mut bench = Bench::new(restless(1));
    let ahead = Timestamp::from_micros((NOON + 900) * 1_000_000);
    let mark = Some(Timestamp::from_micros((NOON - 60) * 1_000_000));
    let state = StreamState { stream_id: Some(s("s0")), ..StreamState::at(mark) };
    bench.input(Input::Start { state: Some(state.into()), wall: ahead });
    bench.answer(&Call::Delete { id: s("s0") }, Answer::Deleted);
    bench.answer_create("s1");
    bench.open_all();
    bench.poke_until(20.0);
    let incident = bench.policy.incident().unwrap();
    assert!(incident.terminated_at < ahead, "pokes say what time it is");
    bench.poke_until(700.0);
    assert_eq!(bench.policy.incident(), None);
}

#[test]
fn a_clock_of_ours_that_is_days_ahead_delays_no_verification() {
    for poked_late in [false, true] {
        let mut bench = Bench::new(restless(1));
        let ahead = Timestamp::from_micros((NOON + 4 * 86_400) * 1_000_000);
        let mark = Some(Timestamp::from_micros((NOON - 60) * 1_000_000));
        let state = StreamState { stream_id: Some(s("s1")), clean: true, ..StreamState::at(mark) };
        bench.input(Input::Start { state: Some(state.into()), wall: ahead });
        let first = bench.take_connects()[0];
        bench.input(Input::Opened(first));
        bench.end(first, End::Reset);
        bench.pass_to(2.0);
        let second = bench.take_connects()[0];
        bench.input(Input::Opened(second));
        if poked_late {
            // Busy until the verification has begun.
            bench.pass_to(310.0);
        }
        bench.poke_until(if poked_late { 320.0 } else { 310.0 });
        let replay = bench.take_connects()[0];
        bench.input(Input::Opened(replay));
        bench.poke_until(2_000.0);
        assert_eq!(bench.killed(), [replay], "it is done");
        let lag = bench.policy.lag();
        assert!(lag.is_some_and(|lag| lag < Duration::from_secs(900)), "{lag:?}");
        assert_eq!(bench.policy.suspects(), 0, "poked late: {poked_late}");
    }
}

#[test]
fn the_incident_ends_when_the_replay_has_come_to_where_we_were() {
    let mut bench = settled();
    bench.input(Input::Stale(bench.slot(0)));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    bench.answer_create("s2");
    bench.open_all();
    bench.poke_until(900.0 + 590.0);
    assert!(bench.policy.incident().is_some(), "the service may still be walking");
    bench.poke_until(900.0 + 700.0);
    assert_eq!(bench.policy.incident(), None);
    let over = |report: &Report| matches!(report, Report::CaughtUp { incident: Some(_) });
    assert_eq!(bench.reports.iter().filter(|report| over(report)).count(), 1);
}

#[test]
fn a_second_stall_starts_over_from_the_same_mark_in_the_same_incident() {
    let mut bench = settled();
    let mark = bench.policy.mark();
    for (old, new) in [("s1", "s2"), ("s2", "s3")] {
        bench.input(Input::Stale(bench.slot(0)));
        bury(&mut bench);
        bench.answer(&Call::Delete { id: s(old) }, Answer::Deleted);
        bench.answer_create(new);
        bench.open_all();
        bench.poke_until(bench.seconds() + 60.0);
    }
    let incident = bench.policy.incident().unwrap();
    assert_eq!((incident.id.0, incident.recoveries), (1, 2));
    assert_eq!(bench.policy.mark(), mark, "a replay proves nothing before its end");
}

#[test]
fn a_reset_is_suspect_holds_the_mark_and_is_verified_over_the_replay() {
    let mut bench = settled();
    let mark = bench.policy.mark();
    let connection = bench.slot(0);
    bench.end(connection, End::Reset);
    assert_eq!((bench.policy.suspects(), bench.policy.incident()), (1, None));
    bench.open_all();
    bench.poke_until(1_190.0);
    assert_eq!(bench.policy.mark(), mark);
    bench.poke_until(1_210.0);
    let replay = bench.take_connects();
    assert_eq!(replay.len(), 1, "after the margin");
    assert_eq!(replay[0].reader, Reader::Replay);
    bench.input(Input::Opened(replay[0]));
    bench.poke_until(2_500.0);
    assert_eq!(bench.policy.suspects(), 0);
    assert!(bench.policy.mark() > mark);
    assert_eq!(bury(&mut bench), 1, "the replay connection is closed");
}

/// A small queue that a backlog fills again and again: each block is short, and the next one comes soon.
#[test]
fn a_verification_whose_queue_is_full_for_moments_comes_to_its_end() {
    let mut bench = settled();
    bench.end(bench.slot(0), End::Reset);
    bench.open_all();
    bench.poke_until(1_210.0);
    let replay = bench.take_connects()[0];
    bench.input(Input::Opened(replay));
    while bench.seconds() < 2_500.0 {
        bench.input(Input::Blocked(replay));
        bench.pass_to(bench.seconds() + 0.1);
        bench.input(Input::Unblocked(replay));
        bench.poke_until(bench.seconds() + 5.0);
    }
    assert_eq!(bench.policy.suspects(), 0);
    assert_eq!(bench.killed(), [replay]);
}

/// Our own clock is a quarter of an hour behind, and data flows, so that no poke tells the time.
#[test]
fn without_a_poke_a_verification_reads_to_where_live_data_was_not_to_our_own_time() {
    let at = |seconds: f64| Timestamp::from_micros(((NOON as f64 + seconds) * 1e6) as i64);
    let read = |bench: &mut Bench, connection, created_at| {
        let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
        bench.input(Input::Data(connection));
        bench.commit(connection, None, vec![datum]);
    };
    let flow = |bench: &mut Bench, slot, until| {
        while bench.seconds() < until {
            bench.pass_to(bench.seconds() + 2.0);
            let now = at(bench.seconds());
            read(bench, slot, now);
        }
    };
    let open = |bench: &mut Bench| {
        let connection = bench.take_connects()[0];
        bench.input(Input::Opened(connection));
        connection
    };
    let mut bench = Bench::new(restless(1));
    let state =
        StreamState { stream_id: Some(s("s1")), clean: true, ..StreamState::at(Some(at(-600.0))) };
    bench.input(Input::Start { state: Some(state.into()), wall: at(-900.0) });
    let slot = open(&mut bench);
    flow(&mut bench, slot, 200.0);
    bench.end(slot, End::Reset);
    let slot = open(&mut bench);
    flow(&mut bench, slot, 502.0);
    let replay = open(&mut bench);
    assert_eq!(replay.reader, Reader::Replay);
    // It is ten minutes behind, and has not come to the reset.
    while bench.seconds() < 1_200.0 {
        let until = bench.seconds() + 2.0;
        flow(&mut bench, slot, until);
        read(&mut bench, replay, at((until - 1_100.0).min(90.0)));
    }
    assert_eq!(bench.policy.suspects(), 1);
    while bench.seconds() < 1_400.0 {
        let until = bench.seconds() + 2.0;
        flow(&mut bench, slot, until);
        read(&mut bench, replay, at(until));
    }
    assert_eq!(bench.policy.suspects(), 0);
}

#[test]
fn a_verification_that_fails_is_tried_again_and_hurts_nobody() {
    let mut bench = settled();
    bench.end(bench.slot(0), End::Reset);
    bench.open_all();
    bench.poke_until(1_210.0);
    let replay = bench.take_connects()[0];
    bench.end(replay, End::Refused(Refusal::Crowded { retry_after: None }));
    assert_eq!(bench.policy.health(), Health::Live);
    bench.pass_to(1_216.0);
    let again = bench.take_connects();
    assert_eq!(again.len(), 1);
    bench.input(Input::Opened(again[0]));
    bench.input(Input::Stale(again[0]));
    assert_eq!(bench.killed(), again, "only the replay connection");
}

#[test]
fn a_stream_that_is_gone_is_made_again() {
    let mut bench = settled();
    bench.end(bench.slot(0), End::Terminated { mid_event: false });
    let connection = bench.take_connects()[0];
    bench.end(connection, End::Refused(Refusal::Gone));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-21"));
}

#[test]
fn a_stream_just_made_that_is_not_known_yet_is_asked_for_again_before_another_is_made() {
    let mut bench = settled();
    bench.input(Input::Stale(bench.slot(0)));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    bench.answer_create("s2");
    let made = bench.seconds();
    while bench.seconds() < made + 29.0 {
        for connection in bench.take_connects() {
            bench.end(connection, End::Refused(Refusal::Gone));
        }
        assert_eq!(bench.calls(), []);
        bench.pass_to(bench.seconds() + 1.0);
    }
    // It has not appeared for `stale_after`.
    bench.pass_to(made + 60.0);
    let connection = bench.take_connects()[0];
    bench.end(connection, End::Refused(Refusal::Gone));
    bench.answer(&Call::Delete { id: s("s2") }, Answer::Deleted);
    bench.answer_create("s3");
    // This one appears, and is believed when it is gone later.
    bench.pass_to(made + 120.0);
    bench.open_all();
    bench.poke_until(made + 180.0);
    bench.end(bench.slot(0), End::Terminated { mid_event: false });
    let connection = bench.take_connects()[0];
    bench.end(connection, End::Refused(Refusal::Gone));
    bury(&mut bench);
    bench.answer(&Call::Delete { id: s("s3") }, Answer::Deleted);
}

#[test]
fn a_queue_that_stays_full_is_a_recovery_that_waits_for_room() {
    let mut bench = settled();
    let connection = bench.slot(1);
    bench.input(Input::Blocked(connection));
    bench.pass_to(929.9);
    assert_eq!(bench.killed(), []);
    bench.pass_to(930.1);
    assert_eq!(bury(&mut bench), 2, "nobody would see a connection die");
    assert_eq!(bench.policy.health(), Health::Degraded("outbox_full"));
    assert_eq!(bench.calls(), []);
    bench.input(Input::Room);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
}

#[test]
fn after_five_recoveries_in_an_hour_the_next_waits_and_reading_goes_on() {
    let mut bench = settled();
    for number in 1..=5 {
        bench.input(Input::Stale(bench.slot(0)));
        bury(&mut bench);
        bench.answer(&Call::Delete { id: s(&format!("s{number}")) }, Answer::Deleted);
        bench.answer_create(&format!("s{}", number + 1));
        bench.open_all();
        bench.poke_until(bench.seconds() + 60.0);
    }
    bench.input(Input::Stale(bench.slot(0)));
    assert_eq!(bury(&mut bench), 1, "only the broken connection is closed");
    assert_eq!(bench.policy.health(), Health::Degraded("too_many_recoveries"));
    assert_eq!(bench.take_connects().len(), 1, "and opened again");
    let mark = bench.policy.mark();
    let until = bench.seconds() + 12.0 * 60.0;
    bench.pass_to(until + 1.0);
    assert!(bury(&mut bench) >= 1, "the pause is over");
    assert_eq!(bench.policy.mark(), mark);
    let paused =
        |report: &&Report| matches!(report, Report::RecoveryPaused { cause: Cause::Stale(_), .. });
    assert_eq!(bench.reports.iter().filter(paused).count(), 1);
}

#[test]
fn a_held_stream_is_left_behind_and_deleted_when_the_service_lets_go() {
    let mut bench = settled();
    bench.input(Input::Stale(bench.slot(0)));
    bury(&mut bench);
    let old = Listed { id: s("s1"), name: "acme".into(), start_date: None };
    loop {
        match bench.calls().as_slice() {
            [Call::Delete { .. }] => {
                bench.input(marked::Input::Answered(Answer::Failed {
                    failure: CallFailure::Held,
                    retry_after: None,
                }));
            }
            [Call::List] => {
                bench.input(marked::Input::Answered(Answer::Listed(vec![old.clone()])));
                break;
            }
            other => assert!(other.is_empty(), "{other:?}"),
        }
        bench.pass_to(bench.seconds() + 0.5);
    }
    let calls = bench.calls();
    assert!(matches!(calls.as_slice(), [Call::Create { name, .. }] if name == "acme~2"));
    bench.input(marked::Input::Answered(Answer::Created(s("s2"))));
    bench.open_all();
    bench.pass_to(bench.seconds() + 6.0);
    bench.answer(
        &Call::Delete { id: s("s1") },
        Answer::Failed { failure: CallFailure::Held, retry_after: None },
    );
    bench.pass_to(bench.seconds() + 21.0);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    bench.pass_to(bench.seconds() + 400.0);
    assert_eq!(bench.calls(), []);
}

#[test]
fn a_foreign_client_on_the_stream_is_left_for_a_stream_of_our_own() {
    let mut bench = settled();
    let members = Members { count: Some(3), max: Some(20) };
    while !bench.reports.iter().any(|report| matches!(report, Report::ForeignClients { .. })) {
        bench.pass_to(bench.seconds() + 5.0);
        for slot in [0, 1] {
            let connection = bench.slot(slot);
            bench.input(marked::Input::Poke { connection, members });
        }
        assert!(bench.seconds() < 1_100.0);
    }
    assert!(bench.seconds() >= 975.0, "our own closed connections may count for a while");
    assert!(bench.wanted.iter().any(|output| matches!(output, Output::Kill(_))));
}

#[test]
fn a_service_whose_pokes_do_not_say_who_reads_is_asked_and_a_foreign_client_seen() {
    let mut bench = Bench::running(restless(2));
    let count = Output::from(marked::Output::Count(s("s1")));
    let asked = |bench: &mut Bench| {
        let before = bench.wanted.len();
        bench.wanted.retain(|output| *output != count);
        before - bench.wanted.len()
    };
    bench.poke_until(70.0);
    assert_eq!(asked(&mut bench), 0);
    for (until, expected) in [(80.0, 1), (150.0, 0), (160.0, 1)] {
        bench.poke_until(until);
        assert_eq!(asked(&mut bench), expected, "until {until}");
        if expected == 1 {
            bench.input(marked::Input::Counted { stream: s("s1"), members: Some(3) });
        }
    }
    assert!(bench.reports.contains(&Report::ForeignClients { count: 1 }));
    assert_eq!(bench.killed().len(), 2);
}
