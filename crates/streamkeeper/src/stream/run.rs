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
use streamkeeper_core::policy::Input;
use streamkeeper_core::state::PolicyState;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Given, Ledger, Start};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::api::act::Act;
use crate::api::replay::{ReplayError, ReplaySpec};
use crate::base::budget::Budget;
use crate::base::clock::{Clock, wall};
use crate::base::reports::{Reports, ReportsReceiver};
use crate::config::StreamConfig;
use crate::dialect::Dialect;
use crate::dialect::sse::Ask;
use crate::observe::registry::{Registry, StreamEntry};
use crate::observe::tally::Tally;
use crate::observe::telemetry::tell_opened;
use crate::observe::vital::Vital;
use crate::store::desk::{GroupBounds, Tools as DeskTools};
use crate::store::ledgers;
use crate::store::source::{Source, Subscriber};
use crate::store::writer::{Writer, WriterPool};
use crate::stream::connection::{Connection, Hold};
use crate::stream::tools::Tools;
use crate::transport::{HttpTransport, Renewal};

use super::error::StreamError;
use super::group::Groups;
use super::replay_places::ReplayPlaces;
use super::reread::Driver;
use super::settings::{limits, marked, policy, transport};
use super::supervisor::{Abandon, Parts, Stop, Supervisor};

/// The threads that all streams share, and where readers find them.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) writers: WriterPool,
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) registry: Registry,
    pub(crate) groups: Groups,
    pub(crate) replay_places: ReplayPlaces,
}

/// A stream that is ready to start. Dropping it lets go of its ledger.
pub(crate) struct Prepared {
    config: StreamConfig,
    transport: HttpTransport,
    ledger: Ledger,
    state: Option<PolicyState>,
    subscribers: Vec<Subscriber>,
}

impl Prepared {
    /// Opens a stream's ledger below `data_dir`, for these consumers, and says what was found.
    /// What they have by their own account is `given`.
    pub(crate) fn new(
        config: &StreamConfig,
        data_dir: &Path,
        subscribers: Vec<Subscriber>,
        given: Vec<Given>,
    ) -> Result<Self, StreamError> {
        let transport = transport(config)?;
        let settings = &config.ledger;
        let ledger_config = streamkeeper_ledger::LedgerConfig {
            sinks: subscribers.iter().map(|one| one.consumer.name.clone()).collect(),
            given,
            memory_bytes_max: settings.memory_bytes / 4 * 3,
            retention_days: u16::try_from(settings.retention_days).unwrap_or(u16::MAX),
            outbox_bytes_max: settings.outbox_bytes,
            outbox_age_max: settings.outbox_age,
            ..streamkeeper_ledger::LedgerConfig::default()
        };
        let folder = ledgers::folder(data_dir, &config.name);
        let (ledger, report) = Ledger::open(Arc::new(RealFs), &folder, ledger_config)
            .map_err(|source| StreamError::Ledger { stream: config.name.clone(), source })?;
        tell_opened(&config.name, &report);
        let is_marked = config.as_inform().is_some();
        let of_family = |state: PolicyState| {
            if is_marked {
                state.into_marked().map(PolicyState::from)
            } else {
                state.into_cursored().map(PolicyState::from)
            }
        };
        let state =
            ledgers::newest_state(&ledger).and_then(|state| state.map(of_family).transpose());
        let state =
            state.map_err(|source| StreamError::State { stream: config.name.clone(), source })?;
        // Also not after a torn tail: whatever wrote it did not end as it should.
        let state = state.map(|state| state.with_clean(report.start == Start::Clean));
        Ok(Self { config: config.clone(), transport, ledger, state, subscribers })
    }

    /// Starts it. `number` tells it from every other stream of this process, also earlier ones.
    pub(crate) fn start(self, number: u64, ground: &Ground) -> Result<Stream, StreamError> {
        let Self { config, transport, ledger, state, subscribers } = self;
        let budget = Budget::new(config.queue_bytes);
        let name = config.name.as_str().into();
        let outbox = ledger.outbox();
        let consumers = subscribers.iter().map(|one| Arc::clone(&one.consumer)).collect();
        let entry = Arc::new(StreamEntry::new(name, outbox.clone(), budget.clone(), consumers));
        ground.registry.insert(Arc::clone(&entry));
        let reports = Reports::channel(Clock::start());
        let desk = DeskTools {
            ledger,
            bounds: GroupBounds {
                delay: config.ledger.commit_delay,
                bytes: config.ledger.commit_bytes,
            },
            budget: budget.clone(),
            bells: subscribers.iter().map(|one| Arc::clone(&one.bell)).collect(),
            entry: Arc::clone(&entry),
            reports: reports.0.clone(),
        };
        let writer = ground
            .writers
            .open(number, desk)
            .ok_or(StreamError::NoWriter { stream: config.name.clone() })?;
        let source = |subscriber| {
            let (entry, outbox) = (Arc::clone(&entry), outbox.clone());
            Source { entry, outbox, subscriber }
        };
        let sources = subscribers.into_iter().map(source).collect();
        let place = Place { number, entry, sources, writer, budget };
        let own = transport.clone();
        let reader = Reader::start(&config, transport, state, reports, (&place, ground));
        Ok(Stream { config, transport: own, place, reader, replay: None, paused: false })
    }
}

/// What a supervisor has left is committed within milliseconds, where the disk is well.
const COMMITTED_WITHIN: Duration = Duration::from_secs(5);

/// What stays when the supervisor is replaced.
struct Place {
    number: u64,
    entry: Arc<StreamEntry>,
    sources: Vec<Source>,
    writer: Writer,
    budget: Budget,
}

/// The supervisor, and how it is asked.
struct Reader {
    supervisor: Addr<Supervisor>,
    reports: Reports,
    stopped: oneshot::Receiver<Option<PolicyState>>,
}

impl Reader {
    fn start(
        config: &StreamConfig,
        transport: HttpTransport,
        state: Option<PolicyState>,
        (reports, receiver): (Reports, ReportsReceiver),
        (place, ground): (&Place, &Ground),
    ) -> Self {
        let tools = tools(config, transport, reports.clone(), place);
        let mut arbiters = ground.arbiters.clone();
        // Every stream has a first slot: not all of them on the first thread.
        let first = usize::try_from(place.number).unwrap_or(0) % arbiters.len().max(1);
        arbiters.rotate_left(first);
        let policy = policy(config);
        let (done, stopped) = oneshot::channel();
        let vital = Vital::new(&ground.registry, "supervisor");
        let parts = Parts {
            tools,
            state,
            arbiters,
            reports: receiver,
            group: ground.groups.join(config, &reports),
            replay_places: ground.replay_places.clone(),
            stopped: done,
            vital,
        };
        let supervisor = Supervisor::new(policy, parts).start();
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

    /// Its outbox, for each of its consumers.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.place.sources
    }

    /// Its name and what the files of its certificates hold now, if that is something else.
    pub(crate) fn renewal(
        &self,
        system: &OnceCell<Arc<RootCertStore>>,
    ) -> Result<Option<(String, Renewal)>, StreamError> {
        let name = || self.name().to_owned();
        let renewal = self.transport.renewal(system);
        let renewal =
            renewal.map_err(|source| StreamError::Transport { stream: name(), source })?;
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
        let Dialect::Inform(inform) = Dialect::new(config) else {
            return Err(ReplayError::NoReplay);
        };
        let ask = Ask::place(inform.replay(spec.from, &spec.only));
        let place = ground.replay_places.take(config).ok_or(ReplayError::Crowded)?;
        let (reports, receiver) = Reports::channel(Clock::start());
        let tally = Arc::new(Tally::new(spec, wall(), reports.clone()));
        if !self.place.entry.begin_replay(&tally) {
            return Err(ReplayError::Running);
        }
        let tools = Tools {
            tally: Some(Arc::clone(&tally)),
            ..tools(config, transport, reports, &self.place)
        };
        let arbiter = ground.arbiters.last();
        let connection = match arbiter {
            Some(arbiter) => Connection::start_in_arbiter(arbiter, |_| Connection::new(tools)),
            None => Connection::new(tools).start(),
        };
        let (entry, writer) = (Arc::clone(&self.place.entry), self.place.writer.clone());
        let policy = marked(config);
        let driver = Driver::start(tally, (entry, writer), &connection, ask, (&policy, wall()));
        self.replay = Some(driver.hold());
        actix_rt::spawn(async move {
            driver.run(receiver).await;
            // The actor lives as long as its address.
            drop((connection, place));
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
        matches!(stopped, Ok(Ok(Some(state))) if state.is_clean())
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
        let state = self.handed_over(stopped.ok().flatten()).await;
        let reports = Reports::channel(Clock::start());
        self.place.writer.report_to(reports.0.clone());
        self.transport = transport.clone();
        self.reader = Reader::start(&config, transport, state, reports, (&self.place, ground));
        self.config = config;
        if self.paused {
            // It hears this before it connects: what it starts with is not durable yet.
            self.steer(Act::Pause);
        }
    }

    /// What the next supervisor begins with, by what the last one said. Of one that has panicked, or was abandoned
    /// before its cursor was written down, that is what is durable: as after a crash of the process.
    async fn handed_over(&self, stopped: Option<PolicyState>) -> Option<PolicyState> {
        match stopped {
            Some(state) if state.is_clean() || matches!(state, PolicyState::Marked(_)) => {
                Some(state)
            }
            Some(_) | None => {
                let writer = &self.place.writer;
                // What was read would come again otherwise; a disk that fails is not waited for.
                if tokio::time::timeout(COMMITTED_WITHIN, writer.passed()).await.is_err() {
                    tracing::debug!(stream = self.name(), "not all that was read is committed");
                }
                writer.durable().await
            }
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
        config: Arc::new(config.clone()),
        dialect: Dialect::new(config),
        rhythm: Arc::default(),
        session: Arc::default(),
        transport,
        watchdog: limits(config, None),
        event_bytes_max: config.max_event_bytes,
        budget: place.budget.clone(),
        writer: place.writer.clone(),
        clock: reports.clock(),
        reports,
        entry: Arc::clone(&place.entry),
        replaying: Arc::default(),
        tally: None,
    }
}

#[cfg(test)]
mod tests;
