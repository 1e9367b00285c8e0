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

#[test]
fn twenty_slots_at_five_thousand_events_a_second() {
    let mut config = Service::scaled();
    config.model.users = 2_000;
    config.model.events_per_hour = RATE * 3_600;
    config.model.history_for = 0;
    let scenario =
        Scenario::with(Service::inside(config), |settings| settings.with("connections", 20));
    scenario.service.wait_state("twenty connections", |state| state.open.len() == 20);
    let before = scenario.service.summary().versions;
    scenario.service.wait_time(Duration::from_secs(4));
    scenario.service.fault(json!({"kind": "hang", "count": 2}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    let versions = scenario.service.summary().versions - before;
    assert!(versions >= RATE * 6, "{versions} events in six seconds and more");
    scenario.finish();
}

/// Events per second.
const RATE: u64 = 5_000;
