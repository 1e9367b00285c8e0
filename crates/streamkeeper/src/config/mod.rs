//! The configuration: one TOML file, drop-in files, the environment.
//!
//! [`Config::load`] reads files, [`Config::from_toml_str`] a text, and code may fill the
//! structures itself and [`check`](Config::check) them; the rules are the same. The
//! commented default file, `config/streamkeeper.toml`, says what each key means; here
//! each field says its limits.
//!
//! - The file has `[service]`, `[defaults]`, `[[stream]]` and `[[sink]]`, and rows of one's own for
//!   servers, `[dialects.NAME]`. Drop-in files
//!   only add `[[stream]]` and `[[sink]]`; a name may occur once.
//! - `STREAMKEEPER__SERVICE__LISTEN` sets a key of `[service]`, and
//!   `STREAMKEEPER__DEFAULTS__WATCHDOG__STALE_AFTER` one of `[defaults]`, over the file.
//! - `[defaults]` lies below every stream, which may set any of its keys again.
//! - Unknown keys are errors, all problems are reported together, each with its place,
//!   and none quotes a secret. What is not built yet is refused by name.
//!
//! Left to others: what a sink's own keys mean (its factory), and reloading.

mod auth;
mod bare;
mod collisions;
mod document;
mod effective;
mod error;
mod families;
pub mod keys;
mod layers;
mod load;
mod read;
mod reader;
mod rules;
mod secret;
mod service;
mod sink;
pub(crate) mod sse;
mod stream;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use streamkeeper_sink::SinkFactory;

use document::{Places, Spot};
use rules::{Finding, Table};
use secret::Surroundings;

pub use effective::Effective;
pub use error::{ConfigErrors, Place, Problem};
pub use service::{LogFormat, ServiceConfig};
pub use sink::SinkConfig;
pub use sse::{
    AliveOn, CursorAt, CursorVia, Factor, FirstCursorFrom, GapCheck, Group, IdentityAt, Interval,
    NameAt, ResumeStrategy, Row, Session, SseTable,
};
pub use stream::{
    BackoffTable, Dialect, HygieneTable, InformTable, LedgerTable, RecoveryTable, Strategy,
    StreamConfig, WatchdogTable,
};

/// A configuration. `Config::default()` has no stream yet; add one before it is used.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper::config::Config;
///
/// let config = Config::from_toml_str(
///     r#"
///     [[stream]]
///     name = "acme"
///     url = "https://streams.v2.validic.com"
///     token = "s3cret"
///     watchdog.stale_after = "45s"
///     "#,
///     &[],
/// )
/// .unwrap();
/// assert_eq!(config.streams[0].stale_after(), Some(Duration::from_secs(45)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[service]`.
    pub service: ServiceConfig,
    /// `[[stream]]`, in the order of the files; at least one.
    pub streams: Vec<StreamConfig>,
    /// `[[sink]]`, in the order of the files.
    pub sinks: Vec<SinkConfig>,
}

impl Config {
    /// Reads `path`, its drop-ins and the environment.
    ///
    /// Drop-ins are the `*.toml` files of the folder `drop_ins`, or of `<path>.d` if none
    /// is given and that exists, in the order of their names. A sink's `type` has to be
    /// that of one of `factories`, which checks the sink's table.
    ///
    /// # Errors
    ///
    /// Every problem found. Reading stops early only at a file that is not TOML.
    pub fn load(
        path: &Path,
        drop_ins: Option<&Path>,
        factories: &[Box<dyn SinkFactory>],
    ) -> Result<Self, ConfigErrors> {
        load::file(path, drop_ins, factories, &Surroundings::of_this_process())
    }

    /// What is in effect after [`Config::load`] of the same, as one file would have it.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn effective(
        path: &Path,
        drop_ins: Option<&Path>,
        factories: &[Box<dyn SinkFactory>],
    ) -> Result<Effective, ConfigErrors> {
        load::effective(path, drop_ins, factories, &Surroundings::of_this_process())
    }

    /// The files that `path`, its drop-ins and the environment name, whatever is wrong with them: of
    /// tokens and proxies, certificates and keys. A program that reloads wants to know when another one
    /// is in its place.
    #[must_use]
    pub fn named_files(path: &Path, drop_ins: Option<&Path>) -> BTreeSet<PathBuf> {
        load::named_files(path, drop_ins, &Surroundings::of_this_process())
    }

    /// The drop-in files that [`Config::load`] reads, in their order.
    #[must_use]
    pub fn drop_in_files(path: &Path, drop_ins: Option<&Path>) -> Vec<PathBuf> {
        load::drop_in_files(path, drop_ins, &mut Vec::new())
    }

    /// Reads a text for an embedding program: no drop-ins, and no variable of the
    /// environment but those that a `token_env` names.
    ///
    /// # Errors
    ///
    /// Every problem found; the file is called `configuration`.
    pub fn from_toml_str(
        text: &str,
        factories: &[Box<dyn SinkFactory>],
    ) -> Result<Self, ConfigErrors> {
        load::text(text, factories, &Surroundings::of_this_process())
    }

    /// Reads `data_dir` alone, from `path` and the environment: for commands that look at what a
    /// Streamkeeper has on disk, and need none of its secrets.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not TOML; a `data_dir` that is no path.
    pub fn data_dir(path: &Path) -> Result<PathBuf, ConfigErrors> {
        load::data_dir(path, &Surroundings::of_this_process())
    }

    /// Checks a configuration that was made in code.
    ///
    /// # Errors
    ///
    /// Every rule that does not hold, as for a file.
    pub fn check(&self, factories: &[Box<dyn SinkFactory>]) -> Result<(), ConfigErrors> {
        let problem = |finding: Finding| {
            let key = match finding.table {
                Table::Root => String::new(),
                Table::Service => "service".to_owned(),
                Table::Stream(index) => named("stream", self.streams.get(index).map(|s| &s.name)),
                Table::Sink(index) => named("sink", self.sinks.get(index).map(|s| &s.name)),
            };
            let places = Places { home: Spot { key, ..Spot::default() }, ..Places::default() };
            places.problem(&finding.key, finding.message)
        };
        let findings = rules::check(self, factories, &Surroundings::of_this_process());
        let problems: Vec<_> = findings.into_iter().map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigErrors(problems)) }
    }
}

fn named(table: &str, name: Option<&String>) -> String {
    format!("{table}.{}", name.map_or("", String::as_str))
}
