//! What a policy wants done, and what it reports.

use std::time::Duration;

use crate::classify::End;
use crate::id::{ConnectionId, IncidentId, SlotId, StreamId};
use crate::marked::StreamState;
use crate::marked::establish::{Call, CallFailure};
use crate::time::{Timestamp, UtcDay};
use crate::watchdog::Lack;

use super::Target;

/// An effect. The shell carries it out and reports back; it decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open this connection; it ends with exactly one `Ended`, whatever happens.
    Connect {
        /// The name of the new connection.
        connection: ConnectionId,
        /// What it reads.
        target: Target,
    },
    /// Half-close it and read to the end; answered by `Ended`.
    Drain(ConnectionId),
    /// Close it now, whatever it is doing; answered by `Ended` when the socket is gone.
    Kill(ConnectionId),
    /// Make this call; answered by `Answered`. One call at a time.
    Call(Call),
    /// Ask how many clients the service counts on this stream (`GET /streams/{id}`); answered by
    /// `Counted`, beside the one call at a time.
    Count(StreamId),
    /// Make this state durable; answered by `Persisted`.
    Persist {
        /// The number to answer with.
        number: u64,
        /// What to write.
        state: StreamState,
    },
    /// Answer `Flushed` when everything read so far has been committed.
    Flush,
    /// The stream has stopped; nothing more will come.
    Stopped {
        /// Whether the service's checkpoint is all a restart needs.
        clean: bool,
    },
    /// For logs, metrics and people.
    Report(Report),
}

/// Why everything is torn down and read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A connection was silent for `stale_after`.
    Stale(SlotId),
    /// One frame of a connection took longer than `frame_timeout`, or came too slowly to be life.
    SlowFrame(SlotId),
    /// The code that read a connection panicked.
    Panic(SlotId),
    /// The queue was full for `stale_after`: nobody would have seen a connection die.
    OutboxFull,
    /// The last process did not stop cleanly.
    UncleanStart,
    /// The service does not know our stream any more.
    StreamGone,
    /// Nobody has read our stream for so long that the service has forgotten how far we were.
    CheckpointExpired,
    /// Somebody else reads our stream, and gets events that should be ours.
    ForeignClient,
    /// The service withholds records whose spans start before the stream's first day: read again
    /// from further back.
    CutByStartTime,
    /// The operator asked for it.
    Operator,
}

impl Cause {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stale(_) => "stale",
            Self::SlowFrame(_) => "slow_frame",
            Self::Panic(_) => "panic",
            Self::OutboxFull => "outbox_full",
            Self::UncleanStart => "unclean_start",
            Self::StreamGone => "stream_gone",
            Self::CheckpointExpired => "checkpoint_expired",
            Self::ForeignClient => "foreign_client",
            Self::CutByStartTime => "cut_by_start_time",
            Self::Operator => "operator",
        }
    }

    /// Two bytes for the disk: the kind, and the slot of the kinds that have one.
    #[must_use]
    pub const fn code(self) -> (u8, u8) {
        match self {
            Self::Stale(slot) => (1, slot.0),
            Self::Panic(slot) => (2, slot.0),
            Self::OutboxFull => (3, 0),
            Self::UncleanStart => (4, 0),
            Self::StreamGone => (5, 0),
            Self::CheckpointExpired => (6, 0),
            Self::ForeignClient => (7, 0),
            Self::CutByStartTime => (8, 0),
            Self::Operator => (9, 0),
            Self::SlowFrame(slot) => (10, slot.0),
        }
    }

    /// The cause of a code; `None` for a code that stands for none.
    ///
    /// ```
    /// use streamkeeper_core::marked::Cause;
    ///
    /// assert_eq!(Cause::from_code(Cause::Operator.code()), Some(Cause::Operator));
    /// assert_eq!(Cause::from_code((0, 0)), None);
    /// ```
    #[must_use]
    pub const fn from_code((kind, slot): (u8, u8)) -> Option<Self> {
        Some(match kind {
            1 => Self::Stale(SlotId(slot)),
            2 => Self::Panic(SlotId(slot)),
            3 => Self::OutboxFull,
            4 => Self::UncleanStart,
            5 => Self::StreamGone,
            6 => Self::CheckpointExpired,
            7 => Self::ForeignClient,
            8 => Self::CutByStartTime,
            9 => Self::Operator,
            10 => Self::SlowFrame(SlotId(slot)),
            _ => return None,
        })
    }
}

/// Something a person or a metric wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A connection has completed no frame for `late_after`, for want of this.
    Late(ConnectionId, Lack),
    /// A slot rests, for that long.
    Rest {
        /// Which slot.
        slot: SlotId,
        /// For how long.
        rest: Duration,
    },
    /// A connection ended.
    Ended {
        /// Which connection.
        connection: ConnectionId,
        /// How.
        end: End,
        /// Whether events may have been lost by it.
        suspect: bool,
    },
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
    /// The history of a new stream has been read up to where we were.
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
    /// The service asks us to wait for longer than we would have.
    AskedToWait {
        /// For so long.
        asked: Duration,
        /// How long it is obeyed.
        wait: Duration,
    },
}

/// A time of which the service does not keep the events any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What was created before is known to have been accepted.
    pub from: Timestamp,
    /// What was created from here on can be read.
    pub until: Timestamp,
}

/// What an incident did, for its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncidentSummary {
    /// Its number.
    pub id: IncidentId,
    /// Why it began.
    pub cause: Cause,
    /// How many recoveries it took.
    pub recoveries: u32,
    /// The day it was read again from.
    pub start_date: Option<UtcDay>,
    /// What could not be read again, because the service does not keep it any more.
    pub lost: Option<Lost>,
    /// When everything was terminated, in the service's time.
    pub terminated_at: Timestamp,
    /// Events accepted since, old or live.
    pub new: u64,
    /// Accepted events that were created before everything was terminated: the recovered ones.
    pub recovered: u64,
    /// Events that were known already.
    pub duplicate: u64,
    /// From the first report of loss to the end of the replay.
    pub duration: Duration,
}
