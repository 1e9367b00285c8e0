//! The vocabulary of faults: what can go wrong, and to whom.
//!
//! [`Fault`] is what a running simulator is given; [`FaultRequest`] is the same as the flat JSON
//! object of `POST /fault`, checked on conversion. Where a fault is shown to a client in bytes is
//! the business of `server`; what it costs in events is the model's.
//!
//! ```
//! use streamkeeper_simulator::fault::{Break, ConnectionFault, Fault, FaultRequest, Target};
//!
//! let request: FaultRequest =
//!     serde_json::from_str(r#"{"kind": "hang", "which": [3], "mid_event": true}"#)?;
//! let fault = Fault::try_from(request)?;
//! let hang = Break::Hang { deaf: false, for_ms: None };
//! let expected = ConnectionFault::Break { how: hang, mid_event: true };
//! assert_eq!(fault, Fault::Connection(Target::Which(vec![3]), expected));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod request;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::request::{FaultKind, FaultRequest, Missing};

use crate::model::Millis;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Open connections suffer.
    Connection(Target, ConnectionFault),
    /// Calls to come suffer.
    Call(CallFault, Scope),
    /// Nobody listens: connecting is refused, open connections go on.
    Refused {
        /// For how long.
        for_ms: Millis,
    },
    /// Pokes are late by this much at most.
    LatePokes {
        /// By how much.
        late_ms: Millis,
        /// For how long; `None` until cleared.
        for_ms: Option<Millis>,
    },
    /// Closed clients count as members for longer.
    Held {
        /// How long each one counts.
        hold_ms: Millis,
        /// For how long clients that close are treated so; `None` until cleared.
        for_ms: Option<Millis>,
    },
    /// The service loses a stream.
    Evicted {
        /// Its id or name.
        stream: String,
    },
    /// Somebody else connects to a stream and swallows a share of its events.
    Foreign {
        /// Its id or name.
        stream: String,
        /// How many clients.
        count: usize,
        /// For how long; `None` until cleared.
        for_ms: Option<Millis>,
    },
    /// All faults of calls, pokes and holds end; foreign clients leave. What happened to open
    /// connections stays.
    Clear,
}

/// Which open connections suffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// So many, the oldest first.
    Count(usize),
    /// These, by the numbers that `GET /state` shows.
    Which(Vec<u64>),
    /// All of them.
    All,
}

/// What open connections suffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// It breaks.
    Break {
        /// How.
        how: Break,
        /// After the first half of the next frame, which is thus cut off.
        mid_event: bool,
    },
    /// The service ends it properly, as on a deploy.
    End,
    /// Bytes dribble.
    Slow {
        /// How many a second; at least 1.
        bytes_per_s: u64,
        /// For how long; `None` for good.
        for_ms: Option<Millis>,
    },
    /// Nothing comes for a while; nothing is lost.
    Stall {
        /// For how long.
        for_ms: Millis,
    },
    /// One data frame that is not JSON.
    Garbage,
    /// One data frame whose record is this large. It is not in the truth.
    Huge {
        /// How large its data is.
        bytes: usize,
    },
    /// What a FIN of the client leads to.
    Fin(OnFin),
}

/// What a client's half-close leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFin {
    /// The service sends what is under way and ends the body properly.
    #[default]
    Honoured,
    /// It writes on.
    Ignored,
    /// It sends what is under way and closes, without the terminator of the chunked body.
    Bare,
}

/// How a connection breaks. What the service writes until it notices is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The socket stays open and nothing comes any more.
    Hang {
        /// The service does not hear the client close either, and holds its place.
        deaf: bool,
        /// After which time the connection is reset; `None` never.
        for_ms: Option<Millis>,
    },
    /// FIN without the terminator of the chunked body.
    Fin,
    /// RST.
    Reset,
}

/// What calls suffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// Answered with this status; nothing is done.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header, in seconds.
        retry_after_s: Option<u64>,
    },
    /// Taken and never answered; nothing is done.
    Silence,
    /// The connection is closed without an answer; nothing is done.
    Dropped,
    /// It is done, but the answer is lost. Not for `connect` and `replay`.
    LostAnswer {
        /// Never answered, rather than closed.
        silent: bool,
    },
    /// The body is gzip, whatever the client accepts. For `connect` and `replay` alone.
    Gzip,
    /// Neither `Content-Length` nor `Transfer-Encoding`: the body ends with the connection.
    NoLength,
    /// As [`ConnectionFault::Fin`]. For `connect` and `replay` alone.
    Fin(OnFin),
}

/// Which calls suffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Calls of this kind; `None` is all.
    pub call: Option<Call>,
    /// The next so many; `None` is all.
    pub count: Option<u32>,
    /// Those within this time; `None` for ever.
    pub for_ms: Option<Millis>,
}

/// The kinds of calls (Inform API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the calls")]
pub enum Call {
    Create,
    List,
    Get,
    Rename,
    Delete,
    Connect,
    Replay,
    /// Anything else.
    Other,
}

impl Call {
    /// What a request is, by method and path.
    pub fn of(method: &str, path: &str) -> Self {
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("POST", ["streams"]) => Self::Create,
            ("GET", ["streams"]) => Self::List,
            ("GET", ["streams", _]) => Self::Get,
            ("PUT", ["streams", _]) => Self::Rename,
            ("DELETE", ["streams", _]) => Self::Delete,
            ("GET", ["streams", _, "connect"]) => Self::Connect,
            ("GET", ["replay"]) => Self::Replay,
            _ => Self::Other,
        }
    }

    /// Whether the answer is an event stream.
    pub fn streams_events(self) -> bool {
        matches!(self, Self::Connect | Self::Replay)
    }
}

impl CallFault {
    /// Whether this fault can happen to such a call.
    pub fn fits(self, call: Call) -> bool {
        match self {
            Self::Status { .. } | Self::Silence | Self::Dropped | Self::NoLength => true,
            Self::LostAnswer { .. } => !call.streams_events(),
            Self::Gzip | Self::Fin(_) => call.streams_events(),
        }
    }
}
