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
//! One path of the data, from socket to sink, module by module:
//!
//! - `transport`: HTTP over awc, with a connector that tells how a connection ended;
//! - `connection`: one actor per slot: socket → decoder → dialect → batch;
//! - `dialect`: what a frame means;
//! - `writer`, `desk`: new or known? made durable by the ledger, then answered as committed;
//! - `delivery`, `head`: outbox → envelopes → sinks, a cursor for each.
//!
//! Beside it: `supervisor` (the shell of the stream's policy, which is in `streamkeeper-core`),
//! `lifecycle` (REST calls), `registry`, `history` and `telemetry` (what readers see),
//! `clock` (the only one).
//! Around it: `embed` (the handle), `requests` (what it may ask), `system` (what runs: start, `reload`,
//! stop), `stream` (one stream's parts), `consumers` (who takes the events; `deliveries` for an
//! application), `replay` (one that an operator asks for). For operators: `metrics` (their names, and
//! the scrape), [`http`] (the endpoint). For commands: [`control`] (ask a running one), [`ledgers`]
//! (look into what lies on disk).

mod batch;
mod budget;
mod clock;
pub mod config;
mod connection;
mod consumers;
pub mod control;
mod deliveries;
mod delivery;
mod desk;
mod dialect;
mod embed;
mod head;
mod history;
pub mod http;
pub mod ledgers;
mod lifecycle;
mod metrics;
mod part;
mod registry;
mod reload;
mod replay;
mod requests;
mod secret;
mod status;
mod stream;
mod supervisor;
mod system;
mod telemetry;
mod threads;
pub mod transport;
mod vital;
mod writer;

pub use clock::clock_doubt;
pub use deliveries::{Deliveries, Delivery};
pub use embed::{Builder, StartError, StopReport, Streamkeeper};
pub use reload::{ReloadError, ReloadReport};
pub use replay::{ReplayError, ReplaySpec, ReplayStatus};
pub use requests::{Act, ControlRequest, SteerError};
pub use secret::Secret;
pub use status::{ConsumerStatus, IncidentStatus, ProcessStatus, Status, StreamStatus};
pub use streamkeeper_ledger::LedgerError;
pub use streamkeeper_sink::{BoxFuture, Envelope, Sink, SinkError, SinkFactory};
