//! What a cursored stream is configured with, and what is written down of it.

use std::time::Duration;

use crate::backoff::BackoffConfig;
use crate::hygiene::HygieneConfig;
use crate::id::{Cursor, IncidentId};
use crate::policy::slots::SlotsConfig;
use crate::time::Timestamp;
use crate::watchdog::WatchdogConfig;

use super::Cause;
use super::pauses::CAP;

/// What is done about what was sent while there was no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The server is asked to go on from the cursor.
    Resume,
    /// It is never asked with a cursor.
    Reconnect,
}

/// What to ask with before there is a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstCursor {
    /// Nothing.
    None,
    /// This.
    Literal(Cursor),
    /// What a document of the server says.
    Ask,
}

/// Everything the policies of one stream depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursoredConfig {
    /// What is done about what was missed.
    pub strategy: Strategy,
    /// Where a cursor stands, in a word: one that stood elsewhere says nothing.
    pub cursor_at: String,
    /// What to ask with before there is a cursor.
    pub first_cursor: FirstCursor,
    /// The server sends its full state on each connect: nothing is missed by a break.
    pub full_state: bool,
    /// A snapshot is fetched after a lost resume point.
    pub resync: bool,
    /// A stall of this stream calls for the others of its group, too.
    pub calls_group: bool,
    /// A connection is replaced after so long, or a little earlier.
    pub max_age: Option<Duration>,
    /// When silence is reported.
    pub watchdog: WatchdogConfig,
    /// When it rests; off unless wanted.
    pub hygiene: HygieneConfig,
    /// Between failed attempts: the first pause is at most 1 s, the longest 1 min, whatever is given.
    pub backoff: BackoffConfig,
}

impl Default for CursoredConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::Resume,
            cursor_at: String::new(),
            first_cursor: FirstCursor::None,
            full_state: false,
            resync: false,
            calls_group: false,
            max_age: None,
            watchdog: WatchdogConfig::default(),
            hygiene: HygieneConfig { enabled: false, ..HygieneConfig::default() },
            backoff: BackoffConfig { max: CAP, ..BackoffConfig::default() },
        }
    }
}

impl CursoredConfig {
    /// Whether the server is ever asked with a cursor.
    pub(super) fn asks(&self) -> bool {
        self.strategy == Strategy::Resume
    }

    pub(super) fn slots(&self) -> SlotsConfig {
        SlotsConfig {
            connections: 1,
            hygiene: self.hygiene,
            // Not used: the pauses are the family's own.
            backoff: self.backoff,
            token_backoff: self.backoff,
            late_after: self.watchdog.late_after,
            drain_limit: self.watchdog.stale_after.min(DRAIN_MAX),
            wake_together: Duration::ZERO,
        }
    }
}

/// How long a half-closed connection may take to end: a server may not hear a half-close at all.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// What is on disk of a stream's state.
///
/// The cursor is that of a batch that is durable, and may be older than the batches before it: it was the newest
/// when the state was made. Whoever keeps it writes the cursor of an event in the event's own commit, and puts the
/// newest one in its place before the start ([`CursoredState::with_newest`]), but for one from before the first state
/// that says `forgotten`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct CursoredState {
    /// Where the server is asked to go on from.
    pub cursor: Option<Cursor>,
    /// Where it stood ([`CursoredConfig::cursor_at`]); empty if that was not written down.
    pub cursor_at: String,
    /// Something has been read from the stream: what is missed from then on is missing.
    pub has_read: bool,
    /// The server has forgotten a cursor, and none has come since: the first one is not asked with again.
    pub forgotten: bool,
    /// A snapshot is still to be fetched.
    pub snapshot_owed: bool,
    /// The server has said that nothing more comes.
    pub ended: bool,
    /// Whether the last process ended in order, with everything that it had read committed.
    pub clean: bool,
    /// The number of the last incident; 0: there was none.
    pub incidents: IncidentId,
    /// The incident under way.
    pub incident: Option<OpenIncident>,
}

impl CursoredState {
    /// The same, with the newest cursor that is durable, if that is known.
    #[must_use]
    pub fn with_newest(mut self, cursor: Option<Cursor>) -> Self {
        self.cursor = cursor.or(self.cursor);
        self
    }

    /// The same, for a stream whose cursors stand there. One that stood elsewhere is as good as forgotten by the server;
    /// and what was sent since may be missing, as after an unclean end.
    pub(super) fn of_cursors_at(mut self, cursor_at: &str) -> Self {
        let is_other = !self.cursor_at.is_empty() && self.cursor_at != cursor_at;
        if is_other && self.cursor.take().is_some() {
            (self.forgotten, self.clean) = (true, false);
        }
        self
    }
}

/// An incident that was under way when the state was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// Why it began.
    pub cause: Cause,
    /// When it began, by our wall clock.
    pub since: Timestamp,
    /// How many times a lost resume point was seen.
    pub gaps: u32,
    /// How many connections were killed for their silence.
    pub stalls: u32,
    /// Events accepted since.
    pub new: u64,
    /// Events that were known.
    pub duplicate: u64,
}
