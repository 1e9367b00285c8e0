//! The Inform (V2) service, simulated: a pure model, faults, a server, a truth to check against.
//!
//! It shares no policy and no wire types with the product, on purpose: a misreading of the API
//! that both sides shared would be invisible. Start with [`model::Model`].

pub mod checker;
pub mod model;
pub mod record;
pub mod truth;
