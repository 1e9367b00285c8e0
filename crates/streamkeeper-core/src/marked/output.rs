//! What [`Marked`](super::Marked) wants done and reports, and no other policy.

use std::time::Duration;

use crate::classify::End;
use crate::id::{ConnectionId, IncidentId, StreamId};
use crate::policy;
use crate::time::{Timestamp, UtcDay};

use super::establish::{Call, CallFailure};
use super::{Cause, IncidentSummary, Lost, Obstacle};

/// An effect that only a marked stream wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this call; answered by `Answered`. One call at a time.
    Call(Call),
    /// Ask how many clients the service counts on this stream (`GET /streams/{id}`); answered by
    /// `Counted`, beside the one call at a time.
    Count(StreamId),
}

impl From<Output> for policy::Output {
    fn from(output: Output) -> Self {
        Self::Marked(output)
    }
}

/// The stream a connection reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `GET /streams/{id}/connect`.
    Stream(StreamId),
    /// `GET /replay` from that day on.
    Replay(UtcDay),
}

impl From<Target> for policy::Target {
    fn from(target: Target) -> Self {
        Self::Marked(target)
    }
}

/// Something that only a marked stream reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The service allows fewer connections than are configured, or as many again.
    Limit {
        /// What the service allows.
        allowed: u32,
        /// What is configured.
        configured: u32,
    },
    /// A poke said a time that nothing else bears out; it is not believed.
    TimeDoubted {
        /// On which connection.
        connection: ConnectionId,
        /// How far it is from what is believed, ahead or behind.
        by: Duration,
        /// It has been said in the last hour.
        again: bool,
    },
    /// Pokes have borne out that the service's clock went ahead more than ours.
    TimeJumped {
        /// By so much more.
        by: Duration,
        /// It has been said in the last hour.
        again: bool,
    },
    /// Somebody else seems to read our stream.
    ForeignClients {
        /// How many clients are not ours.
        count: u32,
    },
    /// A recovery starts: everything is being terminated.
    RecoveryStarted {
        /// The incident it belongs to.
        incident: IncidentId,
        /// Why.
        cause: Cause,
        /// How many connections are being terminated.
        connections: usize,
        /// The mark to read again from.
        mark: Option<Timestamp>,
    },
    /// The stream has to be made anew, though the strategy is to go on with it.
    NeedsNewStream(Obstacle),
    /// Too many recoveries: the next waits so long. We go on reading; the mark stands still.
    RecoveryPaused {
        /// Why one is wanted.
        cause: Cause,
        /// How long it waits.
        pause: Duration,
    },
    /// Every connection is closed.
    Terminated,
    /// A stream was deleted.
    Deleted(StreamId),
    /// The service holds a member of the old stream.
    LeftBehind(StreamId),
    /// A stream bears our name with a number, and nothing says that we have made it: it is left alone.
    NotOurs {
        /// Its id.
        id: StreamId,
        /// Its name.
        name: String,
    },
    /// The name is taken on the service, though no stream has it by its list: going on under another.
    NameTaken {
        /// The name.
        name: String,
        /// Names in the list that are ours but for upper and lower case.
        resembling: Vec<String>,
    },
    /// A stream was created; it is being connected to.
    Created {
        /// Its id.
        id: StreamId,
        /// Its name on the server.
        name: String,
        /// Its first day; `None`: the service's last 30 days.
        start_date: Option<UtcDay>,
    },
    /// The history of a new stream, or a replay beside the old one, has been read up to where we were.
    CaughtUp {
        /// The incident that is over, if there was one.
        incident: Option<IncidentSummary>,
    },
    /// The configured first day is older than what the service keeps: all of that is read.
    FirstDayNotKept(UtcDay),
    /// The service does not keep the events from then to then any more: those that had not come are lost for
    /// good.
    HistoryLost(Lost),
    /// Users whose last accepted record did not come again in the replay.
    WitnessesMissing {
        /// How many.
        count: usize,
    },
    /// The stream is read on, and `/replay` beside it, for the recovery under way.
    RereadStarted {
        /// From which day.
        date: UtcDay,
    },
    /// The connection of that ended; it is tried again.
    RereadFailed {
        /// How it ended.
        end: End,
    },
    /// A verification over `/replay` starts.
    VerificationStarted {
        /// From which day.
        date: UtcDay,
    },
    /// The verification has read past every suspect it covers.
    VerificationDone {
        /// How many events it brought that had been lost.
        new: u64,
        /// How many were known.
        duplicate: u64,
    },
    /// The verification's connection ended; it is tried again.
    VerificationFailed {
        /// How it ended.
        end: End,
    },
    /// `/replay` is refused for good, it seems: what suspects may have lost cannot be read again by it.
    ReplayRefused {
        /// How.
        end: End,
    },
    /// A call failed; it is tried again.
    CallFailed(CallFailure),
}

impl From<Report> for policy::Report {
    fn from(report: Report) -> Self {
        Self::Marked(report)
    }
}
