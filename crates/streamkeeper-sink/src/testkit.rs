//! The checks every sink must pass.
//!
//! A test of a sink implements [`Destination`] (a way to open the sink, to see what
//! arrived, and to make it fail) and calls [`check`], or single checks, inside the
//! runtime that the sink needs. A check panics with what is wrong, as an assertion does.
//!
//! The records of the kit are awkward on purpose: numbers that a JSON library would
//! rewrite, keys out of order, text outside of ASCII. Who re-serializes a record fails.

use bytes::Bytes;

use crate::{Content, Envelope, Failure, Resume, Sink};

/// Where the sink under test delivers to.
pub trait Destination {
    /// Opens a sink on the destination, as after a restart of the process.
    fn open(&mut self) -> Box<dyn Sink>;

    /// The records that have arrived, in order, repetitions included.
    fn received(&mut self) -> Vec<Bytes>;

    /// Makes the next delivery of the open sink fail part-way, with what passes by itself; `false` if
    /// the destination cannot be made to fail in a test.
    fn fail_next(&mut self) -> bool;

    /// Whether events given again after an error may arrive twice. A sink whose writes
    /// are all-or-nothing, or which is idempotent, says no.
    fn may_repeat(&self) -> bool;

    /// Whether the sink keeps its own place in each stream, so that what is given again after
    /// a crash arrives once (see [`Sink::resume`]).
    fn remembers(&self) -> bool {
        false
    }
}

/// Runs every check, each on a destination of its own.
pub async fn check<D: Destination>(mut fresh: impl FnMut() -> D) {
    keeps_order(&mut fresh()).await;
    accepts_an_empty_batch(&mut fresh()).await;
    delivers_again_after_an_error(&mut fresh()).await;
    appends_after_close(&mut fresh()).await;
    resumes_after_a_crash(&mut fresh()).await;
    takes_everything_of_another_ledger(&mut fresh()).await;
    takes_everything_of_a_copy(&mut fresh()).await;
    takes_several_streams_at_once(&mut fresh()).await;
}

/// Every record arrives once, unchanged and in order, whatever the size of the batches.
pub async fn keeps_order(destination: &mut impl Destination) {
    let events = envelopes(0..100);
    let mut sink = destination.open();
    let (mut rest, mut size) = (events.as_slice(), 1);
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        deliver(&mut *sink, batch).await;
        (rest, size) = (after, size * 3);
    }
    assert_same(&destination.received(), &events, "order");
}

/// An empty batch is accepted and leaves no trace.
pub async fn accepts_an_empty_batch(destination: &mut impl Destination) {
    let events = envelopes(0..1);
    let mut sink = destination.open();
    deliver(&mut *sink, &[]).await;
    deliver(&mut *sink, &events).await;
    deliver(&mut *sink, &[]).await;
    assert_same(&destination.received(), &events, "an empty batch");
}

/// A batch that failed is delivered by giving it again; nothing is torn, nothing before
/// it is touched, and only a sink that may repeat repeats.
pub async fn delivers_again_after_an_error(destination: &mut impl Destination) {
    let (before, batch, after) = (envelopes(0..3), envelopes(3..9), envelopes(9..12));
    let mut sink = destination.open();
    deliver(&mut *sink, &before).await;
    if !destination.fail_next() {
        return;
    }
    match sink.deliver(&batch).await {
        Ok(()) => panic!("the delivery was made to fail and did not"),
        Err(error) => assert_ne!(error.failure, Failure::Poisoned, "does not pass: {error}"),
    }
    deliver(&mut *sink, &batch).await;
    deliver(&mut *sink, &after).await;

    let mut received = destination.received();
    if destination.may_repeat() {
        let mut seen = std::collections::HashSet::new();
        received.retain(|record| seen.insert(record.clone()));
    }
    assert_same(&received, &[before, batch, after].concat(), "a failed batch");
}

/// After `close` everything has arrived, and a new sink goes on behind it.
pub async fn appends_after_close(destination: &mut impl Destination) {
    let (first, second) = (envelopes(0..5), envelopes(5..10));
    for events in [&first, &second] {
        let mut sink = destination.open();
        deliver(&mut *sink, events).await;
        if let Err(error) = sink.close().await {
            panic!("close failed: {error}");
        }
    }
    assert_same(&destination.received(), &[first, second].concat(), "close");
}

/// Two streams, and a crash in which the ledger forgets how far it had got: what is given
/// again is repeated only by a sink that does not remember, and nothing is left out.
pub async fn resumes_after_a_crash(destination: &mut impl Destination) {
    let sources = ["testkit", "other"];
    let given =
        |numbers: std::ops::Range<u64>| sources.map(|source| envelopes_of(source, numbers.clone()));
    for (numbers, next) in [(1..6, 1), (3..9, 3), (9..9, 9), (9..12, 9)] {
        let mut sink = destination.open();
        for (source, batch) in sources.iter().zip(given(numbers.clone())) {
            resume(&mut *sink, Resume { source, ledger: "first", next, end: numbers.end }).await;
            deliver(&mut *sink, &batch).await;
        }
        // No `close`: this is the crash.
    }
    let mut received = destination.received();
    for expected in given(1..12) {
        let mut own: Vec<Bytes> = received
            .extract_if(.., |record| expected.iter().any(|event| event.data == *record))
            .collect();
        if !destination.remembers() {
            let mut seen = std::collections::HashSet::new();
            own.retain(|record| seen.insert(record.clone()));
        }
        assert_same(&own, &expected, "a crash");
    }
    assert!(received.is_empty(), "something arrived that was never given");
}

/// When the ledger was replaced by another, numbers mean other events: nothing that it gives may be
/// taken for known, however far it has grown.
pub async fn takes_everything_of_another_ledger(destination: &mut impl Destination) {
    let numbers = [100..105, 1..4, 2..8, 3..5];
    let ledgers = [("first", 100, 105), ("second", 1, 4), ("third", 2, 50), ("fourth", 3, 8)];
    let given = numbers.map(envelopes);
    for (events, (ledger, next, end)) in given.iter().zip(ledgers) {
        let mut sink = destination.open();
        resume(&mut *sink, Resume { source: "testkit", ledger, next, end }).await;
        deliver(&mut *sink, events).await;
    }
    assert_same(&destination.received(), &given.concat(), "another ledger");
}

/// An older copy of the same ledger was put back: it has not come as far as the sink.
pub async fn takes_everything_of_a_copy(destination: &mut impl Destination) {
    let (before, after) = (envelopes(1..9), envelopes(4..7));
    for (events, next, end) in [(&before, 1, 9), (&after, 4, 7)] {
        let mut sink = destination.open();
        resume(&mut *sink, Resume { source: "testkit", ledger: "first", next, end }).await;
        deliver(&mut *sink, events).await;
    }
    assert_same(&destination.received(), &[before, after].concat(), "a copy");
}

/// A batch of several streams arrives as each stream's own would, if the sink takes such batches; after a
/// crash, too.
pub async fn takes_several_streams_at_once(destination: &mut impl Destination) {
    let of = |numbers: std::ops::Range<u64>| {
        [envelopes_of("testkit", numbers.clone()), envelopes_of("other", numbers)].concat()
    };
    for (numbers, next) in [(1..4, 1), (3..7, if destination.remembers() { 3 } else { 4 })] {
        let mut sink = destination.open();
        if !sink.shape().several {
            return;
        }
        for source in ["testkit", "other"] {
            resume(&mut *sink, Resume { source, ledger: "first", next, end: numbers.end }).await;
        }
        deliver(&mut *sink, &of(numbers.start.max(next)..numbers.end)).await;
        // No `close`: this is the crash.
    }
    assert_same(&destination.received(), &[of(1..4), of(4..7)].concat(), "several streams");
}

/// Envelopes with distinct, awkward records; `numbers` are their sequence numbers.
pub fn envelopes(numbers: std::ops::Range<u64>) -> Vec<Envelope> {
    envelopes_of("testkit", numbers)
}

/// The same of a stream that is called `source`; two streams have no record in common.
pub fn envelopes_of(source: &str, numbers: std::ops::Range<u64>) -> Vec<Envelope> {
    let name: std::sync::Arc<str> = source.into();
    numbers
        .map(|number| Envelope {
            id: format!("record-{number}/version"),
            source: std::sync::Arc::clone(&name),
            kind: "inform.data".into(),
            time_us: i64::try_from(number).ok().map(|us| us * 1_000),
            subject: Some(format!("user {}", number % 3)),
            sequence: number,
            replayed: number % 2 == 0,
            content: Content::Json,
            data: Bytes::from(format!(
                r#"{{ "z":{number}, "s":"{source}","a":1.00,"big":123456789012345678901234567890.5e-3, "t":"é\u00e9\\ \"☂" }}"#
            )),
        })
        .collect()
}

async fn resume(sink: &mut dyn Sink, resume: Resume<'_>) {
    if let Err(error) = sink.resume(resume).await {
        panic!("resuming failed: {error}");
    }
}

async fn deliver(sink: &mut dyn Sink, batch: &[Envelope]) {
    if let Err(error) = sink.deliver(batch).await {
        panic!("delivery failed: {error}");
    }
}

fn assert_same(received: &[Bytes], events: &[Envelope], what: &str) {
    let expected: Vec<&Bytes> = events.iter().map(|event| &event.data).collect();
    assert_eq!(received.iter().collect::<Vec<_>>(), expected, "{what}");
}
