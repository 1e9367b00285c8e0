//! The service's limits, and ours: fewer connections than configured, many connections, high rates.

use std::time::Duration;

use serde_json::json;

use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::server::StateView;

use super::support::{Scenario, Service, calls};

#[test]
fn twenty_configured_and_three_allowed() {
    let scenario = Scenario::with(Service::process(&["--members-max=3"]), |settings| {
        settings.with("connections", 20)
    });
    let used = |state: &StateView| state.streams.iter().any(|stream| stream.members == 3);
    scenario.service.wait_state("three connections", used);
    // The limit holds on a fresh stream, too.
    scenario.service.fault(json!({"kind": "hang"}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    scenario.service.wait_state("three connections", used);
    let finished = scenario.finish();
    assert_eq!(calls(&finished.state, Call::Connect), 6, "no more were tried, on either stream");
    let said = finished.log.said("connections for this stream");
    assert_eq!(said.len(), 1, "one line says why: {said:?}");
    assert_eq!(said[0].number("allowed"), 3);
    assert_eq!(said[0].number("configured"), 20);
}

/// Twenty connections, ten seconds and a hang. The full rate takes a release build:
/// `STREAMKEEPER_E2E_RATE=5000 cargo test --release -p streamkeeper-cli --test e2e twenty_slots`.
#[test]
fn twenty_slots_at_a_high_rate() {
    let rate = std::env::var("STREAMKEEPER_E2E_RATE").ok();
    let rate: u64 = rate.map_or(RATE, |rate| rate.parse().expect("events per second"));
    let mut config = Service::scaled();
    config.model.users = 2_000;
    config.model.events_per_hour = rate * 3_600;
    config.model.history_for = 0;
    let scenario =
        Scenario::with(Service::inside(config), |settings| settings.with("connections", 20));
    scenario.service.wait_state("twenty connections", |state| state.open.len() == 20);
    let before = scenario.service.summary().versions;
    scenario.service.wait_time(Duration::from_secs(5));
    scenario.service.fault(json!({"kind": "hang", "count": 2}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    scenario.service.wait_time(Duration::from_secs(2));
    let versions = scenario.service.summary().versions;
    assert!(versions - before >= rate * 7, "{versions}");
    scenario.finish();
}

/// Events per second, in the dev profile and beside other tests.
const RATE: u64 = 2_000;
