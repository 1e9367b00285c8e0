//! Keeps one-way event streams (server-sent events) alive and loses nothing.
//!
//! A one-way stream has no acknowledgement: the client alone can know that a connection has died,
//! and what was sent into a dead connection is lost. Streamkeeper is that client. It watches the
//! heartbeat, and when a connection has gone stale it terminates all of them, makes a new stream
//! from the day of its low-water mark, reads it again, and drops what it already has.
//!
//! Start with [`Streamkeeper`], which runs it, and [`config`], which says what it does.
//!
//! # Layout
//!
//! Rooms, each a folder; a room uses those above it only (docs/architecture.md, and a test holds it):
//!
//! - `base`: the clock, secrets, room for bytes, threads, the channel to a supervisor;
//! - `api`: what handles, control socket and endpoint exchange;
//! - `transport`: HTTP over awc, with a connector that tells how a connection ended;
//! - `config`: what is to be done;
//! - `dialect`: what a frame means;
//! - `observe`: what readers see of what runs;
//! - `store`: new or known? made durable by the ledger, then answered as committed;
//! - `stream`: one stream as it runs: the shell of its policy, a connection for each slot, its calls;
//! - `delivery`: outbox → envelopes → sinks, a cursor for each;
//! - `requests`: what a running process is asked;
//! - `surface`: the control socket, the endpoint and its metrics;
//! - `keeper`: what runs, and the handle to it.
//!
//! One path of the data, from socket to sink: `transport/exchange` → `stream/connection` → `dialect` →
//! `store/batch` → `store/writer` → `store/desk` → `delivery/feeds` → a sink.

mod api;
mod base;
pub mod config;
mod delivery;
mod dialect;
mod keeper;
mod observe;
mod requests;
mod store;
mod stream;
mod surface;
pub mod transport;

pub use api::act::{Act, SteerError};
pub use api::condition::{SlotCondition, StreamCondition};
pub use api::replay::{ReplayError, ReplaySpec, ReplayStatus};
pub use api::status::{ConsumerStatus, IncidentStatus, ProcessStatus, Status, StreamStatus};
pub use base::clock::clock_doubt;
pub use delivery::{
    BuildError, Deliveries, Delivery, LetterAct, LetterError, LetterReport, LetterSpec,
};
pub use keeper::{Builder, Streamkeeper};
pub use requests::{ControlRequest, ReloadError, ReloadReport, StartError, StopReport};
pub use store::ledgers;
pub use stream::StreamError;
pub use streamkeeper_ledger::LedgerError;
pub use streamkeeper_sink::Secret;
pub use streamkeeper_sink::{
    Blame, BoxFuture, Envelope, Failure, Resume, Shape, Sink, SinkError, SinkFactory,
};
pub use surface::control;

/// The dead letters of the sinks, as they lie on disk.
pub mod dead_letters {
    pub use crate::delivery::dead_letters::{DeadLetter, letters, sinks};
}

/// The HTTP endpoint: metrics, health, status and steering, also in an application's own server.
pub mod http {
    pub use crate::keeper::configure;
    pub use crate::surface::http::{Options, metrics_reference, status_schema};
}
