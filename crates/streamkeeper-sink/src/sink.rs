//! What a sink promises.
//!
//! The caller owns the retries: a sink tries once and says how it went ([`SinkError`]).

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::{Envelope, OwnPlace, Recall, Recalled, Resume, SinkError};

/// A place where events go. At least once, in each stream's order.
///
/// Sinks run on a tokio runtime (multi-threaded) of their own; blocking work belongs
/// into `tokio::task::spawn_blocking`. A sink is shared: it may be asked whether it can be reached while a
/// delivery is under way, and gets more than one batch at a time only if it [wants that](Shape::in_flight).
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use streamkeeper_sink::{BoxFuture, Envelope, Sink, SinkError};
///
/// #[derive(Default)]
/// struct Count(AtomicUsize);
///
/// impl Sink for Count {
///     fn deliver<'a>(
///         &'a self,
///         batch: &'a [Envelope],
///     ) -> BoxFuture<'a, Result<(), SinkError>> {
///         Box::pin(async move {
///             self.0.fetch_add(batch.len(), Ordering::Relaxed);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Sink: Send + Sync {
    /// How the sink wants its deliveries; asked once, before the first.
    fn shape(&self) -> Shape {
        Shape::default()
    }

    /// The sink's own places when it was made, by stream. Asked before a ledger is opened, so that a ledger
    /// that has lost what the sink has is found damaged. The default knows of none; what is kept on
    /// a server is found out in [`resume`](Self::resume).
    fn places(&self) -> Vec<(String, OwnPlace)> {
        Vec::new()
    }

    /// Connects, and checks or makes what it needs there: asked before anything else of it that waits for a
    /// server, and again until it succeeds. A sink connects again by itself when it has lost its connection
    /// later. The default has nothing to do.
    ///
    /// # Errors
    ///
    /// When it cannot be used now. What a hand has to mend is [`SinkError::refused`], with
    /// [the words](SinkError::with_detail) that say what to run.
    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// Says where the ledger is in a stream: once for each stream, before its first delivery
    /// after a start. A sink of several streams is told of all of them before the first delivery.
    ///
    /// For a sink that keeps its own place in the stream next to what it delivers, and so can
    /// drop what a crash between its `Ok` and the ledger's cursor makes the caller give again;
    /// how to judge a place of one's own is written at [`Resume`]. The default does nothing: at
    /// least once.
    ///
    /// # Errors
    ///
    /// When the sink cannot find its place now: it is asked again, and nothing of the stream is
    /// delivered before. Nothing of any other stream, either, unless the error blames this one.
    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        let _ = resume;
        Box::pin(async { Ok(()) })
    }

    /// Delivers a batch, in order: of one stream, or of several one after the other, if the sink
    /// [takes that](Shape::several). `Ok` means that the sink has all of it, as durably as it
    /// promises: the events will not be given again. An empty batch is `Ok`.
    ///
    /// An event that is [given again by a hand](Envelope::redelivered), out of the dead letters, is older
    /// than the sink's place: it is delivered all the same, always in a batch of its own.
    ///
    /// # Errors
    ///
    /// After an error, or if the future is dropped before its end (it is after the sink's
    /// [time limit](Shape::time_limit)), any part of the batch may have arrived; the caller gives the
    /// events again, from each stream's first one on that the error does not say [is
    /// there](SinkError::with_done), in a batch that may be cut differently.
    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Asks the server whether deliveries would be taken now; writes nothing. In words, what it found, or
    /// `None` if there is no server to ask. Must not wait for a delivery that is under way.
    ///
    /// # Errors
    ///
    /// Why they would not be taken.
    fn probe(&self) -> BoxFuture<'_, Result<Option<String>, SinkError>> {
        Box::pin(async { Ok(None) })
    }

    /// Which events it has of a stream, in any order, one by one to `take`; false if it cannot be asked.
    /// For reconciliation, and for another host that takes over.
    ///
    /// # Errors
    ///
    /// When not all could be read; what was told to `take` is there all the same.
    fn recall<'a>(
        &'a self,
        recall: Recall<'a>,
        take: &'a mut (dyn FnMut(Recalled) + Send),
    ) -> BoxFuture<'a, Result<bool, SinkError>> {
        drop((recall, take));
        Box::pin(async { Ok(false) })
    }

    /// Ends the sink in order: flushes what it holds and lets go of its resources. Nothing is asked of it
    /// afterwards. Everything that was answered with `Ok` is already safe before.
    ///
    /// # Errors
    ///
    /// When the end was not in order; there is nothing left to retry.
    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }
}

/// How a sink wants its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// A batch has at most so many events.
    pub events_max: usize,
    /// A batch has at most so many bytes, or one event.
    pub bytes_max: usize,
    /// A batch may carry several streams. Then what a batch costs is paid once, however many streams
    /// have something new.
    pub several: bool,
    /// So many batches may be under way at once, at least one. A stream is in one of them at a time, so
    /// that its order is kept.
    pub in_flight: usize,
    /// After a delivery that carried all there was, the next begins so long after it began, and not
    /// sooner: events that trickle in share one. The first after a quiet time goes at once.
    pub linger: Duration,
    /// A delivery that takes longer is given up, and counts as [broken](crate::Failure::Broken).
    /// `None`: it may take as long as it likes, and one that hangs is not found.
    pub time_limit: Option<Duration>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            events_max: 1_000,
            bytes_max: 4 << 20,
            several: false,
            in_flight: 1,
            linger: Duration::ZERO,
            time_limit: Some(Duration::from_secs(60)),
        }
    }
}
