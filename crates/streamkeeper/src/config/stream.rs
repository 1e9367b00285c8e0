//! `[[stream]]` and its tables: one stream and its policies.
//!
//! Plain values with the defaults of the commented configuration file; the rules between
//! them are in `rules`. All durations are above zero and at most a year. The words
//! (slot, rest, mark, suspect …) are those of the glossary.

use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;

use super::sse::{Interval, SseTable};
use crate::transport::{Proxy, is_web_socket};
use streamkeeper_sink::Secret;

/// One stream.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper::Secret;
/// use streamkeeper::config::StreamConfig;
///
/// let url = "https://streams.v2.validic.com";
/// let mut stream = StreamConfig::inform("acme", url, Secret::new("s3cret"));
/// stream.connections = 3;
/// assert_eq!(stream.stale_after(), Some(Duration::from_secs(30)));
/// assert!(!format!("{stream:?}").contains("s3cret"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Unique here; a folder, a metric label and the source of the stream's events.
    /// Letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 64.
    pub name: String,
    /// What kind of server it is, and what only a stream of that kind has. Default: `inform`.
    pub dialect: Dialect,
    /// The URL, `http` or `https`, without user and fragment. Of the Inform API the base URL, without a query;
    /// else that of the stream itself, in which a key may stand: from `url`, `url_file` or `url_env`.
    pub url: Secret,
    /// Slots, 1 to 20; the server's own limit is read from its pokes. Of the sse family 1. Default: 1.
    pub connections: u32,
    /// A PEM file of certificates to trust in place of the system's: for the service, and for a
    /// proxy that is reached over TLS.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate in PEM, shown to the service if it asks; with `client_key_file`.
    pub client_cert_file: Option<PathBuf>,
    /// The key of that certificate in PEM, not encrypted.
    pub client_key_file: Option<PathBuf>,
    /// The forward proxy, a secret since a password may stand in it: from `proxy`, `proxy_file` or
    /// `proxy_env`; `off` for none. Default: as the environment says.
    pub proxy: Proxy,
    /// The largest event that is accepted, in bytes: 1 KiB to 32 MiB. Default: 4 MiB.
    pub max_event_bytes: usize,
    /// The bound of what the stream holds in memory between socket and disk, in bytes;
    /// at least `max_event_bytes`, at most 64 GiB. Default: 64 MiB.
    pub queue_bytes: usize,
    /// The limit of one REST call. Default: 30 s.
    pub call_timeout: Duration,
    /// `[stream.watchdog]`.
    pub watchdog: WatchdogTable,
    /// `[stream.hygiene]`.
    pub hygiene: HygieneTable,
    /// `[stream.backoff]`.
    pub backoff: BackoffTable,
    /// `[stream.ledger]`.
    pub ledger: LedgerTable,
}

/// What a kind of server means by heartbeat, data, identity and resume, and what only its streams have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The Inform (V2) Streaming API.
    Inform(Box<InformTable>),
    /// A server of server-sent events that resumes from a cursor.
    Sse(Box<SseTable>),
}

/// What only a stream of the Inform API has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformTable {
    /// The stream's name on the server. Default: the stream's name.
    pub server_name: String,
    /// The organization token; from `token`, `token_file` or `token_env`.
    pub token: Secret,
    /// Resource types to ask for; empty: all. Unknown ones pass through, since the
    /// service adds types (Inform API, stream resources).
    pub resource_filter: Vec<String>,
    /// Event types to ask for: `data`, `rule`, `connection`. Default: `data`.
    pub event_types: Vec<String>,
    /// Where the stream starts when it is created for the first time, UTC, not in the
    /// future. `None`: the service's last 30 days.
    pub start_date: Option<Date>,
    /// A connection is read to its end and replaced after so long, or up to a tenth earlier; one at a time, the
    /// others read on. Default: `None`, never.
    pub max_age: Option<Duration>,
    /// `[stream.recovery]`.
    pub recovery: RecoveryTable,
}

impl InformTable {
    /// With every setting at its default.
    pub fn new(server_name: impl Into<String>, token: Secret) -> Self {
        Self {
            server_name: server_name.into(),
            token,
            resource_filter: Vec::new(),
            event_types: vec!["data".into()],
            start_date: None,
            max_age: None,
            recovery: RecoveryTable::default(),
        }
    }
}

/// When silence is reported and when it is acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogTable {
    /// Silence that is reported; below `stale_after`. `None`: two thirds of that, and nine tenths where a
    /// server announces when it is due (a `stale_factor` below 1.5). Default: 10 s, and of the sse
    /// family `None`.
    pub late_after: Option<Duration>,
    /// Silence after which it is acted. `None`: what the dialect says. Of the Inform API that is 30 s, the least
    /// that the vendor advises; else it follows of the interval of the server's heartbeats.
    pub stale_after: Option<Duration>,
    /// How long one frame may take while its bytes come, at least 1 KiB of them a second; never less
    /// than `stale_after`. Default: 10 min.
    pub frame_timeout: Duration,
    /// The limit from connecting to the head of the response. Default: 10 s.
    pub connect_timeout: Duration,
}

/// When a connection rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HygieneTable {
    /// Whether connections rest at all. Default: true, and false of the sse family.
    pub enabled: bool,
    /// Pokes without data between them that send a connection to rest, 1 or more.
    /// Default: 5.
    pub max_consecutive_pokes: u32,
    /// The first rest; each further one is twice as long. Default: 5 s.
    pub rest_initial: Duration,
    /// The longest rest, `rest_initial` or more. Default: 5 min.
    pub rest_max: Duration,
}

/// How lost events are brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryTable {
    /// What a recovery does. Default: `recreate`.
    pub strategy: Strategy,
    /// The service's queueing delay and clock skew; raised by itself to what is seen.
    /// Default: 5 min.
    pub margin: Duration,
    /// How long nothing may change before the mark moves. Longer than a rebalance, a
    /// round over the users, and a gap between frames. Default: 75 s.
    pub settle: Duration,
    /// The longest silence before a new stream's history starts. Default: 10 min.
    pub walk: Duration,
    /// Suspects are checked over the replay endpoint at most this often; `None` (`off`):
    /// never. Default: 12 h.
    pub verify_every: Option<Duration>,
    /// How long a DELETE may be refused before a stream is created alongside.
    /// Default: 60 s.
    pub hold_patience: Duration,
    /// Whole days, 0 to 30, by which a replay is widened. Default: 0.
    pub lookback_days: u32,
    /// Recoveries within `within`, 1 or more, before a growing pause. Default: 5.
    pub max_recoveries: u32,
    /// The window of `max_recoveries`. Default: 1 h.
    pub within: Duration,
}

/// What a recovery does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Deletes the stream and creates it anew from the day of the mark.
    #[default]
    Recreate,
    /// Reads on from the same stream, and the replay endpoint from the day of the mark beside it. The stream is
    /// made anew only where that does not do.
    Replay,
}

/// The pauses between tries to connect: doubled up to a maximum, half of each drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackoffTable {
    /// The longest first pause. Default: 1 s.
    pub initial: Duration,
    /// The longest pause, `initial` or more. Default: 30 s, and 1 min of the sse family.
    pub max: Duration,
    /// The longest `Retry-After` of the service that is obeyed. Default: 1 h.
    pub retry_after_max: Duration,
}

/// What is kept on disk of a stream, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerTable {
    /// A group commit gathers events for so long at most. Default: 5 ms.
    pub commit_delay: Duration,
    /// Or until so many bytes wait. Default: 1 MiB.
    pub commit_bytes: usize,
    /// How many days a record id is remembered after its `created_at`, 32 to 3650: longer than the
    /// service's window of 30 days. Default: 35.
    pub retention_days: u32,
    /// Memory for the record ids of recent days, in bytes, at least 1 MiB. Default: 256 MiB, which
    /// does for 12 million events a day.
    pub memory_bytes: usize,
    /// Nothing new is accepted while events that some sink has not acknowledged take more bytes on
    /// disk, at least 1 MiB. Default: 16 GiB.
    pub outbox_bytes: u64,
    /// Nothing new is accepted while an event waits for a sink for longer; `None` (`off`): however
    /// long. Default: off.
    pub outbox_age: Option<Duration>,
}

pub(super) const QUEUE_BYTES: usize = 64 << 20;

impl StreamConfig {
    /// A stream of the Inform (V2) Streaming API with every setting at its default.
    pub fn inform(name: impl Into<String>, url: impl Into<String>, token: Secret) -> Self {
        let name = name.into();
        let table = InformTable::new(name.clone(), token);
        Self::new(name, url.into(), Dialect::Inform(Box::new(table)))
    }

    /// A stream of a server of server-sent events with every setting at its default.
    ///
    /// ```
    /// use streamkeeper::config::{SseTable, StreamConfig};
    ///
    /// let table = SseTable::preset("mercure").unwrap();
    /// let stream = StreamConfig::sse("prices", "https://example.org/.well-known/mercure", table);
    /// assert_eq!(stream.stale_after().unwrap().as_secs(), 100);
    /// ```
    pub fn sse(name: impl Into<String>, url: impl Into<String>, table: SseTable) -> Self {
        let mut stream = Self::new(name.into(), url.into(), Dialect::Sse(Box::new(table)));
        stream.watchdog.late_after = None;
        stream.watchdog.stale_after = None;
        stream.hygiene.enabled = false;
        stream.backoff.max = Duration::from_secs(60);
        stream
    }

    fn new(name: String, url: String, dialect: Dialect) -> Self {
        Self {
            name,
            dialect,
            url: Secret::new(url),
            connections: 1,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            proxy: Proxy::Environment,
            max_event_bytes: 4 << 20,
            queue_bytes: QUEUE_BYTES,
            call_timeout: Duration::from_secs(30),
            watchdog: WatchdogTable::default(),
            hygiene: HygieneTable::default(),
            backoff: BackoffTable::default(),
            ledger: LedgerTable::default(),
        }
    }

    /// What only a stream of the Inform API has.
    #[must_use]
    pub fn as_inform(&self) -> Option<&InformTable> {
        match &self.dialect {
            Dialect::Inform(table) => Some(table),
            Dialect::Sse(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn as_inform_mut(&mut self) -> Option<&mut InformTable> {
        match &mut self.dialect {
            Dialect::Inform(table) => Some(table),
            Dialect::Sse(_) => None,
        }
    }

    /// What only a stream of the sse family has.
    #[must_use]
    pub fn as_sse(&self) -> Option<&SseTable> {
        match &self.dialect {
            Dialect::Sse(table) => Some(table),
            Dialect::Inform(_) => None,
        }
    }

    /// Whether it is read over a WebSocket.
    #[must_use]
    pub fn is_web_socket(&self) -> bool {
        self.as_sse().is_some() && is_web_socket(self.url.expose())
    }

    /// Its URL, as far as it is no secret: of the sse family without path and query.
    #[must_use]
    pub fn shown_url(&self) -> String {
        let url = self.url.expose();
        match (&self.dialect, url.split_once("://")) {
            (Dialect::Sse(_), Some((scheme, rest))) => {
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                format!("{scheme}://{authority}")
            }
            _ => url.to_owned(),
        }
    }

    /// Silence after which it is acted; `None` if that depends on what the server will announce, or on what
    /// will be seen of it.
    #[must_use]
    pub fn stale_after(&self) -> Option<Duration> {
        let of_dialect = || match &self.dialect {
            Dialect::Inform(_) => Some(STALE_AFTER),
            Dialect::Sse(table) => match table.row.interval {
                Interval::Fixed(interval) => Some(table.row.stale_after(interval)),
                _ => None,
            },
        };
        self.watchdog.stale_after.or_else(of_dialect)
    }

    /// Silence that is reported, and silence after which it is acted, where the server says something every
    /// `interval`; `None`: that is not known yet.
    #[must_use]
    pub fn bounds(&self, interval: Option<Duration>) -> (Duration, Duration) {
        let of_row = |table: &SseTable| table.row.stale_after(interval.unwrap_or(UNKNOWN_INTERVAL));
        let announced = || self.as_sse().map(of_row);
        let stale_after = match interval {
            Some(_) => self.watchdog.stale_after.or_else(announced),
            None => self.stale_after().or_else(announced),
        };
        let stale_after = stale_after.unwrap_or(STALE_AFTER);
        let given = self.watchdog.late_after.filter(|late_after| *late_after < stale_after);
        let of_row = self.as_sse().filter(|_| self.watchdog.stale_after.is_none());
        let late_after =
            || of_row.map_or(stale_after * 2 / 3, |table| table.row.late_after(stale_after));
        (given.unwrap_or_else(late_after), stale_after)
    }
}

/// The least that the vendor of the Inform API advises.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// As what an interval counts that is still to be learned: longer than that of most servers, so that a quiet one
/// is not taken for dead before it is known.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(60);

impl Default for WatchdogTable {
    fn default() -> Self {
        Self {
            late_after: Some(Duration::from_secs(10)),
            stale_after: Some(STALE_AFTER),
            frame_timeout: Duration::from_secs(10 * 60),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for HygieneTable {
    fn default() -> Self {
        Self {
            enabled: true,
            max_consecutive_pokes: 5,
            rest_initial: Duration::from_secs(5),
            rest_max: Duration::from_secs(5 * 60),
        }
    }
}

impl Default for RecoveryTable {
    fn default() -> Self {
        Self {
            strategy: Strategy::Recreate,
            margin: Duration::from_secs(5 * 60),
            settle: Duration::from_secs(75),
            walk: Duration::from_secs(10 * 60),
            verify_every: Some(Duration::from_secs(12 * 60 * 60)),
            hold_patience: Duration::from_secs(60),
            lookback_days: 0,
            max_recoveries: 5,
            within: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for LedgerTable {
    fn default() -> Self {
        Self {
            commit_delay: Duration::from_millis(5),
            commit_bytes: 1 << 20,
            retention_days: 35,
            memory_bytes: 256 << 20,
            outbox_bytes: 16 << 30,
            outbox_age: None,
        }
    }
}

impl Default for BackoffTable {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(3600),
        }
    }
}
