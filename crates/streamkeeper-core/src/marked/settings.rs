//! What a stream is configured with, what is written down of it, and how it is.

use std::time::Duration;

use crate::backoff::BackoffConfig;
use crate::hygiene::HygieneConfig;
use crate::id::{IncidentId, StreamId};
use crate::marked::establish::EstablishConfig;
use crate::marked::low_water::{PositionConfig, Suspect};
use crate::policy::slots::SlotsConfig;
use crate::restart::RestartConfig;
use crate::time::{Timestamp, UtcDay};
use crate::watchdog::WatchdogConfig;

use super::{Cause, Lost};

/// Everything the policies of one stream depend on (`config/streamkeeper.toml` explains each).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedConfig {
    /// The stream's name on the server.
    pub server_name: String,
    /// Slots, 1 to 20.
    pub connections: u8,
    /// The first day of the first creation; `None`: the service's last 30 days.
    pub start_date: Option<UtcDay>,
    /// When silence is reported.
    pub watchdog: WatchdogConfig,
    /// When slots rest.
    pub hygiene: HygieneConfig,
    /// A connection is replaced after so long; `None`: never.
    pub max_age: Option<Duration>,
    /// Between failed attempts.
    pub backoff: BackoffConfig,
    /// When the mark moves.
    pub position: PositionConfig,
    /// What a recovery does.
    pub strategy: Strategy,
    /// Suspects are read again at most this often; `None`: never.
    pub verify_every: Option<Duration>,
    /// A DELETE refused for longer: create alongside.
    pub hold_patience: Duration,
    /// The replay starts this many days before the day of the mark.
    pub lookback_days: u32,
    /// How many recoveries are ordinary.
    pub restart: RestartConfig,
}

impl MarkedConfig {
    /// The defaults, for a stream of that name with so many slots.
    #[must_use]
    pub fn new(server_name: &str, connections: u8) -> Self {
        Self {
            server_name: server_name.to_owned(),
            connections,
            start_date: None,
            watchdog: WatchdogConfig::default(),
            hygiene: HygieneConfig::default(),
            max_age: None,
            backoff: BackoffConfig::default(),
            position: PositionConfig::default(),
            strategy: Strategy::Recreate,
            verify_every: Some(Duration::from_secs(12 * 3600)),
            hold_patience: Duration::from_secs(60),
            lookback_days: 0,
            restart: RestartConfig::default(),
        }
    }

    pub(super) fn slots(&self) -> SlotsConfig {
        SlotsConfig {
            connections: self.connections,
            hygiene: self.hygiene,
            backoff: self.backoff,
            token_backoff: self.token_backoff(),
            late_after: self.watchdog.late_after,
            drain_limit: self.drain_limit(),
            wake_together: self.position.settle,
        }
    }

    /// How long a half-closed connection may take to end: at most 30 s (recovery.md), and never
    /// longer than it would take to call it stale.
    fn drain_limit(&self) -> Duration {
        self.watchdog.stale_after.min(Duration::from_secs(30))
    }

    /// Ten times slower: for a refused token, and for what needs a person or a long wait.
    pub(super) fn token_backoff(&self) -> BackoffConfig {
        BackoffConfig {
            initial: self.backoff.initial * 10,
            max: self.backoff.max * 10,
            ..self.backoff
        }
    }

    pub(super) fn establish(&self) -> EstablishConfig {
        EstablishConfig {
            server_name: self.server_name.clone(),
            hold_patience: self.hold_patience,
            backoff: self.backoff,
            token_backoff: self.token_backoff(),
        }
    }
}

/// What a recovery does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Makes the stream anew, from the day of the mark.
    #[default]
    Recreate,
    /// Reads on from the same stream, and `/replay` from the day of the mark beside it; makes the stream anew
    /// where that does not do.
    Replay,
}

/// What is on disk of a stream's state; each write is synced before it is acted upon.
///
/// A start goes by mark, stream id and clean flag, and by whether the stream's history has been read; after a clean end also by the suspects, which are still
/// to be verified. After an unclean one everything from the mark on is read again, and no suspect is
/// older. The rest tells people what was going on, and lets an incident keep its number and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The low-water mark.
    pub mark: Option<Timestamp>,
    /// Whether a recovery was under way.
    pub phase: Phase,
    /// The stream on the server.
    pub stream_id: Option<StreamId>,
    /// Whether the last process ended so that the service's checkpoint is enough to go on.
    pub clean: bool,
    /// What holds the mark down.
    pub suspects: Vec<Suspect>,
    /// The number of the last incident; 0: there was none.
    pub incidents: IncidentId,
    /// The incident under way.
    pub incident: Option<OpenIncident>,
    /// Streams that are not read any more, and could not be deleted.
    pub left_behind: Vec<StreamId>,
    /// Names of streams that were to be made alongside, and may exist.
    pub announced: Vec<String>,
}

impl StreamState {
    /// The state of a stream without a past: unclean, and nothing known of it but the mark.
    #[must_use]
    pub const fn at(mark: Option<Timestamp>) -> Self {
        Self {
            mark,
            phase: Phase::Running,
            stream_id: None,
            clean: false,
            suspects: Vec::new(),
            incidents: IncidentId(0),
            incident: None,
            left_behind: Vec::new(),
            announced: Vec::new(),
        }
    }
}

/// An incident that was under way when the state was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// Why it began.
    pub cause: Cause,
    /// When it began, in the service's time.
    pub since: Timestamp,
    /// How many recoveries it had taken.
    pub recoveries: u32,
    /// Events accepted since, old or live.
    pub new: u64,
    /// Those among them that were created before everything was terminated.
    pub recovered: u64,
    /// Events that were known.
    pub duplicate: u64,
    /// What could not be read again, because the service does not keep it any more.
    pub lost: Option<Lost>,
}

/// Whether a recovery is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading, caught up at least once.
    Running,
    /// From the decision to make the stream anew to the end of its history.
    Recovering,
    /// From the decision to recover on the same stream, whose history has been read, to the end of the replay
    /// beside it.
    Rereading,
}

/// The mark is written down this often.
pub(super) const PERSIST_EVERY: Duration = Duration::from_secs(5);
