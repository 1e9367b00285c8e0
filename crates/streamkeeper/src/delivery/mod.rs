//! From the outbox to whoever wants the events.
//!
//! - `consumers`: who takes the events, and of which streams; `feeds`: a consumer's way through one outbox;
//! - `turns`: a sink at work, the shell of its policy; `verdict`: what its errors mean there;
//! - `dead_letters`: what a sink has refused for good; `redelivery`: what a hand does with that;
//! - `deliveries`: an application that embeds us;
//! - `error`: why the sinks could not be started.

mod consumers;
pub(crate) mod dead_letters;
mod deliveries;
mod error;
mod feeds;
mod redelivery;
#[cfg(test)]
mod tests;
mod turns;
mod verdict;

pub use self::deliveries::{Deliveries, Delivery};
pub use self::error::BuildError;
pub use self::redelivery::{LetterAct, LetterError, LetterReport, LetterSpec};

pub(crate) use self::consumers::{Consumers, GivenSink};
pub(crate) use self::turns::SinkStop;
