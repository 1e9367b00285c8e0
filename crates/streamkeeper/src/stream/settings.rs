//! A stream's configuration, in the terms of the transport and of the core.

use std::borrow::Cow;
use std::time::Duration;

use streamkeeper_core::backoff::BackoffConfig;
use streamkeeper_core::cursored::{self, CursoredConfig, FirstCursor};
use streamkeeper_core::hygiene::HygieneConfig;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::marked::low_water::PositionConfig;
use streamkeeper_core::marked::{self, HISTORY_DAYS, MarkedConfig};
use streamkeeper_core::policy::Policy;
use streamkeeper_core::restart::RestartConfig;
use streamkeeper_core::watchdog::WatchdogConfig;

use crate::base::clock::seed;
use crate::base::clock::today;
use crate::config::{self, Dialect, InformTable, ResumeStrategy, SseTable, StreamConfig};
use crate::transport::{Auth, HttpTransport, TcpLimits, TransportSettings};
use streamkeeper_sink::Secret;

use super::error::StreamError;
use super::lifecycle::utc_day;

/// The connection settings of a stream.
pub(crate) fn transport(config: &StreamConfig) -> Result<HttpTransport, StreamError> {
    let mut settings = TransportSettings::new(config.url.expose());
    match &config.dialect {
        Dialect::Inform(table) => settings.auth = Auth::token(table.token.clone()),
        Dialect::Sse(table) => {
            settings.auth = table.auth.clone();
            settings.headers.clone_from(&table.headers);
            settings.secret_headers =
                table.row.session.iter().map(|session| session.header.clone()).collect();
            settings.redirects = table.row.redirects;
        }
    }
    settings.ca_file = config.ca_file.clone();
    settings.client_cert_file = config.client_cert_file.clone();
    settings.client_key_file = config.client_key_file.clone();
    settings.proxy = config.proxy.clone();
    settings.connect_timeout = config.watchdog.connect_timeout;
    settings.call_timeout = config.call_timeout;
    settings.tcp = config.tcp_limits();
    HttpTransport::new(settings)
        .map_err(|source| StreamError::Transport { stream: config.name.clone(), source })
}

impl StreamConfig {
    /// TCP's own limits, which follow of the silence that is acted upon.
    #[must_use]
    pub fn tcp_limits(&self) -> TcpLimits {
        TcpLimits::of(self.bounds(None).1)
    }

    /// The connections that the stream is read over, for calls besides it.
    ///
    /// # Errors
    /// [`StreamError::Transport`] for a URL or certificates that cannot be used.
    pub fn transport(&self) -> Result<HttpTransport, StreamError> {
        transport(self)
    }

    /// What is wrong with a `start_date` that is older than what the service keeps; it matters at a first start.
    #[must_use]
    pub fn start_date_doubt(&self) -> Option<String> {
        let kept_from = today().and_then(utc_day)?.minus_days(HISTORY_DAYS);
        let day = self.as_inform()?.start_date.and_then(utc_day).filter(|day| *day < kept_from)?;
        Some(format!(
            "start_date of stream {} is {day}, and the service keeps {HISTORY_DAYS} days: a first start \
             reads from {kept_from}, whatever was before is not to be had",
            self.name
        ))
    }

    /// Whether a name on the server can be taken for ours, and is another: upper and lower case differ,
    /// or a number follows, as behind what is made alongside.
    #[must_use]
    pub fn is_resembled_by(&self, name: &str) -> bool {
        self.as_inform().is_some_and(|table| {
            let ours = table.server_name.to_lowercase();
            name != table.server_name && marked::establish::is_ours(&name.to_lowercase(), &ours)
        })
    }
}

/// The table of a stream of the Inform API: no other is prepared.
fn inform(config: &StreamConfig) -> Cow<'_, InformTable> {
    config.as_inform().map_or_else(
        || Cow::Owned(InformTable::new(config.name.clone(), Secret::new(""))),
        Cow::Borrowed,
    )
}

/// When silence is reported and acted upon, if the server says something every `interval`; `None`: as is known
/// before it has said anything.
pub(super) fn limits(config: &StreamConfig, interval: Option<Duration>) -> WatchdogConfig {
    let (late_after, stale_after) = config.bounds(interval);
    WatchdogConfig { late_after, stale_after, frame_timeout: config.watchdog.frame_timeout }
}

/// The policies of a stream, as its dialect wants them.
pub(super) fn policy(config: &StreamConfig) -> Policy {
    match config.as_sse() {
        Some(table) => Policy::cursored(cursored(config, table), seed()),
        None => Policy::marked(marked(config), seed()),
    }
}

/// The configuration of a cursored stream, in the core's terms.
fn cursored(config: &StreamConfig, table: &SseTable) -> CursoredConfig {
    let row = &table.row;
    CursoredConfig {
        strategy: match table.strategy {
            ResumeStrategy::Resume => cursored::Strategy::Resume,
            ResumeStrategy::Reconnect => cursored::Strategy::Reconnect,
        },
        cursor_at: match &row.cursor {
            config::CursorAt::Id => "id".into(),
            config::CursorAt::Pointer(pointer) => pointer.clone(),
            config::CursorAt::None => "none".into(),
        },
        first_cursor: match &row.first_cursor {
            config::FirstCursorFrom::None => FirstCursor::None,
            config::FirstCursorFrom::Literal(text) => {
                Cursor::new(text).map_or(FirstCursor::None, FirstCursor::Literal)
            }
            config::FirstCursorFrom::Document { .. } => FirstCursor::Ask,
        },
        full_state: row.full_state,
        resync: row.resync.is_some(),
        calls_group: row.group == config::Group::All,
        max_age: row.max_age,
        watchdog: limits(config, None),
        hygiene: hygiene(config, config.hygiene.enabled),
        backoff: backoff(config),
    }
}

const fn hygiene(config: &StreamConfig, enabled: bool) -> HygieneConfig {
    HygieneConfig {
        enabled,
        max_consecutive_pokes: config.hygiene.max_consecutive_pokes,
        rest_initial: config.hygiene.rest_initial,
        rest_max: config.hygiene.rest_max,
    }
}

const fn backoff(config: &StreamConfig) -> BackoffConfig {
    BackoffConfig {
        initial: config.backoff.initial,
        max: config.backoff.max,
        retry_after_max: config.backoff.retry_after_max,
    }
}

/// The configuration of a marked stream, in the core's terms.
pub(super) fn marked(config: &StreamConfig) -> MarkedConfig {
    let table = &*inform(config);
    let recovery = &table.recovery;
    let carries_connections = table.event_types.iter().any(|kind| kind == "connection");
    if config.hygiene.enabled && carries_connections {
        tracing::warn!(
            stream = config.name,
            "hygiene is off: the stream carries connection events, and the service does not keep \
             those for a client that rests",
        );
    }
    MarkedConfig {
        server_name: table.server_name.clone(),
        connections: u8::try_from(config.connections).unwrap_or(u8::MAX),
        start_date: table.start_date.and_then(utc_day),
        watchdog: limits(config, None),
        hygiene: hygiene(config, config.hygiene.enabled && !carries_connections),
        max_age: table.max_age,
        backoff: backoff(config),
        position: PositionConfig {
            settle: recovery.settle,
            walk: recovery.walk,
            margin: recovery.margin,
        },
        strategy: match recovery.strategy {
            config::Strategy::Recreate => marked::Strategy::Recreate,
            config::Strategy::Replay => marked::Strategy::Replay,
        },
        verify_every: recovery.verify_every,
        hold_patience: recovery.hold_patience,
        lookback_days: recovery.lookback_days,
        restart: RestartConfig { max_recoveries: recovery.max_recoveries, within: recovery.within },
    }
}
