//! What the endpoint answers, over the wire.

use std::time::Duration;

use serde_json::json;
use streamkeeper_sink::Failure;
use streamkeeper_sink::testkit::envelopes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::receiver::{Answer, Receiver};
use super::{SECRET, sink};

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_nothing_more() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({}));
    receiver.answers([Answer::Status(410)]);
    for _ in 0..3 {
        let error = sink.deliver(&envelopes(1..3)).await.unwrap_err();
        assert_eq!((error.failure, error.reason), (Failure::Refused, "gone"));
        assert!(error.to_string().contains("remove this sink"), "{error}");
    }
    assert_eq!(sink.probe().await.unwrap_err().reason, "gone");
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({ "bearer": "b3arer" }));
    for status in [301, 302, 303, 307, 308] {
        receiver.answers([Answer::With(status, "location", "/elsewhere")]);
        let error = sink.deliver(&envelopes(1..3)).await.unwrap_err();
        assert_eq!((error.failure, error.reason), (Failure::Refused, "redirected"));
    }
    assert!(receiver.got().iter().all(|got| got.uri == "/hook"));
}

#[tokio::test]
async fn a_wish_to_wait_is_passed_on() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({}));
    receiver.answers([
        Answer::With(429, "retry-after", "7"),
        Answer::With(503, "retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
    ]);
    for seconds in [7, 0] {
        let error = sink.deliver(&envelopes(1..3)).await.unwrap_err();
        let retry_after = Some(Duration::from_secs(seconds));
        assert_eq!(error.failure, Failure::Busy { retry_after });
    }
    sink.deliver(&envelopes(1..3)).await.unwrap();
    assert_eq!(receiver.records().len(), 2);
}

#[tokio::test]
async fn a_wrong_bearer_needs_a_hand() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({ "bearer": "b3arer" }));
    receiver.answers([Answer::Status(401)]);
    let error = sink.deliver(&envelopes(1..3)).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Refused, "unauthorized"));
}

#[tokio::test]
async fn silence_has_a_limit() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({ "timeout": "100ms" }));
    receiver.answers([Answer::Hang]);
    let error = sink.deliver(&envelopes(1..3)).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Broken, "timed_out"));
    sink.deliver(&envelopes(1..3)).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_never_ends_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink(listener.local_addr().unwrap(), json!({}));
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 4096]).await.unwrap();
        let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\nno more";
        stream.write_all(begin).await.unwrap();
        // Until the sink has let go.
        let _gone = stream.read_to_end(&mut Vec::new()).await;
    };
    let events = envelopes(1..3);
    let (delivered, ()) = tokio::join!(sink.deliver(&events), serve);
    delivered.unwrap();
}

#[tokio::test]
async fn a_request_says_what_was_configured_and_what_it_is() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let more = json!({
        "bearer": "b3arer", "headers": { "X-Tenant": "acme" }, "secret": [SECRET, SECRET],
    });
    let sink = sink(address, more);
    sink.deliver(&envelopes(1..3)).await.unwrap();
    let got = receiver.got().remove(0);
    assert_eq!((got.method.as_str(), got.uri.path()), ("POST", "/hook"));
    assert_eq!(got.header("authorization"), "Bearer b3arer");
    assert_eq!(got.header("x-tenant"), "acme");
    assert!(got.header("user-agent").starts_with("streamkeeper/"));
    assert_eq!(got.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(got.header("content-length"), got.body.len().to_string());
}

#[tokio::test]
async fn a_probe_writes_nothing() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({}));
    for status in [204, 404, 405, 400] {
        receiver.answers([Answer::Status(status)]);
        let found = sink.probe().await.unwrap().unwrap();
        assert_eq!(found, format!("HTTP/1.1, answered {status} to OPTIONS"));
    }
    receiver.answers([Answer::Status(401), Answer::Status(500)]);
    assert_eq!(sink.probe().await.unwrap_err().failure, Failure::Refused);
    assert_eq!(sink.probe().await.unwrap_err().failure, Failure::Broken);
    assert!(receiver.got().iter().all(|got| got.method == "OPTIONS" && got.body.is_empty()));
}
