//! An operator pauses, resumes and reconnects: nothing is lost, and nothing spins.

use super::bench::{Bench, restless};
use crate::classify::End;
use crate::id::SlotId;
use crate::stream_policy::{Cause, Health, Input, Output, Report, SlotState};

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
