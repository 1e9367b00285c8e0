//! What every room may use: the clock and the dice, secrets, room for bytes, threads, and the channel to a supervisor.

pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod reports;
pub(crate) mod rfc3339;
pub(crate) mod secret;
pub(crate) mod threads;
