//! Our own wall clock is set while the process runs, by hours and by weeks: it decides nothing.

use serde_json::json;
use streamkeeper_simulator::model::{DAY, SECOND};
use streamkeeper_simulator::record::rfc3339;

use super::support::{Keeper, Line, RECOVERED, RECOVERING, Scenario, Service, Settings, WallClock};

const HOUR: i64 = 3_600;

/// More than the service's history and the ledger's retention are long.
const FORTY_DAYS: i64 = 40 * 24 * HOUR;

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

    // What is old is forgotten at a stop, too; the next start believes that it was away for weeks, and
    // reads everything again.
    scenario.keeper.stop();
    scenario.keeper.restart();
    let started = scenario.keeper.wait_said(RECOVERING, 2);
    assert_eq!(started.text("reason"), "checkpoint_expired");
    assert_said(&scenario, &started, FORTY_DAYS);
    clock.set(0);
    assert_starts_with_the_mark(&scenario, &started, 2);
    scenario.finish();
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
    let earliest = rfc3339(expected - 10 * SECOND);
    assert!(*earliest < *said && *said < *latest, "{said}: its clock has not jumped by {ahead} s");
}

/// The recovery that has begun reads again from the mark's day, and the mark is in the service's time.
#[track_caller]
fn assert_starts_with_the_mark(scenario: &Scenario, started: &Line, times: usize) {
    let (mark, now) = (started.text("mark").to_owned(), scenario.service.state().now_ms);
    assert!(*rfc3339(now - 30 * SECOND) < *mark && *mark < *rfc3339(now), "{mark}");
    scenario.wait_recovered(times);
    assert_eq!(scenario.service.start_date(), mark[..10], "not by our own clock");
}
