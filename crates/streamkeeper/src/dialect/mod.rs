//! What a frame means, in the terms of the service that sent it.
//!
//! - `inform`: the Inform API; `part`: texts that lie within an event's payload.

pub(crate) mod inform;
pub(crate) mod part;
