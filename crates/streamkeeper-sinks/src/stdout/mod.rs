//! The `stdout` sink: NDJSON on standard output.
//!
//! Promise of `Ok`: the operating system has the lines. There is no way to know what the
//! reader of a pipe did with them, and no way to take back a part of a batch: after an
//! error the torn line is finished first, then the whole batch is repeated, so that a
//! line is never torn but may come twice (with the same `id`).
//!
//! A closed pipe (`streamkeeper run | head`) is a permanent error, `broken_pipe`.

mod config;
mod sink;
#[cfg(test)]
mod tests;

pub use config::{StdoutConfig, StdoutFactory};
pub use sink::StdoutSink;
