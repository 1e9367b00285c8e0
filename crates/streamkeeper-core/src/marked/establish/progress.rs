//! What comes of the procedure, for its caller.

use crate::id::StreamId;
use crate::time::{Instant, UtcDay};

use super::CallFailure;

/// What the caller has to know of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The procedure goes on.
    Continues,
    /// A name is taken, though no stream has it by the list: going on under another.
    NameTaken {
        /// The name.
        name: String,
        /// Names in the list that are ours but for upper and lower case.
        resembling: Vec<String>,
    },
    /// A stream was deleted (or found gone).
    Deleted(StreamId),
    /// A call failed; it is tried again.
    Failed(CallFailure),
    /// Done: connect to this stream.
    Done(Established),
}

/// The fresh stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// Its id.
    pub id: StreamId,
    /// Its name on the server.
    pub name: String,
    /// Its first day; `None`: all that the service keeps.
    pub start_date: Option<UtcDay>,
    /// A first day that the service has refused as too old.
    pub refused_day: Option<UtcDay>,
    /// Streams of ours that the service did not delete.
    pub left_behind: Vec<StreamId>,
    /// They may not be tried again before: the service has asked for it.
    pub not_before: Instant,
}
