//! Named faults of the disk, after each of which everything is live and caught up with nothing lost
//! or given twice; and disks that lie, which the checkers have to see through.

use streamkeeper_ledger::fs::Lie;
use streamkeeper_simulator::model::{MINUTE, SECOND};
use streamkeeper_tests::fault::{CrashKind, DiskFault, Fault};
use streamkeeper_tests::{Plan, run};

const SEEDS: u64 = 20;

const LATER: u64 = 5 * MINUTE;

/// A calm run with these faults; every commit is followed by a new segment if `rolls`.
fn plan(seed: u64, faults: &[(u64, Fault)], rolls: bool) -> Plan {
    let mut plan = Plan::calm(seed, 8);
    plan.faults = faults.to_vec();
    plan.faults_end = faults.iter().map(|(at, _)| *at).max().unwrap_or(0) + MINUTE;
    if rolls {
        plan.storage.ledger.segment_bytes = 1;
    }
    plan
}

fn heals_from(faults: &[(u64, Fault)], rolls: bool) {
    for seed in 1..=SEEDS {
        let outcome = run(plan(seed, faults, rolls), false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert!(outcome.accepted > 100, "seed {seed}: a scenario in which nothing happens");
    }
}

fn power_cuts() -> Vec<(u64, Fault)> {
    let cut = Fault::Crash { kind: CrashKind::Power, down: SECOND };
    (0..6).map(|number| (LATER + number * MINUTE, cut)).collect()
}

/// In how many seeds the checkers see that the disk lies.
fn seen(lie: Lie) -> u64 {
    let lies = |seed| {
        let mut plan = plan(seed, &power_cuts(), true);
        plan.storage.lie = Some(lie);
        run(plan, false).violation.is_some()
    };
    (1..=SEEDS).map(|seed| u64::from(lies(seed))).sum()
}

#[test]
fn a_full_disk_that_has_room_again_loses_nothing() {
    for rolls in [false, true] {
        let fault = Fault::Disk { fault: DiskFault::Full, after: 0, lasts: MINUTE };
        heals_from(&[(LATER, fault)], rolls);
    }
}

#[test]
fn a_failed_sync_loses_nothing_though_the_power_fails_next() {
    let fault = Fault::Disk { fault: DiskFault::Sync, after: 0, lasts: 10 * SECOND };
    let cut = Fault::Crash { kind: CrashKind::Power, down: SECOND };
    heals_from(&[(LATER, fault)], false);
    heals_from(&[(LATER, fault), (LATER + 5 * SECOND, cut)], false);
}

#[test]
fn power_cuts_tear_tails_and_lose_nothing() {
    heals_from(&power_cuts(), false);
}

#[test]
fn power_cuts_while_segments_change_lose_nothing() {
    heals_from(&power_cuts(), true);
}

#[test]
fn a_disk_that_only_says_it_synced_is_seen() {
    let seen = seen(Lie::Sync);
    assert!(seen >= SEEDS / 2, "{seen} of {SEEDS}");
}

#[test]
fn a_disk_that_forgets_names_after_their_sync_is_seen() {
    let seen = seen(Lie::SyncDir);
    assert!(seen >= SEEDS / 2, "{seen} of {SEEDS}");
}
