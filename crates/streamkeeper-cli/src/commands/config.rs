//! `config default|print|schema`: the configuration file, as it may be and as it is.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use streamkeeper::config::keys;

use super::config_file::ConfigFile;
use super::output::{Output, say};
use crate::exit::{Failure, GENERAL, Outcome};

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// The commented default file.
    Default,
    /// What is in effect: defaults, drop-ins and environment applied, secrets as `***`.
    Print(Print),
    /// The JSON Schema of the file, for an editor.
    Schema,
}

/// Show what is in effect: defaults, drop-ins and environment applied, secrets as `***`.
#[derive(Debug, Args)]
pub(crate) struct Print {
    #[command(flatten)]
    file: ConfigFile,

    #[command(flatten)]
    output: Output,
}

impl Config {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Default => say(&default_file())?,
            Self::Print(Print { file, output }) => {
                let effective = file.effective()?;
                output.write(effective.as_value(), |_| effective.to_toml())?;
            }
            Self::Schema => {
                let schema = serde_json::to_string_pretty(&keys::schema())
                    .map_err(|error| Failure::new(GENERAL, error))?;
                say(&format!("{schema}\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The commented file, and behind it, as a comment, a stream of the other family.
fn default_file() -> String {
    let mut file = include_str!("../../../../config/streamkeeper.toml").to_owned();
    file.push('\n');
    for line in include_str!("../../../../config/sse.toml").lines() {
        let line = format!("# {line}");
        file += line.trim_end();
        file.push('\n');
    }
    file
}
