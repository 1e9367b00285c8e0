//! Whoever takes the events, and of which streams: the sinks, or the embedding application.
//!
//! A stream that is added is given to every consumer that wants it; one that is removed is taken from
//! all. Neither disturbs a delivery of another stream. Which consumers a stream has is settled when
//! its ledger is opened: their names are the names of its cursors.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use streamkeeper_core::id::FeedId;
use streamkeeper_ledger::Given;
use streamkeeper_sink::{OwnPlace, Sink, SinkFactory};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::BuildError;
use crate::base::news::{Bell, News};
use crate::base::threads;
use crate::config::{Config, SinkConfig};
use crate::delivery::dead_letters::DeadLetters;
use crate::delivery::deliveries::{Deliveries, DeliveriesHub};
use crate::delivery::redelivery::{LetterError, LetterReport, LetterSpec, Redelivery};
use crate::delivery::turns::{Change, Orders, SinkStop, SinkTask};
use crate::observe::registry::{Consumer, Registry, StreamEntry};
use crate::observe::vital::Vital;
use crate::store::source::{Source, Subscriber};

/// The consumers of all streams, and the runtime that they run on.
pub(crate) struct Consumers {
    sinks: Vec<RunningSink>,
    /// Without any sink at all, the embedding application is the one consumer.
    hub: Option<DeliveriesHub>,
    /// How many feeds there have been.
    feeds: AtomicU64,
    data_dir: PathBuf,
    stop: watch::Sender<SinkStop>,
    runtime: SinkRuntime,
}

/// A sink that code brings along.
pub(crate) struct GivenSink {
    pub(crate) name: String,
    pub(crate) sink: Box<dyn Sink>,
}

struct RunningSink {
    wants: Wants,
    /// Its own places when it was made.
    places: Vec<(String, OwnPlace)>,
    /// Of the streams it takes.
    news: Arc<News>,
    changes: mpsc::UnboundedSender<Change>,
    sink: Arc<dyn Sink>,
    letters: Arc<DeadLetters>,
    /// So many deliveries as the sink takes at once.
    at_once: Arc<Semaphore>,
    task: JoinHandle<()>,
}

/// A sink that is about to run.
struct Built {
    wants: Wants,
    sink: Arc<dyn Sink>,
}

/// What a sink takes.
#[derive(Clone)]
enum Wants {
    /// What its table says.
    Table(SinkConfig),
    /// Given by code: all.
    All { name: String },
}

impl Wants {
    fn name(&self) -> &str {
        match self {
            Self::Table(config) => &config.name,
            Self::All { name } => name,
        }
    }

    /// What its task is told.
    fn orders(&self, letters: Arc<DeadLetters>) -> Orders {
        let name = self.name().to_owned();
        match self.clone() {
            Self::Table(config) => Orders {
                name,
                attempts: config.attempts,
                is_wanted: Box::new(move |kind| config.wants_type(kind)),
                letters,
            },
            Self::All { .. } => {
                let attempts = Some(SinkConfig::ATTEMPTS);
                Orders { name, attempts, is_wanted: Box::new(|_| true), letters }
            }
        }
    }

    fn stream(&self, stream: &str) -> bool {
        match self {
            Self::Table(config) => config.wants(stream),
            Self::All { .. } => true,
        }
    }
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

impl Consumers {
    /// Builds the sinks and starts them, without a stream yet.
    pub(crate) fn start(
        config: &Config,
        factories: &[Box<dyn SinkFactory>],
        given: Vec<GivenSink>,
        stop: watch::Sender<SinkStop>,
        registry: &Registry,
    ) -> Result<(Self, Option<Deliveries>), BuildError> {
        let built = build(config, factories, given)?;
        // One for each that reads or writes a file, and one for the application.
        let at_hand = built.len() + 1;
        threads::are_to_be_had(SINK_THREADS + at_hand)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SINK_THREADS)
            .thread_keep_alive(FOR_EVER)
            .thread_name("sk-sinks")
            .enable_all()
            .build()?;
        threads::keep_at_hand(&runtime, at_hand);
        let (hub, deliveries) = if built.is_empty() {
            let (hub, deliveries) = DeliveriesHub::new(runtime.handle().clone(), stop.subscribe());
            (Some(hub), Some(deliveries))
        } else {
            (None, None)
        };
        let data_dir = config.service.data_dir.clone();
        let run = |Built { wants, sink }| {
            let (changes, receiver) = mpsc::unbounded_channel();
            let letters = Arc::new(DeadLetters::new(&data_dir, wants.name()));
            let at_once = Arc::new(Semaphore::new(sink.shape().in_flight.max(1)));
            let places = sink.places();
            let vital = Vital::new(registry, "sink");
            let news = Arc::new(News::default());
            let (orders, shared) = (wants.orders(Arc::clone(&letters)), Arc::clone(&sink));
            let task = SinkTask::new(orders, shared, Arc::clone(&news), Arc::clone(&at_once));
            let running = task.run(receiver, stop.subscribe());
            let task = runtime.spawn(async move {
                let _vital = vital;
                running.await;
            });
            RunningSink { wants, places, news, changes, sink, letters, at_once, task }
        };
        let sinks = built.into_iter().map(run).collect();
        let feeds = AtomicU64::new(0);
        let runtime = SinkRuntime(Some(runtime));
        Ok((Self { sinks, hub, feeds, data_dir, stop, runtime }, deliveries))
    }

    /// The consumers of a stream that will be opened. They are told of its events once it is
    /// [added](Self::add).
    pub(crate) fn of(&self, stream: &str) -> Vec<Subscriber> {
        let new = |name: &str, news: Arc<News>| {
            let feed = FeedId(self.feeds.fetch_add(1, Ordering::Relaxed));
            let bell = Arc::new(Bell::new(feed, news));
            Subscriber { consumer: Arc::new(Consumer::new(name)), bell }
        };
        if self.hub.is_some() {
            return vec![new(DELIVERIES, Arc::default())];
        }
        let wanting = self.sinks.iter().filter(|sink| sink.wants.stream(stream));
        wanting.map(|sink| new(sink.wants.name(), Arc::clone(&sink.news))).collect()
    }

    /// What the consumers of the stream have by their own account.
    pub(crate) fn given(&self, stream: &str) -> Vec<Given> {
        let wanting = self.sinks.iter().filter(|sink| sink.wants.stream(stream));
        let places = wanting.flat_map(|sink| &sink.places).filter(|(source, _)| source == stream);
        let given = |(_, OwnPlace { ledger, next }): &(String, OwnPlace)| Given {
            ledger: ledger.clone(),
            next: *next,
        };
        places.map(given).collect()
    }

    /// Gives streams to their consumers: all at once, so that a sink knows all its places before it
    /// writes anything.
    pub(crate) fn add<'a>(&mut self, sources: impl Iterator<Item = &'a Source> + Clone) {
        let sources = sources.cloned();
        if let Some(hub) = &mut self.hub {
            sources.for_each(|source| hub.add(source));
            return;
        }
        for sink in &self.sinks {
            let is_own = |source: &Source| source.bell().is_at(&sink.news);
            self.tell(sink, Change::Add(sources.clone().filter(is_own).collect()));
        }
    }

    /// Takes streams from their consumers, after those have had until `by` to take what is still there.
    /// All at once: a sink that is slow is waited for once, and not once for each.
    pub(crate) async fn remove(&mut self, entries: &[Arc<StreamEntry>], by: Instant) {
        let has_all = |entry: &Arc<StreamEntry>| entry.is_delivered();
        while !entries.iter().all(has_all) && Instant::now() < by {
            tokio::time::sleep(BACKLOG_LOOK).await;
        }
        for entry in entries.iter().filter(|entry| !has_all(entry)) {
            let stream: &str = &entry.name;
            tracing::warn!(
                stream,
                "a sink has not taken every event of a removed stream: the rest \
                waits in its ledger, for the day when the stream is configured again"
            );
        }
        let mut removed = Vec::new();
        for entry in entries {
            if let Some(hub) = &mut self.hub {
                hub.remove(&entry.name);
            }
            for sink in &self.sinks {
                let (done, when_done) = oneshot::channel();
                self.tell(sink, Change::Remove { stream: Arc::clone(&entry.name), done });
                removed.push(when_done);
            }
        }
        // A sink that hangs in a delivery notices later; its source is of no use then.
        let removed = futures_util::future::join_all(removed);
        if tokio::time::timeout(LAST_CALL, removed).await.is_err() {
            tracing::warn!("a sink is slow to let go of removed streams");
        }
    }

    /// Does something with a sink's dead letters, and says what came of it.
    pub(crate) fn letters(
        &self,
        spec: LetterSpec,
        done: oneshot::Sender<Result<LetterReport, LetterError>>,
    ) {
        let sink = self.sinks.iter().find(|sink| sink.wants.name() == spec.sink);
        let answer = |answer| {
            if done.send(answer).is_err() {
                tracing::trace!("nobody waits for the answer");
            }
        };
        let (Some(sink), Some(runtime)) = (sink, &self.runtime.0) else {
            return answer(Err(LetterError::UnknownSink));
        };
        let redelivery = Redelivery {
            sink: Arc::clone(&sink.sink),
            letters: Arc::clone(&sink.letters),
            data_dir: self.data_dir.clone(),
            places: Arc::clone(&sink.at_once),
            changes: sink.changes.clone(),
        };
        runtime.spawn(async move { answer(redelivery.run(spec).await) });
    }

    fn tell(&self, sink: &RunningSink, change: Change) {
        if sink.changes.send(change).is_err() {
            tracing::error!(sink = sink.wants.name(), "a sink has ended before its streams");
        }
    }

    /// Lets the consumers take what is there until `by`, then ends them, at the latest at `end`.
    pub(crate) async fn stop(&mut self, by: Instant, end: Instant) {
        // The application's deliveries end when nobody can add to them any more.
        self.hub = None;
        self.stop.send_replace(SinkStop::WhenEmpty);
        for sink in &mut self.sinks {
            if tokio::time::timeout_at(by, &mut sink.task).await.is_err() {
                self.stop.send_replace(SinkStop::Now);
                // A sink that hangs in a delivery is left; what it has not got stays undelivered.
                if tokio::time::timeout_at(end, &mut sink.task).await.is_err() {
                    tracing::warn!(sink = sink.wants.name(), "a sink did not end in time");
                }
            }
        }
        self.stop.send_replace(SinkStop::Now);
    }
}

fn build(
    config: &Config,
    factories: &[Box<dyn SinkFactory>],
    given: Vec<GivenSink>,
) -> Result<Vec<Built>, BuildError> {
    let mut sinks = Vec::new();
    for sink in &config.sinks {
        // `Config::check` has refused types without a factory.
        let Some(factory) = factories.iter().find(|factory| factory.type_name() == sink.kind)
        else {
            continue;
        };
        let built = factory
            .build(&sink.name, sink.table.clone())
            .map_err(|source| BuildError::Sink { sink: sink.name.clone(), source })?;
        sinks.push(Built { wants: Wants::Table(sink.clone()), sink: built.into() });
    }
    let all = |GivenSink { name, sink }| Built { wants: Wants::All { name }, sink: sink.into() };
    sinks.extend(given.into_iter().map(all));
    Ok(sinks)
}

/// The name of the embedding application's cursor.
const DELIVERIES: &str = "deliveries";

/// Longer than any process runs: a thread that was let go of might not be had again.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Sinks mostly wait for disks and networks.
const SINK_THREADS: usize = 2;

/// How often it is looked whether the consumers of a removed stream have everything.
const BACKLOG_LOOK: Duration = Duration::from_millis(50);

/// How long the sinks have to let go of removed streams.
pub(super) const LAST_CALL: Duration = Duration::from_secs(1);
