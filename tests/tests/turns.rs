//! Three hundred seeds of the deliveries to one sink; `make sim` runs more.

use streamkeeper_tests::delivery::{DeliveryPlan, run};

#[test]
fn no_stream_starves_or_delays_another_and_each_event_is_acknowledged_once() {
    let (mut deliveries, mut failures) = (0, 0);
    for seed in 1..=300 {
        let outcome = run(DeliveryPlan::draw(seed));
        assert_eq!(outcome.violation, None, "seed {seed}");
        deliveries += outcome.deliveries;
        failures += outcome.failures;
    }
    assert!(
        deliveries > 100_000 && failures > 1_000,
        "{deliveries}, {failures}: the seeds are dull"
    );
}

/// What a seed found, each.
const SEEDS: &[(u64, &str)] =
    &[(5_888_803_656, "streams were blamed for one that had gone while it was carried")];

#[test]
fn what_was_found_stays_mended() {
    for (seed, found) in SEEDS {
        assert_eq!(run(DeliveryPlan::draw(*seed)).violation, None, "seed {seed}: {found}");
    }
}

#[test]
fn one_back_off_for_all_is_found_to_delay_others() {
    let broken = |seed: &u64| {
        let mut plan = DeliveryPlan::draw(*seed);
        plan.one_back_off_for_all = true;
        run(plan).violation.is_some()
    };
    let found = (1..=100).filter(broken).count();
    assert!(found > 20, "{found} of 100 seeds");
}
