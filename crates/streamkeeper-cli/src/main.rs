//! The `streamkeeper` binary: the library with a configuration file, and a simulator to try it on.

mod commands;
mod escape;
mod exit;
mod logging;
mod stderr;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::{Command, say};
use crate::exit::{Failure, Outcome};

/// Keeps one-way event streams (server-sent events) alive and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "streamkeeper", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    stderr::take_panics();
    let limited = commands::survive_file_limits();
    let done = match Cli::try_parse() {
        Ok(cli) => limited.and_then(|()| cli.command.run()),
        Err(answer) => instead_of_a_command(&answer),
    };
    let code = done.unwrap_or_else(|failure: Failure| failure.report());
    stderr::flush(stderr::LAST_WORDS);
    code
}

/// Says what clap has to say: the help on stdout, or what is wrong with the command line.
fn instead_of_a_command(answer: &clap::Error) -> Outcome {
    let text = |colour| {
        let text = answer.render();
        if colour { text.ansi().to_string() } else { text.to_string() }
    };
    if answer.use_stderr() {
        stderr::say(&text(std::io::stderr().is_terminal()));
    } else {
        say(&text(std::io::stdout().is_terminal()))?;
    }
    Ok(u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
}
