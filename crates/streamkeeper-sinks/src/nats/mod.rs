//! The `nats` sink: events into a JetStream stream, each once.
//!
//! Promise of `Ok`: the server has acknowledged the events. A batch is one atomic batch of the server (all of it
//! or nothing, up to 1,000 messages); where the JetStream stream does not allow that, or does not keep what was
//! consumed, each event goes alone, and the next one when it is acknowledged.
//!
//! Never twice, by two means that hold together:
//! - each message says in a header which ledger it is of, and which sequence number comes next. The last
//!   message of a stream is its place (`places`): after a start, and after an outcome that is not known, it
//!   is read before anything is sent;
//! - the first message of each stream in a batch is taken only if the last message before it is the one
//!   that we know of. So what was given up and arrives late is refused, or refuses what followed it, which
//!   then looks again.
//!
//! A time-out is no answer: the connection is given up, and the place is read over a new one. That the
//! acknowledgement comes before the disk has it is the server's way, unless it is told otherwise: it is said
//! when the sink opens.
//!
//! The library's own JetStream module is not used: it logs what it is answered, and so records.

mod answer;
mod config;
mod connection;
mod message;
mod places;
mod recall;
mod sink;
mod stream;
mod subject;

pub use config::{Login, NatsConfig, NatsFactory};
pub use sink::NatsSink;
pub use subject::Template;
