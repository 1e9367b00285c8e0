//! The rest rule, seen from the service: five pokes, a disconnect, rests that grow to the maximum,
//! and one event starts them afresh. Never on a replay.

use serde_json::json;
use streamkeeper_simulator::model::{self, Resource, Span, What};
use streamkeeper_simulator::server::{ClosedBy, ConnectionEntry, SimulatorConfig};

use super::support::{Keeper, Scenario, Service, Settings};

/// A service that has nothing to say.
fn idle() -> Service {
    let scaled = Service::scaled();
    let model = model::Config {
        events_per_hour: 0,
        history_for: 0,
        poke_every: 100,
        walk: Span::exactly(0),
        ..scaled.model
    };
    Service::inside(SimulatorConfig { model, ..scaled })
}

fn settings(service: &Service) -> Settings {
    Settings::scaled(&service.url).with("connections", 1)
}

/// The connections of the stream that ended and were followed by another.
fn rested(connections: &[ConnectionEntry]) -> Vec<&ConnectionEntry> {
    connections.iter().filter(|c| c.stream.is_some() && c.rest_ms.is_some()).collect()
}

/// Whether a rest is of that length: up to a tenth above it, and what connecting takes.
fn is_about(rest: &ConnectionEntry, ms: u64) -> bool {
    (ms..ms + ms / 10 + 400).contains(&rest.rest_ms.unwrap_or(0))
}

#[test]
fn rests_grow_to_the_maximum_and_one_event_starts_them_afresh() {
    let service = idle();
    let mut keeper = Keeper::start(&settings(&service));
    let state = service.wait_state("five rests", |state| rested(&state.connections).len() >= 5);
    let rests = rested(&state.connections);
    for (rest, ms) in rests.iter().zip([500, 1_000, 2_000, 2_000, 2_000]) {
        // One more may be under way while the client closes.
        assert!((5..=6).contains(&rest.pokes_in_row), "five pokes, then a rest: {rest:?}");
        assert_eq!(rest.closed_by, Some(ClosedBy::ClientFin), "closed by us, with a FIN: {rest:?}");
        assert!(is_about(rest, ms), "{ms} ms: {rest:?}");
    }

    // One event, while it is connected or for when it is.
    let before = rests.len();
    service.simulator().publish(0, What::New(Resource::Sleep)).expect("it is published");
    let got_it = |c: &&ConnectionEntry| c.events > 0;
    let state = service.wait_state("two rests after the event", |state| {
        let rests = rested(&state.connections);
        rests.iter().position(got_it).is_some_and(|at| rests.len() > at + 1)
    });
    let rests = rested(&state.connections);
    let at = rests.iter().position(got_it).unwrap();
    assert!(at >= before - 1, "the event came after the rests had grown");
    assert!((5..=6).contains(&rests[at].pokes_in_row), "{:?}", rests[at]);
    assert!(is_about(rests[at], 500), "one event starts the rests afresh: {:?}", rests[at]);
    assert!(is_about(rests[at + 1], 1_000), "and they grow again: {:?}", rests[at + 1]);
    keeper.stop();
}

#[test]
fn a_replay_never_rests() {
    let scaled = Service::scaled();
    let model = model::Config {
        events_per_hour: 2 * 3_600,
        replay_walk: Span::exactly(4_000),
        ..scaled.model
    };
    let service = Service::inside(SimulatorConfig { model, ..scaled });
    let mut keeper = Keeper::start(&settings(&service).with("recovery.walk", "5s"));
    keeper.wait_said("caught up with the stream's history", 1);
    service.fault(json!({"kind": "rst"}));
    keeper.wait_said("verified: ", 1);
    let state = service.state();
    let replays: Vec<_> = state.connections.iter().filter(|c| c.stream.is_none()).collect();
    assert_eq!(replays.len(), 1, "one replay, read without a break: {replays:?}");
    assert!(replays[0].pokes >= 9, "a long run of pokes before the data: {replays:?}");
    assert!(replays[0].events > 0);
    keeper.stop();
}

#[test]
fn a_stream_with_data_never_rests() {
    let scaled = Service::scaled();
    let model = model::Config { pokes: model::Pokes::Always, poke_every: 100, ..scaled.model };
    let service = Service::inside(SimulatorConfig { model, ..scaled });
    let mut keeper = Keeper::start(&settings(&service));
    keeper.wait_said("caught up with the stream's history", 1);
    let state = service.wait_state("many pokes", |state| state.connections[0].pokes >= 30);
    assert_eq!(state.connections.len(), 1, "pokes between events are none too many");
    keeper.stop();
}

#[test]
fn connection_events_switch_the_rule_off_and_the_log_says_so() {
    let service = idle();
    let file = settings(&service)
        .file()
        .replace("[[sink]]", "event_types = [\"data\", \"connection\"]\n[[sink]]");
    let mut keeper = Keeper::start_with::<&str>(&file, &[]);
    keeper.wait_said("hygiene is off: the stream carries connection events", 1);
    let state = service.wait_state("many pokes", |state| {
        state.connections.first().is_some_and(|c| c.pokes_in_row >= 15)
    });
    assert_eq!(state.connections.len(), 1);
    keeper.stop();
}

#[test]
fn connections_of_a_certain_age_are_replaced_one_after_the_other_and_nothing_is_lost() {
    let scenario = Scenario::with(Service::process(&[]), |settings| {
        settings.with("max_age", "4s").with("hygiene.max_consecutive_pokes", 1_000)
    });
    let replaced = |connections: &[ConnectionEntry]| {
        connections.iter().filter(|c| c.closed_by == Some(ClosedBy::ClientFin)).count()
    };
    scenario
        .service
        .wait_state("six that were replaced", |state| replaced(&state.connections) >= 6);
    let finished = scenario.finish();
    assert!(finished.log.said("events may have been lost").is_empty(), "each was read to its end");
    assert!(finished.log.said("an incident begins").is_empty());
}
