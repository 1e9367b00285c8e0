//! What the tests share: a disk, events, the simplest possible ledger to compare with.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use streamkeeper_core::marked::StreamState;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::{Accepted, Verdict, Version};
use streamkeeper_ledger::fs::FaultyFs;
use streamkeeper_ledger::{
    Entry, Incoming, KeptState, Ledger, LedgerConfig, LedgerError, OpenReport,
};

pub const DAY: i64 = 86_400_000_000;

/// Noon of a day far enough from 1970.
pub const NOON: i64 = 20_000 * DAY + DAY / 2;

/// An event whose payload says which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: u8,
    pub key: String,
    pub version: Version,
    pub payload: Vec<u8>,
}

impl Event {
    pub fn new(key: &str, created_at: Option<i64>, checksum: u128) -> Self {
        let version = Version {
            created_at: created_at.map(Timestamp::from_micros),
            checksum,
            withdrawn: false,
        };
        let payload = format!("{{\"key\":\"{key}\",\"at\":{created_at:?},\"sum\":{checksum}}}");
        Self { kind: 0, key: key.to_owned(), version, payload: payload.into_bytes() }
    }

    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            kind: self.kind,
            key: &self.key,
            version: self.version,
            arrived: Timestamp::from_micros(NOON),
            head: b"head",
            payload: &self.payload,
        }
    }

    pub fn is(&self, entry: &Entry) -> bool {
        entry.kind == self.kind
            && entry.key == self.key
            && entry.version == self.version
            && &entry.head[..] == b"head"
            && entry.payload == self.payload
    }
}

/// A state as the ledger keeps it.
pub fn kept(state: &StreamState) -> KeptState {
    KeptState { clean: state.clean, bytes: state.encode() }
}

/// A small ledger: segments of a few commits, keys sealed all the time.
pub fn small() -> LedgerConfig {
    LedgerConfig {
        sinks: vec!["a".to_owned(), "b".to_owned()],
        segment_bytes: 1_500,
        frame_bytes: 200,
        memory_bytes_max: 64 << 10,
        replay_bytes_max: 4_000,
        ..LedgerConfig::default()
    }
}

pub fn dir() -> &'static Path {
    Path::new("/data/streams/test")
}

pub fn open(fs: &FaultyFs, config: &LedgerConfig) -> Result<(Ledger, OpenReport), LedgerError> {
    Ledger::open(Arc::new(fs.clone()), dir(), config.clone())
}

/// Everything from `from` on, in batches.
pub fn read_all(ledger: &Ledger, from: u64) -> Vec<Entry> {
    let mut reader = ledger.outbox().reader(from);
    let mut all = Vec::new();
    loop {
        let batch = reader.read(7, 500).unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

/// The rule of acceptance as the ledger states it: by day, neighbours asked.
#[derive(Clone, Debug, Default)]
pub struct Model {
    known: BTreeMap<(u8, String, Option<i64>), Accepted>,
    pub accepted: Vec<Event>,
}

impl Model {
    pub fn accept(&mut self, event: &Event) -> Verdict {
        let day = event.version.created_at.map(|at| at.as_micros().div_euclid(DAY));
        let place = |day| (event.kind, event.key.clone(), day);
        let near = |offset: i64| self.known.contains_key(&place(day.map(|day| day + offset)));
        let here = self.known.get(&place(day)).map_or(Verdict::New, |a| a.judge(event.version));
        let verdict = match here {
            Verdict::Superseded => Verdict::Superseded,
            _ if day.is_some() && near(1) => Verdict::Superseded,
            Verdict::New if day.is_some() && near(-1) => Verdict::NewVersion,
            verdict => verdict,
        };
        if verdict.is_new() {
            self.known.entry(place(day)).or_default().accept(event.version);
            self.accepted.push(event.clone());
        }
        verdict
    }

    /// What it would be if only the first so many had been accepted.
    pub fn cut(&self, accepted: usize) -> Self {
        let mut cut = Self::default();
        for event in &self.accepted[..accepted] {
            assert!(cut.accept(event).is_new());
        }
        cut
    }
}
