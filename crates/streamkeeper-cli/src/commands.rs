//! The commands, a module each.

mod check;
mod completion;
mod config;
mod config_file;
mod confirm;
mod data_dir;
mod dead_letters;
mod demo;
mod doctor;
mod ledger;
mod organization;
mod output;
mod probe;
mod reload;
mod replay;
mod run;
mod signals;
mod simulate;
mod status;
mod steer;
mod streams;
mod systemd;
mod version;
mod watch;

use clap::Subcommand;
use streamkeeper::Act;

use crate::exit::Outcome;

pub(crate) use self::output::say;
pub(crate) use self::signals::survive_file_limits;

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
    /// Make a stream anew on the service, and read it again.
    Recover(steer::Recover),
    /// End a stream's connections in order, until it is resumed.
    Pause(steer::Steer),
    /// Connect a paused stream again.
    Resume(steer::Steer),
    /// End a stream's connections in order and open them again at once.
    Reconnect(steer::Steer),
    /// Change what the log of the running Streamkeeper shows.
    Log(reload::Log),
    /// Look for what could stand in the way on this machine.
    Doctor(doctor::Doctor),
    /// Measure a service, without taking events from anybody.
    Probe(probe::Probe),
    /// List, create and delete streams on the service.
    #[command(subcommand)]
    Streams(streams::Streams),
    /// Look into the ledgers on disk.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// List, show, send again and throw away what a sink has refused for good.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Simulate the remote service, with faults on command.
    Simulate(Box<simulate::Simulate>),
    /// Show a hang and its recovery, against a simulator of its own.
    Demo(demo::Demo),
    /// Show the configuration: the default file, what is in effect, the schema.
    #[command(subcommand)]
    Config(config::Config),
    /// Write a completion script for a shell.
    Completion(completion::Completion),
    /// Show the version of this binary.
    Version(version::Version),
}

impl Command {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Run(run) => run.run(),
            Self::Check(check) => check.run(),
            Self::Status(status) => status.run(),
            Self::Reload(reload) => reload.run(),
            Self::Replay(replay) => replay.run(),
            Self::Recover(recover) => recover.run(),
            Self::DeadLetters(letters) => letters.run(),
            Self::Pause(stream) => stream.run(Act::Pause),
            Self::Resume(stream) => stream.run(Act::Resume),
            Self::Reconnect(stream) => stream.run(Act::Reconnect),
            Self::Log(log) => log.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Probe(probe) => probe.run(),
            Self::Streams(streams) => streams.run(),
            Self::Ledger(ledger) => ledger.run(),
            Self::Simulate(simulate) => simulate.run(),
            Self::Demo(demo) => demo.run(),
            Self::Config(config) => config.run(),
            Self::Completion(completion) => completion.run(),
            Self::Version(version) => version.run(),
        }
    }
}
