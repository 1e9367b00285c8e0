//! Where a running process is asked: the control socket, the HTTP endpoint and its metrics.

pub mod control;
pub(crate) mod http;
pub(crate) mod metrics;
