//! The contract of a sink: the trait, the envelope, the test kit.
//!
//! A sink is where events go. This crate says what one is given ([`Envelope`]), what it
//! promises ([`Sink`]), and how one is made from its `[[sink]]` table ([`SinkFactory`],
//! [`SinkTable`]). It knows neither the network nor the actor system, so that a sink
//! depends on no more than this crate. Read [`Sink`] and [`Envelope`] first.
//!
//! Invariants, which [`testkit`] checks for any sink:
//! - a sink is given each stream's events in their order, one batch of it at a time, and keeps it;
//! - `Ok` means that the sink has the whole batch, as durably as it promises;
//! - after an error the same events are given again: at least once, never less. [`SinkError`] says what
//!   helps, and whom it blames: who is not blamed is not delayed;
//! - after a crash, too; a sink that keeps its own place drops what it has ([`Sink::resume`]), and
//!   names the ledger in it, so that another one's numbers are not taken for its own ([`OwnPlace`]).
//!
//! Left to others: retries and their pauses, the cursor of each sink, which streams a
//! sink wants (the library); the sinks themselves (`streamkeeper-sinks`).

mod envelope;
mod error;
mod factory;
mod parts;
mod place;
mod recall;
mod secret;
mod sink;
mod table;
pub mod testkit;

pub use envelope::{Content, Envelope};
pub use error::{Blame, Failure, SinkError};
pub use factory::{SinkConfigError, SinkFactory};
pub use futures_util::future::BoxFuture;
pub use parts::parts;
pub use place::{Judged, OwnPlace, Resume};
pub use recall::{Recall, Recalled};
pub use secret::{Secret, SecretKeys};
pub use sink::{Shape, Sink};
pub use table::{SinkTable, unknown_key};
