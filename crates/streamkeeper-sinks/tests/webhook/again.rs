//! What was sent is sent again as it was: after a lost answer, a dropped delivery, a crash.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use streamkeeper_sink::Failure;
use streamkeeper_sink::testkit::{envelopes, envelopes_of};

use super::receiver::{Answer, Cable, Got, Receiver};
use super::{POISON, SECRET, resume, sink};

/// Numbers of the first and the last event of each request.
fn bounds(got: &[Got]) -> Vec<String> {
    let id = |got: &Got| got.header("webhook-id").rsplit_once('-').unwrap().0.to_owned();
    got.iter().map(id).collect()
}

fn assert_same(one: &Got, other: &Got) {
    assert_eq!(one.header("webhook-id"), other.header("webhook-id"));
    assert_eq!(one.body, other.body);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_request() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let cable = Cable::to(address).await;
    let sink = sink(cable.address, json!({ "secret": SECRET }));
    let events = envelopes(1..10);
    cable.lose_an_answer();
    let error = sink.deliver(&events[..5]).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Broken, "connection_lost"));
    // More has come meanwhile; it goes behind.
    sink.deliver(&events).await.unwrap();
    let got = receiver.got();
    assert_eq!(bounds(&got), ["1-5", "1-5", "6-9"]);
    assert_same(&got[0], &got[1]);

    cable.tear_a_request();
    let more = envelopes(10..14);
    assert_eq!(sink.deliver(&more).await.unwrap_err().failure, Failure::Broken);
    sink.deliver(&more).await.unwrap();
    assert_eq!(bounds(&receiver.got()[3..]), ["10-13"]);
}

fn with_state(folder: &Path) -> Value {
    json!({ "state": folder.to_str().unwrap() })
}

#[tokio::test]
async fn a_request_is_the_same_after_a_crash_too() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("made/for/it");
    let (receiver, address) = Receiver::on_a_free_port().await;
    let events = envelopes(1..13);
    {
        let sink = sink(address, with_state(&state));
        resume(&*sink, "first", 1, 7).await;
        sink.deliver(&events[..3]).await.unwrap();
        receiver.answers([Answer::Status(500)]);
        sink.deliver(&events[3..6]).await.unwrap_err();
        // No `close`: this is the crash.
    }
    {
        // The ledger's cursor does not know of the first three, and more has come.
        let sink = sink(address, with_state(&state));
        resume(&*sink, "first", 1, 11).await;
        sink.deliver(&events[..10]).await.unwrap();
    }
    let got = receiver.got();
    assert_eq!(bounds(&got), ["1-3", "4-6", "1-3", "4-6", "7-10"]);
    assert_same(&got[1], &got[3]);

    // Another ledger's numbers mean other events.
    let sink = sink(address, with_state(&state));
    resume(&*sink, "second", 1, 13).await;
    sink.deliver(&events).await.unwrap();
    assert_eq!(bounds(&receiver.got()[5..]), ["1-12"]);
}

#[tokio::test]
async fn what_was_given_up_in_the_middle_is_sent_again_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    for state in [json!({}), with_state(folder.path())] {
        let (receiver, address) = Receiver::on_a_free_port().await;
        let sink = sink(address, state);
        resume(&*sink, "first", 1, 9).await;
        let events = envelopes(1..9);
        receiver.answers([Answer::Hang]);
        {
            let mut given_up = sink.deliver(&events[..4]);
            while receiver.got().is_empty() {
                let step = tokio::time::timeout(Duration::from_millis(1), &mut given_up).await;
                assert!(step.is_err(), "it hangs");
            }
        }
        sink.deliver(&events).await.unwrap();
        let got = receiver.got();
        assert_eq!(bounds(&got), ["1-4", "1-4", "5-8"]);
        assert_same(&got[0], &got[1]);
    }
}

#[tokio::test]
async fn a_request_that_an_event_has_spoilt_is_split() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({}));
    let mut events = envelopes(1..5);
    events[2].id = POISON.into();
    let error = sink.deliver(&events).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Poisoned, "rejected"));
    sink.deliver(&events[..2]).await.unwrap();
    let error = sink.deliver(&events[2..3]).await.unwrap_err();
    let blamed = format!("{:?}", error.blame);
    assert_eq!(blamed, r#"Events([("testkit", 3)])"#);
    sink.deliver(&events[3..]).await.unwrap();
    assert_eq!(bounds(&receiver.got()), ["1-4", "1-2", "3-3", "4-4"]);
}

#[tokio::test]
async fn what_is_done_of_single_events_is_told() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({ "mode": "structured" }));
    receiver.answers([Answer::Status(204), Answer::Status(204), Answer::Status(500)]);
    let error = sink.deliver(&envelopes(1..5)).await.unwrap_err();
    assert_eq!(error.done, [("testkit".to_owned(), 2)]);
    let first = &receiver.got()[0];
    assert_eq!(first.records(), [envelopes(1..2)[0].data.clone()]);
}

#[tokio::test]
async fn a_damaged_state_is_refused_and_blames_its_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (_receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, with_state(folder.path()));
    for text in ["", "{", r#"{"version":2,"ledger":null,"requests":[]}"#] {
        std::fs::write(folder.path().join("testkit.json"), text).unwrap();
        let place =
            streamkeeper_sink::Resume { source: "testkit", ledger: "first", next: 1, end: 2 };
        let error = sink.resume(place).await.unwrap_err();
        assert_eq!((error.failure, error.reason), (Failure::Refused, "state_damaged"));
        assert_eq!(error.blame, streamkeeper_sink::Blame::Streams(vec!["testkit".into()]));
    }
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let sink = sink(address, json!({ "in_flight": 3 }));
    assert_eq!(sink.shape().in_flight, 3);
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(3));
    receiver.answers((0..3).map(|_| Answer::Together(barrier.clone())));
    let given = ["a", "b", "c"].map(|source| envelopes_of(source, 1..4));
    let [a, b, c] = given.each_ref().map(|events| sink.deliver(events));
    let (a, b, c) = tokio::join!(a, b, c);
    a.and(b).and(c).unwrap();
    assert_eq!(receiver.records().len(), 9);
}
