//! What was read becomes durable.
//!
//! - `batch`: what a connection read at once; `writer`: the threads; `desk`: one stream's ledger at work;
//! - `source`: its outbox, as each consumer has it;
//! - `head`: what a ledger keeps of an event beside its payload, written and read;
//! - `ledgers`: what lies on disk, for commands.

pub(crate) mod batch;
pub(crate) mod desk;
pub(crate) mod head;
pub mod ledgers;
pub(crate) mod source;
pub(crate) mod writer;
