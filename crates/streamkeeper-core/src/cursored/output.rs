//! What [`Cursored`](super::Cursored) wants done and reports, and no other policy.

use std::time::Duration;

use crate::id::{ConnectionId, Cursor, IncidentId};
use crate::policy;

use super::{Cause, IncidentSummary, Sign};

/// An effect that only a cursored stream wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Fetch the first cursor; answered by one `First`.
    AskFirst,
    /// Tell every other stream of the group: each hears `GroupStale`.
    CallGroup,
    /// Fetch the snapshot, and deliver it before what comes after it; answered by one `Resynced`.
    Resync,
    /// After a `Gap` on that connection: what comes behind the sign may be put into the queue. The gap is
    /// written down, and the snapshot committed if there is one. Until then the connection is not read, and its
    /// silence does not count.
    GoOn(ConnectionId),
}

impl From<Output> for policy::Output {
    fn from(output: Output) -> Self {
        Self::Cursored(output)
    }
}

/// What a connection asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// To go on from here; `None`: nothing is added to the request.
    pub cursor: Option<Cursor>,
}

impl From<Target> for policy::Target {
    fn from(target: Target) -> Self {
        Self::Cursored(target)
    }
}

/// Something that only a cursored stream reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// An incident begins.
    IncidentBegan {
        /// Its number.
        incident: IncidentId,
        /// Why.
        cause: Cause,
    },
    /// The resume point is lost: events may be missing that nobody can be asked for any more.
    Gap {
        /// The incident it belongs to.
        incident: IncidentId,
        /// What shows it.
        sign: Sign,
    },
    /// The incident is over.
    IncidentOver(IncidentSummary),
    /// The first cursor was asked for.
    FirstCursor {
        /// There is one.
        found: bool,
    },
    /// A connection is as old as it may become: the next one takes its place.
    Rotating {
        /// Which one.
        connection: ConnectionId,
        /// How old it is.
        age: Duration,
    },
    /// A connection is replaced because another stream of the group is stale.
    CalledByGroup {
        /// Which one.
        connection: ConnectionId,
    },
    /// The snapshot is being fetched.
    Resyncing,
    /// The snapshot is committed.
    Resynced,
    /// The snapshot could not be had; it is asked for again.
    ResyncFailed {
        /// In so long.
        wait: Duration,
    },
    /// The server says that nothing more comes: it is not asked until a person acts.
    EndedByServer,
}

impl From<Report> for policy::Report {
    fn from(report: Report) -> Self {
        Self::Cursored(report)
    }
}
