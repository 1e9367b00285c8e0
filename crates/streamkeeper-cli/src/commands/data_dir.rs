//! Where the data are, and which streams are meant: the same arguments for every command that looks
//! at what a Streamkeeper does or has left on disk.
//!
//! Of a configuration only `data_dir` is read: such a command works where the secrets of `run` cannot
//! be read, and for a stream that is not configured any more.

use std::path::PathBuf;

use clap::Args;
use streamkeeper::LedgerError;
use streamkeeper::config::Config;
use streamkeeper::ledgers::{self, StatsError};

use super::config_file;
use crate::exit::{CONFIGURATION, Failure, GENERAL, PERMISSION, TRY_AGAIN};

/// The folder of the data.
#[derive(Debug, Args)]
pub(crate) struct DataDir {
    /// The configuration file [env: STREAMKEEPER_CONFIG] [default: streamkeeper.toml here, or in
    /// /etc/streamkeeper]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The folder of the data, without a configuration file [default: its `data_dir`]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDir {
    /// Finds it.
    pub(super) fn find(&self) -> Result<PathBuf, Failure> {
        match &self.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => Config::data_dir(&config_file::place(self.config.clone())?)
                .map_err(|errors| Failure::new(CONFIGURATION, errors)),
        }
    }
}

/// The ledgers that are meant.
pub(super) struct Ledgers {
    pub(super) data_dir: PathBuf,
    /// The streams, by name; one at least.
    pub(super) streams: Vec<String>,
}

impl Ledgers {
    /// The ledgers of `wanted`, or all below the folder of the data if none is named.
    pub(super) fn find(data_dir: PathBuf, wanted: &[String]) -> Result<Self, Failure> {
        let there = ledgers::streams(&data_dir).map_err(|error| failed(&error))?;
        if there.is_empty() {
            let message = format!(
                "there is no ledger below {}: nothing has run with this `data_dir` yet, or it is \
                 another (a relative one begins where `run` was started)",
                data_dir.display(),
            );
            return Err(Failure::new(GENERAL, message));
        }
        if let Some(unknown) = wanted.iter().find(|name| !there.contains(name)) {
            let message = format!(
                "there is no ledger of a stream `{unknown}` below {}; there is: {} (a configuration \
                 file is given with --config)",
                data_dir.display(),
                there.join(", "),
            );
            return Err(Failure::new(GENERAL, message));
        }
        let streams = if wanted.is_empty() { there } else { wanted.to_vec() };
        Ok(Self { data_dir, streams })
    }
}

/// A ledger's error as the command's.
pub(super) fn failed(error: &LedgerError) -> Failure {
    Failure::new(code(error), in_words(error))
}

/// The same for what a ledger holds.
pub(super) fn failed_stats(error: &StatsError) -> Failure {
    match error {
        StatsError::Ledger(error) => failed(error),
        StatsError::State { .. } => Failure::new(GENERAL, error),
    }
}

/// How a ledger's error ends a command.
pub(super) fn code(error: &LedgerError) -> u8 {
    match error {
        LedgerError::Locked { .. } => TRY_AGAIN,
        LedgerError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            PERMISSION
        }
        _ => GENERAL,
    }
}

/// What is wrong, and what to do.
pub(super) fn in_words(error: &LedgerError) -> String {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}"));
    let advice = match (error, code(error)) {
        (LedgerError::Locked { .. }, _) => ": stop that first",
        (_, PERMISSION) => ": use the account that Streamkeeper runs under",
        _ => "",
    };
    format!("{error}{}{advice}", cause.unwrap_or_default())
}
