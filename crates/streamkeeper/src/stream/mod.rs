//! One stream as it runs: its policy's shell, its connections, its REST calls.
//!
//! - `settings`: the configuration in the core's terms; `run`: what is started, replaced and stopped;
//! - `supervisor`: the actor around the policy; `connection`: the actor of a slot; `tools`: what it works with; `lifecycle`: the calls;
//! - `documents`: what lies beside a stream on its server; `rhythm`: how often a server has been seen to speak;
//! - `session`: what a stream is read within; `group`: streams of one server;
//! - `reread`: a replay that an operator asks for; `replay_places`: how many are read at once;
//! - `error`: why a stream cannot be made ready.

mod connection;
mod documents;
mod error;
mod group;
mod lifecycle;
mod replay_places;
mod reread;
mod rhythm;
mod run;
mod session;
mod settings;
mod supervisor;
mod tools;

pub use self::error::StreamError;

pub(crate) use self::group::Groups;
pub(crate) use self::replay_places::ReplayPlaces;
pub(crate) use self::run::{Ground, Prepared, Stream};
pub(crate) use self::settings::transport;
