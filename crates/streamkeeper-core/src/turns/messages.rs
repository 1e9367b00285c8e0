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
    /// So many deliveries are under way at once, at least one. A stream is in one of them at a time.
    pub in_flight: usize,
    /// After a delivery that carried all there was, the next begins so long after it began, and not
    /// sooner: what trickles in shares one. The first after a quiet time goes at once.
    pub linger: Duration,
    /// The pauses after failures; the longest is that of what is held.
    pub backoff: BackoffConfig,
    /// An event that is refused alone so many times is set aside. `None`: it is tried for ever.
    pub attempts: Option<u32>,
}

/// A delivery under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// What happened: the streams' news, and the answers to the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A stream comes. The sink is told where it is before anything else is written.
    Add(FeedId),
    /// A stream goes.
    Remove(FeedId),
    /// Something was committed in a stream.
    News(FeedId),
    /// To [`Output::Open`]: it is ready.
    Opened,
    /// To [`Output::Resume`]: the sink knows where it is.
    Resumed,
    /// To [`Output::Open`] and [`Output::Resume`]: not now.
    Unready {
        /// When it is tried again.
        retry: Retry,
        /// Whether the sink as a whole is to blame, and not the stream.
        whole: bool,
    },
    /// To [`Output::Read`]: so much goes into the delivery.
    Read {
        /// So many events; none if none of those that were read is wanted.
        events: usize,
        /// Their bytes.
        bytes: usize,
        /// There is more to read.
        more: bool,
    },
    /// To [`Output::Read`]: the outbox cannot be read.
    Unreadable,
    /// To [`Output::Deliver`]: the sink has everything.
    Delivered(DeliveryId),
    /// To [`Output::Deliver`]: the sink does not have everything.
    Failed {
        /// Which.
        delivery: DeliveryId,
        /// The sink as a whole is to blame: when it is tried again.
        whole: Option<Retry>,
        /// What became of each stream in it.
        fates: Vec<Fate>,
    },
    /// To [`Output::SetAside`]: the event is safe elsewhere, and behind us.
    SetAside,
    /// To [`Output::SetAside`]: it could not be made safe.
    Kept,
}

/// What became of a stream in a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The stream.
    pub feed: FeedId,
    /// So many of its first events are with the sink all the same.
    pub done: usize,
    /// So many are not.
    pub left: usize,
    /// What is held against it; `None`: nothing, the others were.
    pub blamed: Option<Blamed>,
}

/// What is held against a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blamed {
    /// It cannot be delivered now.
    Retry(Retry),
    /// One of its events is refused for what it is.
    Poisoned {
        /// Which of those that are left, from 0; `None`: nobody knows.
        at: Option<usize>,
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
    /// Make the sink ready.
    Open,
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
    /// Deliver what was read since the last delivery was asked for.
    Deliver(DeliveryId),
    /// Put the first event of this stream that was not delivered where it is kept for a hand, and go on
    /// behind it.
    SetAside(FeedId),
}
