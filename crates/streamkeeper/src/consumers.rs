//! Whoever takes the events, and of which streams: the sinks, or the embedding application.
//!
//! A stream that is added is given to every consumer that wants it; one that is removed is taken from
//! all. Neither disturbs a delivery of another stream. Which consumers a stream has is settled when
//! its ledger is opened: their names are the names of its cursors.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_sink::{Sink, SinkFactory};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{Config, SinkConfig};
use crate::deliveries::{Deliveries, DeliveriesHub};
use crate::delivery::{Change, SinkStop, Source, run_sink};
use crate::embed::{GivenSink, StartError};
use crate::registry::{Registry, StreamEntry};
use crate::vital::Vital;

/// The consumers of all streams, and the runtime that they run on.
pub(crate) struct Consumers {
    sinks: Vec<RunningSink>,
    /// Without any sink at all, the embedding application is the one consumer.
    hub: Option<DeliveriesHub>,
    stop: watch::Sender<SinkStop>,
    _runtime: SinkRuntime,
}

struct RunningSink {
    wants: Wants,
    changes: mpsc::UnboundedSender<Change>,
    task: JoinHandle<()>,
}

/// A sink that is about to run.
struct Built {
    wants: Wants,
    sink: Box<dyn Sink>,
}

/// Which streams a sink takes.
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
    ) -> Result<(Self, Option<Deliveries>), StartError> {
        let built = build(config, factories, given)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SINK_THREADS)
            .thread_name("sk-sinks")
            .enable_all()
            .build()?;
        let (hub, deliveries) = if built.is_empty() {
            let (hub, deliveries) = DeliveriesHub::new(runtime.handle().clone(), stop.subscribe());
            (Some(hub), Some(deliveries))
        } else {
            (None, None)
        };
        let run = |Built { wants, sink }| {
            let (changes, receiver) = mpsc::unbounded_channel();
            let name = wants.name().to_owned();
            let vital = Vital::new(registry, "sink");
            let running = run_sink(name, sink, receiver, stop.subscribe());
            let task = runtime.spawn(async move {
                let _vital = vital;
                running.await;
            });
            RunningSink { wants, changes, task }
        };
        let sinks = built.into_iter().map(run).collect();
        Ok((Self { sinks, hub, stop, _runtime: SinkRuntime(Some(runtime)) }, deliveries))
    }

    /// The names of a stream's consumers.
    pub(crate) fn names_of(&self, stream: &str) -> Vec<String> {
        if self.hub.is_some() {
            return vec![DELIVERIES.to_owned()];
        }
        let wanting = self.sinks.iter().filter(|sink| sink.wants.stream(stream));
        wanting.map(|sink| sink.wants.name().to_owned()).collect()
    }

    /// Gives streams to their consumers: all at once, so that a sink knows all its places before it
    /// writes anything.
    pub(crate) fn add<'a>(&mut self, entries: impl Iterator<Item = &'a Arc<StreamEntry>> + Clone) {
        if let Some(hub) = &mut self.hub {
            entries.clone().for_each(|entry| hub.add(Source::new(entry, DELIVERIES)));
        }
        for sink in &self.sinks {
            let wanted = entries.clone().filter(|entry| sink.wants.stream(&entry.name));
            let sources = wanted.map(|entry| Source::new(entry, sink.wants.name())).collect();
            self.tell(sink, Change::Add(sources));
        }
    }

    /// Takes a stream from its consumers, after they have had until `by` to take what it still has.
    pub(crate) async fn remove(&mut self, entry: &Arc<StreamEntry>, by: Instant) {
        let has_all = || entry.consumers.iter().all(|one| entry.outbox.backlog(&one.name) == 0);
        while !has_all() && Instant::now() < by {
            tokio::time::sleep(BACKLOG_LOOK).await;
        }
        if !has_all() {
            let stream: &str = &entry.name;
            tracing::warn!(
                stream,
                "a sink has not taken every event of a removed stream: the rest \
                waits in its ledger, for the day when the stream is configured again"
            );
        }
        if let Some(hub) = &mut self.hub {
            hub.remove(&entry.name);
        }
        let mut removed = Vec::new();
        for sink in &self.sinks {
            let (done, when_done) = oneshot::channel();
            self.tell(sink, Change::Remove { stream: Arc::clone(&entry.name), done });
            removed.push(when_done);
        }
        // A sink that hangs in a delivery notices later; its source is of no use then.
        let removed = futures_util::future::join_all(removed);
        if tokio::time::timeout(LAST_CALL, removed).await.is_err() {
            tracing::warn!(stream = &*entry.name, "a sink is slow to let go of a removed stream");
        }
    }

    fn tell(&self, sink: &RunningSink, change: Change) {
        if sink.changes.send(change).is_err() {
            tracing::error!(sink = sink.wants.name(), "a sink has ended before its streams");
        }
    }

    /// Lets the consumers take what is there until `by`, then ends them, at the latest at `end`.
    /// Whether they took everything.
    pub(crate) async fn stop(&mut self, by: Instant, end: Instant) -> bool {
        // The application's deliveries end when nobody can add to them any more.
        self.hub = None;
        self.stop.send_replace(SinkStop::WhenEmpty);
        let mut delivered = true;
        for sink in &mut self.sinks {
            if tokio::time::timeout_at(by, &mut sink.task).await.is_err() {
                delivered = false;
                self.stop.send_replace(SinkStop::Now);
                // A sink that hangs in a delivery is left; what it has not got stays undelivered.
                if tokio::time::timeout_at(end, &mut sink.task).await.is_err() {
                    tracing::warn!(sink = sink.wants.name(), "a sink did not end in time");
                }
            }
        }
        self.stop.send_replace(SinkStop::Now);
        delivered
    }
}

fn build(
    config: &Config,
    factories: &[Box<dyn SinkFactory>],
    given: Vec<GivenSink>,
) -> Result<Vec<Built>, StartError> {
    let mut sinks = Vec::new();
    for sink in &config.sinks {
        // `Config::check` has refused types without a factory.
        let Some(factory) = factories.iter().find(|factory| factory.type_name() == sink.kind)
        else {
            continue;
        };
        let built = factory
            .build(&sink.name, sink.table.clone())
            .map_err(|source| StartError::Sink { sink: sink.name.clone(), source })?;
        sinks.push(Built { wants: Wants::Table(sink.clone()), sink: built });
    }
    let all = |GivenSink { name, sink }| Built { wants: Wants::All { name }, sink };
    sinks.extend(given.into_iter().map(all));
    Ok(sinks)
}

/// The name of the embedding application's cursor.
const DELIVERIES: &str = "deliveries";

/// Sinks mostly wait for disks and networks.
const SINK_THREADS: usize = 2;

/// How often it is looked whether the consumers of a removed stream have everything.
const BACKLOG_LOOK: Duration = Duration::from_millis(50);

/// How long a sink has to let go of a removed stream.
const LAST_CALL: Duration = Duration::from_secs(1);
