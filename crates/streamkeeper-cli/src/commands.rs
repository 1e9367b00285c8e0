//! The commands, a module each.

mod check;
mod config_file;
mod data_dir;
mod demo;
mod ledger;
mod output;
mod reload;
mod replay;
mod run;
mod signals;
mod simulate;
mod status;
mod systemd;
mod watch;

use clap::Subcommand;

use crate::exit::Outcome;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep the streams of a configuration file, until a signal ends it.
    Run(run::Run),
    /// Check a configuration file, without any network.
    Check(check::Check),
    /// Show what a running Streamkeeper does, or what one has left on disk.
    Status(status::Status),
    /// Let the running Streamkeeper take a changed configuration over.
    Reload(reload::Reload),
    /// Read a stream's history again, beside it.
    Replay(replay::Replay),
    /// Change what the log of the running Streamkeeper shows.
    Log(reload::Log),
    /// Look into the ledgers on disk.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
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
            Self::Status(status) => status.run(),
            Self::Reload(reload) => reload.run(),
            Self::Replay(replay) => replay.run(),
            Self::Log(log) => log.run(),
            Self::Ledger(ledger) => ledger.run(),
            Self::Simulate(simulate) => simulate.run(),
            Self::Demo(demo) => demo.run(),
        }
    }
}
