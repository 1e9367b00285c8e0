//! Connections that end, each in its own way: what may have lost events is read again, and no more
//! is torn down for it than has to be.

use std::time::Duration;

use serde_json::{Value, json};
use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::server::ConnectionEntry;

use super::support::{Finished, RECOVERING, Scenario, Service, calls};

/// Does a fault to one connection, waits until it has been verified, and ends the scenario.
fn verified_after(fault: Value) -> Finished {
    let scenario = Scenario::with(Service::inside(Service::scaled()), |settings| settings);
    let before = scenario.keeper.log().said("verified: ").len();
    scenario.service.fault(fault);
    scenario.keeper.wait_said("may have lost events", 1);
    let verified = scenario.keeper.wait_said("verified: ", before + 1);
    assert!(verified.number("new") > 0, "the end has cost events: {verified:?}");
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0, "a replay beside the stream is enough");
    assert_eq!(calls(&finished.state, Call::Create), 1);
    assert_eq!(calls(&finished.state, Call::Delete), 0);
    finished
}

#[test]
fn a_rst() {
    verified_after(json!({"kind": "rst"}));
}

#[test]
fn a_rst_in_mid_event() {
    verified_after(json!({"kind": "rst", "mid_event": true}));
}

#[test]
fn a_fin_without_the_terminator() {
    verified_after(json!({"kind": "fin"}));
}

#[test]
fn a_truncated_body() {
    verified_after(json!({"kind": "truncated"}));
}

#[test]
fn all_connections_reset_at_once() {
    verified_after(json!({"kind": "rst", "all": true}));
}

#[test]
fn a_proper_end_is_no_fault() {
    let scenario = Scenario::with(Service::inside(Service::scaled()), |settings| settings);
    let opened = scenario.service.state().connections.len();
    assert_eq!(scenario.service.fault(json!({"kind": "end", "all": true})).len(), 3);
    scenario.service.wait_state("the reconnects", |state| {
        state.connections.len() >= opened + 3 && state.open.len() == 3
    });
    let finished = scenario.finish();
    assert_eq!(finished.log.said("may have lost events").len(), 0);
    assert_eq!(finished.log.said(RECOVERING).len(), 0);
    assert_eq!(calls(&finished.state, Call::Create), 1);
}

#[test]
fn a_half_close_that_the_service_ignores() {
    // A connection is half-closed for a rest, or at a stop; the service writes on, and it has to be
    // closed hard: nothing may hang.
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "half_close_ignored", "all": true}));
    let finished = scenario.finish();
    assert_eq!(finished.log.said("stopped").last().unwrap().message, "stopped");
}

#[test]
fn a_half_close_that_is_answered_by_a_fin_alone_costs_no_deletion() {
    // Node's http server, and many proxies: ten rests and two restarts.
    let service = Service::inside(Service::scaled());
    service.fault(json!({"kind": "half_close_bare", "call": "connect", "for_ms": 3_600_000}));
    let mut scenario = Scenario::with(service, |settings| settings);
    scenario.service.generate(0.0);
    scenario.service.wait_state("ten rests", |state| {
        let by_us = |c: &&ConnectionEntry| c.rest_ms.is_some() && c.pokes_in_row >= 5;
        state.connections.iter().filter(by_us).count() >= 10
    });
    scenario.service.generate(500.0);
    for restart in 1..=2 {
        let verified = scenario.keeper.log().said("verified: ").len();
        scenario.keeper.stop();
        scenario.service.wait_time(Duration::from_secs(1));
        scenario.keeper.restart();
        // What the stop has left open is read again beside the stream.
        scenario.keeper.wait_said("verified: ", verified + 1);
        let log = scenario.keeper.log();
        assert_eq!(log.said("opened the ledger").len(), restart + 1);
        assert_eq!(log.said("opened the ledger").last().unwrap().text("start"), "clean");
    }
    let finished = scenario.finish();
    assert!(!finished.log.said("may have lost events").is_empty());
    assert_eq!(finished.log.said(RECOVERING).len(), 0);
    assert_eq!(calls(&finished.state, Call::Create), 1);
    assert_eq!(calls(&finished.state, Call::Delete), 0);
}

#[test]
fn an_end_before_the_first_frame_is_no_hot_loop() {
    let scenario = Scenario::start();
    let before = scenario.service.calls(Call::Connect);
    scenario.service.fault(json!({"kind": "dropped", "call": "connect", "for_ms": 3_000}));
    scenario.service.fault(json!({"kind": "end", "all": true}));
    scenario.service.wait_time(Duration::from_secs(3));
    let attempts = scenario.service.calls(Call::Connect) - before;
    // At the least 50, 100, 200, 400 and then 500 ms apart, of which a first round is three.
    assert!((4..=14).contains(&attempts), "{attempts} attempts in three seconds");
    scenario.finish();
}
