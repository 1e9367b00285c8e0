//! Which version of a record stands, and that a record stays as it is.

use streamkeeper_sink::{Content, Envelope, Failure, Recall, Resume, Sink, testkit};

use super::super::{Mode, PostgresSink};
use super::server::Server;

/// A version of the record `r`, and its number in the ledger.
fn version(sequence: u64, second: Option<i64>, checksum: &str) -> Envelope {
    let time =
        second.map_or_else(|| "-".to_owned(), |second| format!("1970-01-01T00:00:{second:02}Z"));
    Envelope {
        id: format!("r:{time}:{checksum}"),
        time_us: second.map(|second| second * 1_000_000),
        data: format!("\"{checksum}\"").into(),
        ..testkit::envelopes(sequence..sequence + 1).remove(0)
    }
}

async fn resume(sink: &PostgresSink, ledger: &str) {
    sink.resume(Resume { source: "testkit", ledger, next: 1, end: 100 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_applied_if_it_is_not_older() {
    let server = Server::start();
    let sink = super::sink(server.url(), Mode::Newest);
    sink.open().await.unwrap();
    resume(&sink, "first").await;
    let again = |event| Envelope { redelivered: true, ..event };
    let steps: [(&[Envelope], &str); 8] = [
        // Within a batch, and whatever its order is.
        (&[version(1, Some(10), "a"), version(2, Some(30), "c"), version(3, Some(20), "b")], "c"),
        (&[version(4, Some(29), "x")], "c"),
        // Of one time the later in the ledger.
        (&[version(5, Some(30), "d")], "d"),
        (&[version(2, Some(30), "c")], "d"),
        // Out of the dead letters, older and not.
        (&[again(version(1, Some(11), "y"))], "d"),
        (&[again(version(6, Some(40), "e"))], "e"),
        // Without a time the ledger's order tells, too.
        (&[version(7, None, "f"), version(8, None, "g")], "g"),
        (&[version(7, None, "f")], "g"),
    ];
    let stands = || server.ask("SELECT data #>> '{}' FROM events");
    for (batch, expected) in steps {
        sink.deliver(batch).await.unwrap();
        assert_eq!(stands(), expected);
    }
    // The numbers of another ledger say nothing.
    resume(&sink, "second").await;
    sink.deliver(&[version(1, None, "h")]).await.unwrap();
    assert_eq!(stands(), "h");

    let gone =
        Envelope { id: "r:1970-01-01T00:00:50Z:i:withdrawn".into(), ..version(2, Some(50), "i") };
    sink.deliver(&[gone]).await.unwrap();
    sink.deliver(&[version(3, Some(45), "late")]).await.unwrap();
    assert_eq!(
        server.ask("SELECT record, withdrawn, id FROM events"),
        "r|t|r:1970-01-01T00:00:50Z:i:withdrawn"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_kept_byte_for_byte_and_what_cannot_be_is_named() {
    let server = Server::start();
    let sink = super::sink(server.url(), Mode::History);
    sink.open().await.unwrap();
    let mut events = testkit::envelopes(1..4);
    let json = "{\r\n \"b\":1.0,\"a\":\"\\u0000\\ud800\",\"a\":1e400}";
    events[0].data = json.into();
    (events[1].content, events[1].data) = (Content::Text, "no \"JSON\"\0\n{".into());
    (events[2].time_us, events[2].subject) = (Some(i64::MIN), None);
    sink.deliver(&events).await.unwrap();
    assert_eq!(server.ask("SELECT data FROM events WHERE sequence = 1"), json);
    let text = server.ask("SELECT content_type, data FROM events WHERE sequence = 2");
    assert_eq!(text, r#"text/plain|"no \"JSON\"\u0000\n{""#);
    let empty = "SELECT time IS NULL AND subject IS NULL FROM events WHERE sequence = 3";
    assert_eq!(server.ask(empty), "t");

    for (id, reason) in [("a\0b".to_owned(), "nul_in_text"), ("a".repeat(1 << 20), "row_refused")] {
        let event = Envelope { id, ..testkit::envelopes(9..10).remove(0) };
        let error = sink.deliver(&[event]).await.unwrap_err();
        assert_eq!((error.failure, error.reason), (Failure::Poisoned, reason), "{error}");
    }
    assert_eq!(server.ask("SELECT count(*) FROM events"), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_it_has() {
    let server = Server::start();
    let sink = super::sink(server.url(), Mode::History);
    let words = sink.probe().await.unwrap().unwrap();
    assert!(words.starts_with("PostgreSQL 1") && words.contains("which is made"), "{words}");
    assert_eq!(server.ask("SELECT to_regclass('events') IS NULL"), "t", "a probe writes");
    sink.open().await.unwrap();
    let words = sink.probe().await.unwrap().unwrap();
    assert!(words.contains(", table events; fsync is off"), "{words}");

    let mut events = testkit::envelopes(1..1_001);
    events[0].time_us = None;
    sink.deliver(&[events.as_slice(), &testkit::envelopes_of("other", 1..3)].concat())
        .await
        .unwrap();
    let mut told = Vec::new();
    let recall = Recall { source: "testkit", since_us: 500_000 };
    assert!(sink.recall(recall, &mut |event| told.push(event)).await.unwrap());
    let mut expected: Vec<_> =
        events.iter().filter(|event| event.time_us.is_none_or(|us| us >= 500_000)).collect();
    told.sort_by(|one, other| one.id.cmp(&other.id));
    expected.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(told.len(), 502);
    for (told, event) in told.iter().zip(expected) {
        assert_eq!(
            (&told.id, told.time_us, &told.subject),
            (&event.id, event.time_us, &event.subject)
        );
    }
}
