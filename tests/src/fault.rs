//! What goes wrong: the faults, and how they are drawn.
//!
//! A fault is a value with a time, so that a named scenario writes down by hand what a seed draws.
//! How it is carried out is left to `world::trouble`. Times are in milliseconds.

use streamkeeper_core::marked::establish::{Call, CallFailure};
use streamkeeper_ledger::fs;
use streamkeeper_simulator::model::{DAY, HOUR, MINUTE, Millis, SECOND};

use crate::plan::one_of;

/// Which connections a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// One that is open, drawn from the seed.
    One,
    /// All that are open.
    All,
}

/// What is refused for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Attempts to connect.
    Connects,
    /// Calls to the stream resources.
    Calls,
    /// Both.
    Both,
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// All streams.
    List,
    /// Delete one.
    Delete,
    /// Make one.
    Create,
}

impl CallKind {
    /// The kind of a call.
    #[must_use]
    pub const fn of(call: &Call) -> Self {
        match call {
            Call::List => Self::List,
            Call::Delete { .. } => Self::Delete,
            Call::Create { .. } => Self::Create,
        }
    }
}

/// How the process ends without being asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// The process dies; its sockets are closed by the kernel.
    Process,
    /// The power fails: nobody tells the service.
    Power,
}

/// What the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// It is full.
    Full,
    /// Nothing can be written.
    Io,
    /// No sync succeeds, and what one was to save is gone.
    Sync,
}

impl DiskFault {
    /// What the file system calls it.
    #[must_use]
    pub const fn fault(self) -> fs::Fault {
        match self {
            Self::Full => fs::Fault::DiskFull,
            Self::Io => fs::Fault::Io,
            Self::Sync => fs::Fault::Sync,
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields: `lasts` and `down` are milliseconds; the rest is named")]
pub enum Fault {
    /// Nothing arrives any more; the service writes on. `deaf`: it does not hear us close, either.
    Hang { which: Which, deaf: bool },
    /// A reset; unread data is lost, and what is on the way if `middle` (a box on the way did it).
    Reset { which: Which, middle: bool },
    /// FIN without the HTTP terminator; what is on the way is lost.
    Cut { which: Which, mid_event: bool },
    /// The body's proper terminator, in the middle of an event that is lost.
    Truncated,
    /// Bytes that are no HTTP body.
    Corrupt,
    /// A proper end (a deploy).
    End { which: Which },
    /// Nothing arrives for a while, then all of it.
    Stall { which: Which, lasts: Millis },
    /// No network: established connections are black holes, new ones get no answer.
    NetworkCut { lasts: Millis },
    /// Every answer has this status. `retry_after` in seconds.
    Refuse { what: Refused, status: u16, retry_after: Option<u64>, lasts: Millis },
    /// Calls of one kind are refused like this, the others not: it may make no sense for them.
    RefuseCall { kind: CallKind, failure: CallFailure, lasts: Millis },
    /// Requests to connect are taken, and never answered.
    Silence { deaf: bool, lasts: Millis },
    /// The answers to the next calls are lost; `acted`: after the service has acted.
    LoseAnswers { acted: bool, calls: u8 },
    /// The service takes no notice of a half-close.
    IgnoreHalfClose { lasts: Millis },
    /// The process dies and is started again.
    Crash { kind: CrashKind, down: Millis },
    /// The process is stopped and started again.
    Restart { down: Millis },
    /// The process does not run for a while.
    Suspend { lasts: Millis },
    /// Commits take this long.
    SlowCommits { each: Millis, lasts: Millis },
    /// The disk fails, from the step after so many more on.
    Disk { fault: DiskFault, after: u64, lasts: Millis },
    /// Sinks take nothing for a while.
    SlowSinks { which: Which, lasts: Millis },
    /// The code that reads a connection panics.
    Panic,
    /// What comes next on a connection is one large frame, at so many bytes a second.
    SlowFrame { which: Which, bytes_per_s: u64, lasts: Millis },
    /// The next event on a connection comes garbled.
    Garble,
    /// The service loses our stream.
    Evict,
    /// Somebody else connects to our stream.
    Foreign { deaf: bool, lasts: Millis },
    /// The service allows this many clients from now on.
    MembersMax { max: usize },
    /// The next poke on one connection says a time that is wrong by so much.
    WrongTime { by: i64 },
    /// The next poke on one connection says that so many clients are allowed.
    WrongMax { max: usize },
    /// Many events at once.
    Burst { events: u32 },
    /// Records are corrected, put back and withdrawn, one after the other.
    Flips { records: u32 },
    /// The operator wants a recovery.
    Recover,
    /// The operator wants no connection for a while.
    Pause { lasts: Millis },
    /// The operator wants every connection opened afresh.
    Reconnect,
    /// The operator wants what was created in the last days read again beside the stream.
    Replay { days: u64, dry_run: bool },
}

impl Fault {
    /// Draws a fault. `scale`: how many times faster than in production everything is.
    #[must_use]
    pub fn draw(rng: &mut fastrand::Rng, scale: u64) -> Self {
        let seconds = |rng: &mut fastrand::Rng, from: u64, to: u64| {
            rng.u64(from * SECOND..=to * SECOND) / scale
        };
        let which =
            |rng: &mut fastrand::Rng| if rng.u8(..3) == 0 { Which::All } else { Which::One };
        match rng.u8(..36) {
            0..=2 => Self::Hang { which: which(rng), deaf: rng.bool() },
            3..=5 => Self::Reset { which: which(rng), middle: rng.bool() },
            6 | 7 => Self::Cut { which: which(rng), mid_event: rng.bool() },
            8 => Self::Truncated,
            9 => Self::Corrupt,
            10 | 11 => Self::End { which: which(rng) },
            12 | 13 => Self::Stall { which: which(rng), lasts: seconds(rng, 1, 60) },
            14 | 15 => Self::NetworkCut { lasts: seconds(rng, 1, 1_500) },
            16 | 17 => {
                let what = match rng.u8(..3) {
                    0 => Refused::Connects,
                    1 => Refused::Calls,
                    _ => Refused::Both,
                };
                let status = one_of(rng, [401, 403, 429, 500, 502, 503]);
                let asks = status == 429 || (status == 503 && rng.bool());
                let retry_after = asks.then(|| rng.u64(1..=90).div_ceil(scale));
                Self::Refuse { what, status, retry_after, lasts: seconds(rng, 5, 1_200) }
            }
            18 => Self::Silence { deaf: rng.bool(), lasts: seconds(rng, 5, 600) },
            19 | 20 => Self::LoseAnswers { acted: rng.bool(), calls: rng.u8(1..=3) },
            21 => Self::IgnoreHalfClose { lasts: seconds(rng, 30, 900) },
            22 | 23 => {
                let kind = if rng.bool() { CrashKind::Process } else { CrashKind::Power };
                Self::Crash { kind, down: Self::draw_down(rng, scale) }
            }
            24 | 25 => Self::Restart { down: Self::draw_down(rng, scale) },
            26 => Self::Suspend { lasts: seconds(rng, 5, 900) },
            27 => Self::SlowCommits { each: seconds(rng, 1, 60), lasts: seconds(rng, 30, 600) },
            28 => Self::Panic,
            29 => Self::Garble,
            30 => Self::Evict,
            // One that comes and goes beside an end of ours cannot be told from it.
            31 => Self::Foreign { deaf: rng.bool(), lasts: seconds(rng, 400, 1_500) },
            32 => Self::MembersMax { max: rng.usize(1..=20) },
            33 => Self::Burst { events: rng.u32(20..=200) },
            34 => Self::Flips { records: rng.u32(1..=10) },
            _ => Self::Recover,
        }
    }

    /// Draws something that the service says wrongly, once.
    #[must_use]
    pub fn draw_wrong(rng: &mut fastrand::Rng) -> Self {
        let by = match rng.u8(..4) {
            0 => rng.i64(MINUTE as i64..HOUR as i64),
            1 => rng.i64(HOUR as i64..DAY as i64),
            2 => rng.i64(DAY as i64..10 * DAY as i64),
            _ => 400 * DAY as i64,
        };
        match rng.u8(..8) {
            0 => Self::WrongMax { max: rng.usize(1..=3) },
            1 | 2 => Self::WrongTime { by: -by },
            _ => Self::WrongTime { by },
        }
    }

    /// Draws a refusal of one kind of call.
    #[must_use]
    pub fn draw_refusal(rng: &mut fastrand::Rng, scale: u64) -> Self {
        let kind = one_of(rng, [CallKind::List, CallKind::Delete, CallKind::Create]);
        let failures = [
            CallFailure::Held,
            CallFailure::NameTaken,
            CallFailure::StreamLimit,
            CallFailure::Token { status: 403 },
            CallFailure::Rejected { status: 400 },
            CallFailure::Rejected { status: 422 },
            CallFailure::Unavailable { status: Some(500), acted: true },
            CallFailure::Unavailable { status: Some(429), acted: false },
        ];
        let failure = one_of(rng, failures);
        Self::RefuseCall { kind, failure, lasts: rng.u64(5 * SECOND..=1_200 * SECOND) / scale }
    }

    /// Draws what an operator does.
    #[must_use]
    pub fn draw_steering(rng: &mut fastrand::Rng, scale: u64) -> Self {
        match rng.u8(..3) {
            0 => Self::Reconnect,
            _ => Self::Pause { lasts: Self::draw_down(rng, scale) },
        }
    }

    /// Draws a replay that an operator asks for.
    #[must_use]
    pub fn draw_replay(rng: &mut fastrand::Rng) -> Self {
        Self::Replay { days: rng.u64(0..=3), dry_run: rng.u8(..3) == 0 }
    }

    /// Draws a frame that takes long: at a rate that is life, or at one that is none.
    #[must_use]
    pub fn draw_slow_frame(rng: &mut fastrand::Rng, scale: u64) -> Self {
        Self::SlowFrame {
            which: if rng.bool() { Which::All } else { Which::One },
            bytes_per_s: one_of(rng, [80_000, 80_000, 2_000, 100]),
            // Beyond `stale_after`, and beyond `frame_timeout`.
            lasts: rng.u64(10 * SECOND..=900 * SECOND) / scale,
        }
    }

    /// Mostly a minute, now and then days (the checkpoint lives seven of them).
    fn draw_down(rng: &mut fastrand::Rng, scale: u64) -> Millis {
        match rng.u8(..12) {
            0 => rng.u64(DAY / 2..=9 * DAY),
            1 | 2 => rng.u64(60 * SECOND..=7_200 * SECOND) / scale,
            _ => rng.u64(SECOND..=60 * SECOND) / scale,
        }
    }
}
