//! From the outbox to whoever wants the events.
//!
//! - `consumers`: who takes the events, and of which streams; `feeds`: a sink's way through their outboxes;
//! - `deliveries`: the same for an application that embeds us;
//! - `error`: why the sinks could not be started.

mod consumers;
mod deliveries;
mod error;
mod feeds;

pub use self::deliveries::{Deliveries, Delivery};
pub use self::error::BuildError;

pub(crate) use self::consumers::{Consumers, GivenSink};
pub(crate) use self::feeds::SinkStop;
