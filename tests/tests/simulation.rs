//! Three hundred seeds of the simulation; `make sim` runs more.

#![allow(clippy::expect_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};

use streamkeeper_tests::{Plan, run};

const SEEDS: u64 = 300;

#[test]
fn no_seed_loses_an_event_or_claims_a_false_mark() {
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > SEEDS {
                    return;
                }
                if let Some(violation) = run(Plan::draw(seed), false).violation {
                    panic!("seed {seed}: {}\n    make sim SEED={seed} RUNS=1", violation.what);
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn a_seed_is_a_run_and_the_same_run_every_time() {
    for seed in [3, 5, 8] {
        let [one, two] = [(); 2].map(|()| run(Plan::draw(seed), false));
        assert_eq!((one.steps, one.accepted, one.lasted), (two.steps, two.accepted, two.lasted));
    }
}
