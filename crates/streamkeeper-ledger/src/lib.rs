//! The ledger: durable memory of what a stream has accepted.
//!
//! One directory, one stream, one process. A plain synchronous struct without network, actors or
//! clock: [`Ledger`] judges events exactly, makes them durable in group commits, and keeps the
//! stream's state without looking inside; an [`Outbox`] gives them to sinks, in the stream's one order.
//! Read [`Ledger`] first.
//!
//! # The directory
//!
//! | name | content | format |
//! | --- | --- | --- |
//! | `lock` | the lock, and the process id that holds it | digits |
//! | `outbox-<first sequence>.log` | segments: accepted events, in order | `segment`, `record` |
//! | `keys-<number>.sealed` | sealed keys of one partition | `keys::sealed`, `keys::name` |
//! | `checkpoint` | which key files count, and from where the log is read again | `checkpoint` |
//! | `identity` | which ledger this is | `identity` |
//! | `state` | the stream's state, whether it is clean, cursors | `state`, `old_state` |
//!
//! The module of that name has the format, to the byte. Every file starts with its own magic and
//! a version; a newer version is refused with [`LedgerError::NewerVersion`]. Names that are none of
//! these are left alone.
//!
//! A frame of the log may have a cursor: from where the service goes on behind its events. It has room for a
//! stream and a key id as well (module `record`, "Extras"), so that a log of several streams and sealed payloads
//! need no further format. Nothing here writes these; a frame that has one is refused with
//! [`LedgerError::NewerFrame`].
//!
//! # What is promised
//!
//! - What [`Ledger::commit`] answered survives any crash, and is given to every sink at least once.
//! - What was not committed is either not there after a crash, or there as if it had been: an event
//!   never has two sequence numbers.
//! - Sequence numbers go up by one, across restarts. With the ledger's identity ([`Ledger::identity`]) a number
//!   means one event, also where a ledger was deleted, or put back from a copy that a sink is ahead of.
//! - Nothing is given to a sink before it is durable.
//! - The cursor that [`Ledger::goes_on_from`] was given behind an event is durable in the commit of that event: a
//!   start finds both, or neither.
//! - After a failed write or sync nothing is accepted until everything was read back.
//!
//! # Life of an event
//!
//! accepted (memory) → committed (a frame in the last segment, one sync) → given to the sinks →
//! its key sealed (a key file and the checkpoint) → acknowledged by every sink → its segment
//! removed → its key forgotten with its day, after the retention.
//!
//! # Layout
//!
//! - [`Ledger`] (`ledger`), `open`, `group`, `upkeep`: taking, committing, starting, tidying up.
//! - `keys`: which version of which record is known. `record`, `segment`: the log.
//! - `outbox`, `reader`: the way to the sinks. `state`, `old_state`, `identity`, `checkpoint`, `small_file`:
//!   small files.
//! - [`fs`], `mmap`, `lock`: what it stands on. [`verify`], [`export`], [`inspect`], [`Stats`]: looking in.

mod checkpoint;
mod codec;
mod config;
mod error;
mod event;
pub mod fs;
mod group;
mod identity;
mod inspect;
mod keys;
mod ledger;
mod lock;
mod mmap;
mod open;
mod outbox;
mod pack;
mod record;
mod segment;
mod small_file;
mod state;
mod stats;
mod verify;

pub use config::{Given, LedgerConfig};
pub use error::{Bound, LedgerError};
pub use event::{EVENT_BYTES_MAX, Entry, Incoming, KEY_BYTES_MAX};
pub use identity::LedgerIdentity;
pub use inspect::{Contents, SinkPlace, inspect};
pub use ledger::{Committed, Ledger, Swept};
pub use open::{OpenReport, Start, Torn};
pub use outbox::{Outbox, OutboxReader};

pub use state::KeptState;
pub use stats::Stats;
pub use verify::{Verified, export, verify};
