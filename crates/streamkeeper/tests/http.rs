//! The HTTP endpoint over real sockets, with a stream of the simulated service behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod http {
    mod client;
    mod mounted;
    mod reading;
    mod steering;
}
