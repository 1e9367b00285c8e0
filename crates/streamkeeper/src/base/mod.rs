//! What every room may use: the clock and the dice, room for bytes, threads, the channel to a supervisor, and the list of who has news.

pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod news;
pub(crate) mod reports;
pub(crate) mod rfc3339;
pub(crate) mod threads;
