//! The `streamkeeper` binary.

fn main() {}
