//! The `streamkeeper` binary: the library with a configuration file, and a simulator to try it on.

mod commands;
mod exit;
mod logging;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;

/// Keeps one-way event streams (server-sent events) alive and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "streamkeeper", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    // Clap ends the process itself, with 2 for wrong usage.
    let cli = Cli::parse();
    match cli.command.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
