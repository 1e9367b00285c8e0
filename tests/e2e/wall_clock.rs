//! Our own wall clock is set while the process runs, by hours and by weeks: it decides nothing.

use serde_json::{Value, json};
use streamkeeper_simulator::model::{self, DAY, SECOND};
use streamkeeper_simulator::record::{ConnectionForm, Style, rfc3339};
use streamkeeper_simulator::server::SimulatorConfig;

use super::support::{
    Keeper, Line, RECOVERED, RECOVERING, Scenario, Service, Settings, WallClock, command,
    run_to_end, wait_for,
};

const HOUR: i64 = 3_600;

/// More than the service's history and the ledger's retention are long.
const FORTY_DAYS: i64 = 40 * 24 * HOUR;

/// Far less than any jump, and more than a busy machine takes.
const LAG_MAX: u64 = 120 * SECOND;

#[test]
fn a_clock_that_jumps_across_midnight() {
    there_and_back(|now_ms| ((DAY - now_ms % DAY) / SECOND) as i64 + 3 * HOUR);
}

#[test]
fn a_clock_that_jumps_back_by_hours() {
    there_and_back(|_| -5 * HOUR);
}

#[test]
fn a_clock_that_jumps_by_forty_days() {
    there_and_back(|_| FORTY_DAYS);
}

/// Jumps just before a hang, and back while the next one is being recovered.
fn there_and_back(ahead: impl Fn(u64) -> i64) {
    let (scenario, clock) = with_a_clock();
    let ahead = ahead(scenario.service.state().now_ms);
    clock.set(ahead);
    scenario.service.fault(json!({"kind": "hang"}));
    let started = scenario.keeper.wait_said(RECOVERING, 1);
    assert_said(&scenario, &started, ahead);
    assert_starts_with_the_mark(&scenario, &started, 1);

    scenario.service.fault(json!({"kind": "hang"}));
    let started = scenario.keeper.wait_said(RECOVERING, 2);
    clock.set(0);
    assert_starts_with_the_mark(&scenario, &started, 2);
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERED).len(), 2, "and no other recovery");
}

#[test]
fn a_clock_that_jumps_by_weeks_while_a_hang_is_being_recovered_and_stays_there() {
    let (mut scenario, clock) = with_a_clock();
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.keeper.wait_said(RECOVERING, 1);
    clock.set(FORTY_DAYS);
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    scenario.keeper.wait_said("verified: ", 1);

    // What is old is forgotten at a stop, too; the next start believes that it was away for weeks. It asks for
    // all that the service keeps, not for a day by that clock, and finds nothing lost.
    scenario.keeper.stop();
    scenario.keeper.restart();
    let started = scenario.keeper.wait_said(RECOVERING, 2);
    assert_eq!(started.text("reason"), "checkpoint_expired");
    assert_said(&scenario, &started, FORTY_DAYS);
    clock.set(0);
    scenario.wait_recovered(2);
    assert!(scenario.service.streams()[0]["start_date"].is_null(), "not by our own clock");
    let finished = scenario.finish();
    assert!(finished.log.said("lost for good").is_empty());
}

#[test]
fn a_clock_that_nobody_has_set_is_a_warning_and_nothing_to_fail_for() {
    let service = Service::process(&[]);
    let now = jiff::Timestamp::now();
    let clock = WallClock::ahead_by(60 - now.as_second());
    let today = now.strftime("%Y-%m-%d").to_string();
    let file = Settings::scaled(&service.url).with("start_date", &*today).file();
    let keeper = Keeper::start_with(&file, &clock.environment());
    let scenario = Scenario { keeper, service }.live();
    let said = scenario.keeper.wait_said("the clock says 1970-01-01", 1);
    assert_eq!(said.text("level"), "WARN");

    let checked = run_to_end(command(&scenario.keeper, &["check"]).envs(clock.environment()));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("a warning: the clock says 1970-01-01"), "{checked:?}");
    let seen = command(&scenario.keeper, &["doctor", "--offline"]);
    let seen = run_to_end({ seen }.envs(clock.environment()));
    assert!(seen.stdout.contains("WARNING  clock: the clock says 1970-01-01"), "{seen:?}");
    // With its own clock set, everything is as it would have been.
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.wait_recovered(1);
    clock.set(0);
    scenario.finish();
}

#[test]
fn what_has_no_time_of_its_own_is_known_after_a_jump() {
    let scaled = Service::scaled();
    let model = model::Config { connection_permille: 100, ..scaled.model };
    let style = Style { connections: ConnectionForm::Older, ..scaled.style };
    let service = Service::inside(SimulatorConfig { model, style, ..scaled });
    let clock = WallClock::ahead_by(0);
    let connections = "[[stream]]\nevent_types = [\"connection\"]";
    let file = Settings::scaled(&service.url).file().replace("[[stream]]", connections);
    let mut keeper = Keeper::start_with(&file, &clock.environment());
    let live = |keeper: &Keeper, times| keeper.wait_said("the stream is live", times);
    live(&keeper, 1);
    wait_for("a first event", || (keeper.delivered() > 0).then_some(()));
    clock.set(2 * FORTY_DAYS);
    wait_for("events that bear no time", || (keeper.delivered() > 50).then_some(()));
    service.generate(0.0);
    replay(&keeper, &service);

    // A stop seals what is weeks old, as it seems. Then the clocks agree again, and another one
    // forgets what is outside of the retention.
    keeper.stop();
    keeper.restart();
    live(&keeper, 2);
    clock.set(0);
    keeper.stop();
    keeper.restart();
    live(&keeper, 3);
    replay(&keeper, &service);
    keeper.stop();
    let delivered = std::fs::read_to_string(keeper.output()).unwrap();
    let id = |line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string();
    let mut ids: Vec<_> = delivered.lines().map(id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "each of them is accepted once");
}

/// Reads everything again that the service has.
#[track_caller]
fn replay(keeper: &Keeper, service: &Service) {
    let yesterday = &rfc3339(service.state().now_ms - DAY)[..10];
    let ended = run_to_end(&mut command(keeper, &["replay", "acme", "--from", yesterday]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("connection"), "{}", ended.stdout);
}

/// A scenario whose keeper goes by a clock that can be set.
fn with_a_clock() -> (Scenario, WallClock) {
    let service = Service::process(&[]);
    let clock = WallClock::ahead_by(0);
    let file = Settings::scaled(&service.url).file();
    let keeper = Keeper::start_with(&file, &clock.environment());
    (Scenario { keeper, service }.live(), clock)
}

/// The line was written by a clock that is so far ahead of the service's.
#[track_caller]
fn assert_said(scenario: &Scenario, line: &Line, ahead: i64) {
    let expected = scenario.service.state().now_ms.saturating_add_signed(ahead * SECOND as i64);
    let (said, latest) = (line.text("ts"), rfc3339(expected + SECOND));
    let earliest = rfc3339(expected - LAG_MAX);
    assert!(*earliest < *said && *said < *latest, "{said}: its clock has not jumped by {ahead} s");
}

/// The recovery that has begun reads again from the mark's day, and the mark is in the service's time.
#[track_caller]
fn assert_starts_with_the_mark(scenario: &Scenario, started: &Line, times: usize) {
    let (mark, now) = (started.text("mark").to_owned(), scenario.service.state().now_ms);
    assert!(*rfc3339(now - LAG_MAX) < *mark && *mark < *rfc3339(now), "{mark}");
    scenario.wait_recovered(times);
    assert_eq!(scenario.service.start_date(), mark[..10], "not by our own clock");
}
