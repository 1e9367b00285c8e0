//! The contract of a sink: the trait, the envelope, the test kit.
