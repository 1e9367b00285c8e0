//! What runs on the system's thread: the streams, the consumers, and their orderly end.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use streamkeeper_sink::SinkFactory;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::api::replay::ReplayError;
use crate::base::clock::clock_doubt;
use crate::base::threads;
use crate::config::Config;
use crate::delivery::Consumers;
use crate::delivery::Deliveries;
use crate::delivery::GivenSink;
use crate::delivery::SinkStop;
use crate::requests::{ReloadError, ReloadReport, StartError, StopReport};
use crate::requests::{Request, Requests, RequestsReceiver, answer_pings};
use crate::store::writer::WriterPool;
use crate::stream::{Ground, Groups, Prepared, ReplayPlaces, Stream, transport};
use crate::surface::control::Control;
use crate::surface::http::{Bound, Endpoint};

use super::reload::Plan;

/// Everything that runs.
pub(crate) struct System {
    config: Config,
    factories: Vec<Box<dyn SinkFactory>>,
    streams: Vec<Stream>,
    /// How many streams there have been.
    numbers: u64,
    consumers: Consumers,
    arbiters: Vec<Arbiter>,
    ground: Ground,
    control: Option<Control>,
    endpoint: Option<Endpoint>,
}

impl System {
    /// Builds the sinks, then starts the streams. Runs inside an `actix_rt::System`.
    pub(crate) fn start(
        config: Config,
        factories: Vec<Box<dyn SinkFactory>>,
        given: Vec<GivenSink>,
        requests: &Requests,
        sink_stop: watch::Sender<SinkStop>,
    ) -> Result<(Self, Option<Deliveries>), StartError> {
        if let Some(doubt) = clock_doubt() {
            tracing::warn!("{doubt}; streams are opened as soon as that can be done");
        }
        let bound = Bound::take(&config.service)?;
        let registry = requests.registry();
        let (consumers, deliveries) =
            Consumers::start(&config, &factories, given, sink_stop, registry)?;
        let data_dir = &config.service.data_dir;
        let prepare = |stream: &crate::config::StreamConfig| {
            let (takers, given) = (consumers.of(&stream.name), consumers.given(&stream.name));
            Prepared::new(stream, data_dir, takers, given)
        };
        let prepared = config.streams.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        threads::are_to_be_had(cores.min(ARBITERS_MAX) + cores.min(WRITERS_MAX) + OTHERS)?;
        let arbiters: Vec<_> = (0..cores.min(ARBITERS_MAX)).map(|_| Arbiter::new()).collect();
        let ground = Ground {
            writers: WriterPool::start(cores.min(WRITERS_MAX), registry)?,
            arbiters: arbiters.iter().map(Arbiter::handle).collect(),
            registry: registry.clone(),
            groups: Groups::default(),
            replay_places: ReplayPlaces::default(),
        };
        // Every ledger is held: whatever lies there of another process's is stale.
        let control = Control::start(&config.service.data_dir, requests);
        let endpoint = bound.map(|bound| bound.serve(requests)).transpose()?;
        let (streams, numbers) = (Vec::new(), 0);
        let mut system = Self {
            config,
            factories,
            streams,
            numbers,
            consumers,
            arbiters,
            ground,
            control,
            endpoint,
        };
        system.start_streams(prepared)?;
        Ok((system, deliveries))
    }

    fn start_streams(&mut self, prepared: Vec<Prepared>) -> Result<(), StartError> {
        let first = self.streams.len();
        for prepared in prepared {
            self.streams.push(prepared.start(self.numbers, &self.ground)?);
            self.numbers += 1;
        }
        self.consumers.add(self.streams.iter().skip(first).flat_map(Stream::sources));
        Ok(())
    }

    /// Serves the handle until it asks to stop, or the last one is gone.
    pub(crate) async fn serve(mut self, receiver: RequestsReceiver) {
        let RequestsReceiver { mut requests, pings } = receiver;
        actix_rt::spawn(answer_pings(pings));
        loop {
            match requests.recv().await {
                Some(Request::Steer { stream, act }) => {
                    for known in self.streams.iter_mut().filter(|known| known.name() == stream) {
                        known.steer(act);
                    }
                }
                Some(Request::Replay { spec, done }) => {
                    let stream = self.streams.iter_mut().find(|one| one.name() == spec.stream);
                    let begun = stream.map_or(Err(ReplayError::UnknownStream), |stream| {
                        stream.start_replay(spec, &self.ground)
                    });
                    answer(done, begun);
                }
                Some(Request::Letters { spec, done }) => self.consumers.letters(spec, done),
                Some(Request::Reload { config, done }) => {
                    let reloaded = self.reload(*config).await;
                    self.ground.registry.reloaded(reloaded.is_ok());
                    answer(done, reloaded);
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

    /// Takes a new configuration over, or refuses it.
    async fn reload(&mut self, config: Config) -> Result<ReloadReport, ReloadError> {
        config.check(&self.factories)?;
        let plan = Plan::new(&self.config, &config)?;
        let mut report = plan.report();
        let transports = plan.changed.iter().map(transport).collect::<Result<Vec<_>, _>>();
        let transports = transports.map_err(StartError::from)?;
        let concerned = |name: &str| {
            plan.removed.iter().any(|one| one == name)
                || plan.changed.iter().any(|one| one.name == name)
        };
        let system = OnceCell::new();
        let same = self.streams.iter().filter(|stream| !concerned(stream.name()));
        let renewals = same.map(|stream| stream.renewal(&system)).collect::<Result<Vec<_>, _>>();
        let renewals = renewals.map_err(StartError::from)?;
        let prepared = self.prepare(&plan, &config.service.data_dir).await?;

        // From here on nothing fails.
        if let Some(endpoint) = &self.endpoint {
            endpoint.renew_token(&config.service);
        }
        for (name, renewal) in renewals.into_iter().flatten() {
            renewal.apply();
            report.renewed.push(name);
        }
        let by = Instant::now() + RELOAD_TIME;
        for stream in self.streams.iter().filter(|stream| concerned(stream.name())) {
            stream.stop(RELOAD_DRAIN);
        }
        for (config, transport) in plan.changed.into_iter().zip(transports) {
            if let Some(stream) = self.streams.iter_mut().find(|one| one.name() == config.name) {
                stream.replace_reader(config, transport, by, &self.ground).await;
            }
        }
        if !plan.removed.is_empty() {
            self.remove(&plan.removed, by).await;
        }
        self.start_streams(prepared)?;
        self.streams.iter().for_each(Stream::try_now);
        self.config = config;
        Ok(report)
    }

    /// Opens the ledgers of new streams, on a thread that may wait.
    async fn prepare(&self, plan: &Plan, data_dir: &Path) -> Result<Vec<Prepared>, StartError> {
        let named = |config: &crate::config::StreamConfig| {
            let name = &config.name;
            (config.clone(), self.consumers.of(name), self.consumers.given(name))
        };
        let wanted: Vec<_> = plan.added.iter().map(named).collect();
        let data_dir = data_dir.to_owned();
        let open = move || {
            let open = |(config, names, given)| Prepared::new(&config, &data_dir, names, given);
            wanted.into_iter().map(open).collect::<Result<Vec<_>, _>>()
        };
        Ok(threads::apart("sk-open", open).await??)
    }

    /// Ends streams that were asked to stop, and lets go of their ledgers.
    async fn remove(&mut self, names: &[String], by: Instant) {
        let is_one = |stream: &mut Stream| names.iter().any(|name| name == stream.name());
        let mut removed: Vec<_> = self.streams.extract_if(.., is_one).collect();
        for stream in &mut removed {
            if !stream.has_stopped_cleanly(by).await {
                tracing::warn!(
                    stream = stream.name(),
                    "removed before every connection had ended in order: if it \
                    is configured again, it is read again from its mark"
                );
                // It may wait for its ledger, which is closed now.
                stream.abandon();
            }
        }
        let entries: Vec<_> = removed.iter().map(|stream| Arc::clone(stream.entry())).collect();
        self.consumers.remove(&entries, by).await;
        let closed = futures_util::future::join_all(removed.iter().map(Stream::close));
        if tokio::time::timeout(LAST_CALL, closed).await.is_err() {
            tracing::warn!("the ledger of a removed stream did not close in time");
        }
        for name in names {
            self.ground.registry.remove(name);
        }
    }

    /// Ends the connections, then the consumers, within `deadline`.
    async fn stop(mut self, deadline: Duration) -> StopReport {
        let now = Instant::now();
        let last_call = LAST_CALL.min(deadline / 4);
        let ends = now + deadline.saturating_sub(last_call);
        // Half of the time for the connections, so that the sinks get theirs.
        let drain = deadline / 2;
        for stream in &self.streams {
            stream.stop(drain);
        }
        let mut clean = true;
        for stream in &mut self.streams {
            clean &= stream.has_stopped_cleanly(ends).await;
        }
        self.consumers.stop(ends, now + deadline).await;
        // What a sink that has ended early, or cannot read its outbox, never got is not delivered.
        let delivered = self.ground.registry.entries().iter().all(|entry| entry.is_delivered());
        // Before the ledgers: whoever has those next makes a socket of its own.
        drop(self.control);
        // The ledgers last: what the sinks have just acknowledged is written down.
        let closed: Vec<_> = self.streams.iter().map(Stream::close).collect();
        let closed = futures_util::future::join_all(closed);
        if tokio::time::timeout_at(now + deadline, closed).await.is_err() {
            tracing::warn!("a ledger did not close in time; the sinks may get events again");
        }
        if let Some(endpoint) = self.endpoint {
            endpoint.stop().await;
        }
        drop(self.consumers);
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        StopReport { clean, delivered }
    }
}

fn answer<T>(done: oneshot::Sender<T>, answer: T) {
    if done.send(answer).is_err() {
        tracing::trace!("nobody waits for the answer");
    }
}

/// Connections are spread over at most so many threads.
const ARBITERS_MAX: usize = 4;

/// Two of the endpoint, and one for a look-up.
const OTHERS: usize = 3;

/// Ledgers are spread over at most so many threads.
const WRITERS_MAX: usize = 2;

/// How long a stop may take when nobody is left to ask for one.
const DROPPED_DEADLINE: Duration = Duration::from_secs(30);

/// How much of a stop's time a sink has to end in, after it was told to end at once.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How long a connection of a changed or removed stream may take to end in order …
const RELOAD_DRAIN: Duration = Duration::from_secs(5);

/// … and the whole stream to stop, its last events to be durable and delivered.
const RELOAD_TIME: Duration = Duration::from_secs(10);
