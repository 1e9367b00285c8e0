//! What may be asked of a running Streamkeeper, and the way to ask.
//!
//! The handle, the control socket and the HTTP endpoint all ask through [`Requests`]; what runs takes
//! one request after the other from the other end. Whoever holds one keeps nothing alive: when the
//! last handle is gone, everything stops.

mod outcome;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::api::act::{Act, SteerError};
use crate::api::replay::{ReplayError, ReplaySpec};
use crate::config::Config;
use crate::delivery::{LetterError, LetterReport, LetterSpec};
use crate::observe::registry::Registry;

pub use self::outcome::{ReloadError, ReloadReport, StartError, StopReport};

/// A request to what runs.
#[derive(Debug)]
pub(crate) enum Request {
    /// Stop within `deadline`.
    Stop { deadline: Duration, done: oneshot::Sender<StopReport> },
    /// Take this configuration over.
    Reload { config: Box<Config>, done: oneshot::Sender<Result<ReloadReport, ReloadError>> },
    /// Do this to a stream.
    Steer { stream: String, act: Act },
    /// Read this again, beside the stream.
    Replay { spec: ReplaySpec, done: oneshot::Sender<Result<(), ReplayError>> },
    /// Do this to the dead letters of a sink.
    Letters { spec: LetterSpec, done: oneshot::Sender<Result<LetterReport, LetterError>> },
    /// The last handle is gone.
    Abandoned,
}

/// A request of the control socket that is the application's to answer, such as `reload`.
#[derive(Debug)]
pub struct ControlRequest {
    /// The request, a line of text.
    pub text: String,
    answer: oneshot::Sender<Result<String, String>>,
}

impl ControlRequest {
    /// Answers it: with a text (JSON for a program), or with why not.
    pub fn answer(self, answer: Result<String, String>) {
        if self.answer.send(answer).is_err() {
            tracing::trace!("whoever asked has lost patience");
        }
    }
}

/// So many control requests may wait for the application.
const CONTROL_REQUESTS_MAX: usize = 8;

/// The way to what runs.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    registry: Registry,
    sender: mpsc::UnboundedSender<Request>,
    pings: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Where the application takes control requests from, if it does.
    application: Arc<OnceLock<mpsc::Sender<ControlRequest>>>,
}

/// Where what runs takes requests from.
#[derive(Debug)]
pub(crate) struct RequestsReceiver {
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) pings: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
}

impl Requests {
    pub(crate) fn channel(registry: Registry) -> (Self, RequestsReceiver) {
        let (sender, requests) = mpsc::unbounded_channel();
        let (ping_sender, pings) = mpsc::unbounded_channel();
        let application = Arc::default();
        (
            Self { registry, sender, pings: ping_sender, application },
            RequestsReceiver { requests, pings },
        )
    }

    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Sends a request; false if everything has stopped.
    pub(crate) fn send(&self, request: Request) -> bool {
        self.sender.send(request).is_ok()
    }

    /// Where the application takes control requests from; given once.
    pub(crate) fn control_requests(&self) -> Option<mpsc::Receiver<ControlRequest>> {
        let (sender, receiver) = mpsc::channel(CONTROL_REQUESTS_MAX);
        self.application.set(sender).ok().map(|()| receiver)
    }

    /// Asks the application; `None` if it takes no requests.
    pub(crate) async fn ask_application(&self, text: &str) -> Option<Result<String, String>> {
        let (answer, answered) = oneshot::channel();
        let request = ControlRequest { text: text.to_owned(), answer };
        self.application.get()?.send(request).await.ok()?;
        answered.await.ok()
    }

    /// Takes a configuration over: all of it, or nothing.
    pub(crate) async fn reload(&self, config: Config) -> Result<ReloadReport, ReloadError> {
        let (done, when_done) = oneshot::channel();
        self.send(Request::Reload { config: Box::new(config), done });
        when_done.await.unwrap_or(Err(ReloadError::Stopped))
    }

    /// Begins a replay beside its stream.
    pub(crate) async fn replay(&self, spec: ReplaySpec) -> Result<(), ReplayError> {
        let (done, when_done) = oneshot::channel();
        self.send(Request::Replay { spec, done });
        when_done.await.unwrap_or(Err(ReplayError::Stopped))
    }

    /// Does something with the dead letters of a sink.
    pub(crate) async fn letters(&self, spec: LetterSpec) -> Result<LetterReport, LetterError> {
        let (done, when_done) = oneshot::channel();
        self.send(Request::Letters { spec, done });
        when_done.await.unwrap_or(Err(LetterError::Stopped))
    }

    /// Does this to a stream, soon.
    pub(crate) fn steer(&self, stream: &str, act: Act) -> Result<(), SteerError> {
        if !self.registry.contains(stream) {
            return Err(SteerError::UnknownStream);
        }
        let sent = self.send(Request::Steer { stream: stream.to_owned(), act });
        if sent { Ok(()) } else { Err(SteerError::Stopped) }
    }

    /// Whether the thread that supervises the streams answers within so long, and nothing is gone that
    /// nothing replaces.
    pub(crate) async fn is_alive(&self, within: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        !self.registry.has_died()
            && self.pings.send(answer).is_ok()
            && matches!(tokio::time::timeout(within, answered).await, Ok(Ok(())))
    }
}

/// Answers pings, on the thread whose life they ask for.
pub(crate) async fn answer_pings(mut pings: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    while let Some(ping) = pings.recv().await {
        if ping.send(()).is_err() {
            tracing::trace!("whoever asked has lost patience");
        }
    }
}
