//! The processes: how they stop, what they survive, and the demo.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use streamkeeper_simulator::fault::Call;

use super::support::{
    RECOVERING, Scenario, Service, calls, run_to_end, signal, streamkeeper, wait_for,
};

#[test]
fn a_process_that_was_suspended_does_not_recover() {
    let scenario = Scenario::start();
    let before = scenario.service.state();
    scenario.keeper.signal("STOP");
    // Longer than `stale_after`.
    scenario.service.wait_time(Duration::from_secs(5));
    scenario.keeper.signal("CONT");
    scenario.service.wait_time(Duration::from_secs(4));
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0, "our silence is not the service's");
    for call in [Call::Create, Call::Delete] {
        assert_eq!(calls(&finished.state, call), calls(&before, call), "no {call:?} more");
    }
}

#[test]
fn sigterm_and_sigint_stop_gracefully() {
    for name in ["TERM", "INT"] {
        let mut scenario = Scenario::start();
        scenario.keeper.signal(name);
        assert_eq!(scenario.keeper.wait_end(), 0, "SIG{name}");
        let log = scenario.keeper.log();
        assert_eq!(log.said("the stream is stopped").len(), 1);
        let state = scenario.service.wait_state("no connection", |state| state.open.is_empty());
        let closed = |by: &str| {
            state.connections.iter().filter(|c| format!("{:?}", c.closed_by) == by).count()
        };
        assert_eq!(
            closed("Some(ClientFin)"),
            state.connections.iter().filter(|c| c.stream.is_some()).count(),
            "half-closed and read to the end: {:?}",
            state.connections
        );
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let service = Service::process(&[]);
    let mut scenario = Scenario::with(service, |settings| {
        settings.with("watchdog.late_after", "10s").with("watchdog.stale_after", "30s")
    });
    // The first stop waits for connections that do not end.
    scenario.service.fault(json!({"kind": "half_close_ignored", "all": true}));
    scenario.keeper.signal("TERM");
    scenario.keeper.wait_said("stopping: ending every connection", 1);
    // At first it is taken for an echo of the first, as wrappers send.
    assert_eq!(scenario.keeper.insist("TERM"), 128 + 15);
}

#[test]
fn a_signal_during_a_recovery_stops_it() {
    let mut scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "silence", "for_ms": 60_000}));
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.keeper.wait_said(RECOVERING, 1);
    scenario.keeper.signal("TERM");
    assert_eq!(scenario.keeper.wait_end(), 0);
}

#[test]
fn a_signal_while_the_service_is_away_stops_it() {
    let mut scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "refused", "for_ms": 60_000}));
    scenario.service.fault(json!({"kind": "rst", "all": true}));
    scenario.keeper.wait_degraded("unreachable");
    scenario.keeper.signal("TERM");
    assert_eq!(scenario.keeper.wait_end(), 0, "never an exit code for the service's sake");
}

#[test]
fn the_simulator_ends_on_a_signal_and_on_request() {
    let mut ended = Vec::new();
    for name in ["TERM", "INT"] {
        let mut process = streamkeeper()
            .args(["simulate", "--listen=127.0.0.1:0", "--control=127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = std::io::BufReader::new(process.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut String::new()).unwrap();
        signal(process.id(), name);
        ended.push(wait_for("it to end", || process.try_wait().unwrap()).code());
    }
    assert_eq!(ended, [Some(0), Some(0)]);
}

#[test]
fn the_demo_ends_well_and_in_plain_lines() {
    let ended = run_to_end(streamkeeper().arg("demo"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap();
    assert_eq!(last.trim(), "lost: 0");
    for row in ["doubled: 0", "altered: 0", "streams deleted: 1", "streams created: 2"] {
        assert!(ended.stdout.lines().any(|line| line.trim() == row), "{row}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no terminal, no control sequences");
    assert!(ended.stdout.contains("one connection hangs"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}
