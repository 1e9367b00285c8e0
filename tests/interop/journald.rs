//! systemd-journal-gatewayd before a journal of its own, which systemd-journal-remote writes.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use super::kind::{Forgotten, Kind, need_debian};
use super::process::Place;

/// What writes the journal, for one trial.
#[derive(Default)]
pub(super) struct Journald(Mutex<Option<Child>>);

impl Kind for Journald {
    fn name(&self) -> &'static str {
        "systemd-journal-gatewayd"
    }

    fn preset(&self) -> &'static str {
        "journald"
    }

    fn install(&self) -> String {
        need_debian("systemd-journal-remote")
    }

    fn prepare(&self, place: &Place) {
        let writer = Command::new("/lib/systemd/systemd-journal-remote")
            .arg("--output")
            .arg(journal(place))
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is installed");
        *self.0.lock().unwrap() = Some(writer);
    }

    fn command(&self, place: &Place) -> Command {
        // It has no address of its own: it is handed one.
        let mut gateway = Command::new("systemd-socket-activate");
        gateway.args(["--listen", &format!("127.0.0.1:{}", place.port)]);
        gateway.args(["/lib/systemd/systemd-journal-gatewayd", "--directory"]);
        gateway.arg(place.folder());
        gateway
    }

    fn path(&self) -> &'static str {
        "/entries?follow"
    }

    fn scaled(&self) -> &'static str {
        ""
    }

    fn publish(&self, _place: &Place, number: u64) -> io::Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let entry = format!("__REALTIME_TIMESTAMP={}\nMESSAGE={number}\n\n", now.as_micros());
        let mut writer = self.0.lock().unwrap();
        let stdin = writer.as_mut().and_then(|writer| writer.stdin.as_mut());
        stdin.expect("it was prepared").write_all(entry.as_bytes())
    }

    fn number(&self, envelope: &Value) -> Option<u64> {
        envelope["data"]["MESSAGE"].as_str()?.parse().ok()
    }

    fn forget(&self, place: &Place) -> Forgotten {
        // As if it had been rotated away. It goes on at the nearest that it has.
        self.end_writer();
        std::fs::remove_file(journal(place)).unwrap();
        self.prepare(place);
        Forgotten::Unnoticed
    }
}

impl Journald {
    /// At the end of its input it ends, and has written everything.
    fn end_writer(&self) {
        if let Some(mut writer) = self.0.lock().unwrap().take() {
            drop(writer.stdin.take());
            drop(writer.wait());
        }
    }
}

fn journal(place: &Place) -> PathBuf {
    place.folder().join("numbers.journal")
}

impl Drop for Journald {
    fn drop(&mut self) {
        self.end_writer();
    }
}
