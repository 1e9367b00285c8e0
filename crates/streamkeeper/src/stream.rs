//! One stream as it runs: its ledger and writer, and the supervisor that reads it now.
//!
//! Everything that can fail comes first ([`Prepared`]: settings, ledger), so that whoever prepares
//! several can let go of all when one fails. The supervisor can be replaced while the ledger, and
//! with it the sinks' places, stays: that is how changed settings take effect. The old one ends its
//! connections in order and hands over the state it ended with; the new one goes on as after a
//! restart of the process.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use rustls::RootCertStore;
use streamkeeper_core::backoff::BackoffConfig;
use streamkeeper_core::hygiene::HygieneConfig;
use streamkeeper_core::low_water::PositionConfig;
use streamkeeper_core::restart::RestartConfig;
use streamkeeper_core::stream_policy::{
    HISTORY_DAYS, Input, StreamPolicy, StreamPolicyConfig, StreamState,
};
use streamkeeper_core::watchdog::WatchdogConfig;
use streamkeeper_inform::ReplayQuery;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Ledger, Start};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::clock::{Clock, seed, wall};
use crate::config::StreamConfig;
use crate::connection::{Connection, Hold, Tools};
use crate::desk::{GroupBounds, Tools as DeskTools};
use crate::embed::StartError;
use crate::ledgers;
use crate::lifecycle::{Filters, utc_day};
use crate::registry::{Consumer, Registry, StreamEntry};
use crate::replay::{Driver, ReplayError, ReplaySpec, Side};
use crate::requests::Act;
use crate::supervisor::{Abandon, Reports, Stop, Supervisor};
use crate::telemetry::tell_opened;
use crate::transport::{HttpTransport, Renewal, TransportSettings};
use crate::vital::Vital;
use crate::writer::{Writer, WriterPool};

/// The threads that all streams share, and where readers find them.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) writers: WriterPool,
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) registry: Registry,
}

/// A stream that is ready to start. Dropping it lets go of its ledger.
pub(crate) struct Prepared {
    config: StreamConfig,
    transport: HttpTransport,
    ledger: Ledger,
    state: Option<StreamState>,
    consumers: Vec<String>,
}

impl Prepared {
    /// Opens a stream's ledger below `data_dir`, for these consumers, and says what was found.
    /// One of them has everything before `given`, by its own account.
    pub(crate) fn new(
        config: &StreamConfig,
        data_dir: &Path,
        consumers: Vec<String>,
        given: u64,
    ) -> Result<Self, StartError> {
        let transport = transport(config)?;
        let settings = &config.ledger;
        let ledger_config = streamkeeper_ledger::Config {
            sinks: consumers.clone(),
            given,
            memory_bytes_max: settings.memory_bytes / 4 * 3,
            retention_days: u16::try_from(settings.retention_days).unwrap_or(u16::MAX),
            outbox_bytes_max: settings.outbox_bytes,
            outbox_age_max: settings.outbox_age,
            ..streamkeeper_ledger::Config::default()
        };
        let folder = ledgers::folder(data_dir, &config.name);
        let (ledger, report) = Ledger::open(Arc::new(RealFs), &folder, ledger_config)
            .map_err(|source| StartError::Ledger { stream: config.name.clone(), source })?;
        tell_opened(&config.name, &report);
        let mut state = ledger.state().cloned();
        if let Some(state) = &mut state {
            // Also not after a torn tail: whatever wrote it did not end as it should.
            state.clean = report.start == Start::Clean;
        }
        Ok(Self { config: config.clone(), transport, ledger, state, consumers })
    }

    /// Starts it. `number` tells it from every other stream of this process, also earlier ones.
    pub(crate) fn start(self, number: u64, ground: &Ground) -> Result<Stream, StartError> {
        let Self { config, transport, ledger, state, consumers } = self;
        let budget = Budget::new(config.queue_bytes);
        let consumers = consumers.iter().map(|name| Consumer::new(name)).collect();
        let name = config.name.as_str().into();
        let entry = Arc::new(StreamEntry::new(name, ledger.outbox(), budget.clone(), consumers));
        ground.registry.insert(Arc::clone(&entry));
        let reports = Reports::channel(Clock::start());
        let desk = DeskTools {
            ledger,
            bounds: GroupBounds {
                delay: config.ledger.commit_delay,
                bytes: config.ledger.commit_bytes,
            },
            budget: budget.clone(),
            entry: Arc::clone(&entry),
            reports: reports.0.clone(),
        };
        let writer = ground.writers.open(number, desk).ok_or(StartError::Died)?;
        let place = Place { number, entry, writer, budget };
        let own = transport.clone();
        let reader = Reader::start(&config, transport, state, reports, &place, ground);
        Ok(Stream { config, transport: own, place, reader, replay: None, paused: false })
    }
}

/// What stays when the supervisor is replaced.
struct Place {
    number: u64,
    entry: Arc<StreamEntry>,
    writer: Writer,
    budget: Budget,
}

/// The supervisor, and how it is asked.
struct Reader {
    supervisor: Addr<Supervisor>,
    reports: Reports,
    stopped: oneshot::Receiver<StreamState>,
}

impl Reader {
    fn start(
        config: &StreamConfig,
        transport: HttpTransport,
        state: Option<StreamState>,
        (reports, receiver): (Reports, crate::supervisor::ReportsReceiver),
        place: &Place,
        ground: &Ground,
    ) -> Self {
        let tools = tools(config, transport, reports.clone(), place);
        let filters = Filters {
            resources: config.resource_filter.clone(),
            event_types: config.event_types.clone(),
        };
        let mut arbiters = ground.arbiters.clone();
        // Every stream has a first slot: not all of them on the first thread.
        let first = usize::try_from(place.number).unwrap_or(0) % arbiters.len().max(1);
        arbiters.rotate_left(first);
        let policy = StreamPolicy::new(policy(config), seed());
        let (done, stopped) = oneshot::channel();
        let vital = Vital::new(&ground.registry, "supervisor");
        let supervisor =
            Supervisor::new(policy, tools, filters, state, arbiters, receiver, (done, vital))
                .start();
        Self { supervisor, reports, stopped }
    }
}

/// A stream that runs.
pub(crate) struct Stream {
    config: StreamConfig,
    /// What the reader uses.
    transport: HttpTransport,
    place: Place,
    reader: Reader,
    /// Ends the operator's last replay.
    replay: Option<Hold>,
    /// The operator wants no connection: another supervisor has to be told so, too.
    paused: bool,
}

impl Stream {
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) const fn entry(&self) -> &Arc<StreamEntry> {
        &self.place.entry
    }

    /// Its name and what the files of its certificates hold now, if that is something else.
    pub(crate) fn renewal(
        &self,
        system: &OnceCell<Arc<RootCertStore>>,
    ) -> Result<Option<(String, Renewal)>, StartError> {
        let name = || self.name().to_owned();
        let renewal = self.transport.renewal(system);
        let renewal = renewal.map_err(|source| StartError::Transport { stream: name(), source })?;
        Ok(renewal.map(|renewal| (name(), renewal)))
    }

    pub(crate) fn steer(&mut self, act: Act) {
        match act {
            Act::Pause => self.paused = true,
            Act::Resume => self.paused = false,
            Act::Recover | Act::Reconnect => {}
        }
        self.reader.reports.send(act.input());
    }

    /// An operator has changed something: whatever it waits for, it tries now.
    pub(crate) fn try_now(&self) {
        self.reader.reports.send(Input::TryNow);
    }

    /// Begins an operator's replay beside the stream.
    pub(crate) fn start_replay(
        &mut self,
        spec: ReplaySpec,
        ground: &Ground,
    ) -> Result<(), ReplayError> {
        let config = &self.config;
        // Checked when the stream was started.
        let Ok(transport) = transport(config) else { return Err(ReplayError::Stopped) };
        let query = ReplayQuery {
            date: spec.from,
            resources: if spec.only.is_empty() { &config.resource_filter } else { &spec.only }
                .clone(),
            event_types: config.event_types.clone(),
        };
        let (reports, receiver) = Reports::channel(Clock::start());
        let side = Arc::new(Side::new(spec, wall(), reports.clone()));
        if !self.place.entry.begin_replay(&side) {
            return Err(ReplayError::Running);
        }
        let tools = Tools {
            side: Some(Arc::clone(&side)),
            ..tools(config, transport, reports, &self.place)
        };
        let arbiter = ground.arbiters.last();
        let connection = match arbiter {
            Some(arbiter) => Connection::start_in_arbiter(arbiter, |_| Connection::new(tools)),
            None => Connection::new(tools).start(),
        };
        let (entry, writer) = (Arc::clone(&self.place.entry), self.place.writer.clone());
        let policy = policy(config);
        let driver = Driver::start(side, entry, writer, &connection, &query, &policy, wall());
        self.replay = Some(driver.hold());
        actix_rt::spawn(async move {
            driver.run(receiver).await;
            // The actor lives as long as its address.
            drop(connection);
        });
        Ok(())
    }

    /// Asks it to end every connection within `drain`.
    pub(crate) fn stop(&self, drain: Duration) {
        if let Some(replay) = &self.replay {
            replay.kill();
        }
        if self.reader.supervisor.try_send(Stop { drain }).is_err() {
            tracing::warn!(stream = self.name(), "the stream has ended before");
        }
    }

    /// Waits until it has stopped; whether it did so in time, and cleanly: then the next start goes
    /// on from here.
    pub(crate) async fn has_stopped_cleanly(&mut self, by: Instant) -> bool {
        let stopped = tokio::time::timeout_at(by, &mut self.reader.stopped).await;
        matches!(stopped, Ok(Ok(state)) if state.clean)
    }

    /// Ends it at once, whatever it waits for.
    pub(crate) fn abandon(&self) {
        self.reader.supervisor.do_send(Abandon);
    }

    /// Stops the supervisor within `by`, and starts another one with new settings. One that does not
    /// stop in time is abandoned, and what it may have lost is read again.
    pub(crate) async fn replace_reader(
        &mut self,
        config: StreamConfig,
        transport: HttpTransport,
        by: Instant,
        ground: &Ground,
    ) {
        let stopped = match tokio::time::timeout_at(by, &mut self.reader.stopped).await {
            Ok(stopped) => stopped,
            Err(_) => {
                self.abandon();
                (&mut self.reader.stopped).await
            }
        };
        // A supervisor that has panicked has no state to hand over: that of a start without a past
        // is made from its mark.
        let state = stopped.unwrap_or_else(|_| StreamState::at(self.place.entry.mark()));
        let reports = Reports::channel(Clock::start());
        self.place.writer.report_to(reports.0.clone());
        self.transport = transport.clone();
        self.reader = Reader::start(&config, transport, Some(state), reports, &self.place, ground);
        self.config = config;
        if self.paused {
            // It hears this before it connects: what it starts with is not durable yet.
            self.steer(Act::Pause);
        }
    }

    /// Lets go of the ledger. Resolves when that is done.
    pub(crate) fn close(&self) -> oneshot::Receiver<()> {
        self.place.writer.close()
    }
}

/// What the connections of a stream work with.
fn tools(
    config: &StreamConfig,
    transport: HttpTransport,
    reports: Reports,
    place: &Place,
) -> Tools {
    Tools {
        transport,
        watchdog: watchdog(config),
        event_bytes_max: config.max_event_bytes,
        budget: place.budget.clone(),
        writer: place.writer.clone(),
        clock: reports.clock(),
        reports,
        entry: Arc::clone(&place.entry),
        side: None,
    }
}

/// The connection settings of a stream.
pub(crate) fn transport(config: &StreamConfig) -> Result<HttpTransport, StartError> {
    let mut settings = TransportSettings::new(config.url.clone());
    settings.token = Some(config.token.clone());
    settings.ca_file = config.ca_file.clone();
    settings.client_cert_file = config.client_cert_file.clone();
    settings.client_key_file = config.client_key_file.clone();
    settings.proxy = config.proxy.clone();
    settings.connect_timeout = config.watchdog.connect_timeout;
    settings.call_timeout = config.call_timeout;
    HttpTransport::new(settings)
        .map_err(|source| StartError::Transport { stream: config.name.clone(), source })
}

impl StreamConfig {
    /// The connections that the stream is read over, for calls besides it.
    ///
    /// # Errors
    /// [`StartError::Transport`] for a URL or certificates that cannot be used.
    pub fn transport(&self) -> Result<HttpTransport, StartError> {
        transport(self)
    }

    /// What is wrong with a `start_date` that is older than what the service keeps; it matters at a first start.
    #[must_use]
    pub fn start_date_doubt(&self) -> Option<String> {
        let kept_from = crate::clock::today().and_then(utc_day)?.minus_days(HISTORY_DAYS);
        let day = self.start_date.and_then(utc_day).filter(|day| *day < kept_from)?;
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
        let ours = self.server_name.to_lowercase();
        name != self.server_name
            && streamkeeper_core::establish::is_ours(&name.to_lowercase(), &ours)
    }
}

const fn watchdog(config: &StreamConfig) -> WatchdogConfig {
    WatchdogConfig {
        late_after: config.watchdog.late_after,
        stale_after: config.watchdog.stale_after,
        frame_timeout: config.watchdog.frame_timeout,
    }
}

/// The configuration, in the core's terms.
fn policy(config: &StreamConfig) -> StreamPolicyConfig {
    let recovery = &config.recovery;
    let carries_connections = config.event_types.iter().any(|kind| kind == "connection");
    if config.hygiene.enabled && carries_connections {
        tracing::warn!(
            stream = config.name,
            "hygiene is off: the stream carries connection events, and the service does not keep \
             those for a client that rests",
        );
    }
    StreamPolicyConfig {
        server_name: config.server_name.clone(),
        connections: u8::try_from(config.connections).unwrap_or(u8::MAX),
        start_date: config.start_date.and_then(utc_day),
        watchdog: watchdog(config),
        hygiene: HygieneConfig {
            enabled: config.hygiene.enabled && !carries_connections,
            max_consecutive_pokes: config.hygiene.max_consecutive_pokes,
            rest_initial: config.hygiene.rest_initial,
            rest_max: config.hygiene.rest_max,
        },
        backoff: BackoffConfig {
            initial: config.backoff.initial,
            max: config.backoff.max,
            retry_after_max: config.backoff.retry_after_max,
        },
        position: PositionConfig {
            settle: recovery.settle,
            walk: recovery.walk,
            margin: recovery.margin,
        },
        verify_every: recovery.verify_every,
        hold_patience: recovery.hold_patience,
        lookback_days: recovery.lookback_days,
        restart: RestartConfig { max_recoveries: recovery.max_recoveries, within: recovery.within },
    }
}
