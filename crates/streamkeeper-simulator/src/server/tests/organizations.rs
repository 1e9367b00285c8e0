//! Several organizations behind one pair of ports: nobody sees anything of another's.

use std::num::NonZeroU32;

use super::{control::ask, *};
use crate::{model::Refusal, truth::TruthRow};

fn three() -> RunningSimulator {
    let organizations = NonZeroU32::new(3).unwrap();
    start(SimulatorConfig { organizations, ..quick() })
}

#[track_caller]
fn call_as(simulator: &RunningSimulator, token: &str, method: &str, path: &str) -> Called {
    let path = format!("{path}?token={token}");
    try_call(simulator.addr(), method, &path, r#"{"name": "acme"}"#).expect("an answer")
}

#[test]
fn each_has_a_token_and_streams_of_its_own() {
    let simulator = three();
    let mut ids = Vec::new();
    for token in ["simulated-0001", "simulated-0003"] {
        let created = call_as(&simulator, token, "POST", "/streams");
        assert_eq!(created.status, 201, "the same name is free: {}", created.body);
        ids.push(created.body["id"].as_str().unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    for (token, streams) in [("simulated-0001", 1), ("simulated-0002", 0), ("simulated-0003", 1)] {
        let list = call_as(&simulator, token, "GET", "/streams");
        assert_eq!(list.body["streams"].as_array().unwrap().len(), streams, "{token}");
    }
    let others = format!("/streams/{}", ids[1]);
    assert_eq!(call_as(&simulator, "simulated-0001", "GET", &others).status, 404);
    assert_eq!(call_as(&simulator, "simulated-0003", "DELETE", &others).status, 200);
    for token in ["simulated", "simulated-0004", "simulated-3"] {
        assert_eq!(call_as(&simulator, token, "GET", "/streams").status, 401, "{token}");
    }
}

#[test]
fn limits_and_faults_are_one_organizations() {
    let simulator = three();
    let fill = |token: &str, name: usize| {
        let body = json!({"name": name.to_string()}).to_string();
        let path = format!("/streams?token={token}");
        try_call(simulator.addr(), "POST", &path, &body).expect("an answer").status
    };
    assert!((0..5).all(|name| fill("simulated-0001", name) == 201));
    assert_eq!(fill("simulated-0001", 5), Refusal::TooManyStreams.status());
    assert_eq!(fill("simulated-0002", 5), 201);

    let fault = r#"{"kind": "status", "status": 503, "count": 2}"#;
    assert_eq!(ask(&simulator, "POST", "/fault?organization=2", fault).0, 200);
    let list = |token| call_as(&simulator, token, "GET", "/streams").status;
    assert_eq!([list("simulated-0001"), list("simulated-0003")], [200, 200]);
    assert_eq!([list("simulated-0002"), list("simulated-0002")], [503, 503]);
    assert_eq!(list("simulated-0002"), 200);
}

#[test]
fn the_control_port_is_told_which() {
    let simulator = three();
    let generated = ask(&simulator, "POST", "/generate?organization=3", r#"{"rate":500}"#);
    assert_eq!(generated.0, 200);
    let events = |path: &str| {
        let (status, body) = ask(&simulator, "GET", path, "");
        assert_eq!(status, 200);
        serde_json::from_str::<StateView>(&body).unwrap().events
    };
    until("events of the third organization", || events("/state?organization=3") > 20);
    assert_eq!([events("/state"), events("/state?organization=2")], [0, 0]);
    assert!(simulator.truth().is_empty(), "what a handle says is about the first");

    let (_, truth) = ask(&simulator, "GET", "/truth?organization=3", "");
    let truth = truth.lines().map(|line| serde_json::from_str::<TruthRow>(line).unwrap());
    assert!(truth.count() > 20);
    for nobody in ["0", "4", "-1", "x"] {
        let (status, body) = ask(&simulator, "GET", &format!("/state?organization={nobody}"), "");
        let message = r#"{"message":"no such organization"}"#;
        assert_eq!((status, body.as_str()), (404, message), "{nobody}");
    }
}
