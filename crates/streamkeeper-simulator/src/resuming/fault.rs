//! What can be made to go wrong.

use serde::{Deserialize, Serialize};

use super::model::Forgotten;

/// What is to go wrong: one flat object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// To how many connections or requests; 1 unless given.
    #[serde(default)]
    pub count: Option<u64>,
    /// To all connections.
    #[serde(default)]
    pub all: bool,
    /// How long a hang lasts, for ever unless given; or after how long a heartbeat comes.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// With which status requests are answered; 503 unless given.
    #[serde(default)]
    pub status: Option<u16>,
    /// After how long they are to be tried again.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
    /// How it shows that something is forgotten; as configured unless given.
    #[serde(default)]
    pub answer: Option<Forgotten>,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The socket stays open, and nothing comes any more.
    Hang,
    /// A connection is closed without its proper end.
    Cut,
    /// It ends properly, as on a deploy.
    End,
    /// What there was until now is forgotten.
    Forget,
    /// Requests for the stream are refused.
    Status,
    /// Heartbeats come after so long, whatever is announced.
    Heartbeats,
    /// Requests are refused no longer, and heartbeats come in time.
    Clear,
}

impl Fault {
    /// Of that kind, to one connection or request.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            count: None,
            all: false,
            for_ms: None,
            status: None,
            retry_after_s: None,
            answer: None,
        }
    }
}
