//! The sink: cuts a batch into requests, and sends one after the other.

use std::time::Duration;

use streamkeeper_sink::{
    BoxFuture, Envelope, Failure, Resume, Shape, Sink, SinkConfigError, SinkError,
};

use super::config::WebhookConfig;
use super::endpoint::Endpoint;
use super::message::{Message, Mode};
use super::sent::Sent;

/// A sink to a webhook; see the module for what it promises.
pub(super) struct WebhookSink {
    mode: Mode,
    shape: Shape,
    endpoint: Endpoint,
    sent: Sent,
}

impl WebhookSink {
    pub(super) fn new(config: WebhookConfig) -> Result<Self, SinkConfigError> {
        let WebhookConfig { mode, timeout, in_flight, .. } = config;
        let (events_max, requests_max) = match mode {
            Mode::Batched => (config.batch_events, BATCHED_REQUESTS),
            Mode::Structured => (STRUCTURED_EVENTS, STRUCTURED_EVENTS),
        };
        // Each request has a limit of its own; this one is for what hangs besides.
        let requests = u32::try_from(requests_max).unwrap_or(u32::MAX);
        let time_limit = Some(timeout.saturating_mul(requests) + SPARE);
        let shape =
            Shape { events_max, bytes_max: BYTES_MAX, in_flight, time_limit, ..Shape::default() };
        let sent = Sent::open(config.state.clone())
            .map_err(|error| SinkConfigError::new("state", format!("cannot be made: {error}")))?;
        Ok(Self { mode, shape, endpoint: Endpoint::new(config)?, sent })
    }

    /// One request with the first of these events; how many.
    async fn send(&self, events: &[Envelope]) -> Result<usize, SinkError> {
        let is_told_apart = self.mode == Mode::Batched && !events.iter().any(|e| e.redelivered);
        let count = if is_told_apart { self.sent.cut(events) } else { 1 };
        let events = events.get(..count).unwrap_or(events);
        if is_told_apart {
            self.sent.note(events).await?;
        }
        let message = Message::new(self.mode, events);
        let sent = self.endpoint.send(self.mode.content_type(), message).await;
        let is_settled = match &sent {
            Ok(()) => true,
            Err(error) => error.failure == Failure::Poisoned,
        };
        if is_told_apart && is_settled {
            self.sent.forget(events);
        }
        sent.map(|()| count).map_err(|error| match (error.failure, events) {
            (Failure::Poisoned, [event]) => error.of_event(event),
            (Failure::Poisoned, [event, ..]) => error.of_stream(&*event.source),
            _ => error,
        })
    }
}

impl Sink for WebhookSink {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.sent.resume(resume))
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mut rest = batch;
            while let [event, ..] = rest {
                let count =
                    self.send(rest).await.map_err(|error| match batch.len() - rest.len() {
                        0 => error,
                        done => error.with_done(&*event.source, done),
                    })?;
                rest = rest.get(count..).unwrap_or_default();
            }
            Ok(())
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Option<String>, SinkError>> {
        Box::pin(async { self.endpoint.probe().await.map(Some) })
    }
}

/// Web servers refuse bodies of more than 1 MiB unless told otherwise.
const BYTES_MAX: usize = 768 << 10;
/// What was sent before a crash, what stands before it and what came after it.
const BATCHED_REQUESTS: usize = 3;
/// A round trip each: more would only make a failure later known.
const STRUCTURED_EVENTS: usize = 16;
const SPARE: Duration = Duration::from_secs(10);
