//! The seeded simulation: `streamkeeper-core` against the model of the service, in virtual time.
//!
//! One printed seed draws everything: what the service is like, how the policies are configured,
//! which faults come when. The harness plays the shell that a real process has around the core
//! (sockets, queue, calls) and the sinks behind it, with the real ledger on a disk that fails, and the network between it and the service; checkers watch every
//! step. First safety, while the faults last: no event lost, no false mark, no hot loop. Then
//! liveness, when they are over: everything live and caught up within a bound.
//!
//! # Layout
//!
//! - [`plan`]: everything drawn from the seed; [`fault`]: what goes wrong, and when.
//! - [`world`]: the event loop; its parts are `network` (connections), `service` (calls and
//!   attempts), `shell` (the process), `desk` (its queue), `storage` (disk and sinks), `replays`
//!   (what an operator asks to be read again), `trouble` (carries the faults out), `phases` (when is it over).
//! - [`delivery`]: a world of its own, in which many streams take turns at one sink.
//! - [`disk`]: what survives a crash; [`storage`]: how it is bounded. [`checkers`]: what must hold.
//! - [`cursored`]: the same for the family that goes on from a cursor, with a server, a world and checkers of
//!   its own.
//! - [`naive`]: the rules that lose events, to show that they do.

pub mod agenda;
pub mod checkers;
pub mod cursored;
pub mod delivery;
pub mod disk;
pub mod fault;
pub mod naive;
pub mod plan;
pub mod storage;
pub mod world;

pub use plan::Plan;
pub use world::{Outcome, World, run};
