//! What status answers say: the state of process, streams and consumers at one moment.
//!
//! These are what the endpoint and the control socket give as JSON, so a name here is a promise. They
//! are filled by the [registry](crate::observe::registry).

use std::borrow::Cow;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::{SlotCondition, StreamCondition};

use crate::api::replay::ReplayStatus;

/// What a running process says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessStatus {
    /// The version of the library.
    pub version: String,
    /// The process id.
    pub pid: u32,
    /// Seconds since it has started.
    pub uptime_s: u64,
    /// The address of its HTTP endpoint; `null` if it has none.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// The streams, by name.
    pub streams: Vec<StreamStatus>,
    /// The last changed configuration was refused: what runs is the one before.
    pub last_reload_refused: bool,
}

/// The state of everything that runs, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The streams, by name.
    pub streams: Vec<StreamStatus>,
    /// The last changed configuration was refused: what runs is the one before.
    pub last_reload_refused: bool,
}

/// The state of one stream. Counts are since the start of the process; times RFC 3339, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamStatus {
    /// The configured name.
    pub name: String,
    /// In which condition it is.
    pub state: StreamCondition,
    /// Why it is degraded.
    pub detail: Option<Cow<'static, str>>,
    /// The low-water mark: everything before it has been accepted.
    pub mark: Option<String>,
    /// How many suspects hold the mark down.
    pub suspects: usize,
    /// Each slot's state, in order.
    pub slots: Vec<SlotCondition>,
    /// How many clients the service counts on the stream.
    pub members: Option<u32>,
    /// How many it allows.
    pub members_max: Option<u32>,
    /// Frames received.
    pub frames: u64,
    /// Pokes among them.
    pub pokes: u64,
    /// Bytes of bodies received.
    pub bytes_received: u64,
    /// Events accepted.
    pub accepted: u64,
    /// Bytes of their payloads.
    pub accepted_bytes: u64,
    /// Events dropped, because they or a newer version had been accepted.
    pub duplicate: u64,
    /// Accepted events whose order against another version is unknown.
    pub conflicting: u64,
    /// Frames that should have been events and cannot be read as such.
    pub garbled: u64,
    /// Sequences of bytes that were not UTF-8, and came out as U+FFFD, by the standard.
    pub replaced: u64,
    /// Accepted events of replays.
    pub replayed_new: u64,
    /// Dropped events of replays.
    pub replayed_duplicate: u64,
    /// Connections that opened.
    pub connects: u64,
    /// Rests taken.
    pub rests: u64,
    /// Recoveries started.
    pub recoveries: u64,
    /// When the last frame came, by our own clock.
    pub last_frame: Option<String>,
    /// The incident under way.
    pub incident: Option<IncidentStatus>,
    /// The last incident that is over.
    pub last_incident: Option<IncidentStatus>,
    /// Bytes in memory that were read and are not durable yet.
    pub queue_bytes: usize,
    /// Bytes on disk that some consumer has not acknowledged.
    pub outbox_bytes: u64,
    /// The sinks, or the embedding application.
    pub consumers: Vec<ConsumerStatus>,
    /// The last replay that an operator asked for, running or over.
    pub replay: Option<ReplayStatus>,
}

/// The state of one consumer of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerStatus {
    /// The sink's name, or `deliveries`.
    pub name: String,
    /// Events it has acknowledged.
    pub delivered: u64,
    /// Deliveries that failed and were tried again.
    pub failures: u64,
    /// Why it does not take events now.
    pub failing: Option<Cow<'static, str>>,
    /// The same in words for people, with what to do, where the sink has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_detail: Option<String>,
    /// Events of this stream that it has refused for good and that wait on disk for a hand.
    #[serde(default)]
    pub dead_letters: u64,
    /// Events it has not acknowledged.
    pub backlog: u64,
}

/// An incident, under way or over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentStatus {
    /// Its number within the stream, from 1.
    pub id: u64,
    /// Why it began: `stale`, `panic`, `outbox_full`, `unclean_start`, `stream_gone`, …
    pub cause: Cow<'static, str>,
    /// How many recoveries it took.
    pub recoveries: u32,
    /// The UTC day it was read again from; `None`: the service's last 30 days.
    pub start_date: Option<String>,
    /// From when on events are lost for good, as the service keeps 30 days; `None`: none are.
    pub lost_from: Option<String>,
    /// Until when.
    pub lost_until: Option<String>,
    /// When everything was terminated, in the service's time.
    pub terminated_at: Option<String>,
    /// Events accepted since.
    pub new: u64,
    /// Those among them that were created before everything was terminated.
    pub recovered: u64,
    /// Events that were known.
    pub duplicate: u64,
    /// Milliseconds from the first report of loss to the end of the replay, or until now.
    pub duration_ms: u64,
}
