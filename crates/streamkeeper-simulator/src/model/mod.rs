//! The service as a pure state machine in virtual time.
//!
//! [`Model`] is the Inform (V2) Streaming API without its wires: stream resources, connected
//! clients, partition by user, rebalances, checkpoints, replays, pokes, a history that grows. It
//! does no I/O and reads no clock: every call carries the service's time, and all randomness comes
//! from the seed given at construction, so the same calls always give the same frames.
//!
//! Two things make it more than a mock. What it writes to a connection that nobody reads any more
//! *counts as streamed*: the checkpoint moves on and the events are gone for that stream. And data
//! stops now and then for reasons that are not "nothing to send" (a history walk, a rebalance)
//! while pokes go on. A client that gets either wrong loses events here as it would in production.
//!
//! Left to others: bytes on a wire (`server`, `record`), status faults such as 401, 429 and 5xx
//! (`fault`; a driver puts them on top), and the judgement of what a client kept (the caller
//! compares with [`Model::events`], which is the truth).
//!
//! ```
//! use streamkeeper_simulator::model::{Config, Frame, Model, NewStream, Span, HOUR};
//!
//! let config = Config { events_per_hour: 3_600, walk: Span::exactly(10_000), ..Config::default() };
//! let start = 1_780_000_000_000; // the service's time, in ms since the Unix epoch
//! let mut model = Model::new(config, 42, start);
//! let stream = model.create(NewStream::named("acme"), start)?;
//! let client = model.connect(stream, start)?;
//!
//! let (mut pokes, mut data) = (0, 0);
//! let mut frames = Vec::new();
//! while let Some(now) = model.next_due().filter(|due| *due < start + HOUR) {
//!     frames.clear();
//!     model.poll(client, now, 100, &mut frames); // virtual time jumps to what is due
//!     for frame in &frames {
//!         match frame {
//!             Frame::Poke { .. } => pokes += 1,
//!             Frame::Event { .. } => data += 1,
//!             Frame::End { .. } => unreachable!("nobody ended this connection"),
//!         }
//!     }
//! }
//! assert!(pokes >= 1 && data > 3_000, "{pokes} {data}");
//! # Ok::<(), streamkeeper_simulator::model::Refusal>(())
//! ```

mod client;
mod config;
mod event;
mod feed;
mod history;
mod passing;
mod refusal;
mod service;
mod stream;
#[cfg(test)]
mod tests;
mod timeline;

pub use client::{ClientId, Frame, Hang};
pub use config::{Config, Pokes, Span};
pub(crate) use event::mix;
pub use event::{Event, EventId, Kind, Resource, What};
pub use refusal::Refusal;
pub use service::Model;
pub use stream::{Filter, NewReplay, NewStream, NotAStreamId, Stream, StreamId};

/// Milliseconds: a span, or an instant since the Unix epoch in the service's own UTC time.
pub type Millis = u64;

/// One second.
pub const SECOND: Millis = 1_000;
/// One minute.
pub const MINUTE: Millis = 60 * SECOND;
/// One hour.
pub const HOUR: Millis = 60 * MINUTE;
/// One day.
pub const DAY: Millis = 24 * HOUR;

/// The UTC day of an instant, counted from 1970-01-01.
pub fn day_of(at: Millis) -> u32 {
    u32::try_from(at / DAY).unwrap_or(u32::MAX)
}

/// 00:00:00Z of a day counted from 1970-01-01.
pub fn day_start(day: u32) -> Millis {
    u64::from(day) * DAY
}
