//! From the outbox to whoever wants the events.
//!
//! - `consumers`: who takes the events, and of which streams; `feeds`: a consumer's way through one outbox;
//! - `turns`: a sink at work, the shell of its policy; `deliveries`: an application that embeds us;
//! - `error`: why the sinks could not be started.

mod consumers;
mod deliveries;
mod error;
mod feeds;
#[cfg(test)]
mod tests;
mod turns;

pub use self::deliveries::{Deliveries, Delivery};
pub use self::error::BuildError;

pub(crate) use self::consumers::{Consumers, GivenSink};
pub(crate) use self::turns::SinkStop;
