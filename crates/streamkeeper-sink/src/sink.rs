//! What a sink promises, and how it fails.
//!
//! The caller owns the retries: a sink tries once and says how it went. Nothing of an
//! event may be in an error: its text goes to logs and its reason is a metric label.

use std::error::Error;

use futures_util::future::BoxFuture;

use crate::Envelope;

/// A place where events go. At least once, in order, one batch at a time.
///
/// Sinks run on a tokio runtime (multi-threaded) of their own; blocking work belongs
/// into `tokio::task::spawn_blocking`.
///
/// ```
/// use streamkeeper_sink::{BoxFuture, Envelope, Sink, SinkError};
///
/// struct Count(usize);
///
/// impl Sink for Count {
///     fn deliver<'a>(
///         &'a mut self,
///         batch: &'a [Envelope],
///     ) -> BoxFuture<'a, Result<(), SinkError>> {
///         Box::pin(async move {
///             self.0 += batch.len();
///             Ok(())
///         })
///     }
///
///     fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), SinkError>> {
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait Sink: Send {
    /// Delivers a batch, in order. `Ok` means that the sink has all of it, as durably as
    /// it promises: the events will not be given again. An empty batch is `Ok`.
    ///
    /// # Errors
    ///
    /// After an error, or if the future is dropped before its end, any part of the batch
    /// may have arrived; the caller gives the events again, from the first one on, in a
    /// batch that may be cut differently.
    fn deliver<'a>(&'a mut self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Ends the sink in order: flushes what it holds and lets go of its resources.
    /// Everything that was answered with `Ok` is already safe before.
    ///
    /// # Errors
    ///
    /// When the end was not in order; there is nothing left to retry.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), SinkError>>;
}

/// Why a delivery failed.
///
/// ```
/// use streamkeeper_sink::SinkError;
///
/// let error = SinkError::retryable("write_failed")
///     .with_source(std::io::Error::from(std::io::ErrorKind::StorageFull));
/// assert!(error.retryable);
/// assert_eq!(error.to_string(), "write_failed");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SinkError {
    /// Whether the same batch may succeed later without anybody's help. If not, the
    /// sink is stopped until an operator acts; the events wait.
    pub retryable: bool,
    /// A short `snake_case` word from a fixed set: a metric label and a log field.
    pub reason: &'static str,
    /// The error below, if there is one. Must not quote an event.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl SinkError {
    /// An error that the next try may overcome.
    pub fn retryable(reason: &'static str) -> Self {
        Self { retryable: true, reason, source: None }
    }

    /// An error that no retry overcomes.
    pub fn permanent(reason: &'static str) -> Self {
        Self { retryable: false, reason, source: None }
    }

    /// The same error with the one below it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}
