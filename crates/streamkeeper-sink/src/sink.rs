//! What a sink promises.
//!
//! The caller owns the retries: a sink tries once and says how it went ([`SinkError`]).

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{Envelope, SinkError};

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
    fn resume<'a>(&'a mut self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        let _ = resume;
        Box::pin(async { Ok(()) })
    }

    /// Delivers a batch, in order: of one stream, or of several one after the other, if the sink
    /// [takes that](Shape::several). `Ok` means that the sink has all of it, as durably as it
    /// promises: the events will not be given again. An empty batch is `Ok`.
    ///
    /// # Errors
    ///
    /// After an error, or if the future is dropped before its end (it is after the sink's
    /// [time limit](Shape::time_limit)), any part of the batch may have arrived; the caller gives the
    /// events again, from each stream's first one on, in a batch that may be cut differently.
    fn deliver<'a>(&'a mut self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>>;

    /// How the sink wants its deliveries; asked once, before the first.
    fn shape(&self) -> Shape {
        Shape::default()
    }

    /// The sink's own places when it was made, by stream. Asked before a ledger is opened, so that a ledger
    /// that has lost what the sink has is found damaged. The default knows of none.
    fn places(&self) -> Vec<(String, OwnPlace)> {
        Vec::new()
    }

    /// Ends the sink in order: flushes what it holds and lets go of its resources.
    /// Everything that was answered with `Ok` is already safe before.
    ///
    /// # Errors
    ///
    /// When the end was not in order; there is nothing left to retry.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), SinkError>>;
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
            linger: Duration::ZERO,
            time_limit: Some(Duration::from_secs(60)),
        }
    }
}

/// Where the ledger is in one stream, as [`Sink::resume`] is told.
///
/// The ledger's cursor follows the sink's `Ok` and may be behind it after a crash, never ahead. So a
/// sink's own place tells what is given again and is there already, if it is of this very ledger. A
/// place of another means other events, however well its number would fit:
///
/// ```
/// use streamkeeper_sink::{OwnPlace, Resume};
///
/// let resume = Resume { source: "acme", ledger: "5f0e", next: 7, end: 10 };
/// let own = |ledger: &str, next| OwnPlace { ledger: Some(ledger.to_owned()), next };
/// assert_eq!(resume.place(Some(&own("5f0e", 9))), 9); // 7 and 8 will be given, and are there already
/// assert_eq!(resume.place(Some(&own("5f0e", 3))), 7); // put back from a copy that is older
/// assert_eq!(resume.place(Some(&own("c33d", 9))), 7); // of a ledger that was replaced by this one
/// assert_eq!(resume.place(None), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume<'a> {
    /// The name of the stream ([`Envelope::source`]).
    pub source: &'a str,
    /// The identity of its ledger: never that of another.
    pub ledger: &'a str,
    /// The first sequence number that this sink has not acknowledged, as far as the ledger
    /// knows: deliveries begin here.
    pub next: u64,
    /// The sequence number after the newest event in the outbox; not below `next`.
    pub end: u64,
}

/// A sink's own place in a stream, which it keeps beside what it delivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPlace {
    /// The identity of the ledger whose sequence number this is. `None` if that is not known: it was
    /// written before there were identities, or nobody has said it yet. Then the number alone is judged.
    pub ledger: Option<String>,
    /// The first sequence number that the sink does *not* have.
    pub next: u64,
}

/// What a place is worth that a sink has kept: see [`Resume::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// What is given before it is there already.
    Fits,
    /// The ledger is ahead of it: what lies between was acknowledged, and is not given again.
    Behind,
    /// It is beyond the ledger's end, so its numbers mean other events: the ledger was put back from a
    /// copy, or replaced by another where the place does not name it.
    Ahead,
    /// It is of another ledger.
    Foreign,
}

impl Resume<'_> {
    /// What a place of one's own is worth.
    #[must_use]
    pub fn judge(&self, own: &OwnPlace) -> Judged {
        if own.ledger.as_deref().is_some_and(|ledger| ledger != self.ledger) {
            Judged::Foreign
        } else if own.next < self.next {
            Judged::Behind
        } else if own.next > self.end {
            Judged::Ahead
        } else {
            Judged::Fits
        }
    }

    /// The first sequence number to take, for a sink with this place of its own: that of the place if
    /// it fits, `next` otherwise. Whatever it was, the place is of [`Resume::ledger`] from here on.
    #[must_use]
    pub fn place(&self, own: Option<&OwnPlace>) -> u64 {
        own.filter(|own| self.judge(own) == Judged::Fits).map_or(self.next, |own| own.next)
    }
}
