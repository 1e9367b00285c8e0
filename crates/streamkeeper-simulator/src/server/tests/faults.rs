//! Each fault, as a client that sees bytes sees it.

use std::io::Read as _;

use super::*;

/// A simulator, its stream, and a client that has had a poke.
fn connected(config: SimulatorConfig) -> (RunningSimulator, String, Client) {
    let simulator = start(config);
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    client.next_poke();
    (simulator, id, client)
}

#[track_caller]
fn inject(simulator: &RunningSimulator, json: Value) {
    assert_eq!(simulator.fault(fault(json)), Ok(vec![1]));
}

#[test]
fn a_hang_is_silent_and_loses_what_is_written() {
    let (simulator, id, mut client) = connected(quick());
    inject(&simulator, json!({"kind": "hang"}));
    until("silence", || client.is_silent_for(Duration::from_millis(200)));
    publish(&simulator, 0);
    drop(client);
    until("released", || simulator.state().streams[0].members == 0);
    let kept = publish(&simulator, 0);
    let mut next = Client::connect(&simulator, &id);
    assert_eq!(Sha::of(next.next_event().unwrap().data.as_bytes()), kept);
}

#[test]
fn a_hang_may_stop_in_mid_event_and_may_end() {
    let (simulator, _, mut client) = connected(quick());
    inject(&simulator, json!({"kind": "hang", "mid_event": true, "for_ms": 300}));
    client.read_to_end();
    assert_eq!(client.ended, Some(Ended::Reset));
    assert!(String::from_utf8_lossy(&client.raw).contains("event:"), "half a chunk is there");
}

#[test]
fn a_deaf_hang_holds_its_place() {
    let mut config = quick();
    config.model.hold_for = Span::exactly(1_500);
    let (simulator, id, client) = connected(config);
    let hung = Instant::now();
    inject(&simulator, json!({"kind": "hang", "deaf": true}));
    drop(client);
    let delete = || call(&simulator, "DELETE", &format!("/streams/{id}"), Value::Null).status;
    assert_eq!(delete(), 409);
    until("let go", || delete() == 200);
    assert!(hung.elapsed() >= Duration::from_millis(1_490));
}

#[test]
fn connections_end_in_every_way() {
    for (kind, ended, half) in [
        ("fin", Ended::Cut, false),
        ("end", Ended::Proper, false),
        ("rst", Ended::Reset, false),
        ("truncated", Ended::Cut, true),
    ] {
        let (simulator, _, mut client) = connected(quick());
        inject(&simulator, json!({"kind": kind}));
        client.read_to_end();
        assert_eq!(client.ended, Some(ended), "{kind}");
        assert_eq!(!client.raw.is_empty(), half, "{kind}");
        let by = if kind == "end" { ClosedBy::Service } else { ClosedBy::Fault };
        assert_eq!(simulator.state().connections[0].closed_by, Some(by));
    }
}

#[test]
fn bytes_dribble_and_stalls_lose_nothing() {
    let (simulator, _, mut client) = connected(quick());
    inject(&simulator, json!({"kind": "slow", "bytes_per_s": 2_000, "for_ms": 600}));
    let begun = Instant::now();
    let sha = publish(&simulator, 0);
    let got = client.next_event().unwrap().data;
    assert_eq!(Sha::of(got.as_bytes()), sha);
    assert!(begun.elapsed() > Duration::from_millis(150), "{:?}", begun.elapsed());

    simulator.fault(fault(json!({"kind": "stall", "for_ms": 500}))).unwrap();
    let sha = publish(&simulator, 0);
    assert_eq!(Sha::of(client.next_event().unwrap().data.as_bytes()), sha);
    client.next_poke();
}

#[test]
fn garbage_and_huge_events_come_as_data() {
    let (simulator, _, mut client) = connected(quick());
    inject(&simulator, json!({"kind": "garbage"}));
    let got = client.next_event().unwrap();
    assert!(serde_json::from_str::<Value>(&got.data).is_err());
    inject(&simulator, json!({"kind": "huge"}));
    let got = client.next_event().unwrap();
    assert!(got.data.len() > 4 << 20, "{}", got.data.len());
    assert!(serde_json::from_str::<Value>(&got.data).is_ok());
    client.next_poke();
}

#[test]
fn late_pokes_are_late_for_a_while() {
    let (simulator, _, mut client) = connected(quick());
    simulator.fault(fault(json!({"kind": "late_pokes", "late_ms": 400, "for_ms": 3_000}))).unwrap();
    let mut longest = Duration::ZERO;
    until("a late poke", || {
        let before = Instant::now();
        client.next_poke();
        longest = longest.max(before.elapsed());
        longest > Duration::from_millis(120)
    });
    simulator.fault(Fault::Clear).unwrap();
    assert_eq!(simulator.first().lock().model.config().poke_late, Span::exactly(0));
}

#[test]
fn a_half_close_may_be_ignored() {
    let (simulator, id, mut client) = connected(quick());
    inject(&simulator, json!({"kind": "half_close_ignored", "all": true}));
    client.next_poke();
    client.half_close();
    for _ in 0..5 {
        client.next_poke();
    }
    simulator.fault(fault(json!({"kind": "half_close_ignored", "call": "connect"}))).unwrap();
    let mut second = Client::connect(&simulator, &id);
    second.half_close();
    second.next_poke();
    second.next_poke();
    assert_eq!(simulator.state().streams[0].members, 2);
}

#[test]
fn nobody_listens_for_a_while_and_open_connections_go_on() {
    let (simulator, id, mut client) = connected(quick());
    simulator.fault(fault(json!({"kind": "refused", "for_ms": 1_500}))).unwrap();
    until("refused", || TcpStream::connect(simulator.addr()).is_err());
    client.next_poke();
    until("accepted", || TcpStream::connect(simulator.addr()).is_ok());
    Client::connect(&simulator, &id);
}

#[test]
fn held_members_stay_after_they_closed() {
    let (simulator, id, client) = connected(quick());
    simulator.fault(fault(json!({"kind": "held", "hold_ms": 1_500}))).unwrap();
    drop(client);
    let begun = Instant::now();
    let delete = || call(&simulator, "DELETE", &format!("/streams/{id}"), Value::Null).status;
    assert_eq!(delete(), 409);
    until("let go", || delete() == 200);
    assert!(begun.elapsed() >= Duration::from_millis(1_000));
}

#[test]
fn any_call_is_answered_with_any_status() {
    let (simulator, id, _client) = connected(quick());
    let json = json!({"kind": "status", "status": 429, "retry_after_s": 7, "call": "get"});
    simulator.fault(fault(json)).unwrap();
    let path = format!("/streams/{id}");
    assert_eq!(call(&simulator, "GET", "/streams", Value::Null).status, 200, "another call");
    let limited = call(&simulator, "GET", &path, Value::Null);
    assert_eq!(limited.status, 429);
    assert!(limited.head.contains("retry-after: 7"), "{}", limited.head);
    assert_eq!(call(&simulator, "GET", &path, Value::Null).status, 200);

    simulator.fault(fault(json!({"kind": "status", "status": 503, "for_ms": 60_000}))).unwrap();
    for path in [path, format!("/streams/{id}/connect"), "/replay?date=2026-01-01".to_owned()] {
        assert_eq!(call(&simulator, "GET", &path, Value::Null).status, 503);
    }
    simulator.fault(Fault::Clear).unwrap();
    assert_eq!(call(&simulator, "GET", "/streams", Value::Null).status, 200);
}

#[test]
fn calls_may_meet_silence_or_a_closed_connection() {
    let simulator = start(quick());
    simulator.fault(fault(json!({"kind": "silence", "call": "list"}))).unwrap();
    let mut socket = TcpStream::connect(simulator.addr()).unwrap();
    socket.write_all(b"GET /streams?token=simulated HTTP/1.1\r\n\r\n").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(socket.read(&mut [0; 1]).is_err());
    simulator.fault(fault(json!({"kind": "dropped"}))).unwrap();
    assert!(try_call(simulator.addr(), "POST", "/streams", r#"{"name":"a"}"#).is_none());
    assert_eq!(simulator.state().streams, []);
}

#[test]
fn an_answer_may_be_lost_after_the_call_is_done() {
    let simulator = start(quick());
    simulator.fault(fault(json!({"kind": "lost_answer", "call": "create"}))).unwrap();
    assert!(try_call(simulator.addr(), "POST", "/streams", r#"{"name":"a"}"#).is_none());
    let view = simulator.state();
    assert_eq!(view.streams[0].name, "a");
    assert_eq!(view.calls[0].status, None);
    simulator.fault(fault(json!({"kind": "lost_answer", "call": "delete"}))).unwrap();
    let path = format!("/streams/{}", view.streams[0].id);
    assert!(try_call(simulator.addr(), "DELETE", &path, "").is_none());
    assert_eq!(simulator.state().streams, []);
}

#[test]
fn an_evicted_stream_ends_properly_and_is_gone() {
    let (simulator, id, mut client) = connected(quick());
    simulator.fault(fault(json!({"kind": "evicted", "stream": "acme"}))).unwrap();
    client.read_to_end();
    assert_eq!(client.ended, Some(Ended::Proper));
    let connect = call(&simulator, "GET", &format!("/streams/{id}/connect"), Value::Null);
    assert_eq!(connect.status, 404);
    let again = simulator.fault(fault(json!({"kind": "evicted", "stream": "acme"})));
    assert_eq!(again, Err(FaultError::UnknownStream));
}

#[test]
fn bodies_may_lack_their_length() {
    let (simulator, id, _client) = connected(quick());
    simulator.fault(fault(json!({"kind": "no_length", "count": 2}))).unwrap();
    let mut bare = Client::connect(&simulator, &id);
    assert!(!bare.chunked && !bare.head.contains("content-length"), "{}", bare.head);
    bare.next_poke();
    bare.half_close();
    bare.read_to_end();
    assert_eq!(bare.ended, Some(Ended::Cut), "the end of the connection is the end of the body");
    let listed = call(&simulator, "GET", "/streams", Value::Null);
    assert!(listed.body["streams"].is_array());
    assert!(!listed.head.contains("content-length"));
}

#[test]
fn a_stream_may_be_gzip_unasked() {
    let (simulator, id, _client) = connected(quick());
    simulator.fault(fault(json!({"kind": "gzip"}))).unwrap();
    let mut packed = Client::connect(&simulator, &id);
    assert!(packed.head.contains("content-encoding: gzip"));
    packed.read();
    packed.half_close();
    while packed.ended.is_none() {
        packed.read();
    }
    assert_eq!(packed.ended, Some(Ended::Proper));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut plain).unwrap();
    assert!(plain.starts_with("event: poke\ndata: {"), "{plain}");
}

#[test]
fn a_foreign_client_swallows_its_share() {
    let mut config = quick();
    config.model.users = 40;
    let (simulator, _, mut client) = connected(config);
    let json = json!({"kind": "foreign", "stream": "acme", "count": 1, "for_ms": 600_000});
    simulator.fault(fault(json)).unwrap();
    until("it has joined", || client.next_poke()["members"]["count"] == 2);
    let mine: Vec<_> = (0..40).map(|user| publish(&simulator, user)).collect();
    until("all is written", || {
        let view = simulator.state();
        view.foreign == 1 && view.connections[0].events > 0
    });
    simulator.fault(Fault::Clear).unwrap();
    until("it has left", || client.next_poke()["members"]["count"] == 1);
    client.half_close();
    let got = client.read_to_end();
    assert!(got.len() < mine.len(), "a share is lost");
}

#[test]
fn faults_take_sound_connections_oldest_first_or_those_named() {
    let (simulator, id, _first) = connected(quick());
    let mut others = [(); 2].map(|()| Client::connect(&simulator, &id));
    assert_eq!(simulator.fault(fault(json!({"kind": "hang"}))), Ok(vec![1]));
    assert_eq!(simulator.fault(fault(json!({"kind": "hang"}))), Ok(vec![2]));
    assert_eq!(simulator.fault(fault(json!({"kind": "rst", "which": [3, 9]}))), Ok(vec![3]));
    others[1].read_to_end();
    assert_eq!(others[1].ended, Some(Ended::Reset));
    assert_eq!(simulator.fault(fault(json!({"kind": "rst", "all": true}))), Ok(vec![1, 2]));
    others[0].read_to_end();
    assert_eq!(others[0].ended, Some(Ended::Reset));
}
