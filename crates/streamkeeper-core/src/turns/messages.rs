//! What the turns of a sink are told, and what they want.

use std::time::Duration;

use crate::backoff::BackoffConfig;
use crate::id::FeedId;

/// Bounds of the deliveries to one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnsConfig {
    /// A delivery has at most so many events.
    pub events_max: usize,
    /// Nothing is added to a delivery that has so many bytes.
    pub bytes_max: usize,
    /// A delivery may carry several streams.
    pub several: bool,
    /// After a delivery that carried all there was, the next begins so long after it began, and not
    /// sooner: what trickles in shares one. The first after a quiet time goes at once.
    pub linger: Duration,
    /// The pauses after failures; the longest is that of what is held.
    pub backoff: BackoffConfig,
}

/// What happened: the streams' news, and the answers to the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A stream comes. The sink is told where it is before anything else is written.
    Add(FeedId),
    /// A stream goes.
    Remove(FeedId),
    /// Something was committed in a stream.
    News(FeedId),
    /// To [`Output::Resume`]: the sink knows where it is.
    Resumed,
    /// To [`Output::Read`]: so much goes into the delivery.
    Read {
        /// So many events.
        events: usize,
        /// Their bytes.
        bytes: usize,
        /// There is more to read.
        more: bool,
    },
    /// To [`Output::Read`]: the outbox cannot be read.
    Unreadable,
    /// To [`Output::Deliver`]: the sink has everything.
    Delivered,
    /// To [`Output::Resume`] and [`Output::Deliver`]: the sink does not take it.
    Failed {
        /// When it is tried again.
        retry: Retry,
        /// Whose failure it is: that of these streams, or the sink's as a whole (`None`). If none of the
        /// streams was asked about, it is that of all that were.
        of: Option<Vec<FeedId>>,
    },
}

/// When to try again what has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After pauses that grow.
    Growing {
        /// Not before this has passed.
        at_least: Option<Duration>,
    },
    /// Rarely, and always as rarely: a hand alone helps.
    Held,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell the sink where this stream is.
    Resume(FeedId),
    /// Read this stream for the next delivery, from what was not delivered yet.
    Read {
        /// The stream.
        feed: FeedId,
        /// At most so many events.
        events_max: usize,
        /// At most so many bytes, but one event at least.
        bytes_max: usize,
    },
    /// Deliver what was read since the last delivery.
    Deliver,
}
