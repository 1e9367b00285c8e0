//! The Inform (V2) streaming API: wire types and calls over any [`Transport`].
//!
//! - [`event`]: what an event on a stream is (poke, record, rule, connection) and who it is
//!   ([`Identity`]). The payload itself is never copied or changed: it travels byte for byte.
//! - [`request`]: every call as a value, without host and token.
//! - [`client`]: the calls on stream resources.
//! - [`wire`]: the stream resource as the service describes it.
//! - [`time`]: the service's timestamps as microseconds.
//!
//! The vendor's documents disagree with each other in places, so everything here is tolerant: a
//! field may be missing, a number may be a string, a list may be wrapped in three ways. Only what
//! cannot be done without is an error (a record without an id, a stream without an id).
//!
//! Nothing of a payload, an answer's body, a user id or a token appears in any `Display` or
//! `Debug` of this crate. It knows neither sockets nor actors nor the policies of recovery, and
//! asks nobody for the time.
//!
//! [`Transport`]: streamkeeper_call::Transport

pub mod client;
pub mod event;
mod json;
pub mod request;
pub mod time;
pub mod wire;

pub use client::{CallError, CallErrorKind, Client, Deletion, Unprocessable};
pub use event::{EventError, EventType, Identity, InformEvent, classify};
pub use request::{ApiCall, ApiRequest, NewStream, ReplayQuery};
