//! Decoding side by side with `sse-stream` and `eventsource-stream`: the same chunks of 8 KiB, out
//! of 8 MiB of events, every event taken and dropped. Throughput is in bytes of the stream.
//!
//! The corpora: `health`, events of 790 bytes with one JSON record each, as a health data service
//! sends them; and `tiny`, events of 43 bytes, where it is the cost per event that counts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark may panic, and knows its corpora"
)]

use std::convert::Infallible;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};
use streamkeeper_sse::{Decoder, Limits};

const CORPUS_BYTES: usize = 8 << 20;
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

fn decode(criterion: &mut Criterion) {
    let corpora: [(&str, Corpus); 2] = [("health", health), ("tiny", tiny)];
    for (corpus, event) in corpora {
        let (chunks, events) = chunks(event);
        let mut group = criterion.benchmark_group(corpus);
        let bytes: usize = chunks.iter().map(Bytes::len).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        let subjects: [(&str, Subject); 3] = [
            ("streamkeeper-sse", streamkeeper),
            ("sse-stream", sse_stream),
            ("eventsource-stream", eventsource_stream),
        ];
        for (name, subject) in subjects {
            assert_eq!(subject(&chunks), events, "{name} gives every event");
            group.bench_function(name, |bencher| bencher.iter(|| subject(&chunks)));
        }
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
