//! The end-to-end tests: the real binary on real sockets, against the simulated service.
//!
//! `streamkeeper simulate` and `streamkeeper run` are two processes side by side, as in production
//! but for the times, which are scaled down in the configuration; a few tests hold the simulator in
//! their own process, where the command line has no switch for what they need. At the end of each
//! scenario the simulator's checker compares the sink's file with the truth: nothing lost, doubled
//! or altered.
//!
//! Tests wait for what they can see (the log, the service's view, the file), with a deadline. What
//! they need beside the binary is in [`support`]. They belong to the package `streamkeeper-cli`, so
//! that its binary is built for them: `cargo test -p streamkeeper-cli --test e2e`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod cost;
mod deployment;
mod disk;
mod embedded;
mod endings;
mod http;
mod hygiene;
#[path = "../interop/mod.rs"]
mod interop;
mod isolation;
mod ledger_commands;
mod life_cycle;
mod limits;
mod logging;
mod lost_places;
mod many;
mod operator;
mod page;
mod pilcrow;
mod process;
mod prometheus;
mod proxy;
mod recovery;
mod refusals;
mod replay_strategy;
mod restarts;
mod service_faults;
mod sse;
mod standard_streams;
mod supervisor;
mod support;
mod surroundings;
mod threads;
mod torture;
mod vanished;
mod wall_clock;
mod web_socket;
