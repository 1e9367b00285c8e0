//! Named scenarios of the strategy `replay`: nothing is lost, the stream is read on, and it is made anew for
//! these reasons only; with many seeds each.

use streamkeeper_core::marked::Strategy;
use streamkeeper_simulator::model::{DAY, MINUTE, SECOND, Span};
use streamkeeper_tests::fault::{CrashKind, Fault, Which};
use streamkeeper_tests::{Outcome, Plan, run};

/// Twenty seeds of a calm run in production times over eight, with these faults.
fn heals_from(faults: &[(u64, Fault)], adjust: impl Fn(&mut Plan)) -> Vec<Outcome> {
    let outcomes = (1..=20).map(|seed| {
        let mut plan = Plan::calm(seed, 8).with_strategy(Strategy::Replay);
        plan.policy.hygiene.enabled = false;
        plan.service.notice_after = Span::between(0, 2_000);
        plan.service.release_after = Span::between(0, 3_000);
        plan.service.rebalance_takes = Span::between(0, 1_500);
        // The replay pokes for long before it brings anything.
        plan.service.replay_walk = Span::between(30_000, 60_000);
        plan.faults = faults.to_vec();
        plan.faults_end = faults.iter().map(|(at, _)| *at).max().unwrap_or(0) + MINUTE;
        adjust(&mut plan);
        let outcome = run(plan, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        outcome
    });
    outcomes.collect()
}

/// The same stream is read from the first to the last.
fn goes_on_from(faults: &[(u64, Fault)], adjust: impl Fn(&mut Plan)) -> usize {
    let outcomes = heals_from(faults, adjust);
    let deleted: Vec<_> = outcomes.iter().map(|outcome| outcome.deletes).collect();
    assert_eq!(deleted, vec![0; outcomes.len()], "{faults:?}");
    recoveries(&outcomes)
}

fn recoveries(outcomes: &[Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.recoveries).sum()
}

/// The first reading is done by then.
const LATER: u64 = 10 * MINUTE;

/// In the middle of the replay of what happened `LATER`.
const MEANWHILE: u64 = LATER + 2 * MINUTE;

const HANG: Fault = Fault::Hang { which: Which::One, deaf: false };

#[test]
fn a_hang_of_one_or_all_is_one_recovery_on_the_same_stream() {
    for which in [Which::One, Which::All] {
        for deaf in [false, true] {
            let hang = Fault::Hang { which, deaf };
            assert_eq!(goes_on_from(&[(LATER, hang)], |_| {}), 20, "{which:?} {deaf}");
        }
    }
}

#[test]
fn a_second_stall_meanwhile_moves_the_goal_on() {
    for second in [HANG, Fault::Hang { which: Which::All, deaf: true }] {
        let stalls = [(LATER, HANG), (MEANWHILE, second)];
        assert!(goes_on_from(&stalls, |_| {}) > 20, "{second:?}");
    }
}

#[test]
fn more_than_is_ordinary_waits_and_is_read_on() {
    let stalls: Vec<_> = (0..8).map(|number| (LATER + number * MINUTE / 2, HANG)).collect();
    goes_on_from(&stalls, |plan| plan.policy.restart.max_recoveries = 3);
}

#[test]
fn a_process_that_dies_meanwhile_goes_on_with_the_same_recovery() {
    for kind in [CrashKind::Process, CrashKind::Power] {
        for at in [LATER + 5 * SECOND, MEANWHILE] {
            let crash = Fault::Crash { kind, down: SECOND };
            goes_on_from(&[(LATER, HANG), (at, crash)], |_| {});
        }
    }
}

#[test]
fn an_unclean_start_goes_on_with_the_stream_that_is_known() {
    for kind in [CrashKind::Process, CrashKind::Power] {
        let crash = (LATER, Fault::Crash { kind, down: MINUTE });
        assert_eq!(goes_on_from(&[crash], |_| {}), 20);
        // No place is free until the service has let go of the dead.
        goes_on_from(&[crash], |plan| plan.service.members_max = 3);
    }
}

#[test]
fn it_does_not_wait_for_a_verification() {
    let outcomes = heals_from(&[(LATER, HANG)], |plan| plan.policy.verify_every = None);
    // One more is the operator's, at the end.
    assert_eq!((recoveries(&outcomes), outcomes.iter().map(|o| o.deletes).sum::<usize>()), (40, 0));
}

#[test]
fn other_troubles_meanwhile_delay_it_only() {
    for trouble in [
        Fault::NetworkCut { lasts: MINUTE },
        Fault::Reset { which: Which::All, middle: true },
        Fault::Cut { which: Which::One, mid_event: true },
        Fault::Restart { down: SECOND },
        Fault::Pause { lasts: MINUTE },
        Fault::Reconnect,
        Fault::Recover,
        Fault::Suspend { lasts: 2 * MINUTE },
        Fault::SlowCommits { each: 2 * SECOND, lasts: MINUTE },
        Fault::Silence { deaf: true, lasts: MINUTE / 2 },
        Fault::MembersMax { max: 1 },
    ] {
        goes_on_from(&[(LATER, HANG), (MEANWHILE, trouble)], |plan| plan.queue_frames = 16);
    }
}

#[test]
fn what_needs_a_new_stream_gets_one() {
    for fault in [
        Fault::Evict,
        Fault::Crash { kind: CrashKind::Process, down: 8 * DAY },
        Fault::Restart { down: 8 * DAY },
    ] {
        let outcomes = heals_from(&[(LATER, fault)], |plan| plan.rate_away = 4);
        assert!(outcomes.iter().all(|outcome| outcome.deletes >= 1), "{fault:?}");
    }
    // Nobody knows what of its history is still to come.
    let outcomes = heals_from(&[(MINUTE, HANG)], |plan| plan.faults_end += 5 * MINUTE);
    assert!(outcomes.iter().all(|outcome| outcome.deletes >= 1));
}

#[test]
fn a_foreign_client_that_stays_is_left_for_a_stream_of_our_own() {
    let foreign = Fault::Foreign { deaf: false, lasts: 15 * MINUTE };
    let outcomes = heals_from(&[(LATER, foreign)], |plan| plan.faults_end += 25 * MINUTE);
    assert!(outcomes.iter().all(|outcome| outcome.deletes >= 1));
    let passes = Fault::Foreign { deaf: false, lasts: MINUTE };
    assert_eq!(goes_on_from(&[(LATER, passes)], |plan| plan.faults_end += 10 * MINUTE), 20);
}
