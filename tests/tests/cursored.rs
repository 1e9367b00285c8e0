//! Two hundred seeds of the simulation of streams that go on from a cursor; `make sim FAMILY=cursored` runs
//! more.

use streamkeeper_tests::cursored::{Plan, run};

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
