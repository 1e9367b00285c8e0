//! Killed at random moments, again and again, with hangs between: nothing lost, nothing twice.
//!
//! `make torture` is the long form: `TORTURE_KILLS` and `TORTURE_RATE` (events per second) say how
//! often and how much, `TORTURE_SEED` repeats the same moments.

use std::time::Duration;

use serde_json::json;

use super::support::{RECOVERED, Scenario, Service, wait_for_within};

/// At the end everything that was ever sent is read again at once.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn killed_at_random_moments() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = given("TORTURE_KILLS").unwrap_or(5);
    let rate = given("TORTURE_RATE").unwrap_or(500);
    let seed = given("TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{kills} kills at {rate} events a second, TORTURE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let service = Service::process(&[&format!("--rate={rate}")]);
    let mut scenario = Scenario::begin(service, |settings| settings);
    for kill in 1..=kills {
        // From the middle of the opening to long after the history has been read.
        scenario.service.wait_time(Duration::from_millis(random.u64(20..4_000)));
        if random.u8(..3) == 0 {
            scenario.service.fault(json!({"kind": "hang", "all": random.bool()}));
            scenario.service.wait_time(Duration::from_millis(random.u64(0..4_000)));
        }
        let recovered = scenario.keeper.log().said(RECOVERED).len();
        scenario.keeper.restart();
        // Most come before the replay has been read: then the next one begins where this one began.
        // To wait for each would never end: what has to be read again grows while it is read.
        if kill == kills || random.u64(..kills.max(10)) < 5 {
            wait_for_within(PATIENCE, "a recovery", || {
                (scenario.keeper.log().said(RECOVERED).len() > recovered).then_some(())
            });
        }
        if kill % 10 == 0 {
            eprintln!("{kill} kills, {} lines in the file", scenario.keeper.delivered());
        }
    }
    let finished = scenario.finish();
    eprintln!("{}", finished.report);
}
