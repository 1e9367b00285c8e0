//! `completion`: what a shell needs to complete our commands, made from the commands themselves.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::output::say;
use crate::exit::Outcome;

/// Write a completion script for a shell.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut crate::Cli::command(),
            "streamkeeper",
            &mut script,
        );
        say(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
