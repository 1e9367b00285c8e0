//! The whole path, socket → decoder → dialect → desk → durable outbox, beside LaunchDarkly's
//! `eventsource-client`, which only decodes the same stream: CPU seconds per million events of 790
//! bytes, over loopback, one connection.
//!
//! Each contender is a process of its own on one core, all of whose threads are counted, system calls
//! included. The service is a third process on another core, and is not counted. It sends `chunk`s of
//! 16 KiB, or one HTTP chunk for each event, as a service does that flushes after each. `bare` reads
//! the same bytes from a plain socket and drops them: what nobody can do without. `stored` keeps them,
//! compressed and durable in frames like the ledger's, and knows of no event: what nobody can do
//! without who keeps them so. `decode` and `identify` say where our own time goes: on events in memory,
//! what the decoder costs, and it together with reading the identity.
//!
//! Sizes come from the environment: `EVENTS` (1,000,000), `ROUNDS` (3), `BENCH_DIR` (where the ledger
//! is; the system's temporary directory). The report is `docs/benchmarks/whole_path.json`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may panic, and its processes speak to each other over stdout"
)]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use bytes::Bytes;
use eventsource_client::{Client, ClientBuilder, SSE};
use futures_util::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use serde_json::json;
use streamkeeper::config::StreamConfig;
use streamkeeper::{Secret, Streamkeeper};
use streamkeeper_ledger::LedgerConfig;
use streamkeeper_sse::{Decoder, Frame, Limits};
use tempfile::TempDir;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::report::{
    Core, Goal, Report, Rows, answer, child, cpu, myself, pin, rounds, row, size, task,
};
use crate::service::CHUNK_BYTES;

#[path = "../../../benches/records.rs"]
mod records;
#[path = "../../../benches/report.rs"]
mod report;
#[path = "whole_path/service.rs"]
mod service;

fn events() -> usize {
    size("EVENTS", 1_000_000)
}

/// The service in its process; killed with this.
struct Service {
    process: Child,
    address: String,
}

impl Service {
    fn start(chunks: &str) -> Self {
        let mut process = myself(&["service", chunks]).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Where the disk is that is written to.
fn directory() -> TempDir {
    match std::env::var_os("BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// Ours: until every event is durable. Gives the bytes that the outbox has on disk.
fn streamkeeper(service: &Service) -> u64 {
    let dir = directory();
    let mut config = streamkeeper::config::Config::default();
    config.service.data_dir = dir.path().join("data");
    let mut stream = StreamConfig::inform("bench", service.url(), Secret::new("token".to_owned()));
    stream.connections = 1;
    config.streams.push(stream);
    let keeper = Streamkeeper::start(config).unwrap();
    let accepted = || keeper.status().streams[0].accepted;
    while accepted() < events() as u64 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let stream = keeper.status().streams.remove(0);
    assert_eq!(stream.accepted, events() as u64);
    // The process ends here, without a goodbye: the service would not end its stream.
    std::mem::forget(keeper);
    stream.outbox_bytes
}

/// LaunchDarkly's client: until every event was given.
fn eventsource_client(service: &Service) {
    let transport = HyperTransport::builder().build_http().unwrap();
    let url = format!("{}/streams/1/connect?token=token", service.url());
    let client = ClientBuilder::for_url(&url).unwrap().build_with_transport(transport);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stream = client.stream();
        let mut count = 0;
        while count < events() {
            if let SSE::Event(event) = stream.next().await.unwrap().unwrap() {
                count += usize::from(event.event_type == "data");
                black_box(event);
            }
        }
    });
}

/// The bytes alone, given to `each` as they come.
fn bare(service: &Service, mut each: impl FnMut(&[u8])) {
    let mut socket = TcpStream::connect(&service.address).unwrap();
    socket.write_all(b"GET /streams/1/connect HTTP/1.1\r\nhost: bench\r\n\r\n").unwrap();
    let (mut buffer, mut left) = (vec![0; 32 << 10], events() * service::EVENT_BYTES);
    while left > 0 {
        let read = socket.read(&mut buffer).unwrap();
        each(&buffer[..read]);
        left = left.saturating_sub(read);
    }
}

/// The bytes on disk, a frame and a sync for as many as the ledger commits at once.
fn stored(service: &Service) -> u64 {
    let dir = directory();
    let mut file = File::create(dir.path().join("frames")).unwrap();
    let LedgerConfig { frame_bytes, compression_level, .. } = LedgerConfig::default();
    let mut zstd = Compressor::new(compression_level).unwrap();
    // As the ledger does for its fast levels.
    zstd.set_parameter(CParameter::HashLog(12)).unwrap();
    let (mut frame, mut packed) = (Vec::new(), Vec::with_capacity(2 * frame_bytes));
    let mut store = |frame: &mut Vec<u8>| {
        packed.clear();
        zstd.compress_to_buffer(frame, &mut packed).unwrap();
        file.write_all(&packed).unwrap();
        file.sync_data().unwrap();
        frame.clear();
    };
    bare(service, |bytes| {
        frame.extend_from_slice(bytes);
        if frame.len() >= frame_bytes {
            store(&mut frame);
        }
    });
    store(&mut frame);
    file.metadata().unwrap().len()
}

/// The decoder on events in memory, and what follows it on its thread.
fn in_memory(identify: bool) -> f64 {
    let (count, day) = (100_000, service::today());
    let mut text = Vec::new();
    (0..count).for_each(|number| service::event(number, &day, &mut text));
    let chunks: Vec<Bytes> = text.chunks(CHUNK_BYTES).map(Bytes::copy_from_slice).collect();
    let before = cpu();
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = 0;
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(frame) = decoder.next_frame() {
            seen += 1;
            let Frame::Event(event) = frame.unwrap() else { panic!("no event") };
            if identify {
                let data = event.data.as_str();
                let read = streamkeeper_inform::classify(Some("data"), data).unwrap();
                black_box(read.identity(data));
            } else {
                black_box(event);
            }
        }
    }
    assert_eq!(seen, count);
    (cpu() - before) * 1e6 / count as f64
}

const CHUNKS: [&str; 2] = ["chunk", "event"];
const CPU: &str = "cpu_seconds_per_million";
const OURS: &str = "streamkeeper";
const THEIRS: &str = "eventsource-client";
const STORED: &str = "stored";

/// One contender in this process: what a million events take.
fn run(contender: &str, chunks: &str) -> Rows {
    let service = Service::start(chunks);
    let before = cpu();
    let mut outbox_bytes = None;
    match contender {
        OURS => outbox_bytes = Some(streamkeeper(&service)),
        STORED => outbox_bytes = Some(stored(&service)),
        THEIRS => eventsource_client(&service),
        _ => bare(&service, |bytes| {
            black_box(bytes);
        }),
    }
    let million = events() as f64 / 1e6;
    let mut rows = row(&format!("{contender}, {chunks}"), [(CPU, (cpu() - before) / million)]);
    if let Some(bytes) = outbox_bytes {
        let bytes = bytes as f64 / million;
        rows.extend(row(&format!("{contender}, disk"), [("outbox_bytes_per_million", bytes)]));
    }
    rows
}

fn main() {
    match task().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["service", chunks] => {
            pin(Core::First);
            return service::serve(chunks == "event", events());
        }
        ["decode" | "identify"] => {
            let name = task().remove(0);
            let seconds = in_memory(name == "identify");
            return answer(&row(&format!("{name}, in memory"), [(CPU, seconds)]));
        }
        [contender, chunks] => {
            return answer(&run(contender, chunks));
        }
        _ => {}
    }
    let settings = json!({
        "events": events(), "event_bytes": service::EVENT_BYTES, "connections": 1,
        "chunk": format!("HTTP chunks of {CHUNK_BYTES} bytes"), "event": "one HTTP chunk for each event",
    });
    let mut report = Report::new("whole_path", settings);
    for _ in 0..rounds() {
        let mut rows: Vec<Rows> = vec![child(&["decode"]), child(&["identify"])];
        for chunks in CHUNKS {
            rows.extend(
                [OURS, THEIRS, STORED, "bare"].map(|contender| child(&[contender, chunks])),
            );
        }
        report.round(rows);
    }
    for chunks in CHUNKS {
        let row = |name: &str| format!("{name}, {chunks}");
        let ratio = report.ratio(CPU, &row(OURS), &row(THEIRS));
        let goal = format!("CPU of the whole path beside eventsource-client's decoding, {chunks}");
        report.goal(&goal, ratio, Goal::AtMost(1.0));
        // Where this is above 1, no ledger that compresses and syncs can meet the goal.
        report.ratio(CPU, &row(STORED), &row(THEIRS));
        report.ratio(CPU, &row(OURS), &row(STORED));
    }
    report.write();
}
