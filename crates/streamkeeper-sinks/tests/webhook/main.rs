//! The `webhook` sink: the test kit against a real receiver, and what a receiver and the network can do.
//!
//! A binary of its own: these tests start processes, and a process that is being started holds the locks of
//! the files that another test has open.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod again;
mod answers;
mod receiver;
mod surroundings;
mod verified;

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};
use streamkeeper_sink::testkit::{self, Destination};
use streamkeeper_sink::{Envelope, Resume, Sink, SinkFactory as _, SinkTable};

use self::receiver::{Answer, POISON, Receiver};
use streamkeeper_sinks::webhook::WebhookFactory;

/// Of 24 bytes, as the specification's own example.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn table(url: &str, more: Value) -> SinkTable {
    let Value::Object(mut table) = more else { panic!("a table") };
    table.insert("url".into(), url.into());
    SinkTable::new(table)
}

fn sink(address: SocketAddr, more: Value) -> Box<dyn Sink> {
    WebhookFactory.build("hook", table(&format!("http://{address}/hook"), more)).unwrap()
}

async fn resume(sink: &dyn Sink, ledger: &str, next: u64, end: u64) {
    sink.resume(Resume { source: "testkit", ledger, next, end }).await.unwrap();
}

struct Kit {
    receiver: Receiver,
    address: SocketAddr,
    mode: &'static str,
    state: Option<tempfile::TempDir>,
}

impl Destination for Kit {
    fn open(&mut self) -> Box<dyn Sink> {
        let mut more = json!({ "mode": self.mode, "secret": SECRET });
        if let Some(state) = &self.state {
            more["state"] = state.path().to_str().unwrap().into();
        }
        sink(self.address, more)
    }

    fn received(&mut self) -> Vec<Bytes> {
        self.receiver.records()
    }

    fn fail_next(&mut self) -> bool {
        self.receiver.answers([Answer::Status(503)]);
        true
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn poisoned(&mut self, event: Envelope) -> Option<Envelope> {
        Some(Envelope { id: POISON.into(), ..event })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_kit_passes() {
    for (mode, with_state) in [("batched", false), ("batched", true), ("structured", false)] {
        let fresh = || {
            let state = with_state.then(|| tempfile::tempdir().unwrap());
            let started = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(Receiver::on_a_free_port())
            });
            let (receiver, address) = started;
            Kit { receiver, address, mode, state }
        };
        testkit::check(fresh).await;
    }
}
