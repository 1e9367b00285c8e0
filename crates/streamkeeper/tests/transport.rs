//! The transport against raw servers over loopback: every trap of the HTTP client underneath,
//! each with a test that fails without its cure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "transport/authority.rs"]
mod authority;
#[path = "transport/calls.rs"]
mod calls;
#[path = "transport/control.rs"]
mod control;
#[path = "transport/elsewhere.rs"]
mod elsewhere;
#[path = "transport/ends.rs"]
mod ends;
#[path = "transport/identity.rs"]
mod identity;
#[path = "transport/look_up.rs"]
mod look_up;
#[path = "transport/open.rs"]
mod open;
#[path = "transport/proxy.rs"]
mod proxy;
#[path = "transport/renewal.rs"]
mod renewal;
#[path = "transport/secured.rs"]
mod secured;
#[path = "transport/server.rs"]
mod server;
#[path = "transport/tls.rs"]
mod tls;
#[path = "transport/web_socket.rs"]
mod web_socket;
