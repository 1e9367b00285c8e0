//! What is checked and said, and what a message holds.

use std::collections::HashSet;

use serde_json::{Value, json};
use streamkeeper_sink::testkit::{envelopes, envelopes_of};
use streamkeeper_sink::{Envelope, Failure, Recall, SinkError, SinkFactory, SinkTable};
use streamkeeper_sinks::nats::NatsFactory;

use super::server::{Server, Wire};
use super::{assert_once, deliver, plain, sink, told};

async fn refused(keys: &[(&str, &str)]) -> SinkError {
    let error = sink(keys).open().await.unwrap_err();
    assert_eq!(error.failure, Failure::Refused, "{error}");
    assert!(error.detail.is_some(), "says what to do");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_is_refused_with_a_sentence() {
    let server = Server::start_old();
    let error = refused(&[("url", &server.url()), ("stream", "EVENTS")]).await;
    assert_eq!(error.reason, "server_too_old");
    assert!(error.to_string().contains("NATS 2.9.10, and 2.12 or newer is needed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_is_refused() {
    let server = Server::start_plain();
    assert_eq!(
        refused(&[("url", &server.url()), ("stream", "EVENTS")]).await.reason,
        "no_jetstream"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_refused_and_never_shown() {
    let server = Server::start(
        "authorization { users: [ { user: u, password: right }, { user: reader, password: r, permissions: { publish: \"nothing\" } } ] }",
    );
    let url = server.url();
    let with = |login: &'static str, value: &'static str| refused_as(&url, login, value);
    for error in [with("password", "marker").await, with("token", "marker").await] {
        assert_eq!(error.reason, "login_refused");
        assert!(!format!("{error:?}").contains("marker"));
    }
    let in_url = url.replace("//", "//u:marker@");
    let error = refused(&[("url", &in_url), ("stream", "EVENTS")]).await;
    assert!(!format!("{error:?} {:?}", error.source).contains("marker"));
    let reader = [("url", &*url), ("user", "reader"), ("password", "r"), ("stream", "EVENTS")];
    assert_eq!(refused(&reader).await.reason, "not_permitted");
    let right = [("url", &*url), ("user", "u"), ("password", "right"), ("stream", "EVENTS")];
    sink(&right).open().await.unwrap();
}

async fn refused_as(url: &str, login: &str, value: &str) -> SinkError {
    let mut keys = vec![("url", url), ("stream", "EVENTS"), (login, value)];
    keys.extend((login == "password").then_some(("user", "u")));
    refused(&keys).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_believed_by_its_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    std::fs::write(at("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls {{ cert_file: {:?}, key_file: {:?} }}", at("cert.pem"), at("key.pem"));
    let server = Server::start(&tls);
    let (url, ca) = (server.url().replace("nats:", "tls:"), at("cert.pem"));
    assert_eq!(refused(&[("url", &url), ("stream", "EVENTS")]).await.reason, "certificate");
    sink(&[("url", &url), ("stream", "EVENTS"), ("ca_file", &ca)]).open().await.unwrap();
    assert_eq!(
        refused(&[("url", &url), ("stream", "EVENTS"), ("ca_file", &at("key.pem"))]).await.reason,
        "ca_file"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_a_failure_that_passes() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = sink(&[("url", &format!("nats://127.0.0.1:{port}")), ("stream", "EVENTS")]);
    let error = nobody.open().await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Broken, "no_connection"));
}

/// A JetStream stream that is there already, and cannot be used as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_fit_is_refused() {
    let server = Server::start("");
    let wrong = [
        ("subjects_missing", json!({ "subjects": ["other.>"] })),
        ("no_acknowledgements", json!({ "subjects": ["events.>"], "no_ack": true })),
    ];
    for (reason, more) in wrong {
        make(&server, "EVENTS", more);
        let error = refused(&[("url", &server.url()), ("stream", "EVENTS")]).await;
        assert_eq!(error.reason, reason);
        let deleted = server.api("STREAM.DELETE.EVENTS", &json!({}));
        assert_eq!(deleted["success"], true);
    }
    make(&server, "OTHER", json!({ "subjects": ["events.acme.>"] }));
    assert_eq!(
        refused(&[("url", &server.url()), ("stream", "EVENTS")]).await.reason,
        "subjects_taken"
    );
}

fn make(server: &Server, name: &str, more: Value) {
    let mut config =
        json!({ "name": name, "retention": "limits", "storage": "file", "num_replicas": 1 });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = server.api(&format!("STREAM.CREATE.{name}"), &config);
    assert!(made.get("error").is_none(), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_stream_is_made_and_probing_makes_none() {
    let server = Server::start("");
    let sink = sink(&[("url", &server.url()), ("stream", "EVENTS")]);
    let words = sink.probe().await.unwrap().unwrap();
    assert_eq!(words, "no JetStream stream EVENTS yet: it will be made");
    assert_eq!(server.api("STREAM.INFO.EVENTS", &json!({}))["error"]["err_code"], 10_059);
    sink.open().await.unwrap();
    let config = server.api("STREAM.INFO.EVENTS", &json!({}))["config"].clone();
    assert_eq!(config["subjects"], json!(["events.*.>"]));
    for key in ["allow_atomic", "deny_delete", "deny_purge"] {
        assert_eq!(config[key], true, "{key}");
    }
    let words = sink.probe().await.unwrap().unwrap();
    assert!(words.starts_with("NATS 2.15.1, JetStream stream EVENTS; "), "{words}");
    assert!(words.contains("sync_interval"), "{words}");
}

/// What is written, and what of it is told again.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_an_envelope_and_can_be_recalled() {
    let server = Server::start("");
    let sink = sink(&[("url", &server.url()), ("stream", "EVENTS")]);
    let odd = |event: Envelope| Envelope {
        id: format!("é \"{}\"\r\n", event.sequence),
        kind: "sse.a.b *>\r\n".into(),
        source: "of. *".into(),
        ..event
    };
    let events: Vec<_> = envelopes(1..1_301).into_iter().map(odd).collect();
    let others = envelopes_of("other", 1..4);
    sink.deliver(&events).await.unwrap();
    sink.deliver(&others).await.unwrap();
    let stored = server.stored("EVENTS");
    assert_eq!(stored.len(), 1_303);
    let mut envelope = Vec::new();
    events[0].to_cloudevents_json(&mut envelope);
    assert_eq!(stored[0].data, envelope);
    assert_eq!(stored[0].subject, "events.of%2E%20%2A.sse.a%2Eb%20%2A%3E%0D%0A");
    for line in [
        "content-type: application/cloudevents+json",
        "ce-id: %C3%A9%20%221%22%0D%0A",
        "ce-subject: user%201",
    ] {
        assert!(stored[0].headers.contains(line), "{line}: {}", stored[0].headers);
    }
    assert_eq!(stored[1_302].subject, "events.other.inform.data");

    let since_us = events[100].time_us.unwrap();
    let mut recalled = HashSet::new();
    let mut take = |one: streamkeeper_sink::Recalled| {
        assert!(recalled.insert((one.id, one.time_us, one.subject)), "each once");
    };
    let asked = sink.recall(Recall { source: "of. *", since_us }, &mut take).await.unwrap();
    let expected = events[100..]
        .iter()
        .map(|event| (event.id.clone(), event.time_us, event.subject.clone()))
        .collect();
    assert!(asked && recalled == expected, "{} of {}", recalled.len(), 1_200);
    let mut none = |_| panic!("nothing is there of it");
    assert!(sink.recall(Recall { source: "nobody", since_us: 0 }, &mut none).await.unwrap());
}

/// What the server was told to allow less of.
#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_limit_of_batches_is_found() {
    let small = Server::start_small();
    let sink = plain(&small.url(), "EVENTS");
    let events = envelopes(1..2_501);
    sink.deliver(&events).await.unwrap();
    assert_once(&small.stored("EVENTS"), &events);
}

/// One that is given again by a hand comes once, also if its answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hand_sends_again_comes_once() {
    let server = Server::start("");
    let wire = Wire::to(server.port).await;
    let events = envelopes(1..5);
    let sink = plain(&wire.url(), "EVENTS");
    told(&*sink, "testkit", "first", 1, 5).await;
    sink.deliver(&events[..1]).await.unwrap();
    sink.deliver(&events[2..3]).await.unwrap();
    wire.cut_the_answer();
    let again = [Envelope { redelivered: true, ..events[1].clone() }];
    deliver(&*sink, &again).await;
    // The place has not gone back.
    told(&*sink, "testkit", "first", 3, 5).await;
    sink.deliver(&events[2..]).await.unwrap();
    let expected = [&events[..1], &events[2..3], &events[1..2], &events[3..]].concat();
    assert_once(&server.stored("EVENTS"), &expected);
}

#[test]
fn the_table_is_checked_without_a_network() {
    let check = |more: &[(&str, &str)]| {
        let base = [("url", "nats://host"), ("stream", "EVENTS")];
        let keys =
            base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
        let error = NatsFactory.check("bus", SinkTable::from_iter(keys)).err();
        error.map(|error| {
            assert!(!format!("{error:?}").contains("marker"));
            error.key
        })
    };
    assert_eq!(check(&[("user", "u"), ("password", "marker")]), None);
    assert_eq!(check(&[("url", "tls://u:marker@a:4222, nats://b")]), None);
    for (wrong, key) in [
        (("url", "marker://host"), "url"),
        (("url", "ws://host"), "url"),
        (("url", "nats://host/marker"), "url"),
        (("stream", "a.b"), "stream"),
        (("subject", "events"), "subject"),
        (("user", "u"), "user"),
        (("password", "marker"), "password"),
        (("replicas", "marker"), "replicas"),
        (("format", "marker"), "format"),
        (("strem", "marker"), "strem"),
    ] {
        assert_eq!(check(&[wrong]).as_deref(), Some(key), "{wrong:?}");
    }
    assert_eq!(
        check(&[("url", "nats://u:marker@a"), ("token", "marker")]).as_deref(),
        Some("token")
    );
}
