//! A replay that an operator asks for: what is to be read again, and how it goes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to be read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplaySpec {
    /// The configured name of the stream.
    pub stream: String,
    /// The UTC day to read from. The service keeps 30 days (Inform API, Replay).
    #[schemars(with = "String")]
    pub from: jiff::civil::Date,
    /// Only records of these resource types; empty: what the stream is configured for.
    #[serde(default)]
    pub only: Vec<String>,
    /// Accept nothing: count what would be new.
    #[serde(default)]
    pub dry_run: bool,
}

/// How a replay goes, or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayStatus {
    /// What was asked for.
    pub spec: ReplaySpec,
    /// When it began, in our own time.
    pub started_at: Option<String>,
    /// How far it has read, in the service's time.
    pub reached: Option<String>,
    /// New events by type; in a dry run those that would have been.
    pub new: BTreeMap<String, u64>,
    /// Known events by type.
    pub duplicate: BTreeMap<String, u64>,
    /// How it ended: `done`, or why it was interrupted; `None`: it runs.
    pub ended: Option<String>,
}

/// Why a replay did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// No stream of that name is configured.
    #[error("no stream has that name")]
    UnknownStream,
    /// Its server has no history to read again.
    #[error("the server of that stream has no replay: it goes on from a cursor")]
    NoReplay,
    /// One at a time.
    #[error("a replay of that stream is running already")]
    Running,
    /// The organization has all the replays that it may have at a time.
    #[error(
        "all the replays that the service allows the organization at a time are being read: try later"
    )]
    Crowded,
    /// Everything has stopped already.
    #[error("it has stopped")]
    Stopped,
}
