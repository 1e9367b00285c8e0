//! `version`: which binary this is, for people and for programs.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::output::Output;
use crate::exit::Outcome;

/// Show the version of this binary.
#[derive(Debug, Args)]
pub(crate) struct Version {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct About {
    version: &'static str,
    /// Operating system and processor that it was built for.
    os: &'static str,
    arch: &'static str,
}

impl Version {
    pub(crate) fn run(self) -> Outcome {
        let about = About {
            version: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        };
        let text = |about: &About| {
            format!("streamkeeper {} ({} {})\n", about.version, about.os, about.arch)
        };
        self.output.write(&about, text)?;
        Ok(ExitCode::SUCCESS)
    }
}
