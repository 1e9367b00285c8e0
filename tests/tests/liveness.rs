//! Named scenarios of liveness: one trouble each, after which everything is live and caught up
//! within the bounds of `world::phases`, with many seeds.

use streamkeeper_core::marked::establish::CallFailure;
use streamkeeper_simulator::model::{DAY, HOUR, MINUTE, SECOND, Span};
use streamkeeper_tests::fault::{CallKind, CrashKind, Fault, Refused, Which};
use streamkeeper_tests::{Outcome, Plan, run};

/// Twenty seeds of a calm run in production times over eight, with these faults.
fn heals_from(faults: &[(u64, Fault)], adjust: impl Fn(&mut Plan)) -> Vec<Outcome> {
    let outcomes = (1..=20).map(|seed| {
        let mut plan = Plan::calm(seed, 8);
        plan.service.notice_after = Span::between(0, 2_000);
        plan.service.release_after = Span::between(0, 3_000);
        plan.service.rebalance_takes = Span::between(0, 1_500);
        plan.faults = faults.to_vec();
        plan.faults_end = faults.iter().map(|(at, _)| *at).max().unwrap_or(0) + MINUTE;
        adjust(&mut plan);
        let outcome = run(plan, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        outcome
    });
    outcomes.collect()
}

fn recoveries(outcomes: &[Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.recoveries).sum()
}

const LATER: u64 = 5 * MINUTE;

#[test]
fn a_hang_of_one_or_all_is_one_recovery() {
    for which in [Which::One, Which::All] {
        let outcomes = heals_from(&[(LATER, Fault::Hang { which, deaf: false })], |plan| {
            plan.policy.hygiene.enabled = false;
        });
        assert_eq!(recoveries(&outcomes), 20);
    }
}

#[test]
fn a_record_that_takes_minutes_to_arrive_is_no_silence() {
    for which in [Which::One, Which::All] {
        // Eight minutes; the default bound is ten.
        let slow = Fault::SlowFrame { which, bytes_per_s: 80_000, lasts: MINUTE };
        let outcomes = heals_from(&[(LATER, slow)], |plan| plan.policy.hygiene.enabled = false);
        assert_eq!(recoveries(&outcomes), 0, "{which:?}");
    }
}

#[test]
fn a_trickle_and_a_frame_without_end_are_recovered_from() {
    let trickle = Fault::SlowFrame { which: Which::One, bytes_per_s: 100, lasts: MINUTE };
    let endless = Fault::SlowFrame { which: Which::One, bytes_per_s: 80_000, lasts: 2 * MINUTE };
    for slow in [trickle, endless] {
        let outcomes = heals_from(&[(LATER, slow)], |plan| plan.policy.hygiene.enabled = false);
        assert_eq!(recoveries(&outcomes), 20, "{slow:?}");
    }
}

#[test]
fn a_second_hang_during_the_replay_starts_over() {
    let hang = Fault::Hang { which: Which::One, deaf: true };
    let outcomes = heals_from(&[(LATER, hang), (LATER + 30 * SECOND, hang)], |plan| {
        plan.policy.hygiene.enabled = false;
    });
    assert!(recoveries(&outcomes) > 20);
}

#[test]
fn members_held_for_a_quarter_of_an_hour_are_left_behind() {
    let hang = Fault::Hang { which: Which::All, deaf: true };
    heals_from(&[(LATER, hang)], |_| {});
    // Without room for another stream it takes until the service lets go.
    heals_from(&[(LATER, hang)], |plan| plan.other_streams = 4);
}

#[test]
fn lost_answers_and_refusals_during_a_recovery_delay_it_only() {
    let hang = (LATER, Fault::Hang { which: Which::One, deaf: false });
    let after = LATER + 4 * SECOND;
    for acted in [false, true] {
        heals_from(&[hang, (after, Fault::LoseAnswers { acted, calls: 3 })], |_| {});
    }
    for status in [401, 403, 429, 500, 503] {
        let retry_after = (status == 429).then_some(9);
        let refuse = Fault::Refuse { what: Refused::Both, status, retry_after, lasts: 2 * MINUTE };
        heals_from(&[hang, (after, refuse)], |_| {});
    }
}

#[test]
fn one_kind_of_call_that_is_refused_makes_no_storm_and_delays_a_recovery_only() {
    let hang = (LATER, Fault::Hang { which: Which::One, deaf: false });
    for kind in [CallKind::List, CallKind::Delete, CallKind::Create] {
        for failure in [
            CallFailure::Held,
            CallFailure::NameTaken,
            CallFailure::StreamLimit,
            CallFailure::Token { status: 403 },
            CallFailure::Rejected { status: 400 },
            CallFailure::Unavailable { status: Some(500), acted: true },
        ] {
            let refuse = Fault::RefuseCall { kind, failure, lasts: 4 * MINUTE };
            heals_from(&[(LATER - SECOND, refuse), hang], |plan| {
                plan.other_streams = if plan.seed % 2 == 0 { 4 } else { 0 };
            });
        }
    }
}

#[test]
fn a_cut_network_comes_back() {
    heals_from(&[(LATER, Fault::NetworkCut { lasts: 4 * MINUTE })], |_| {});
}

#[test]
fn attempts_met_with_silence_lose_nothing() {
    for deaf in [false, true] {
        let silence = Fault::Silence { deaf, lasts: 2 * MINUTE };
        let end = Fault::End { which: Which::All };
        heals_from(&[(LATER, silence), (LATER + SECOND, end)], |_| {});
    }
}

#[test]
fn a_suspended_process_recovers_nothing_that_it_did_not_lose() {
    let outcomes = heals_from(&[(LATER, Fault::Suspend { lasts: 2 * MINUTE })], |plan| {
        plan.socket_frames = 10_000;
        plan.policy.hygiene.enabled = false;
    });
    assert_eq!(recoveries(&outcomes), 0);
}

#[test]
fn a_full_queue_ends_in_a_recovery_when_there_is_room() {
    let slow = Fault::SlowCommits { each: 10 * SECOND, lasts: 2 * MINUTE };
    heals_from(&[(LATER, slow), (LATER, Fault::Burst { events: 300 })], |plan| {
        plan.queue_frames = 16;
        plan.commit_frames = 16;
    });
}

#[test]
fn days_of_downtime_are_read_again() {
    for down in [2 * DAY, 8 * DAY] {
        heals_from(&[(LATER, Fault::Restart { down })], |plan| plan.rate_away = 4);
        let kind = CrashKind::Power;
        heals_from(&[(LATER, Fault::Crash { kind, down })], |plan| plan.rate_away = 4);
    }
}

#[test]
fn a_crash_around_midnight_reads_the_day_of_the_mark() {
    let kind = CrashKind::Process;
    heals_from(&[(LATER, Fault::Crash { kind, down: SECOND })], |plan| {
        plan.start = plan.start - 9 * HOUR - LATER - plan.seed * 3 * SECOND;
    });
}

#[test]
fn an_evicted_stream_is_made_again() {
    heals_from(&[(LATER, Fault::Evict)], |_| {});
}

#[test]
fn fewer_clients_allowed_than_configured_is_no_trouble() {
    for max in [1, 2] {
        heals_from(&[(LATER, Fault::MembersMax { max })], |plan| plan.policy.connections = 8);
    }
}

#[test]
fn a_foreign_client_is_left_for_a_stream_of_our_own() {
    for deaf in [false, true] {
        heals_from(&[(LATER, Fault::Foreign { deaf, lasts: 3 * MINUTE })], |plan| {
            plan.faults_end += 10 * MINUTE;
        });
    }
}

#[test]
fn production_times_hold_too() {
    let hang = Fault::Hang { which: Which::One, deaf: true };
    heals_from(&[(50 * MINUTE, hang)], |plan| {
        let calm = Plan::calm(plan.seed, 1);
        *plan = Plan { faults: plan.faults.clone(), faults_end: HOUR, ..calm };
    });
}

#[test]
fn an_operators_replay_reads_everything_beside_the_stream() {
    for dry_run in [false, true] {
        let outcomes = heals_from(&[(LATER, Fault::Replay { days: 1, dry_run })], |_| {});
        assert!(outcomes.iter().all(|outcome| outcome.replays == 1 && outcome.recoveries == 0));
    }
}

#[test]
fn an_operators_replay_that_is_disturbed_comes_to_an_end() {
    let replay = (LATER, Fault::Replay { days: 1, dry_run: false });
    let soon = LATER + 30 * SECOND;
    for trouble in [
        Fault::Hang { which: Which::All, deaf: true },
        Fault::NetworkCut { lasts: MINUTE },
        Fault::Crash { kind: CrashKind::Power, down: SECOND },
        Fault::Restart { down: SECOND },
        Fault::Pause { lasts: MINUTE },
        Fault::SlowCommits { each: 2 * SECOND, lasts: MINUTE },
    ] {
        heals_from(&[replay, (soon, trouble)], |plan| plan.queue_frames = 16);
    }
}
