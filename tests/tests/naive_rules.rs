//! The naive rules of `recovery.md`, each in a scenario in which it fails and ours holds.
//!
//! Every scenario is run with many seeds: a naive rule fails in some of them, ours in none.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use streamkeeper_simulator::model::{HOUR, MINUTE, Pokes, SECOND, Span};
use streamkeeper_tests::fault::{CrashKind, Fault, Which};
use streamkeeper_tests::naive::Naive;
use streamkeeper_tests::{Outcome, Plan, run};

const SEEDS: u64 = 30;

/// How many of the seeds fail, and with what.
fn failures(plan: impl Fn(u64) -> Plan, fails: impl Fn(&Outcome) -> bool) -> usize {
    (1..=SEEDS).filter(|seed| fails(&run(plan(*seed), false))).count()
}

fn violates(outcome: &Outcome) -> bool {
    outcome.violation.is_some()
}

/// Ours holds in every seed of the scenario.
fn ours_holds(plan: impl Fn(u64) -> Plan) {
    for seed in 1..=SEEDS {
        let outcome = run(plan(seed), false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert!(outcome.accepted > 100, "seed {seed}: a scenario in which nothing happens");
    }
}

/// Ours holds where the naive rule violates something.
fn fails_where_ours_holds(naive: Naive, scenario: impl Fn(u64) -> Plan) -> usize {
    ours_holds(&scenario);
    let naive = |seed| Plan { naive: Some(naive), ..scenario(seed) };
    failures(naive, violates)
}

/// Three connections, ten times as fast as in production, a service that takes its time.
fn busy(seed: u64) -> Plan {
    let mut plan = Plan::calm(seed, 10);
    plan.policy.verify_every = Some(Duration::from_secs(300));
    plan.service.notice_after = Span::between(100, 1_500);
    plan.service.release_after = Span::between(100, 2_000);
    plan.service.rebalance_takes = Span::between(100, 1_000);
    plan.service.walk = Span::between(5_000, 50_000);
    plan.service.queueing_delay_max = 5_000;
    plan.rate = 6_000;
    plan.faults_end = 10 * MINUTE;
    plan
}

fn every(plan: &mut Plan, seconds: u64, fault: Fault) {
    let mut at = 100 * SECOND;
    while at < plan.faults_end {
        plan.faults.push((at, fault));
        at += seconds * SECOND;
    }
}

fn resets(seed: u64) -> Plan {
    let mut plan = busy(seed);
    every(&mut plan, 31, Fault::Reset { which: Which::One, middle: true });
    plan
}

#[test]
fn trusting_the_redelivery_after_a_reset_loses_events() {
    let failed = fails_where_ours_holds(Naive::TrustRedelivery, resets);
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn recreating_on_every_reset_costs_ten_times_the_recoveries() {
    let recoveries = |naive| {
        let runs = (1..=SEEDS).map(|seed| {
            let mut plan = Plan { naive, ..resets(seed) };
            plan.policy.restart.max_recoveries = 10_000;
            run(plan, false).recoveries
        });
        runs.sum::<usize>()
    };
    let (ours, naive) = (recoveries(None), recoveries(Some(Naive::RecreateOnReset)));
    assert!(naive >= 10 * ours.max(1), "{naive} against {ours}");
}

/// Little to read, so that connections rest.
fn resting(seed: u64) -> Plan {
    let mut plan = busy(seed);
    plan.rate = 600;
    plan.service.users = 5;
    plan
}

#[test]
fn resting_by_closing_at_once_loses_events() {
    ours_holds(resting);
    let rests = (1..=SEEDS).map(|seed| run(resting(seed), false).rests).sum::<usize>();
    assert!(rests > 100, "{rests} rests");
    let naive = |seed| Plan { naive: Some(Naive::CloseAtOnce), ..resting(seed) };
    let failed = failures(naive, violates);
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn stopping_by_closing_at_once_loses_events() {
    let restarts = |seed| {
        let mut plan = busy(seed);
        plan.policy.hygiene.enabled = false;
        every(&mut plan, 67, Fault::Restart { down: 2 * SECOND });
        plan
    };
    let failed = fails_where_ours_holds(Naive::CloseAtOnce, restarts);
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn reading_to_the_end_and_a_proper_end_lose_nothing() {
    ours_holds(|seed| {
        let mut plan = resting(seed);
        // Nothing but ends: no verification mends anything here.
        plan.policy.verify_every = None;
        every(&mut plan, 23, Fault::End { which: Which::One });
        every(&mut plan, 97, Fault::Restart { down: SECOND });
        plan
    });
}

/// How often a rule of position claims a false mark, where ours never does.
fn lies(naive: Naive, scenario: impl Fn(u64) -> Plan) -> usize {
    ours_holds(&scenario);
    let naive = |seed| Plan { naive: Some(naive), ..scenario(seed) };
    failures(naive, |outcome| outcome.shadow_lied)
}

fn backlog(seed: u64) -> Plan {
    let mut plan = busy(seed);
    plan.service.history_for = 4 * HOUR;
    plan.service.events_per_hour = 200;
    plan.service.users = 60;
    plan.service.history_rate = 60;
    plan.faults.push((120 * SECOND, Fault::Hang { which: Which::One, deaf: false }));
    plan
}

#[test]
fn the_last_created_at_of_a_slot_is_no_position() {
    let failed = lies(Naive::LastCreatedAt, backlog);
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn a_poke_without_data_does_not_mean_caught_up() {
    let failed = lies(Naive::PokeMeansCaughtUp, |seed| {
        let mut plan = backlog(seed);
        plan.service.pokes = Pokes::Always;
        plan
    });
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn pokes_timed_by_a_clock_that_is_ahead_make_false_marks() {
    let failed = fails_where_ours_holds(Naive::OwnClock, |seed| {
        let mut plan = busy(seed);
        plan.skew = 15 * 60 * 1_000;
        plan.rate = 300;
        plan.policy.hygiene.enabled = false;
        plan
    });
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn adopting_after_a_crash_loses_what_was_read_and_not_yet_durable() {
    let failed = fails_where_ours_holds(Naive::AdoptAfterCrash, |seed| {
        let mut plan = busy(seed);
        plan.commit_takes = Span::between(50, 300);
        every(&mut plan, 110, Fault::Crash { kind: CrashKind::Process, down: 2 * SECOND });
        plan
    });
    assert!(failed >= SEEDS as usize / 4, "{failed} of {SEEDS}");
}

#[test]
fn a_margin_below_the_queueing_delay_makes_false_marks() {
    let queueing = |seed| {
        let mut plan = busy(seed);
        plan.service.queueing_delay_max = 25 * SECOND;
        plan.rate = 1_000;
        plan.policy.hygiene.enabled = false;
        plan
    };
    ours_holds(queueing);
    let failed = failures(
        |seed| {
            let mut plan = queueing(seed);
            plan.policy.position.margin = Duration::from_secs(1);
            plan
        },
        violates,
    );
    assert!(failed >= SEEDS as usize / 2, "{failed} of {SEEDS}");
}

#[test]
fn de_duplicating_by_id_and_checksum_ends_with_the_wrong_version() {
    let failed = fails_where_ours_holds(Naive::IdAndChecksum, |seed| {
        let mut plan = busy(seed);
        plan.service.corrected_permille = 400;
        every(&mut plan, 50, Fault::Flips { records: 3 });
        plan
    });
    assert!(failed >= SEEDS as usize * 3 / 4, "{failed} of {SEEDS}");
}
