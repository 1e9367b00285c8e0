//! The seeded simulation of the family that goes on from a cursor.
//!
//! A small server with ids, a buffer that forgets, planned ends, silence, resets and refusals; a process that
//! dies and is stopped at any moment, with the delays of its ledger; the policies in between. Smaller than the
//! simulation of the other family, which has the real ledger: here the ledger is what the contract says of it.
//!
//! - [`plan`]: everything drawn from the seed; [`server`]: what it keeps and how it answers;
//! - [`wire`]: one connection, as both sides see it; [`ledger`]: what is durable;
//! - [`world`]: the event loop, with `shell` (the process around the policies) and `trouble` (the faults);
//! - [`facts`]: what must hold. Each event is accepted once, or lies in a gap that was reported; a cursor that
//!   is asked with is durable; no gap is reported that there is not; attempts are bounded.

pub mod facts;
pub mod ledger;
pub mod plan;
pub mod server;
pub mod wire;
pub mod world;

pub use plan::Plan;
pub use world::{Outcome, run};
