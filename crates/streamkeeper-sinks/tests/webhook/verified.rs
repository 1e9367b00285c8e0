//! A receiver that others wrote: signatures judged by the library of Standard Webhooks, envelopes by that of
//! CloudEvents, killed in mid-stream and started again.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use serde_json::json;
use streamkeeper_sink::testkit::envelopes;
use streamkeeper_sink::{Envelope, Failure, Sink, SinkError};

use super::{SECRET, resume, sink};

/// The packages of PyPI that the tests' servers are made of.
fn python() -> PathBuf {
    let need = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/need-packages");
    let installed = Command::new(need).arg("python").output().unwrap();
    assert!(installed.status.success(), "{installed:?}");
    let folder = String::from_utf8(installed.stdout).unwrap();
    Path::new(folder.trim()).join("bin/python")
}

/// The other process; killed when it is let go of.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(python: &Path, port: u16, log: &Path, secret: &str) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/servers/hook.py");
        let mut child = Command::new(python)
            .arg(program)
            .args([&port.to_string(), log.to_str().unwrap()])
            .env("HOOK_SECRET", secret)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says its port when it listens.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], line.trim().parse().unwrap()));
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What it wrote down of a request before it answered.
#[derive(Deserialize)]
struct Taken {
    webhook_id: String,
    body_digest: String,
    events: Vec<String>,
}

fn taken(log: &Path) -> Vec<Taken> {
    let text = std::fs::read_to_string(log).unwrap();
    // A kill may have torn the last line of a life.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[tokio::test(flavor = "multi_thread")]
async fn others_believe_every_request_and_a_killed_receiver_gets_all() {
    let python = python();
    for mode in ["batched", "structured"] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("taken");
        std::fs::write(&log, "").unwrap();
        let mut server = Server::start(&python, 0, &log, SECRET);
        let address = server.address;
        let more = json!({ "mode": mode, "secret": [OTHER, SECRET], "timeout": "5s" });
        let sink = sink(address, more);
        let events = envelopes(1..801);
        resume(&*sink, "first", 1, 801).await;
        let mut next = 0;
        for life in 1..4 {
            while next < life * 50 {
                deliver(&*sink, &events, &mut next).await.unwrap();
            }
            // SIGKILL while deliveries go on.
            let killer = tokio::task::spawn_blocking(move || drop(server));
            while let Ok(()) = deliver(&*sink, &events, &mut next).await {
                assert!(next < events.len(), "everything is there and the receiver still lives");
            }
            killer.await.unwrap();
            // With the other secret: one of the two is enough.
            let secret = if life % 2 == 0 { SECRET } else { OTHER };
            server = Server::start(&python, address.port(), &log, secret);
        }
        while next < events.len() {
            deliver(&*sink, &events, &mut next).await.unwrap();
        }
        check(&taken(&log), &events.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    }
}

/// Gives seven, as a caller would: what is done is not given again.
async fn deliver(sink: &dyn Sink, events: &[Envelope], next: &mut usize) -> Result<(), SinkError> {
    let end = (*next + 7).min(events.len());
    let delivered = sink.deliver(&events[*next..end]).await;
    match &delivered {
        Ok(()) => *next = end,
        Err(error) => {
            assert_eq!(error.failure, Failure::Broken, "{error}");
            *next += error.done.iter().map(|(_, done)| done).sum::<usize>();
        }
    }
    delivered
}

/// Everything once and in order, when what has an id that was seen is left out; and such a one was the same.
fn check(taken: &[Taken], expected: &[String]) {
    let mut seen = HashMap::new();
    let mut events = Vec::new();
    for request in taken {
        let before = seen.insert(&request.webhook_id, &request.body_digest);
        match before {
            Some(before) => assert_eq!(before, &request.body_digest),
            None => events.extend(request.events.iter().cloned()),
        }
    }
    assert_eq!(events, expected);
}
