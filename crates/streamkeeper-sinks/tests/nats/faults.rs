//! What is given up in the middle: each event is there once, in order.

use streamkeeper_sink::testkit::{envelopes, envelopes_of};
use streamkeeper_sink::{Envelope, Failure};

use super::server::{Server, Wire};
use super::{assert_once, deliver, plain, told};

/// The server dies with a batch under way, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_has_each_event_once() {
    let mut server = Server::start("");
    let events = envelopes(1..1_201);
    let sink = plain(&server.url(), "EVENTS");
    told(&*sink, "testkit", "first", 1, 1_201).await;
    for (number, batch) in events.chunks(100).enumerate() {
        if number % 3 == 2 {
            let sent = sink.deliver(batch);
            tokio::pin!(sent);
            // As far as it comes by itself, a step further each time.
            for _ in 0..number {
                if futures_util::poll!(&mut sent).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            server.kill();
            let error = sent.await;
            assert!(error.is_ok() || error.is_err_and(|error| error.failure == Failure::Broken));
            let away = sink.deliver(batch).await;
            assert!(away.is_ok() || away.is_err_and(|error| error.failure == Failure::Broken));
            server.start_again();
        }
        deliver(&*sink, batch).await;
    }
    assert_once(&server.stored("EVENTS"), &events);
}

/// The wire is cut after any number of bytes on the way there, and at any answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_is_cut_has_each_event_once() {
    let server = Server::start("");
    let wire = Wire::to(server.port).await;
    let events = envelopes(1..601);
    let sink = plain(&wire.url(), "EVENTS");
    told(&*sink, "testkit", "first", 1, 601).await;
    let mut failures = 0;
    for (number, batch) in (0..).zip(events.chunks(15)) {
        match number % 3 {
            0 => wire.cut_after(1 + number * 311),
            1 => wire.cut_the_answer(),
            _ => {}
        }
        failures += deliver(&*sink, batch).await;
    }
    assert!(failures > 10, "the wire was cut: {failures}");
    assert_once(&server.stored("EVENTS"), &events);
}

/// The same where each event goes alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_is_cut_has_each_single_message_once() {
    let server = Server::start("");
    let wire = Wire::to(server.port).await;
    let made = server.api(
        "STREAM.CREATE.EVENTS",
        &serde_json::json!({ "name": "EVENTS", "subjects": ["EVENTS.>"], "retention": "limits", "storage": "file", "num_replicas": 1 }),
    );
    assert!(made.get("error").is_none(), "{made}");
    let events = envelopes(1..61);
    let sink = plain(&wire.url(), "EVENTS");
    told(&*sink, "testkit", "first", 1, 61).await;
    for (number, batch) in (0..).zip(events.chunks(6)) {
        match number % 2 {
            0 => wire.cut_after(1 + number * 311),
            _ => wire.cut_the_answer(),
        }
        deliver(&*sink, batch).await;
    }
    assert_once(&server.stored("EVENTS"), &events);
}

/// A delivery is dropped after any number of steps, and given again in another cut: what arrives late is
/// refused, or known.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_dropped_anywhere_has_each_event_once() {
    let server = Server::start("");
    let events = envelopes(1..401);
    let sink = plain(&server.url(), "EVENTS");
    told(&*sink, "testkit", "first", 1, 401).await;
    for (steps, batch) in events.chunks(10).enumerate() {
        let sent = sink.deliver(batch);
        {
            tokio::pin!(sent);
            for _ in 0..steps {
                if futures_util::poll!(&mut sent).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let (first, second) = batch.split_at(steps % 10);
        deliver(&*sink, first).await;
        deliver(&*sink, second).await;
    }
    assert_once(&server.stored("EVENTS"), &events);
}

/// A crash after an answer that never came: the next process is told the ledger's older place.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_with_an_unknown_outcome_has_each_event_once() {
    let server = Server::start("");
    let wire = Wire::to(server.port).await;
    let events = [envelopes_of("acme", 1..9), envelopes_of("other", 1..9)].concat();
    let (acme, other) = events.split_at(8);
    let several = |from: usize, to: usize| [&acme[from..to], &other[from..to]].concat();
    {
        let sink = plain(&wire.url(), "EVENTS");
        told(&*sink, "acme", "first", 1, 9).await;
        told(&*sink, "other", "first", 1, 9).await;
        sink.deliver(&several(0, 3)).await.unwrap();
        wire.cut_the_answer();
        sink.deliver(&several(3, 6)).await.unwrap_err();
    }
    let sink = plain(&wire.url(), "EVENTS");
    told(&*sink, "acme", "first", 4, 9).await;
    told(&*sink, "other", "first", 4, 9).await;
    sink.deliver(&several(3, 8)).await.unwrap();
    let stored = server.stored("EVENTS");
    for expected in [acme, other] {
        let of =
            stored.iter().filter(|message| expected.iter().any(|event| event.data == message.data));
        let of: Vec<_> = of.cloned().collect();
        assert_once(&of, expected);
    }
    assert_eq!(stored.len(), 16);
}

/// Two ledgers under one name, at once: each has all of its own, once, though either writes behind the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_ledgers_at_once_have_all_of_their_own() {
    let server = Server::start("");
    let events = |ledger: &str| -> Vec<Envelope> {
        let own = |event: Envelope| Envelope {
            id: format!("{ledger}/{}", event.id),
            data: format!("\"{ledger} {}\"", event.sequence).into(),
            ..event
        };
        envelopes(1..201).into_iter().map(own).collect()
    };
    let run = async |ledger: &'static str| {
        let wire = Wire::to(server.port).await;
        let sink = plain(&wire.url(), "EVENTS");
        told(&*sink, "testkit", ledger, 1, 201).await;
        for (number, batch) in events(ledger).chunks(10).enumerate() {
            if number % 4 == 3 {
                wire.cut_the_answer();
            }
            deliver(&*sink, batch).await;
        }
    };
    tokio::join!(run("first"), run("second"));
    let stored = server.stored("EVENTS");
    assert_eq!(stored.len(), 400);
    for ledger in ["first", "second"] {
        let own: Vec<_> = stored
            .iter()
            .filter(|message| message.data.starts_with(format!("\"{ledger} ").as_bytes()))
            .cloned()
            .collect();
        assert_once(&own, &events(ledger));
    }
}
