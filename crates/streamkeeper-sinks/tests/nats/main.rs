//! The sink `nats`: the test kit against a real server, and what a wire and a server can do.
//!
//! A binary of its own, since it starts servers: between a fork and the program that follows it a child holds what
//! its parent has locked, and the tests of the sink `file` find another writer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod checks;
mod faults;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::Value;
use streamkeeper_sink::testkit::{self, Destination};
use streamkeeper_sink::{Envelope, Resume, Sink, SinkFactory, SinkTable};
use streamkeeper_sinks::nats::NatsFactory;

use self::server::{Server, Stored, Wire};

/// A sink of these keys.
fn sink(keys: &[(&str, &str)]) -> Box<dyn Sink> {
    let table = keys.iter().map(|(key, value)| (*key, Value::from(*value)));
    NatsFactory.build("bus", SinkTable::from_iter(table)).unwrap()
}

/// A sink to this server with no more than it needs, and records as they are.
fn plain(url: &str, stream: &str) -> Box<dyn Sink> {
    let subject = format!("{stream}.{{stream}}.{{type}}");
    sink(&[("url", url), ("stream", stream), ("subject", &subject), ("format", "raw")])
}

async fn told(sink: &dyn Sink, source: &str, ledger: &str, next: u64, end: u64) {
    sink.resume(Resume { source, ledger, next, end }).await.unwrap();
}

/// Delivers, and again after what passes by itself.
async fn deliver(sink: &dyn Sink, batch: &[Envelope]) -> usize {
    for failures in 0..200 {
        match sink.deliver(batch).await {
            Ok(()) => return failures,
            // The caller gives no more than what is missing.
            Err(error) if !error.done.is_empty() => {
                let done: usize = error.done.iter().map(|(_, events)| events).sum();
                return failures + 1 + Box::pin(deliver(sink, &batch[done..])).await;
            }
            Err(error) => assert!(
                matches!(
                    error.failure,
                    streamkeeper_sink::Failure::Broken | streamkeeper_sink::Failure::Busy { .. }
                ),
                "{error}"
            ),
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not pass by itself");
}

#[track_caller]
fn assert_once(stored: &[Stored], events: &[Envelope]) {
    let stored: Vec<&Bytes> = stored.iter().map(|message| &message.data).collect();
    let given: Vec<&Bytes> = events.iter().map(|event| &event.data).collect();
    assert_eq!(stored.len(), given.len(), "each once");
    assert!(stored == given, "in order");
}

/// A JetStream stream of its own for each check.
struct Fresh<'a> {
    server: &'a Server,
    wire: &'a Wire,
    stream: String,
}

impl Destination for Fresh<'_> {
    fn open(&mut self) -> Box<dyn Sink> {
        plain(&self.wire.url(), &self.stream)
    }

    fn received(&mut self) -> Vec<Bytes> {
        self.server.stored(&self.stream).into_iter().map(|message| message.data).collect()
    }

    fn fail_next(&mut self) -> bool {
        self.wire.cut_after(700);
        true
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn poisoned(&mut self, event: Envelope) -> Option<Envelope> {
        Some(Envelope { data: format!("\"{}\"", "x".repeat(70_000)).into(), ..event })
    }

    fn remembers(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kit_passes_with_atomic_batches() {
    let server = Server::start("");
    let wire = Wire::to(server.port).await;
    let number = AtomicUsize::new(0);
    testkit::check(|| Fresh {
        server: &server,
        wire: &wire,
        stream: format!("K{}", number.fetch_add(1, Ordering::Relaxed)),
    })
    .await;
}

/// By `Nats-Msg-Id` what another ledger gives under the same id is known, within the window: those two checks
/// are of sinks that go by numbers.
#[tokio::test(flavor = "multi_thread")]
async fn the_kit_passes_with_single_messages() {
    let server = Server::start("");
    let wire = Wire::to(server.port).await;
    let number = AtomicUsize::new(0);
    let fresh = || {
        let stream = format!("K{}", number.fetch_add(1, Ordering::Relaxed));
        let config = serde_json::json!({
            "name": stream, "subjects": [format!("{stream}.>")], "retention": "limits", "storage": "memory",
            "num_replicas": 1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "discard": "old", "max_consumers": -1,
        });
        let made = server.api(&format!("STREAM.CREATE.{stream}"), &config);
        assert!(made.get("error").is_none(), "{made}");
        Fresh { server: &server, wire: &wire, stream }
    };
    testkit::keeps_order(&mut fresh()).await;
    testkit::accepts_an_empty_batch(&mut fresh()).await;
    testkit::delivers_again_after_an_error(&mut fresh()).await;
    testkit::appends_after_close(&mut fresh()).await;
    testkit::survives_a_dropped_delivery(&mut fresh()).await;
    testkit::takes_again_what_a_hand_sends_again(&mut fresh()).await;
    testkit::blames_a_poisoned_event(&mut fresh()).await;
}
