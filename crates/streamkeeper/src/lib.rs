//! Keeps one-way event streams alive and loses nothing: the library.

pub mod config;
mod secret;

pub use secret::Secret;
