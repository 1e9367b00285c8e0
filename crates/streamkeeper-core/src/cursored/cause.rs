//! Why a cursored stream has an incident, and what came of it.

use std::time::Duration;

use crate::id::IncidentId;

/// Why an incident began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A connection was silent for `stale_after`.
    Stale,
    /// One frame of a connection took longer than `frame_timeout`, or came too slowly to be life.
    SlowFrame,
    /// The resume point is lost: events may be missing that nobody can be asked for any more.
    Gap(Sign),
}

/// How it is seen that the resume point is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// An answered 200 shows it.
    Answer(GapSign),
    /// 204 to a request with a cursor.
    NoContent,
    /// 404 or 410 to a request with a cursor.
    Gone,
    /// A connection broke, or our process did, and there is no cursor to go on from.
    Break,
}

/// What shows in an answered 200 that the resume point was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapSign {
    /// An event that says so.
    Event,
    /// A header that names another id than was asked for.
    Header,
    /// An id that is not the next one, where they count.
    Sequence,
    /// The session that it stood in is over: an answer in another one, to a request without it.
    Session,
}

impl Cause {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::SlowFrame => "slow_frame",
            Self::Gap(_) => "gap",
        }
    }

    /// Whether it is a lost resume point.
    #[must_use]
    pub const fn is_gap(self) -> bool {
        matches!(self, Self::Gap(_))
    }

    /// A byte for the disk.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Stale => 1,
            Self::SlowFrame => 2,
            Self::Gap(Sign::Answer(GapSign::Event)) => 3,
            Self::Gap(Sign::Answer(GapSign::Header)) => 4,
            Self::Gap(Sign::Answer(GapSign::Sequence)) => 5,
            Self::Gap(Sign::Answer(GapSign::Session)) => 9,
            Self::Gap(Sign::NoContent) => 6,
            Self::Gap(Sign::Gone) => 7,
            Self::Gap(Sign::Break) => 8,
        }
    }

    /// The cause of a code; `None` for a code that stands for none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Stale,
            2 => Self::SlowFrame,
            3 => Self::Gap(Sign::Answer(GapSign::Event)),
            4 => Self::Gap(Sign::Answer(GapSign::Header)),
            5 => Self::Gap(Sign::Answer(GapSign::Sequence)),
            9 => Self::Gap(Sign::Answer(GapSign::Session)),
            6 => Self::Gap(Sign::NoContent),
            7 => Self::Gap(Sign::Gone),
            8 => Self::Gap(Sign::Break),
            _ => return None,
        })
    }
}

impl Sign {
    /// The word for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Answer(GapSign::Event) => "event",
            Self::Answer(GapSign::Header) => "header",
            Self::Answer(GapSign::Sequence) => "sequence",
            Self::Answer(GapSign::Session) => "session",
            Self::NoContent => "no_content",
            Self::Gone => "gone",
            Self::Break => "break",
        }
    }
}

/// What an incident did, for its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncidentSummary {
    /// Its number.
    pub id: IncidentId,
    /// Why it began.
    pub cause: Cause,
    /// How many times a lost resume point was seen.
    pub gaps: u32,
    /// How many connections were killed for their silence.
    pub stalls: u32,
    /// Events accepted since.
    pub new: u64,
    /// Events that were known already.
    pub duplicate: u64,
    /// From its beginning to its end, or until now.
    pub duration: Duration,
}
