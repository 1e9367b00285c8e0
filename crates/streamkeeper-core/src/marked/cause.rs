//! Why a marked stream is recovered, and what came of it.

use std::time::Duration;

use crate::id::{IncidentId, SlotId};
use crate::time::{Timestamp, UtcDay};

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
    /// `/replay` is refused for good, or does not go back far enough any more: what a recovery on the same
    /// stream was reading again needs a new one.
    ReplayRefused,
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
            Self::ReplayRefused => "replay_refused",
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
            Self::ReplayRefused => (11, 0),
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
            11 => Self::ReplayRefused,
            _ => return None,
        })
    }
}

/// What keeps a recovery of the strategy `replay` from reading on from the stream that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is none whose history has been read: what of it is still to come nobody knows.
    Unread,
    /// The service does not know it any more.
    StreamGone,
    /// The service has forgotten how far it was read.
    CheckpointExpired,
    /// The service goes on counting clients on it that are not ours, or are not any more.
    Clients,
    /// It withholds records whose spans start before its first day.
    CutByStartTime,
    /// `/replay` is refused for good.
    ReplayRefused,
    /// `/replay` does not go back to the day of the mark.
    DayNotKept,
}

impl Obstacle {
    /// The word for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::StreamGone => "stream_gone",
            Self::CheckpointExpired => "checkpoint_expired",
            Self::Clients => "clients",
            Self::CutByStartTime => "cut_by_start_time",
            Self::ReplayRefused => "replay_refused",
            Self::DayNotKept => "day_not_kept",
        }
    }
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
