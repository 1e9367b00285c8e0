//! How a sink is made from its `[[sink]]` table.
//!
//! The library knows sinks by their type name only. A table stays raw ([`SinkTable`])
//! until the factory registered for its `type` reads it.

use std::path::PathBuf;

use crate::{Sink, SinkTable};

/// Makes the sinks of one type.
pub trait SinkFactory: Send + Sync {
    /// The value of `type` in `[[sink]]`, for example `file`.
    fn type_name(&self) -> &'static str;

    /// Checks the table of the sink `name` without any effect: no file, no network.
    ///
    /// # Errors
    ///
    /// The first key that is wrong, unknown or missing.
    fn check(&self, name: &str, table: SinkTable) -> Result<(), SinkConfigError>;

    /// What a sink of this table alone can write to, and the key that names it: no other sink may have
    /// the same. `None` if there is no such thing, or the table is wrong.
    fn output(&self, table: SinkTable) -> Option<(&'static str, PathBuf)> {
        drop(table);
        None
    }

    /// Makes the sink `name`. May open files, waits for no network.
    ///
    /// # Errors
    ///
    /// What [`check`](Self::check) finds, and a resource that cannot be opened, under
    /// the key that names it.
    fn build(&self, name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError>;
}

/// What is wrong with a key of a `[[sink]]` table.
///
/// Reads "`key` message". Never holds the key's value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {message}")]
pub struct SinkConfigError {
    /// The key, for example `path`.
    pub key: String,
    /// The problem and what to do, without the value; read after the key.
    pub message: String,
}

impl SinkConfigError {
    /// An error about `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}
