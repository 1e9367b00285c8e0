//! Event streams without faults: what comes, and how they end.

use super::*;

#[test]
fn data_comes_byte_for_byte_as_the_truth_has_it() {
    let simulator = start(quick());
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    assert!(client.head.contains("content-type: text/event-stream"));
    let sha = publish(&simulator, 1);
    let got = client.next_event().unwrap();
    assert_eq!(got.name, "data");
    assert_eq!(Sha::of(got.data.as_bytes()), sha);
}

#[test]
fn pokes_say_the_service_s_time_and_members() {
    let simulator = start(SimulatorConfig { clock: Clock::StartsAt(86_400_000), ..quick() });
    let id = create(&simulator, "acme");
    let mut first = Client::connect(&simulator, &id);
    let mut second = Client::connect(&simulator, &id);
    let poke = second.next_poke();
    assert_eq!(poke["stream"], id.as_str());
    assert_eq!(poke["members"], json!({"count": 2, "max": 3}));
    assert!(poke["ts"].as_str().unwrap().starts_with("1970-01-02T00:00:"), "{poke}");
    let [one, two] = [(); 2].map(|()| first.next_poke()["ts"].to_string());
    assert!(two > one);
}

#[test]
fn rule_and_connection_events_come_under_their_names_if_asked_for() {
    let simulator = start(quick());
    let body = json!({"name": "all", "event_type_filter": ["data", "rule", "connection"]});
    let id = call(&simulator, "POST", "/streams", body).body["id"].as_str().unwrap().to_owned();
    let mut client = Client::connect(&simulator, &id);
    for (what, name, key) in
        [(What::Rule, "rule", "rule_id"), (What::Connection, "connection", "action")]
    {
        simulator.publish(0, what);
        let got = client.next_event().unwrap();
        assert_eq!(got.name, name);
        assert!(serde_json::from_str::<Value>(&got.data).unwrap()[key].is_string());
    }
}

#[test]
fn the_place_after_the_last_is_refused() {
    let simulator = start(quick());
    let id = create(&simulator, "acme");
    let clients = [(); 3].map(|()| Client::connect(&simulator, &id));
    let path = format!("/streams/{id}/connect");
    assert_eq!(call(&simulator, "GET", &path, Value::Null).status, 422);
    drop(clients);
    until("a place", || simulator.state().streams[0].members == 0);
    Client::connect(&simulator, &id);
}

#[test]
fn a_half_close_is_served_on_and_ends_properly() {
    let mut config = quick();
    config.model.notice_after = Span::exactly(1_500);
    let simulator = start(config);
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    client.next_poke();
    client.half_close();
    until("the FIN is heard", || simulator.state().connections[0].closed_by.is_some());
    let during = publish(&simulator, 0);
    assert_eq!(client.read_to_end(), [during]);
    assert_eq!(client.ended, Some(Ended::Proper));
    assert_eq!(simulator.state().connections[0].closed_by, Some(ClosedBy::ClientFin));

    let after = publish(&simulator, 0);
    let mut next = Client::connect(&simulator, &id);
    assert_eq!(Sha::of(next.next_event().unwrap().data.as_bytes()), after, "from the checkpoint");
}

#[test]
fn what_is_written_to_a_client_that_closed_at_once_is_lost() {
    let mut config = quick();
    config.model.notice_after = Span::exactly(1_500);
    let simulator = start(config);
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    client.next_poke();
    drop(client);
    until("the FIN is heard", || simulator.state().connections[0].closed_by.is_some());
    publish(&simulator, 0);
    until("it is written", || simulator.state().connections[0].events == 1);
    until("it is released", || simulator.state().streams[0].members == 0);
    let kept = publish(&simulator, 0);
    let mut next = Client::connect(&simulator, &id);
    assert_eq!(Sha::of(next.next_event().unwrap().data.as_bytes()), kept);
}

#[test]
fn a_replay_has_everything_of_its_day() {
    let mut config = quick();
    config.clock = Clock::StartsAt(20_000 * crate::model::DAY);
    config.model.replay_walk = Span::exactly(200);
    let simulator = start(config);
    let mut wanted: Vec<_> = (0..4).map(|user| publish(&simulator, user)).collect();
    let mut client = Client::open(&simulator, "/replay?date=2024-10-04&resources=sleep,cgm");
    assert_eq!(client.next_poke()["members"], json!({"count": 1, "max": 1}));
    let mut got: Vec<_> =
        (0..4).map(|_| Sha::of(client.next_event().unwrap().data.as_bytes())).collect();
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(got, wanted);
    assert_eq!(simulator.state().replays, 1);
    assert_eq!(simulator.state().connections[0].stream, None);
}

#[test]
fn rests_and_pokes_in_a_row_can_be_seen_from_outside() {
    let simulator = start(quick());
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    publish(&simulator, 0);
    client.next_event();
    for _ in 0..3 {
        client.next_poke();
    }
    client.half_close();
    client.read_to_end();
    let rested = Instant::now();
    until("a rest", || rested.elapsed() > Duration::from_millis(150));
    Client::connect(&simulator, &id);
    let entry = simulator.state().connections[0].clone();
    assert!(entry.pokes_in_row >= 3, "{entry:?}");
    assert!(entry.rest_ms.unwrap() >= 150, "{entry:?}");
    assert_eq!(entry.events, 1);
}

#[test]
fn simulators_live_side_by_side_and_stop() {
    let (one, two) = (start(quick()), start(quick()));
    let id = create(&one, "acme");
    let mut client = Client::connect(&one, &id);
    let addr = one.addr();
    one.stop();
    client.read_to_end();
    assert!(client.ended.is_some());
    assert!(try_call(addr, "GET", "/streams", "").is_none());
    create(&two, "acme");
}
