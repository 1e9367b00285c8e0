//! What runs on the system's thread: the streams, the sinks, and their orderly end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::{Arbiter, ArbiterHandle};
use streamkeeper_core::backoff::BackoffConfig;
use streamkeeper_core::hygiene::HygieneConfig;
use streamkeeper_core::low_water::PositionConfig;
use streamkeeper_core::restart::RestartConfig;
use streamkeeper_core::stream_policy::{StreamPolicy, StreamPolicyConfig, StreamState};
use streamkeeper_core::watchdog::WatchdogConfig;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Ledger, Start};
use streamkeeper_sink::{Sink, SinkFactory};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::budget::Budget;
use crate::clock::{Clock, seed};
use crate::config::{Config, StreamConfig};
use crate::connection::Tools;
use crate::control::Control;
use crate::delivery::{Deliveries, SinkStop, Source, run_sink, start_deliveries};
use crate::desk::{GroupBounds, Tools as DeskTools};
use crate::embed::{GivenSink, StartError, StopReport};
use crate::ledgers;
use crate::lifecycle::{Filters, utc_day};
use crate::registry::{Consumer, Registry, StreamEntry};
use crate::requests::{Request, Requests, RequestsReceiver, answer_pings};
use crate::supervisor::{Reports, Stop, Supervisor};
use crate::telemetry::tell_opened;
use crate::transport::{HttpTransport, TransportSettings};
use crate::writer::{Writer, WriterPool};

/// Everything that runs.
pub(crate) struct System {
    streams: Vec<Stream>,
    sinks: Vec<JoinHandle<()>>,
    sink_stop: watch::Sender<SinkStop>,
    sink_runtime: SinkRuntime,
    arbiters: Vec<Arbiter>,
    control: Option<Control>,
}

struct Stream {
    name: String,
    supervisor: Addr<Supervisor>,
    reports: Reports,
    entry: Arc<StreamEntry>,
    writer: Writer,
    stopped: oneshot::Receiver<bool>,
}

/// A sink that is about to run.
struct SinkPlan {
    name: String,
    sink: Box<dyn Sink>,
    streams: Vec<String>,
}

/// The sinks' runtime. Whoever drops it is on a runtime, too, and must not wait for its threads.
struct SinkRuntime(Option<Runtime>);

impl Drop for SinkRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl System {
    /// Builds the sinks, then starts the streams. Runs inside an `actix_rt::System`.
    pub(crate) fn start(
        config: &Config,
        factories: &[Box<dyn SinkFactory>],
        given: Vec<GivenSink>,
        requests: &Requests,
        sink_stop: watch::Sender<SinkStop>,
    ) -> Result<(Self, Option<Deliveries>), StartError> {
        let registry = requests.registry();
        let plans = plan_sinks(config, factories, given)?;
        let sink_runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SINK_THREADS)
            .thread_name("sk-sinks")
            .enable_all()
            .build()?;
        let handle = sink_runtime.handle().clone();
        let sink_runtime = SinkRuntime(Some(sink_runtime));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let arbiters: Vec<_> = (0..cores.min(ARBITERS_MAX)).map(|_| Arbiter::new()).collect();
        let handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
        let writers = WriterPool::start(cores.min(WRITERS_MAX))?;

        let mut sources: HashMap<String, Vec<Source>> = HashMap::new();
        let mut streams = Vec::new();
        for (number, stream) in config.streams.iter().enumerate() {
            let wanted: Vec<&str> = plans
                .iter()
                .filter(|plan| plan.streams.contains(&stream.name))
                .map(|plan| plan.name.as_str())
                .collect();
            // Without any sink at all, the embedding application is the one consumer.
            let names = if plans.is_empty() { vec![DELIVERIES] } else { wanted };
            let place = Place {
                number: number as u64,
                folder: ledgers::folder(&config.service.data_dir, &stream.name),
                consumers: &names,
            };
            let started = start_stream(stream, place, &writers, &handles, registry)?;
            for (consumer, name) in names.into_iter().enumerate() {
                let entry = Arc::clone(&started.entry);
                sources.entry(name.to_owned()).or_default().push(Source { entry, consumer });
            }
            streams.push(started);
        }
        let receiver = sink_stop.subscribe();
        let deliveries = sources
            .remove(DELIVERIES)
            .filter(|_| plans.is_empty())
            .map(|sources| start_deliveries(&handle, sources, &receiver));
        let sinks = plans
            .into_iter()
            .map(|SinkPlan { name, sink, .. }| {
                let sources = sources.remove(&name).unwrap_or_default();
                handle.spawn(run_sink(name, sink, sources, receiver.clone()))
            })
            .collect();
        // Every ledger is held: whatever lies there of another process's is stale.
        let control = Control::start(&config.service.data_dir, registry);
        Ok((Self { streams, sinks, sink_stop, sink_runtime, arbiters, control }, deliveries))
    }

    /// Serves the handle until it asks to stop, or the last one is gone.
    pub(crate) async fn serve(self, receiver: RequestsReceiver) {
        let RequestsReceiver { mut requests, pings } = receiver;
        actix_rt::spawn(answer_pings(pings));
        loop {
            match requests.recv().await {
                Some(Request::Steer { stream, act }) => {
                    for known in self.streams.iter().filter(|known| known.name == stream) {
                        known.reports.send(act.input());
                    }
                }
                Some(Request::Stop { deadline, done }) => {
                    let report = self.stop(deadline).await;
                    answer(done, report);
                    // Whoever asked at the same time hears the same.
                    requests.close();
                    while let Some(request) = requests.recv().await {
                        if let Request::Stop { done, .. } = request {
                            answer(done, report);
                        }
                    }
                    return;
                }
                Some(Request::Abandoned) | None => {
                    self.stop(DROPPED_DEADLINE).await;
                    return;
                }
            }
        }
    }

    /// Ends the connections, then the sinks, within `deadline`.
    async fn stop(self, deadline: Duration) -> StopReport {
        let now = tokio::time::Instant::now();
        let last_call = LAST_CALL.min(deadline / 4);
        let ends = now + deadline.saturating_sub(last_call);
        // Half of the time for the connections, so that the sinks get theirs.
        let drain = deadline / 2;
        for stream in &self.streams {
            if stream.supervisor.try_send(Stop { drain }).is_err() {
                tracing::warn!(stream = stream.name, "the stream has ended before");
            }
        }
        let mut clean = true;
        let mut writers = Vec::new();
        for stream in self.streams {
            let stopped = tokio::time::timeout_at(ends, stream.stopped).await;
            clean &= matches!(stopped, Ok(Ok(true)));
            writers.push(stream.writer);
        }
        self.sink_stop.send_replace(SinkStop::WhenEmpty);
        let mut delivered = true;
        for mut sink in self.sinks {
            if tokio::time::timeout_at(ends, &mut sink).await.is_err() {
                delivered = false;
                self.sink_stop.send_replace(SinkStop::Now);
                // A sink that hangs in a delivery is left; what it has not got stays undelivered.
                if tokio::time::timeout_at(now + deadline, sink).await.is_err() {
                    tracing::warn!("a sink did not end in time");
                }
            }
        }
        self.sink_stop.send_replace(SinkStop::Now);
        // Before the ledgers: whoever has those next makes a socket of its own.
        drop(self.control);
        // The ledgers last: what the sinks have just acknowledged is written down.
        let closed: Vec<_> = writers.iter().map(Writer::close).collect();
        let closed = futures_util::future::join_all(closed);
        if tokio::time::timeout_at(now + deadline, closed).await.is_err() {
            tracing::warn!("a ledger did not close in time; the sinks may get events again");
        }
        drop(self.sink_runtime);
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        StopReport { clean, delivered }
    }
}

fn answer(done: oneshot::Sender<StopReport>, report: StopReport) {
    if done.send(report).is_err() {
        tracing::trace!("nobody waits for the stop");
    }
}

fn plan_sinks(
    config: &Config,
    factories: &[Box<dyn SinkFactory>],
    given: Vec<GivenSink>,
) -> Result<Vec<SinkPlan>, StartError> {
    let names = || config.streams.iter().map(|stream| stream.name.clone());
    let mut plans = Vec::new();
    for sink in &config.sinks {
        // `Config::check` has refused types without a factory.
        let Some(factory) = factories.iter().find(|factory| factory.type_name() == sink.kind)
        else {
            continue;
        };
        let built = factory
            .build(&sink.name, sink.table.clone())
            .map_err(|source| StartError::Sink { sink: sink.name.clone(), source })?;
        let streams = names().filter(|name| sink.wants(name)).collect();
        plans.push(SinkPlan { name: sink.name.clone(), sink: built, streams });
    }
    plans.extend(given.into_iter().map(|GivenSink { name, sink }| SinkPlan {
        name,
        sink,
        streams: names().collect(),
    }));
    Ok(plans)
}

/// Where a stream's ledger is, and whom it serves.
struct Place<'a> {
    number: u64,
    folder: PathBuf,
    consumers: &'a [&'a str],
}

/// Opens a stream's ledger, and says what was found. With the state to go on from.
fn open_ledger(
    config: &StreamConfig,
    place: &Place<'_>,
) -> Result<(Ledger, Option<StreamState>), StartError> {
    let settings = &config.ledger;
    let ledger_config = streamkeeper_ledger::Config {
        sinks: place.consumers.iter().map(|&name| name.to_owned()).collect(),
        memory_bytes_max: settings.memory_bytes / 4 * 3,
        retention_days: u16::try_from(settings.retention_days).unwrap_or(u16::MAX),
        outbox_bytes_max: settings.outbox_bytes,
        outbox_age_max: settings.outbox_age,
        ..streamkeeper_ledger::Config::default()
    };
    let (ledger, report) = Ledger::open(Arc::new(RealFs), &place.folder, ledger_config)
        .map_err(|source| StartError::Ledger { stream: config.name.clone(), source })?;
    tell_opened(&config.name, &report);
    let mut state = ledger.state().cloned();
    if let Some(state) = &mut state {
        // Also not after a torn tail: whatever wrote it did not end as it should.
        state.clean = report.start == Start::Clean;
    }
    Ok((ledger, state))
}

fn start_stream(
    config: &StreamConfig,
    place: Place<'_>,
    writers: &WriterPool,
    arbiters: &[ArbiterHandle],
    registry: &Registry,
) -> Result<Stream, StartError> {
    let mut settings = TransportSettings::new(config.url.clone());
    settings.token = Some(config.token.clone());
    settings.ca_file = config.ca_file.clone();
    settings.connect_timeout = config.watchdog.connect_timeout;
    settings.call_timeout = config.call_timeout;
    let transport = HttpTransport::new(settings)
        .map_err(|source| StartError::Transport { stream: config.name.clone(), source })?;

    let clock = Clock::start();
    let (reports, receiver) = Reports::channel(clock);
    let budget = Budget::new(config.queue_bytes);
    let (ledger, state) = open_ledger(config, &place)?;
    let consumers = place.consumers.iter().copied().map(Consumer::new).collect();
    let name = config.name.as_str().into();
    let entry = Arc::new(StreamEntry::new(name, ledger.outbox(), budget.clone(), consumers));
    registry.insert(Arc::clone(&entry));
    let desk = DeskTools {
        ledger,
        bounds: GroupBounds {
            delay: config.ledger.commit_delay,
            bytes: config.ledger.commit_bytes,
        },
        budget: budget.clone(),
        entry: Arc::clone(&entry),
        reports: reports.clone(),
    };
    let writer = writers.open(place.number, desk).ok_or(StartError::Died)?;
    let tools = Tools {
        transport,
        watchdog: watchdog(config),
        event_bytes_max: config.max_event_bytes,
        budget,
        writer: writer.clone(),
        reports: reports.clone(),
        entry: Arc::clone(&entry),
        clock,
    };
    let filters = Filters {
        resources: config.resource_filter.clone(),
        event_types: config.event_types.clone(),
    };
    let policy = StreamPolicy::new(policy(config), seed());
    let (done, stopped) = oneshot::channel();
    let arbiters = arbiters.to_vec();
    let supervisor =
        Supervisor::new(policy, tools, filters, state, arbiters, receiver, done).start();
    Ok(Stream { name: config.name.clone(), supervisor, reports, entry, writer, stopped })
}

const fn watchdog(config: &StreamConfig) -> WatchdogConfig {
    WatchdogConfig {
        late_after: config.watchdog.late_after,
        stale_after: config.watchdog.stale_after,
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
        backoff: BackoffConfig { initial: config.backoff.initial, max: config.backoff.max },
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

/// The name of the embedding application's cursor.
const DELIVERIES: &str = "deliveries";

/// Sinks mostly wait for disks and networks.
const SINK_THREADS: usize = 2;

/// Connections are spread over at most so many threads.
const ARBITERS_MAX: usize = 4;

/// Ledgers are spread over at most so many threads.
const WRITERS_MAX: usize = 2;

/// How long a stop may take when nobody is left to ask for one.
const DROPPED_DEADLINE: Duration = Duration::from_secs(30);

/// How much of a stop's time a sink has to end in, after it was told to end at once.
const LAST_CALL: Duration = Duration::from_secs(1);
