//! The checks every sink must pass.
//!
//! A test of a sink implements [`Destination`] (a way to open the sink, to see what
//! arrived, and to make it fail) and calls [`check`], or single checks, inside the
//! runtime that the sink needs. A check panics with what is wrong, as an assertion does.
//!
//! The records of the kit are awkward on purpose: numbers that a JSON library would
//! rewrite, keys out of order, text outside of ASCII. Who re-serializes a record fails.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;

use crate::{Blame, Content, Envelope, Failure, Resume, Sink};

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

    /// An event like `event` that the destination refuses whenever it is given; `None` if it refuses none.
    fn poisoned(&mut self, event: Envelope) -> Option<Envelope> {
        drop(event);
        None
    }

    /// Whether it has an event once by its id, of whatever ledger: the kit's other ledgers give the same ids.
    fn knows_by_id(&self) -> bool {
        false
    }

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
    survives_a_dropped_delivery(&mut fresh()).await;
    takes_again_what_a_hand_sends_again(&mut fresh()).await;
    blames_a_poisoned_event(&mut fresh()).await;
}

/// Every record arrives once, unchanged and in order, whatever the size of the batches.
pub async fn keeps_order(destination: &mut impl Destination) {
    let events = envelopes(0..100);
    let sink = open(destination).await;
    let (mut rest, mut size) = (events.as_slice(), 1);
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        deliver(&*sink, batch).await;
        (rest, size) = (after, size * 3);
    }
    assert_same(&destination.received(), &events, "order");
}

/// An empty batch is accepted and leaves no trace.
pub async fn accepts_an_empty_batch(destination: &mut impl Destination) {
    let events = envelopes(0..1);
    let sink = open(destination).await;
    deliver(&*sink, &[]).await;
    deliver(&*sink, &events).await;
    deliver(&*sink, &[]).await;
    assert_same(&destination.received(), &events, "an empty batch");
}

/// A batch that failed is delivered by giving it again; nothing is torn, nothing before
/// it is touched, and only a sink that may repeat repeats.
pub async fn delivers_again_after_an_error(destination: &mut impl Destination) {
    let (before, batch, after) = (envelopes(0..3), envelopes(3..9), envelopes(9..12));
    let sink = open(destination).await;
    deliver(&*sink, &before).await;
    if !destination.fail_next() {
        return;
    }
    match sink.deliver(&batch).await {
        Ok(()) => panic!("the delivery was made to fail and did not"),
        Err(error) => assert!(
            matches!(error.failure, Failure::Busy { .. } | Failure::Broken),
            "does not pass: {error}"
        ),
    }
    deliver(&*sink, &batch).await;
    deliver(&*sink, &after).await;

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
        let sink = open(destination).await;
        deliver(&*sink, events).await;
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
        let sink = open(destination).await;
        for (source, batch) in sources.iter().zip(given(numbers.clone())) {
            resume(&*sink, Resume { source, ledger: "first", next, end: numbers.end }).await;
            deliver(&*sink, &batch).await;
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
        let sink = open(destination).await;
        resume(&*sink, Resume { source: "testkit", ledger, next, end }).await;
        deliver(&*sink, events).await;
    }
    assert_same(&destination.received(), &known(destination, given.concat()), "another ledger");
}

/// An older copy of the same ledger was put back: it has not come as far as the sink.
pub async fn takes_everything_of_a_copy(destination: &mut impl Destination) {
    let (before, after) = (envelopes(1..9), envelopes(4..7));
    for (events, next, end) in [(&before, 1, 9), (&after, 4, 7)] {
        let sink = open(destination).await;
        resume(&*sink, Resume { source: "testkit", ledger: "first", next, end }).await;
        deliver(&*sink, events).await;
    }
    let expected = known(destination, [before, after].concat());
    assert_same(&destination.received(), &expected, "a copy");
}

/// A batch of several streams arrives as each stream's own would, if the sink takes such batches; after a
/// crash, too.
pub async fn takes_several_streams_at_once(destination: &mut impl Destination) {
    let of = |numbers: std::ops::Range<u64>| {
        [envelopes_of("testkit", numbers.clone()), envelopes_of("other", numbers)].concat()
    };
    for (numbers, next) in [(1..4, 1), (3..7, if destination.remembers() { 3 } else { 4 })] {
        let sink = open(destination).await;
        if !sink.shape().several {
            return;
        }
        for source in ["testkit", "other"] {
            resume(&*sink, Resume { source, ledger: "first", next, end: numbers.end }).await;
        }
        deliver(&*sink, &of(numbers.start.max(next)..numbers.end)).await;
        // No `close`: this is the crash.
    }
    assert_same(&destination.received(), &[of(1..4), of(4..7)].concat(), "several streams");
}

/// A delivery that is given up in its middle, as at its time limit, leaves a sink that takes the same again.
pub async fn survives_a_dropped_delivery(destination: &mut impl Destination) {
    let (batch, after) = (envelopes(1..6), envelopes(6..8));
    let sink = open(destination).await;
    resume(&*sink, Resume { source: "testkit", ledger: "first", next: 1, end: 8 }).await;
    {
        // As far as it comes at once.
        let mut dropped = pin!(sink.deliver(&batch));
        if let Some(Err(error)) = (&mut dropped).now_or_never() {
            panic!("delivery failed: {error}");
        }
    }
    until_free(&*sink, &batch).await;
    deliver(&*sink, &after).await;
    let mut received = destination.received();
    if destination.may_repeat() {
        let mut seen = std::collections::HashSet::new();
        received.retain(|record| seen.insert(record.clone()));
    } else {
        received.dedup();
    }
    assert_same(&received, &[batch, after].concat(), "a dropped delivery");
}

/// What comes out of the dead letters is older than the sink's place, and arrives all the same.
pub async fn takes_again_what_a_hand_sends_again(destination: &mut impl Destination) {
    let events = envelopes(1..5);
    let [first, letter, rest @ ..] = events.as_slice() else { return };
    let sink = open(destination).await;
    resume(&*sink, Resume { source: "testkit", ledger: "first", next: 1, end: 5 }).await;
    deliver(&*sink, std::slice::from_ref(first)).await;
    deliver(&*sink, rest).await;
    deliver(&*sink, &[Envelope { redelivered: true, ..letter.clone() }]).await;
    let expected = [std::slice::from_ref(first), rest, std::slice::from_ref(letter)].concat();
    assert_same(&destination.received(), &expected, "what is sent again");
}

/// An event that the destination refuses is called poisoned, and whatever else was given with it arrives
/// when it is given without it.
pub async fn blames_a_poisoned_event(destination: &mut impl Destination) {
    let mut events = envelopes(1..6);
    let Some(poisoned) = events.get(2).cloned().and_then(|event| destination.poisoned(event))
    else {
        return;
    };
    let sink = open(destination).await;
    resume(&*sink, Resume { source: "testkit", ledger: "first", next: 1, end: 6 }).await;
    let mut batch = events.clone();
    batch.splice(2..3, [poisoned.clone()]);
    let done = match sink.deliver(&batch).await {
        Ok(()) => panic!("a poisoned event was taken"),
        Err(error) => {
            assert_eq!(error.failure, Failure::Poisoned, "{error}");
            if let Blame::Events(blamed) = &error.blame {
                assert_eq!(*blamed, [(poisoned.source.to_string(), poisoned.sequence)]);
            }
            error.done.iter().map(|(_, events)| *events).sum::<usize>()
        }
    };
    assert!(done <= 2, "an event behind the poisoned one cannot be done");
    match sink.deliver(&[poisoned]).await {
        Ok(()) => panic!("a poisoned event was taken alone"),
        Err(error) => assert_eq!(error.failure, Failure::Poisoned, "{error}"),
    }
    events.remove(2);
    for event in events.get(done..).unwrap_or_default() {
        deliver(&*sink, std::slice::from_ref(event)).await;
    }
    assert_same(&destination.received(), &events, "what was given with a poisoned event");
}

/// What is there of the events that were given, by what the destination knows.
fn known(destination: &impl Destination, mut given: Vec<Envelope>) -> Vec<Envelope> {
    if destination.knows_by_id() {
        let mut seen = std::collections::HashSet::new();
        given.retain(|event| seen.insert((Arc::clone(&event.source), event.id.clone())));
    }
    given
}

/// Delivers to a sink that may have to end first what a dropped delivery began.
async fn until_free(sink: &dyn Sink, batch: &[Envelope]) {
    loop {
        match sink.deliver(batch).await {
            Ok(()) => return,
            Err(error) if matches!(error.failure, Failure::Busy { .. }) => std::thread::yield_now(),
            Err(error) => panic!("delivery failed: {error}"),
        }
    }
}

/// Envelopes with distinct, awkward records; `numbers` are their sequence numbers.
pub fn envelopes(numbers: std::ops::Range<u64>) -> Vec<Envelope> {
    envelopes_of("testkit", numbers)
}

/// The same of a stream that is called `source`; two streams have no record in common.
pub fn envelopes_of(source: &str, numbers: std::ops::Range<u64>) -> Vec<Envelope> {
    let name: Arc<str> = source.into();
    numbers
        .map(|number| Envelope {
            id: format!("record-{number}/version"),
            source: Arc::clone(&name),
            kind: "inform.data".into(),
            time_us: i64::try_from(number).ok().map(|us| us * 1_000),
            subject: Some(format!("user {}", number % 3)),
            sequence: number,
            replayed: number % 2 == 0,
            redelivered: false,
            content: Content::Json,
            data: Bytes::from(format!(
                r#"{{ "z":{number}, "s":"{source}","a":1.00,"big":123456789012345678901234567890.5e-3, "t":"é\u00e9\\ \"☂" }}"#
            )),
        })
        .collect()
}

async fn open(destination: &mut impl Destination) -> Box<dyn Sink> {
    let sink = destination.open();
    if let Err(error) = sink.open().await {
        panic!("opening failed: {error}");
    }
    sink
}

async fn resume(sink: &dyn Sink, resume: Resume<'_>) {
    if let Err(error) = sink.resume(resume).await {
        panic!("resuming failed: {error}");
    }
}

async fn deliver(sink: &dyn Sink, batch: &[Envelope]) {
    if let Err(error) = sink.deliver(batch).await {
        panic!("delivery failed: {error}");
    }
}

fn assert_same(received: &[Bytes], events: &[Envelope], what: &str) {
    let expected: Vec<&Bytes> = events.iter().map(|event| &event.data).collect();
    assert_eq!(received.iter().collect::<Vec<_>>(), expected, "{what}");
}
