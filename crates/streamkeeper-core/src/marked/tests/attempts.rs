//! Attempts to connect beside connections that live, limits across recoveries, foreign clients.
//! Each of these was found by the seeded simulation.

use std::time::Duration;

use super::bench::{Bench, NOON, restless};
use crate::classify::{End, Refusal};
use crate::id::StreamId;
use crate::marked::establish::{Answer, Call};
use crate::marked::{self, Cause, MarkedConfig, Members, Report, StreamState};
use crate::policy::{Input, Output};
use crate::time::{Instant, Timestamp};

/// Lets everything pass until `seconds`: slot 0 gets a poke each second, every attempt is refused.
fn refuse_until(bench: &mut Bench, seconds: f64, refusal: Refusal) -> Vec<Instant> {
    let mut attempts = Vec::new();
    while bench.seconds() < seconds {
        bench.pass_to(bench.seconds() + 1.0);
        bench.poke(bench.slot(0));
        for connection in bench.take_connects() {
            attempts.push(bench.now);
            bench.end(connection, End::Refused(refusal));
        }
    }
    attempts
}

#[test]
fn the_frames_of_one_connection_do_not_forget_the_failures_of_another() {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(60.0);
    bench.end(bench.slot(1), End::Terminated { mid_event: false });
    let unavailable = Refusal::Unavailable { status: 502, retry_after: None };
    let attempts = refuse_until(&mut bench, 120.0, unavailable);
    assert!((2..10).contains(&attempts.len()), "{} attempts in a minute", attempts.len());
}

#[test]
fn a_connection_that_lasts_forgets_no_failure_that_came_after_it_had_opened() {
    let mut bench = Bench::new(restless(2));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    bench.answer_create("s1");
    let first = bench.take_connects()[0];
    bench.input(Input::Opened(first));
    bench.poke(first);
    // Whoever is connected stays so, and nobody else is let in; ten seconds later the first has lasted.
    let unavailable = Refusal::Unavailable { status: 502, retry_after: None };
    let attempts = refuse_until(&mut bench, 60.0, unavailable);
    assert!((2..10).contains(&attempts.len()), "{} attempts in a minute", attempts.len());
}

#[test]
fn a_retry_after_outlives_a_connection_that_opens_meanwhile() {
    let mut bench = Bench::running(restless(3));
    bench.poke_until(60.0);
    for slot in [1, 2] {
        bench.end(bench.slot(slot), End::Terminated { mid_event: false });
    }
    let both = bench.take_connects();
    let retry_after = Some(Duration::from_secs(40));
    bench.end(both[0], End::Refused(Refusal::Unavailable { status: 429, retry_after }));
    bench.input(Input::Opened(both[1]));
    bench.poke(both[1]);
    bench.pass_to(99.9);
    assert_eq!(bench.take_connects(), []);
    bench.pass_to(100.1);
    assert_eq!(bench.take_connects().len(), 1);
}

#[test]
fn a_retry_after_is_honoured_with_every_refusal_that_passes() {
    for status in [401, 403, 422, 429, 500, 503] {
        let mut bench = Bench::running(restless(1));
        bench.poke_until(60.0);
        bench.end(bench.slot(0), End::Terminated { mid_event: false });
        let connection = bench.take_connects()[0];
        let refusal = Refusal::from_status(status, Some(Duration::from_secs(100)));
        bench.end(connection, End::Refused(refusal));
        bench.pass_to(159.9);
        assert_eq!(bench.take_connects(), [], "{status}");
        bench.pass_to(160.1);
        assert_eq!(bench.take_connects().len(), 1, "{status}");
    }
}

fn poke_with(bench: &mut Bench, slot: u8, count: u32, max: u32) {
    let connection = bench.slot(slot);
    let members = Members { count: Some(count), max: Some(max) };
    bench.input(marked::Input::Poke { connection, members });
}

#[test]
fn a_full_stream_is_tried_by_one_slot_at_a_time() {
    let mut bench = Bench::running(restless(8));
    bench.poke_until(60.0);
    poke_with(&mut bench, 0, 8, 8);
    for slot in 1..8 {
        bench.end(bench.slot(slot), End::Reset);
    }
    assert_eq!(bench.take_connects().len(), 1, "the service counts eight of eight");
    poke_with(&mut bench, 0, 2, 8);
    assert_eq!(bench.take_connects().len(), 5, "six places, one attempt under way");
}

#[test]
fn a_limit_outlives_a_recovery() {
    let mut bench = Bench::running(restless(3));
    poke_with(&mut bench, 0, 3, 1);
    let drained = |output: &Output| matches!(output, Output::Drain(_));
    assert_eq!(bench.wanted.iter().filter(|output| drained(output)).count(), 2);
    for slot in [1, 2] {
        bench.end(bench.slot(slot), End::Terminated { mid_event: false });
    }
    bench.input(Input::Stale(bench.slot(0)));
    for connection in bench.killed() {
        bench.end(connection, End::Killed);
    }
    bench.answer(&Call::Delete { id: StreamId("s1".into()) }, Answer::Deleted);
    bench.answer_create("s2");
    bench.open_all();
    assert_eq!(bench.connections.len(), 1);
}

#[test]
fn a_foreign_client_that_goes_leaves_a_suspect() {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    for count in [3, 3, 3] {
        bench.pass_to(bench.seconds() + 5.0);
        poke_with(&mut bench, 0, count, 20);
    }
    assert_eq!(bench.policy.suspects(), 0);
    poke_with(&mut bench, 0, 2, 20);
    assert_eq!(bench.policy.suspects(), 1, "what it was sent is lost");
}

#[test]
fn a_checkpoint_of_a_week_ago_is_not_trusted() {
    let start = |days: i64| {
        let mut bench = Bench::new(restless(1));
        let mark = Some(Timestamp::from_micros((NOON - days * 86_400) * 1_000_000));
        let stream_id = Some(StreamId("s1".into()));
        let state = StreamState { stream_id, clean: true, ..StreamState::at(mark) };
        let wall = Timestamp::from_micros(NOON * 1_000_000);
        bench.input(Input::Start { state: Some(state.into()), wall });
        bench
    };
    assert_eq!(start(5).take_connects().len(), 1);
    let away = start(7);
    let recovers = |report: &Report| {
        matches!(report, Report::RecoveryStarted { cause: Cause::CheckpointExpired, .. })
    };
    assert!(away.reports.iter().any(recovers));
}

#[test]
fn a_first_frame_says_nothing_of_attempts_that_failed_after_its_connection_opened() {
    let mut bench = Bench::new(restless(20));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    bench.answer_create("s1");
    let first = bench.take_connects()[0];
    bench.input(Input::Opened(first));
    bench.poke(first);
    // Six open, and the service refuses from now on; their first frames come one by one.
    let attempts = bench.take_connects();
    let (opened, refused) = attempts.split_at(6);
    opened.iter().for_each(|&connection| bench.input(Input::Opened(connection)));
    let end = End::Refused(Refusal::Unavailable { status: 502, retry_after: None });
    bench.pass_to(bench.seconds() + 0.1);
    refused.iter().for_each(|&connection| bench.end(connection, end));
    let mut more = 0;
    for &connection in opened {
        bench.pass_to(bench.seconds() + 0.1);
        bench.poke(connection);
        for attempt in bench.take_connects() {
            more += 1;
            bench.end(attempt, end);
        }
    }
    assert!(more <= 1, "{more} attempts within a second");
}

/// The only place there is: whoever has it for longer than a closed connection of ours is counted is somebody else.
#[test]
fn whoever_had_the_only_place_meanwhile_was_sent_what_is_ours() {
    for (minutes, suspects) in [(0.2, 0), (10.0, 1)] {
        let mut bench = Bench::running(restless(1));
        bench.poke_until(900.0);
        bench.end(bench.slot(0), End::Terminated { mid_event: false });
        while bench.seconds() < 900.0 + minutes * 60.0 {
            bench.pass_to(bench.seconds() + 1.0);
            for connection in bench.take_connects() {
                bench.end(connection, End::Refused(Refusal::Crowded { retry_after: None }));
            }
        }
        while bench.take_connects().first().is_none_or(|connection| {
            bench.input(Input::Opened(*connection));
            false
        }) {
            bench.pass_to(bench.seconds() + 1.0);
        }
        assert_eq!(bench.policy.suspects(), suspects, "{minutes}");
    }
}

#[test]
fn old_connections_are_replaced_one_after_the_other_and_lose_nothing() {
    let age = Duration::from_secs(1_000);
    let mut bench = Bench::running(MarkedConfig { max_age: Some(age), ..restless(3) });
    bench.poke_until(890.0);
    assert_eq!(bench.take_connects(), []);
    let mut replaced = Vec::new();
    while replaced.len() < 3 && bench.seconds() < 1_100.0 {
        bench.poke_until(bench.seconds() + 5.0);
        let drained: Vec<_> = std::mem::take(&mut bench.wanted)
            .into_iter()
            .filter_map(|output| match output {
                Output::Drain(connection) => Some(connection),
                _ => None,
            })
            .collect();
        assert!(drained.len() <= 1, "the others read on: {drained:?}");
        for connection in drained {
            assert!(bench.seconds() <= 1_000.0 + 15.0);
            bench.end(connection, End::Terminated { mid_event: false });
            let next = bench.take_connects();
            assert_eq!(next.len(), 1, "at once, and without a back-off");
            bench.input(Input::Opened(next[0]));
            bench.poke(next[0]);
            replaced.push(connection.reader);
        }
    }
    replaced.sort_unstable();
    replaced.dedup();
    assert_eq!(replaced.len(), 3, "each once");
    assert_eq!(bench.policy.suspects(), 0);
    assert!(bench.policy.incident().is_none());
}
