//! The commands, a module each.

mod check;
mod config_file;
mod demo;
mod run;
mod signals;
mod simulate;

use clap::Subcommand;

use crate::exit::Outcome;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep the streams of a configuration file, until a signal ends it.
    Run(run::Run),
    /// Check a configuration file, without any network.
    Check(check::Check),
    /// Simulate the remote service, with faults on command.
    Simulate(Box<simulate::Simulate>),
    /// Show a hang and its recovery, against a simulator of its own.
    Demo(demo::Demo),
}

impl Command {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Run(run) => run.run(),
            Self::Check(check) => check.run(),
            Self::Simulate(simulate) => simulate.run(),
            Self::Demo(demo) => demo.run(),
        }
    }
}
