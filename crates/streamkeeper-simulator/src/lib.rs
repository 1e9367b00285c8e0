//! The Inform (V2) service, simulated: a pure model, faults, a server, a truth to check against; and a server that
//! resumes from a cursor.
//!
//! It shares no policy and no wire types with the product, on purpose: a misreading of the API
//! that both sides shared would be invisible.
//!
//! # Layout
//!
//! - [`model`]: the service as a state machine in virtual time; the seeded simulation drives it
//! - [`server`]: the model on real sockets, with a control port
//! - [`resuming`]: another kind of server, whose streams go on from a cursor
//! - [`fault`]: what can be made to go wrong
//! - [`record`]: the JSON of an event, always the same bytes
//! - [`truth`], [`checker`]: what was sent, and whether a client has it

pub mod checker;
mod control_port;
pub mod fault;
pub mod model;
pub mod record;
pub mod resuming;
pub mod server;
pub mod truth;
