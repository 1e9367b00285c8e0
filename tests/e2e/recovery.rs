//! Hangs, in all their forms: noticed, answered by a new stream, and nothing is lost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use streamkeeper_simulator::checker::Expected;
use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::model::{DAY, SECOND, day_of, day_start};
use streamkeeper_simulator::record::rfc3339;

use super::support::{
    Keeper, RECOVERED, RECOVERING, STREAM, Scenario, Service, Settings, WallClock, wait_for,
};

#[test]
fn one_hang() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "hang"}));
    let recovered = scenario.wait_recovered(1);
    assert!(recovered.number("recovered") > 0, "the hang has cost events: {recovered:?}");
    let finished = scenario.finish();
    let started = finished.log.said(RECOVERING);
    assert_eq!(started.len(), 1, "one hang, one recovery");
    assert_eq!(started[0].text("reason"), "stale");
    assert_eq!(started[0].number("connections"), 3, "all are terminated, not the silent one alone");
    assert_eq!(finished.state.call_counts[&Call::Create], 2);
    assert_eq!(finished.state.streams.len(), 1, "the old stream is gone");
}

#[test]
fn a_hang_in_mid_event() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "hang", "mid_event": true}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 1);
}

#[test]
fn all_slots_hang() {
    let scenario = Scenario::start();
    assert_eq!(scenario.service.fault(json!({"kind": "hang", "all": true})).len(), 3);
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 1, "three silences, one incident");
}

#[test]
fn a_second_hang_while_the_first_is_being_recovered() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.keeper.wait_said(RECOVERING, 1);
    let before = scenario.service.state().connections.last().unwrap().number;
    let state = scenario.service.wait_state("the new stream's connections", |state| {
        state.connections.iter().filter(|c| c.number > before && c.events > 0).count() == 3
    });
    let newest = state.connections.last().unwrap().number;
    scenario.service.fault(json!({"kind": "hang", "which": [newest]}));
    scenario.keeper.wait_said(RECOVERING, 2);
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERED).len(), 1, "one incident, two recoveries");
    assert_eq!(finished.state.call_counts[&Call::Create], 3);
}

#[test]
fn a_hang_while_days_of_backlog_flow() {
    // Three days at one event in ten seconds, then the usual rate.
    let service = Service::process(&["--history=3d", "--rate=0.1", "--history-rate=1500"]);
    service.generate(500.0);
    let yesterday = day_of(service.state().now_ms - DAY);
    let start_date = rfc3339(day_start(yesterday))[..10].to_owned();
    let scenario =
        Scenario::begin(service, |settings| settings.with("start_date", start_date.as_str()));
    wait_for("some of the backlog", || (scenario.keeper.delivered() > 1_000).then_some(()));
    assert_eq!(scenario.service.start_date(), start_date, "created where it was configured");
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.keeper.wait_said(RECOVERING, 1);
    scenario.wait_recovered(1);
    assert_eq!(scenario.service.start_date(), start_date, "and made again there, not earlier");
    let created_from = Some(day_start(yesterday));
    let finished = scenario.finish_expecting(&Expected { created_from, ..Expected::default() });
    assert!(finished.report.expected > 8_640, "at least a day of backlog");
}

#[test]
fn a_network_that_is_away_for_a_while() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "refused", "for_ms": 6_000}));
    scenario.service.fault(json!({"kind": "hang", "all": true}));
    scenario.keeper.wait_degraded("service_unavailable");
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    scenario.finish();
}

#[test]
fn a_member_that_the_service_holds_after_a_hang() {
    let scenario = Scenario::with(Service::process(&["--hold-for=8s"]), |settings| settings);
    scenario.service.fault(json!({"kind": "hang", "deaf": true}));
    scenario.keeper.wait_said(RECOVERING, 1);
    let name = format!("{STREAM}~2");
    let state = scenario.service.wait_state("a stream alongside", |state| {
        state.streams.iter().any(|stream| stream.name == name)
    });
    assert_eq!(state.streams.len(), 2, "the old one cannot be deleted yet");
    scenario.wait_recovered(1);
    let state = scenario
        .service
        .wait_state("the old stream to be deleted", |state| state.streams.len() == 1);
    assert_eq!(state.streams[0].name, name);
    scenario.finish();
}

#[test]
fn clocks_a_quarter_of_an_hour_apart() {
    for skew in ["--clock-skew=900", "--clock-skew=-900"] {
        let scenario = Scenario::with(Service::process(&[skew]), |settings| settings);
        scenario.service.fault(json!({"kind": "hang"}));
        assert!(scenario.wait_recovered(1).number("recovered") > 0);
        let day = rfc3339(scenario.service.state().now_ms - 60 * SECOND)[..10].to_owned();
        let started = scenario.keeper.wait_said(RECOVERING, 1);
        assert!(started.text("mark").starts_with(&day), "the mark is in the service's time");
        scenario.finish();
    }
}

#[test]
fn a_stall_across_midnight_with_our_clock_a_quarter_of_an_hour_ahead() {
    across_midnight(900);
}

#[test]
fn a_stall_across_midnight_with_our_clock_a_quarter_of_an_hour_behind() {
    across_midnight(-900);
}

/// `ahead`: by so many seconds our clock is ahead of the service's.
fn across_midnight(ahead: i64) {
    let service = Service::process(&["--before-midnight=15s"]);
    let now = service.state().now_ms;
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let clock = WallClock::ahead_by((now / SECOND) as i64 - ours.as_secs() as i64 + ahead);
    let settings = Settings::scaled(&service.url);
    let keeper = Keeper::start_with(&settings.file(), &clock.environment());
    let scenario = Scenario { keeper, service }.live();

    let midnight = (now / DAY + 1) * DAY;
    let day = |at| rfc3339(at)[..10].to_owned();
    let (old, new) = (day(midnight - 1), day(midnight));
    let logged = scenario.keeper.log().said("live");
    let said_at = logged.first().expect("it is live").text("ts").to_owned();
    assert_eq!(said_at.starts_with(&new), ahead > 0, "its clock is moved: {said_at}");

    // Hangs before midnight, is noticed after it. Without a mark there would be no day to read from.
    scenario.keeper.wait_said("caught up with the stream's history", 1);
    assert!(scenario.service.state().now_ms < midnight - 1_500, "too slow a machine for this test");
    scenario.service.wait_until(midnight - 1_500);
    scenario.service.fault(json!({"kind": "hang"}));
    let started = scenario.keeper.wait_said(RECOVERING, 1);
    assert!(scenario.service.state().now_ms >= midnight, "the stall spans midnight");
    let mark = started.text("mark");
    assert!(mark.starts_with(&old), "{mark}");
    scenario.wait_recovered(1);
    assert_eq!(scenario.service.start_date(), old, "read again from the day of the mark");

    // A later one starts on the new day.
    scenario.service.wait_until(midnight + 10 * SECOND);
    scenario.service.wait_time(Duration::from_secs(3));
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.wait_recovered(2);
    assert_eq!(scenario.service.start_date(), new, "read again from the day of the mark");
    scenario.finish();
}
