//! `recovery.strategy = "replay"`: the same stream is read on, and the replay beside it; nothing lost, nothing twice.
//!
//! `make same-stream` is the long form of the last: `SAME_STREAM_SLOTS` and `SAME_STREAM_RATE` (events per second)
//! say how wide and how fast.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::record::rfc3339;
use streamkeeper_simulator::server::{ConnectionEntry, StateView};

use super::support::{
    Finished, RECOVERED, RECOVERING, STREAM, Scenario, Service, Settings, calls, wait_for_within,
};

/// What the log says when the replay of a recovery begins.
const REREADING: &str = "recovering: reading the replay";
/// What the log says when the stream has to be made anew all the same.
const ANEW: &str = "it is made anew";

fn replaying(settings: Settings) -> Settings {
    // The service has four times `walk` to count our clients alone: enough for a busy machine.
    settings
        .with("recovery.strategy", "replay")
        .with("recovery.verify_every", "off")
        .with("recovery.walk", "3s")
}

/// A scenario with this strategy, whose stream has been read up to the present.
fn start(service: Service) -> Scenario {
    Scenario::with(service, replaying)
}

/// Connections to the stream that are open, the oldest first.
fn slots(state: &StateView) -> Vec<&ConnectionEntry> {
    let open = |one: &&ConnectionEntry| one.stream.is_some() && one.closed_ms.is_none();
    state.connections.iter().filter(open).collect()
}

/// Hangs the newest of the stream's connections: never that of the replay.
fn hang(scenario: &Scenario, deaf: bool) {
    let state = scenario.service.state();
    let newest = slots(&state).last().expect("the stream is read").number;
    scenario.service.fault(json!({"kind": "hang", "which": [newest], "deaf": deaf}));
}

/// Ends the scenario; since its first reading the stream has been neither deleted nor made.
#[track_caller]
fn finish(scenario: Scenario) -> Finished {
    let finished = scenario.finish();
    for (call, times) in [(Call::Create, 1), (Call::Delete, 0)] {
        assert_eq!(calls(&finished.state, call), times, "{call:?}");
    }
    assert_eq!(finished.log.said(ANEW).len(), 0);
    finished
}

#[test]
fn a_hang_leaves_the_stream_where_it_is() {
    let scenario = start(Service::process(&[]));
    hang(&scenario, false);
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("reason"), "stale");
    assert!(recovered.number("recovered") > 0, "the hang has cost events: {recovered:?}");
    let finished = finish(scenario);
    assert_eq!(finished.log.said(RECOVERING).len(), 1, "one hang, one recovery");
    assert_eq!(finished.log.said(RECOVERING)[0].number("connections"), 3, "all are terminated");
    assert_eq!(finished.log.said(REREADING).len(), 1);
}

#[test]
fn a_member_that_the_service_holds_is_waited_for() {
    let scenario = start(Service::process(&["--hold-for=8s"]));
    hang(&scenario, true);
    scenario.keeper.wait_said(REREADING, 1);
    // Until the service lets go it has a share of what is sent.
    let held = |state: &StateView| state.streams[0].members > slots(state).len();
    assert!(held(&scenario.service.state()));
    scenario.wait_recovered(1);
    assert!(!held(&scenario.service.state()));
    finish(scenario);
}

#[test]
fn a_second_hang_meanwhile_moves_the_end_on() {
    let scenario = start(Service::process(&["--replay-walk=4s"]));
    hang(&scenario, false);
    scenario.keeper.wait_said(REREADING, 1);
    scenario.service.wait_state("all slots", |state| slots(state).len() == 3);
    hang(&scenario, false);
    scenario.keeper.wait_said(RECOVERING, 2);
    scenario.wait_recovered(1);
    let finished = finish(scenario);
    assert_eq!(finished.log.said(RECOVERED).len(), 1, "one incident, two recoveries");
    assert_eq!(finished.log.said(REREADING).len(), 1, "the replay is left alone");
}

#[test]
fn a_process_that_is_killed_meanwhile_does_the_same_again() {
    let mut scenario = start(Service::process(&["--replay-walk=2s"]));
    hang(&scenario, false);
    scenario.keeper.wait_said(REREADING, 1);
    scenario.keeper.restart();
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("reason"), "stale", "the incident goes on");
    let finished = finish(scenario);
    let incidents = finished.log.said(RECOVERING);
    let numbers: Vec<_> = incidents.iter().map(|line| line.text("incident")).collect();
    assert_eq!(numbers[0], numbers[1], "under its number");
    assert_eq!(finished.log.said(REREADING).len(), 2);
}

#[test]
fn a_stream_that_is_gone_is_made_anew_and_that_is_said_once() {
    let scenario = start(Service::process(&[]));
    scenario.service.fault(json!({"kind": "evicted", "stream": STREAM}));
    scenario.wait_recovered(1);
    let finished = scenario.finish();
    assert_eq!(finished.log.said(ANEW).len(), 1);
    assert_eq!(finished.log.said(ANEW)[0].text("reason"), "stream_gone");
    assert_eq!(calls(&finished.state, Call::Create), 2);
}

#[test]
fn a_replay_that_finds_no_place_waits_for_one() {
    let mut config = Service::scaled();
    config.model.replays_max = 1;
    let scenario = start(Service::inside(config));
    let mut other = TcpStream::connect(scenario.service.url.trim_start_matches("http://")).unwrap();
    let day = &rfc3339(scenario.service.state().now_ms)[..10];
    write!(other, "GET /replay?date={day}&token=simulated HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    scenario.service.wait_state("the place to be taken", |state| state.replays == 1);
    hang(&scenario, false);
    let waits = scenario.keeper.wait_said("the replay of the recovery was interrupted", 1);
    assert_eq!(waits.text("reason"), "too_many_clients");
    // Left as soon as somebody has read from it: the service has a client there.
    other.read_exact(&mut [0; 16]).unwrap();
    drop(other);
    scenario.wait_recovered(1);
    finish(scenario);
}

#[test]
fn a_hang_of_one_of_many_slots_under_full_load() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().unwrap());
    let slots_wanted = given("SAME_STREAM_SLOTS").unwrap_or(5);
    let rate = given("SAME_STREAM_RATE").unwrap_or(1_000);
    let service = Service::process(&[&format!("--rate={rate}"), "--history-rate=20000"]);
    let scenario =
        Scenario::with(service, |settings| replaying(settings).with("connections", slots_wanted));
    let wanted = usize::try_from(slots_wanted).unwrap();
    scenario.service.wait_state("all slots", |state| slots(state).len() == wanted);
    scenario.service.wait_time(LOADED);
    hang(&scenario, false);
    let recovered = wait_for_within(PATIENCE, "the end of the incident", || {
        scenario.keeper.log().said(RECOVERED).into_iter().next()
    });
    eprintln!(
        "{slots_wanted} slots at {rate} events a second: {} events came back, {} were known, after {} ms",
        recovered.number("recovered"),
        recovered.number("duplicate"),
        recovered.number("duration_ms"),
    );
    let finished = finish(scenario);
    eprintln!("calls: {:?}", finished.state.call_counts);
    eprintln!("{}", finished.report);
}

/// So much of the day has been read before the hang.
const LOADED: Duration = Duration::from_secs(10);

/// A busy machine reads the day again for minutes.
const PATIENCE: Duration = Duration::from_secs(600);
