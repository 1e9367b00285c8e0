//! The calls on stream resources: every status and variant.

use super::*;

#[test]
fn a_stream_is_created_shown_renamed_and_deleted() {
    let simulator = start(quick());
    let body = json!({
        "name": "acme", "start_date": "2026-04-19",
        "resource_filter": ["summary", "cgm"], "event_type_filter": ["data", "rule"],
    });
    let created = call(&simulator, "POST", "/streams", body);
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_str().unwrap();
    assert_eq!(id.len(), 24);
    assert_eq!(created.body["group"], format!("stream_{id}"));
    assert_eq!(created.body["start_date"], "2026-04-19");
    assert_eq!(created.body["resource_filter"], json!(["summary", "cgm"]));
    assert_eq!(created.body["members"], 0);
    assert!(created.body["created_at"].as_str().unwrap().ends_with('Z'));

    let path = format!("/streams/{id}");
    assert_eq!(call(&simulator, "GET", &path, Value::Null).body, created.body);
    let renamed = call(&simulator, "PUT", &path, json!({"name": "acme~2"}));
    assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("acme~2")));
    let deleted = call(&simulator, "DELETE", &path, Value::Null);
    assert_eq!((deleted.status, &deleted.body["id"]), (200, &json!(id)));
    for method in ["GET", "DELETE"] {
        assert_eq!(call(&simulator, method, &path, Value::Null).status, 404);
    }
    assert_eq!(call(&simulator, "PUT", &path, json!({"name": "x"})).status, 404);
}

#[test]
fn a_create_may_answer_200() {
    let answers = Answers { create_status: 200, ..Answers::default() };
    let simulator = start(SimulatorConfig { answers, ..quick() });
    assert_eq!(call(&simulator, "POST", "/streams", json!({"name": "a"})).status, 200);
}

#[test]
fn bad_requests_are_refused() {
    let simulator = start(quick());
    let post = |body: Value| call(&simulator, "POST", "/streams", body).status;
    assert_eq!(post(json!([1])), 400);
    assert_eq!(post(json!({})), 422);
    assert_eq!(post(json!({"name": "a", "start_date": "soon"})), 422);
    assert_eq!(post(json!({"name": "a", "resource_filter": ["dreams"]})), 422);
    for name in ["a", "b", "c", "d"] {
        create(&simulator, name);
    }
    assert_eq!(post(json!({"name": "a"})), 422, "a taken name");
    let id = create(&simulator, "e");
    assert_eq!(post(json!({"name": "f"})), 422, "a sixth stream");
    let rename = |body: Value| call(&simulator, "PUT", &format!("/streams/{id}"), body).status;
    assert_eq!(rename(json!({"name": "a"})), 422);
    assert_eq!(rename(json!({})), 422);
    assert_eq!(call(&simulator, "GET", "/streams/x/connect", Value::Null).status, 404);
    assert_eq!(call(&simulator, "GET", "/nothing", Value::Null).status, 404);
    assert_eq!(call(&simulator, "GET", "/replay?date=soon", Value::Null).status, 422);
}

#[test]
fn the_token_is_checked_on_every_call() {
    let config = SimulatorConfig { foreign_token: Some(Token::new("other")), ..quick() };
    let simulator = start(config);
    for (token, status) in [("", 401), ("wrong", 401), ("other", 403), ("simulated", 200)] {
        let path = format!("/streams?token={token}");
        assert_eq!(call(&simulator, "GET", &path, Value::Null).status, status);
    }
    let id = create(&simulator, "a");
    for path in [format!("/streams/{id}/connect?token=x"), "/replay?token=x".to_owned()] {
        assert_eq!(call(&simulator, "GET", &path, Value::Null).status, 401);
    }
}

#[test]
fn lists_are_filtered_sorted_and_paged_in_three_forms() {
    for (list, key) in
        [(ListForm::Streams, "streams"), (ListForm::Data, "data"), (ListForm::Array, "")]
    {
        let answers = Answers { list, ..Answers::default() };
        let simulator = start(SimulatorConfig { answers, ..quick() });
        for name in ["acme", "Acme~2", "other"] {
            create(&simulator, name);
        }
        let names = |query: &str| {
            let listed = call(&simulator, "GET", &format!("/streams?{query}"), Value::Null);
            assert_eq!(listed.status, 200);
            let page = if key.is_empty() { &listed.body } else { &listed.body[key] };
            let page = page.as_array().unwrap().clone();
            page.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("x=1"), ["other", "Acme~2", "acme"]);
        assert_eq!(names("sort[]=created_at"), ["acme", "Acme~2", "other"]);
        assert_eq!(names("sort%5B%5D=-created_at&offset=2"), ["acme"]);
        assert_eq!(names("q=name=acme"), ["acme"]);
        assert_eq!(names("q=name%3Dacme"), ["acme"]);
        assert_eq!(names("q=name~acme"), ["Acme~2", "acme"]);
    }
    let simulator = start(quick());
    create(&simulator, "a");
    let meta = &call(&simulator, "GET", "/streams", Value::Null).body["meta"];
    let expected = json!({"offset": 0, "limit": 25, "total": 1, "sort": "-created_at"});
    assert_eq!(meta, &expected);
}

#[test]
fn errors_come_in_four_forms_in_turn() {
    let simulator = start(quick());
    let error = || call(&simulator, "GET", "/streams/0", Value::Null).body;
    let keys = |value: Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(error()["errors"].is_array());
    assert!(error()["errors"].is_object());
    assert_eq!(keys(error()), ["error", "status"]);
    assert_eq!(keys(error()), ["message"]);
}

#[test]
fn a_connected_stream_cannot_be_deleted_until_its_client_is_released() {
    let mut config = quick();
    config.model.release_after = Span::exactly(300);
    let simulator = start(config);
    let id = create(&simulator, "acme");
    let path = format!("/streams/{id}");
    let client = Client::connect(&simulator, &id);
    assert_eq!(call(&simulator, "DELETE", &path, Value::Null).status, 409);
    assert_eq!(call(&simulator, "GET", &path, Value::Null).body["members"], 1);
    drop(client);
    let closed = Instant::now();
    until("released", || call(&simulator, "DELETE", &path, Value::Null).status == 200);
    assert!(closed.elapsed() >= Duration::from_millis(290), "{:?}", closed.elapsed());
}

#[test]
fn calls_follow_each_other_on_one_connection() {
    let simulator = start(quick());
    let mut socket = TcpStream::connect(simulator.addr()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = "GET /streams?token=simulated HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.write_all(request.repeat(2).as_bytes()).unwrap();
    let mut answers = Vec::new();
    until("two answers", || {
        let mut bytes = [0; 4096];
        let count = socket.read(&mut bytes).unwrap();
        answers.extend_from_slice(&bytes[..count]);
        String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count() == 2
    });
}

#[test]
fn what_is_not_http_is_answered_400() {
    let simulator = start(quick());
    for (bytes, status) in [
        ("nonsense\r\n\r\n", "400"),
        ("POST /streams HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "411"),
        ("POST /streams HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", "413"),
    ] {
        let mut socket = TcpStream::connect(simulator.addr()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.write_all(bytes.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
