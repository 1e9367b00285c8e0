//! The truth: one row per version the service ever published, with a hash of what it sends.
//!
//! A row names its version three ways: by id and `created_at` (what a client reads), by the hash
//! of the exact bytes (what a client keeps), and by the model's numbers. It holds nothing of the
//! payload. As NDJSON it is what `GET /truth` answers and what the [`checker`](crate::checker)
//! reads back.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    model::{Event, EventId, Kind, Millis},
    record::{self, Style},
};

/// One published version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthRow {
    /// Its place in the history, from 0.
    pub seq: u64,
    /// `data`, `rule` or `connection`.
    pub kind: String,
    /// The record's id; rule events and the older form of connection events have none.
    pub id: Option<String>,
    /// The version's checksum; data alone has one.
    pub checksum: Option<String>,
    /// The resource type; data alone has one.
    #[serde(rename = "type")]
    pub resource: Option<String>,
    /// The record's number, the same for all its versions.
    pub record: u32,
    /// Which version of the record it is, from 0.
    pub version: u32,
    /// `created_at`, in the service's time, milliseconds since the epoch.
    pub created_ms: Millis,
    /// When it could first be sent, in the service's time, milliseconds since the epoch.
    pub available_ms: Millis,
    /// Whether it withdraws the record.
    pub withdrawn: bool,
    /// Hash of the bytes that are sent.
    pub sha256: Sha,
}

impl TruthRow {
    /// The row of an event.
    pub fn of(seed: u64, id: EventId, event: &Event, style: Style) -> Self {
        let bytes = record::render(seed, event, style);
        let data = event.kind == Kind::Data;
        Self {
            seq: id.index() as u64,
            kind: record::kind_name(event.kind).to_owned(),
            id: record::bears_id(seed, event, style).then(|| record::record_id(seed, event.record)),
            checksum: data.then(|| record::checksum(seed, event)),
            resource: data.then(|| record::resource_name(event.resource).to_owned()),
            record: event.record,
            version: event.version,
            created_ms: event.created_at,
            available_ms: event.available_at,
            withdrawn: event.withdrawn,
            sha256: Sha::of(&bytes),
        }
    }
}

/// A SHA-256, shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha([u8; 32]);

impl Sha {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |place: usize| {
            let digits = text.get(2 * place..2 * place + 2)?;
            u8::from_str_radix(digits, 16).ok()
        };
        let mut sha = [0; 32];
        for (place, slot) in sha.iter_mut().enumerate() {
            *slot = byte(place).ok_or_else(|| serde::de::Error::custom("not a SHA-256"))?;
        }
        Ok(Self(sha))
    }
}
