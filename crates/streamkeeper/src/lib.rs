//! Keeps one-way event streams alive and loses nothing: the library.

mod secret;

pub use secret::Secret;
