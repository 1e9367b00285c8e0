//! Where the configuration comes from: the same arguments for every command that reads it.

use std::path::{Path, PathBuf};

use clap::Args;
use streamkeeper::config::{Config, Effective};

use super::watch::Watched;
use crate::exit::{CONFIGURATION, Failure};

/// The configuration file.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file [default: streamkeeper.toml here, or in /etc/streamkeeper]
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,

    /// The configuration file [env: STREAMKEEPER_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A folder of further files whose streams and sinks are added [default: FILE.d, if it exists]
    #[arg(long, value_name = "DIR")]
    drop_ins: Option<PathBuf>,
}

/// The configuration file, for commands that take other names.
#[derive(Debug, Args)]
pub(crate) struct NamedConfig {
    /// The configuration file [env: STREAMKEEPER_CONFIG] [default: streamkeeper.toml here, or in
    /// /etc/streamkeeper]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A folder of further files whose streams and sinks are added [default: FILE.d, if it exists]
    #[arg(long, value_name = "DIR")]
    drop_ins: Option<PathBuf>,
}

impl NamedConfig {
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        place(self.config.clone())
    }

    /// Reads it, as one file would have it.
    pub(super) fn effective(&self) -> Result<Effective, Failure> {
        effective(&self.path()?, self.drop_ins.as_deref())
    }

    /// Reads it; nothing here delivers, so sinks need not take every stream.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let factories = streamkeeper_sinks::factories();
        Config::load(&self.path()?, self.drop_ins.as_deref(), &factories)
            .map_err(|errors| Failure::new(CONFIGURATION, errors))
    }
}

impl ConfigFile {
    fn path(&self) -> Result<PathBuf, Failure> {
        place(self.file.clone().or_else(|| self.config.clone()))
    }

    /// What is to be watched: what it is read from, and what that names.
    pub(crate) fn watched(&self) -> Result<Watched, Failure> {
        let main = self.path()?;
        let named = Config::named_files(&main, self.drop_ins.as_deref());
        Ok(Watched { main, drop_ins: self.drop_ins.clone(), named })
    }

    /// Reads it, as one file would have it.
    pub(super) fn effective(&self) -> Result<Effective, Failure> {
        effective(&self.path()?, self.drop_ins.as_deref())
    }

    /// Reads it.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let path = self.path()?;
        let config =
            Config::load(&path, self.drop_ins.as_deref(), &streamkeeper_sinks::factories())
                .map_err(|errors| Failure::new(CONFIGURATION, errors))?;
        // An embedding program may take the events itself; here only sinks do.
        let unwanted = |name: &str| !config.sinks.iter().any(|sink| sink.wants(name));
        match config.streams.iter().find(|stream| unwanted(&stream.name)) {
            Some(stream) => Err(Failure::new(
                CONFIGURATION,
                format!(
                    "{}: no sink takes the events of stream `{}`: add a [[sink]], or add the stream \
                     to `streams` of one",
                    path.display(),
                    stream.name,
                ),
            )),
            None => Ok(config),
        }
    }
}

fn effective(path: &Path, drop_ins: Option<&Path>) -> Result<Effective, Failure> {
    Config::effective(path, drop_ins, &streamkeeper_sinks::factories())
        .map_err(|errors| Failure::new(CONFIGURATION, errors))
}

/// The file that was given, or the environment's, or the first that is in its place.
pub(super) fn place(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    // Not clap's: it would take the variable for an argument, in conflict with `FILE`.
    let named = || std::env::var_os("STREAMKEEPER_CONFIG").filter(|name| !name.is_empty());
    let here = || PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    given.or_else(|| named().map(PathBuf::from)).or_else(here).ok_or_else(|| {
        let places = PLACES.join(", ");
        let message = format!("no configuration: give a file, or write one of {places}");
        Failure::new(CONFIGURATION, message)
    })
}

/// Where a configuration is looked for.
const PLACES: [&str; 2] = ["streamkeeper.toml", "/etc/streamkeeper/streamkeeper.toml"];
