//! One stream as it runs: its policy's shell, its connections, its REST calls.
//!
//! - `settings`: the configuration in the core's terms; `run`: what is started, replaced and stopped;
//! - `supervisor`: the actor around the policy; `connection`: the actor of a slot; `lifecycle`: the calls;
//! - `reread`: a replay that an operator asks for;
//! - `error`: why a stream cannot be made ready.

mod connection;
mod error;
mod lifecycle;
mod reread;
mod run;
mod settings;
mod supervisor;

pub use self::error::StreamError;

pub(crate) use self::run::{Ground, Prepared, Stream};
pub(crate) use self::settings::transport;
