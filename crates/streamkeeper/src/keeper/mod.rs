//! What runs, and the handle to it.
//!
//! - `embed`: the handle; `system`: what runs on its thread; `reload`: what a changed configuration changes;
//! - `routes`: the endpoint's routes in the server of an application.

mod embed;
mod reload;
mod routes;
mod system;

pub use self::embed::{Builder, Streamkeeper};
pub use self::routes::configure;
