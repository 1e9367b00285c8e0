//! Decoding side by side with `sse-stream` and `eventsource-stream`: the same chunks of 8 KiB, out
//! of 512 KiB of events, every event taken and dropped. Throughput is in bytes of the stream for
//! each second of CPU time.
//!
//! All chunks together fit into the cache of a core, and a first run that is not timed brings them
//! there: a transport that has just read a chunk leaves it there, too. With 8 MiB, whoever came
//! first in a round fetched them from memory for those who came after, and the ratio between two
//! contenders went from 1.0 to 1.4 when they changed places.
//!
//! The corpora: `health`, events of 790 bytes with one JSON record each, as a health data service
//! sends them; and `tiny`, events of 43 bytes, where it is the cost per event that counts. `ROUNDS`
//! (31) rounds; the report is `docs/benchmarks/decode.json`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark may panic, and knows its corpora"
)]

use std::convert::Infallible;
use std::hint::black_box;

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;
use streamkeeper_sse::{Decoder, Limits};

use crate::report::{Goal, Report, row, size, timed};

#[path = "../../../benches/report.rs"]
mod report;

const CORPUS_BYTES: usize = 512 << 10;
const CHUNK_BYTES: usize = 8 << 10;

fn health(number: usize) -> String {
    let record = format!(
        r#"{{"id":"{number:032x}","checksum":"51502ff934e3b47b3df8284494f814b8","type":"summary","category":"daily","log_id":"2026-04-19","version":"1.0","start_time":"2026-04-19T05:00:00Z","end_time":"2026-04-20T04:59:59Z","created_at":"2026-04-19T16:48:10.059Z","deleted_at":null,"utc_offset":-18000,"offset_origin":"profile","source":{{"type":"fitbit","device":null}},"metrics":[{{"type":"steps","origin":"device","unit":"count","value":6392}}],"segments":[],"tags":[],"user_notes":[],"user":{{"user_id":"5a1d8c3e9b7f4d2e6c0a1b3f","uid":"customer-000123","organization_id":"5f0e1d2c3b4a59687786950f"}}}}"#
    );
    padded(&format!("event: data\ndata: {record}"), 790)
}

fn tiny(number: usize) -> String {
    padded(&format!("event: tick\ndata: {{\"n\":{number:08}}}"), 43)
}

/// Spaces after the data make every event equally long.
fn padded(lines: &str, bytes: usize) -> String {
    let event = format!("{lines:<width$}\n\n", width = bytes - 2);
    assert_eq!(event.len(), bytes);
    event
}

fn chunks(event: Corpus) -> (Vec<Bytes>, usize) {
    let events = CORPUS_BYTES / event(0).len();
    let corpus = Bytes::from((0..events).map(event).collect::<String>());
    let cuts = (0..corpus.len()).step_by(CHUNK_BYTES);
    // Chunks of their own, as a transport gives them.
    let chunk = |at| Bytes::copy_from_slice(&corpus[at..corpus.len().min(at + CHUNK_BYTES)]);
    (cuts.map(chunk).collect(), events)
}

fn streamkeeper(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new(Limits::default());
    let mut events = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(frame) = decoder.next_frame() {
            black_box(frame.unwrap());
            events += 1;
        }
    }
    events
}

fn sse_stream(chunks: &[Bytes]) -> usize {
    let chunks = stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>));
    let mut decoder = sse_stream::SseByteStream::new(chunks);
    let count = async {
        let mut events = 0;
        while let Some(event) = decoder.next().await {
            black_box(event.unwrap());
            events += 1;
        }
        events
    };
    count.now_or_never().unwrap()
}

fn eventsource_stream(chunks: &[Bytes]) -> usize {
    let chunks = stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>));
    let mut decoder = chunks.eventsource();
    let count = async {
        let mut events = 0;
        while let Some(event) = decoder.next().await {
            black_box(event.unwrap());
            events += 1;
        }
        events
    };
    count.now_or_never().unwrap()
}

type Corpus = fn(usize) -> String;
type Subject = fn(&[Bytes]) -> usize;

const OURS: &str = "streamkeeper-sse";
const SUBJECTS: [(&str, Subject); 3] =
    [(OURS, streamkeeper), ("sse-stream", sse_stream), ("eventsource-stream", eventsource_stream)];

/// One subject's figures over so many runs, in GB (10⁹ bytes) and million events a CPU second.
fn measure(subject: Subject, chunks: &[Bytes], events: usize, runs: usize) -> (f64, f64) {
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    subject(chunks);
    let (_, cpu) = timed(|| {
        for _ in 0..runs {
            assert_eq!(subject(chunks), events, "every event is given");
        }
    });
    let runs = runs as f64;
    (bytes as f64 * runs / cpu / 1e9, events as f64 * runs / cpu / 1e6)
}

fn main() {
    let (rounds, runs) = (size("ROUNDS", 31), size("RUNS", 64));
    let settings = json!({
        "corpus_bytes": CORPUS_BYTES, "chunk_bytes": CHUNK_BYTES, "runs": runs,
        "event_bytes": { "health": health(0).len(), "tiny": tiny(0).len() },
    });
    let mut report = Report::new("decode", settings);
    let corpora: [(&str, Corpus); 2] = [("health", health), ("tiny", tiny)];
    let corpora = corpora.map(|(name, event)| (name, chunks(event)));
    for _ in 0..rounds {
        let mut rows = Vec::new();
        for (corpus, (chunks, events)) in &corpora {
            for (name, subject) in SUBJECTS {
                let (bytes, events) = measure(subject, chunks, *events, runs);
                let figures =
                    [("gb_per_cpu_second", bytes), ("million_events_per_cpu_second", events)];
                rows.push(row(&format!("{name}, {corpus}"), figures));
            }
        }
        report.round(rows);
    }
    for (corpus, _) in corpora {
        let row = |name: &str| format!("{name}, {corpus}");
        report.ratio("gb_per_cpu_second", &row(OURS), &row("eventsource-stream"));
        let ratio = report.ratio("gb_per_cpu_second", &row(OURS), &row("sse-stream"));
        let goal = format!("throughput beside sse-stream, {corpus}");
        report.goal(&goal, ratio, Goal::AtLeast(1.3));
    }
    report.write();
}
