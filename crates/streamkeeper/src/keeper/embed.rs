//! Embedding: a running Streamkeeper, and the handle to it.
//!
//! [`Streamkeeper::start`] runs an `actix_rt::System` of its own on a thread of its own, so it works
//! the same inside a tokio, an actix or a plain program, and two of them may live in one process. It
//! installs no signal handler, no tracing subscriber, no metrics recorder and no crypto provider.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_rt::System;
use streamkeeper_sink::{Sink, SinkFactory};
use tokio::sync::{mpsc, oneshot, watch};

use crate::api::act::{Act, SteerError};
use crate::api::replay::{ReplayError, ReplaySpec};
use crate::api::status::Status;
use crate::config::Config;
use crate::delivery::Deliveries;
use crate::delivery::GivenSink;
use crate::keeper::system::System as Running;
use crate::observe::registry::Registry;
use crate::observe::vital::Vital;
use crate::requests::{ControlRequest, Request, Requests, StartError, StopReport};
use crate::requests::{ReloadError, ReloadReport};

/// A Streamkeeper about to start: a configuration, and sinks that code brings along.
#[derive(Default)]
pub struct Builder {
    config: Config,
    factories: Vec<Box<dyn SinkFactory>>,
    sinks: Vec<GivenSink>,
    lost_log_lines: Option<Arc<AtomicU64>>,
}

impl Builder {
    /// Adds the factories that build the configuration's `[[sink]]` tables.
    #[must_use]
    pub fn sink_factories(mut self, factories: Vec<Box<dyn SinkFactory>>) -> Self {
        self.factories.extend(factories);
        self
    }

    /// Adds a sink for the events of all streams. `name` is the key of its cursor.
    #[must_use]
    pub fn sink(mut self, name: &str, sink: Box<dyn Sink>) -> Self {
        self.sinks.push(GivenSink { name: name.to_owned(), sink });
        self
    }

    /// Shows, as a metric, how many lines the application's log could not write: it counts them there.
    #[must_use]
    pub fn lost_log_lines(mut self, counter: Arc<AtomicU64>) -> Self {
        self.lost_log_lines = Some(counter);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. An unreachable service is no error: the stream is degraded, and says so.
    pub fn start(self) -> Result<Streamkeeper, StartError> {
        let Self { config, factories, sinks, lost_log_lines } = self;
        config.check(&factories)?;
        let registry = Registry::new(lost_log_lines.unwrap_or_default());
        let (requests, receiver) = Requests::channel(registry);
        let (sink_stop, _) = watch::channel(crate::delivery::SinkStop::No);
        let (started, when_started) = std::sync::mpsc::channel();
        let to_system = requests.clone();
        let vital = Vital::new(requests.registry(), "the supervising thread");
        let thread = std::thread::Builder::new().name("streamkeeper".into()).spawn(move || {
            let _vital = vital;
            System::new().block_on(async move {
                match Running::start(config, factories, sinks, &to_system, sink_stop) {
                    Ok((running, deliveries)) => {
                        if started.send(Ok(deliveries)).is_ok() {
                            running.serve(receiver).await;
                        }
                    }
                    // Whoever started us has gone if this cannot be sent.
                    Err(error) => drop(started.send(Err(error))),
                }
            });
        })?;
        let deliveries = when_started.recv().map_err(|_| StartError::Died)??;
        let inner = Inner {
            requests,
            deliveries: Mutex::new(deliveries),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Streamkeeper { inner: Arc::new(inner) })
    }
}

/// A running Streamkeeper. Cheap to clone; the last clone that is dropped stops it.
///
/// ```no_run
/// use std::time::Duration;
/// use futures_util::StreamExt;
/// use streamkeeper::config::{Config, StreamConfig};
/// use streamkeeper::{Secret, Streamkeeper};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::default();
/// let token = Secret::new(std::env::var("INFORM_TOKEN")?);
/// config.streams.push(StreamConfig::inform("acme", "https://streams.v2.validic.com", token));
///
/// let keeper = Streamkeeper::start(config)?;
/// let mut deliveries = keeper.deliveries().ok_or("already taken")?;
/// while let Some(delivery) = deliveries.next().await {
///     println!("{} bytes from {}", delivery.envelope().data.len(), delivery.stream());
///     delivery.ack();
/// }
/// keeper.stop(Duration::from_secs(30)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Streamkeeper {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    requests: Requests,
    deliveries: Mutex<Option<Deliveries>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.requests.send(Request::Abandoned);
    }
}

impl Streamkeeper {
    /// Starts with the events going to [`Streamkeeper::deliveries`].
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::builder(config).start()
    }

    /// Starts with sinks: see [`Builder`].
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder { config, ..Builder::default() }
    }

    /// The events of all streams. Given once, and only if no sink was configured or given: then the
    /// outbox waits for this application's `ack()`s.
    #[must_use]
    pub fn deliveries(&self) -> Option<Deliveries> {
        self.inner.deliveries.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The address of the HTTP endpoint, if the configuration has one.
    #[must_use]
    pub fn listen(&self) -> Option<std::net::SocketAddr> {
        self.requests().registry().process().listen.get().copied()
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.inner.requests
    }

    /// A snapshot of the state of everything.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.requests.registry().status()
    }

    /// Does `act` to the stream of that configured name, soon: [`Streamkeeper::status`] shows it.
    ///
    /// # Errors
    ///
    /// See [`SteerError`].
    pub fn steer(&self, stream: &str, act: Act) -> Result<(), SteerError> {
        self.inner.requests.steer(stream, act)
    }

    /// Reads a stream's history again beside it, from a day on: what is new is accepted, what is known
    /// is dropped. Answers when it has begun; [`Streamkeeper::status`] shows how it goes.
    ///
    /// # Errors
    ///
    /// See [`ReplayError`].
    pub async fn replay(&self, spec: ReplaySpec) -> Result<(), ReplayError> {
        self.inner.requests.replay(spec).await
    }

    /// Takes a changed configuration over while everything runs: all of it, or nothing. A stream that
    /// is the same is not touched; the connections of a changed one are ended in order first. Takes
    /// about ten seconds at most.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`]: then everything goes on as before.
    pub async fn reload(&self, config: Config) -> Result<ReloadReport, ReloadError> {
        self.inner.requests.reload(config).await
    }

    /// Says in the status that a changed configuration was refused before it came here: because it
    /// cannot be read, for example.
    pub fn note_refused_reload(&self) {
        self.inner.requests.registry().reloaded(false);
    }

    /// What the control socket is asked and the library cannot answer, such as `reload`: an
    /// application that reads its configuration from a file does. Given once.
    #[must_use]
    pub fn control_requests(&self) -> Option<mpsc::Receiver<ControlRequest>> {
        self.inner.requests.control_requests()
    }

    /// Whether the thread that supervises the streams answers within so long, and nothing has panicked
    /// that nothing replaces: for watchdogs. Needs a tokio runtime.
    pub async fn is_alive(&self, within: Duration) -> bool {
        self.inner.requests.is_alive(within).await
    }

    /// Resolves when a part has died that nothing replaces: the supervisor of a stream, the thread that
    /// runs them all, a ledger's writer, a sink's task. It is a bug, or a system that gives no thread. The
    /// process is to be started again; what was missed is read again then.
    pub async fn died(&self) {
        self.requests().registry().death().await;
    }

    /// Whether that has happened.
    #[must_use]
    pub fn has_died(&self) -> bool {
        self.requests().registry().has_died()
    }

    /// Stops within `deadline`: half-closes every connection and reads to its end, delivers what was
    /// accepted, ends. Works on any async runtime. A second call waits for the same stop.
    pub async fn stop(&self, deadline: Duration) -> StopReport {
        let (done, when_done) = oneshot::channel();
        self.request(Request::Stop { deadline, done });
        // If the system has ended before, there is nothing left to stop.
        when_done.await.unwrap_or_default()
    }

    /// [`Streamkeeper::stop`] for a program without an async runtime. Must not be called from async
    /// code: it blocks the thread.
    pub fn stop_blocking(&self, deadline: Duration) -> StopReport {
        let (done, when_done) = oneshot::channel();
        self.request(Request::Stop { deadline, done });
        let report = when_done.blocking_recv().unwrap_or_default();
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the system's thread has panicked");
        }
        report
    }

    fn request(&self, request: Request) {
        if !self.inner.requests.send(request) {
            tracing::debug!("the system has stopped already");
        }
    }
}
