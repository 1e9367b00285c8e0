//! Two hundred seeds of the simulation of streams that go on from a cursor; `make sim FAMILY=cursored` runs
//! more.

use streamkeeper_tests::cursored::{Plan, plan::Naive, run};

const SEEDS: u64 = 200;

#[test]
fn no_event_is_missing_without_a_word_and_no_gap_is_made_up() {
    let (mut gaps, mut accepted, mut processes) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let outcome = run(Plan::draw(seed), false);
        if let Some((after, what)) = outcome.violation {
            panic!(
                "seed {seed} after {after} ms: {what}\n    make sim FAMILY=cursored SEED={seed} RUNS=1"
            );
        }
        gaps += outcome.gaps;
        accepted += outcome.accepted;
        processes += outcome.processes;
    }
    assert!(gaps > 100 && accepted > 10_000 && processes > 500, "{gaps} {accepted} {processes}");
}

#[test]
fn a_seed_is_a_run_and_the_same_run_every_time() {
    for seed in [3, 5, 8] {
        let [one, two] = [(); 2].map(|()| run(Plan::draw(seed), false));
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
}

/// How many of the seeds find it.
fn found(naive: Naive, suits: impl Fn(&Plan) -> bool) -> usize {
    let plans = (1..).map(Plan::draw).filter(suits).take(60);
    let runs = plans.map(|plan| run(Plan { naive: Some(naive), ..plan }, false));
    runs.filter(|outcome| outcome.violation.is_some()).count()
}

#[test]
fn a_shell_that_reads_on_behind_a_sign_forgets_gaps() {
    let suits = |plan: &Plan| plan.ids && plan.cursor_in_commit && plan.config.resync;
    assert!(found(Naive::ReadsOn, suits) > 0);
}

#[test]
fn a_keeper_that_starts_with_an_old_cursor_delivers_twice_what_has_no_identity() {
    assert!(found(Naive::OldState, |plan| plan.ids && !plan.identity) > 0);
}

#[test]
fn a_ledger_that_says_too_early_that_all_is_committed_is_asked_for_it_again() {
    assert!(found(Naive::FlushedAtOnce, |_| true) > 0);
}
