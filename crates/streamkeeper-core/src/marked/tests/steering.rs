//! An operator pauses, resumes and reconnects: nothing is lost, and nothing spins.

use std::time::Duration;

use super::bench::{Bench, restless};
use crate::classify::{End, Refusal};
use crate::id::{SlotId, StreamId};
use crate::marked::establish::{Answer, Call, CallFailure};
use crate::marked::{Cause, Report};
use crate::policy::{self, Health, Input, Output, SlotState};

const END: End = End::Terminated { mid_event: false };

fn drains(bench: &mut Bench) -> usize {
    let drains = bench.wanted.iter().filter(|output| matches!(output, Output::Drain(_))).count();
    bench.wanted.clear();
    drains
}

fn end_all(bench: &mut Bench) {
    let open: Vec<_> = bench.connections.keys().copied().collect();
    open.into_iter().for_each(|connection| bench.end(connection, END));
}

#[test]
fn a_pause_reads_to_the_end_and_connects_nothing_until_it_is_over() {
    let mut bench = Bench::running(restless(3));
    bench.poke_until(1_000.0);
    let mark = bench.policy.mark();
    assert!(mark.is_some());
    bench.input(Input::Pause);
    assert_eq!(drains(&mut bench), 3, "half-closed, not killed");
    end_all(&mut bench);
    assert_eq!(bench.policy.health(), Health::Paused);
    bench.pass_to(5_000.0);
    assert_eq!(bench.take_connects(), []);
    assert_eq!(bench.policy.suspects(), 0);
    assert!(bench.policy.deadline().is_none_or(|deadline| deadline > bench.now), "nothing spins");
    let paused = bench.policy.mark();
    bench.input(Input::Resume);
    bench.open_all();
    assert_eq!(bench.connections.len(), 3);
    assert_eq!(bench.policy.health(), Health::Live);
    bench.poke_until(6_000.0);
    assert!(bench.policy.mark() > paused, "the mark moves again");
    let recovers = |report: &Report| matches!(report, Report::RecoveryStarted { .. });
    assert!(!bench.reports.iter().any(recovers));
}

#[test]
fn a_resting_slot_stays_closed_in_a_pause_and_its_rest_makes_nothing_spin() {
    let mut config = restless(1);
    config.hygiene.enabled = true;
    let mut bench = Bench::running(config);
    while !bench.wanted.contains(&Output::Drain(bench.slot(0))) {
        bench.pass_to(bench.seconds() + 5.0);
        bench.poke(bench.slot(0));
    }
    end_all(&mut bench);
    bench.input(Input::Pause);
    bench.pass_to(10_000.0);
    assert_eq!(bench.take_connects(), []);
    bench.input(Input::Resume);
    assert_eq!(bench.take_connects().len(), 1);
}

#[test]
fn a_pause_longer_than_the_checkpoint_lives_ends_in_a_recovery() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(1_000.0);
    bench.input(Input::Pause);
    end_all(&mut bench);
    bench.pass_to(7.0 * 86_400.0);
    bench.input(Input::Resume);
    let connection = bench.take_connects()[0];
    bench.input(Input::Opened(connection));
    let expired = |report: &Report| {
        matches!(report, Report::RecoveryStarted { cause: Cause::CheckpointExpired, .. })
    };
    assert!(bench.reports.iter().any(expired));
}

#[test]
fn a_reconnect_ends_every_connection_in_order_and_opens_new_ones() {
    let mut bench = Bench::running(restless(2));
    let before = bench.slot(0);
    bench.input(Input::Reconnect);
    assert_eq!(drains(&mut bench), 2);
    end_all(&mut bench);
    bench.open_all();
    assert_ne!(bench.slot(0), before);
    assert_eq!((bench.connections.len(), bench.policy.suspects()), (2, 0));
    assert_eq!(bench.policy.health(), Health::Live);
}

#[test]
fn a_reconnect_calls_off_the_rest_that_a_slot_is_being_drained_for() {
    let mut config = restless(1);
    config.hygiene.enabled = true;
    let mut bench = Bench::running(config);
    while drains(&mut bench) == 0 {
        bench.pass_to(bench.seconds() + 5.0);
        bench.poke(bench.slot(0));
    }
    bench.input(Input::Reconnect);
    end_all(&mut bench);
    assert_eq!(bench.take_connects().len(), 1);
}

#[test]
fn a_connection_that_hangs_while_it_is_drained_for_a_pause_still_holds_the_mark() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(1_000.0);
    let connection = bench.slot(0);
    bench.input(Input::Pause);
    bench.pass_to(2_000.0);
    assert_eq!(bench.killed(), [connection], "a drain is bounded");
    bench.end(connection, End::Killed);
    assert_eq!(bench.policy.suspects(), 1);
    let states: Vec<_> = bench.policy.slots().collect();
    assert_eq!(states, [(SlotId(0), SlotState::Idle, false)]);
}

/// Longer than anybody waits.
const ENDLESS: Option<Duration> = Some(Duration::from_secs(1 << 63));

/// What an operator may do; a pause is over only with what follows it.
const ACTS: [&[Input]; 4] =
    [&[Input::Reconnect], &[Input::Recover], &[Input::Pause, Input::Resume], &[Input::TryNow]];

#[test]
fn whatever_an_operator_does_ends_the_wait_that_the_service_asks_for() {
    for acts in ACTS {
        let mut bench = Bench::running(restless(2));
        bench.poke_until(60.0);
        end_all(&mut bench);
        let refusal = Refusal::Unavailable { status: 503, retry_after: ENDLESS };
        for connection in bench.take_connects() {
            bench.end(connection, End::Refused(refusal));
        }
        bench.pass_to(3_600.0);
        assert_eq!(bench.take_connects(), [], "{acts:?}: the service has asked for longer");
        for act in acts {
            bench.input(act.clone());
        }
        if acts.contains(&Input::Recover) {
            bench.answer(&Call::Delete { id: StreamId("s1".into()) }, Answer::Deleted);
            bench.answer_create("s2");
        }
        assert_eq!(bench.take_connects().len(), 1, "{acts:?}: tried at once");
    }
}

#[test]
fn whatever_an_operator_does_ends_the_wait_of_a_call() {
    for acts in ACTS {
        let mut bench = Bench::new(restless(1));
        bench.start(None);
        let failure = CallFailure::Unavailable { status: Some(503), acted: false };
        bench.answer(&Call::List, Answer::Failed { failure, retry_after: ENDLESS });
        bench.pass_to(3_599.0);
        assert_eq!(bench.calls(), []);
        for act in acts {
            bench.input(act.clone());
        }
        assert_eq!(bench.calls(), [Call::List], "{acts:?}: tried at once");
    }
}

#[test]
fn nobody_waits_longer_than_the_bound_and_what_was_asked_for_is_said_once() {
    let mut config = restless(3);
    config.backoff.retry_after_max = Duration::from_secs(600);
    let mut bench = Bench::running(config);
    bench.poke_until(60.0);
    end_all(&mut bench);
    let refusal = Refusal::Unavailable { status: 503, retry_after: ENDLESS };
    for connection in bench.take_connects() {
        bench.end(connection, End::Refused(refusal));
    }
    let said = |report: &&policy::Report| {
        let wait = Duration::from_secs(600);
        **report == policy::Report::AskedToWait { asked: Duration::from_secs(1 << 63), wait }
    };
    assert_eq!(bench.common.iter().filter(said).count(), 1);
    bench.pass_to(659.0);
    assert_eq!(bench.take_connects(), []);
    bench.pass_to(661.0);
    assert_eq!(bench.take_connects().len(), 1);
}
