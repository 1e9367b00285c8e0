//! The calls of the procedure and their answers, in the core's words.

use std::time::Duration;

use crate::id::StreamId;
use crate::time::UtcDay;

/// A call to the service's stream resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /streams`, all of them.
    List,
    /// `DELETE /streams/{id}`.
    Delete {
        /// Which.
        id: StreamId,
    },
    /// `POST /streams`.
    Create {
        /// The name on the server.
        name: String,
        /// The first day; `None`: the service's last 30 days.
        start_date: Option<UtcDay>,
    },
}

/// A stream as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: StreamId,
    /// Its name on the server.
    pub name: String,
    /// Its first day.
    pub start_date: Option<UtcDay>,
}

/// What came of a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All streams of the organization.
    Listed(Vec<Listed>),
    /// Deleted now, or gone before.
    Deleted,
    /// Created.
    Created(StreamId),
    /// It failed.
    Failed {
        /// Why.
        failure: CallFailure,
        /// The service's `Retry-After`, which may come with any refusal (Inform API, Errors).
        retry_after: Option<Duration>,
    },
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// 401 or 403.
    Token {
        /// 401 or 403.
        status: u16,
    },
    /// 409: the service still counts a client of this stream.
    Held,
    /// 422: the name is in use.
    NameTaken,
    /// 422: the organization has its five streams.
    StreamLimit,
    /// The first day was refused: it is older than what the service keeps, most likely.
    FirstDay {
        /// The HTTP status.
        status: u16,
    },
    /// The request was refused for what it asks (a bad filter, 400, 404 on a collection).
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// No answer, a passing refusal (429, 5xx), or one that was not understood.
    Unavailable {
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// Whether the service may have done what it was asked to.
        acted: bool,
    },
}
