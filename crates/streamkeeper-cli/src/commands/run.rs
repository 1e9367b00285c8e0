//! `run`: the daemon.
//!
//! It ends on SIGTERM or SIGINT, within a bound, and at once on the second. It never ends because of
//! the service: then a stream is degraded, and says so.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use streamkeeper::{LedgerError, StartError, StopReport, Streamkeeper};

use super::config_file::ConfigFile;
use super::signals::Signals;
use crate::exit::{
    CANNOT_CREATE, CONFIGURATION, Failure, GENERAL, INTERNAL, Outcome, SIGNAL, TRY_AGAIN,
};
use crate::logging;

/// Keep the streams of a configuration file, until a signal ends it.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    file: ConfigFile,

    /// How long a stop may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    stop_within: u64,
}

impl Run {
    pub(crate) fn run(self) -> Outcome {
        let config = self.file.load()?;
        logging::install(config.service.log_format);
        let keeper = Streamkeeper::builder(config)
            .sink_factories(streamkeeper_sinks::factories())
            .start()
            .map_err(|error| Failure::new(start_code(&error), error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the signal handler")?;
        runtime.block_on(serve(&keeper, Duration::from_secs(self.stop_within)))
    }
}

/// Waits for a signal, then stops; a second signal ends the process at once.
async fn serve(keeper: &Streamkeeper, stop_within: Duration) -> Outcome {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let first = signals.next().await;
    tracing::info!(
        signal = first,
        "stopping: ending every connection and delivering what was read"
    );
    tokio::select! {
        report = keeper.stop(stop_within) => {
            let StopReport { clean, delivered } = report;
            tracing::info!(clean, delivered, "stopped");
            if !delivered {
                tracing::warn!(
                    "a sink does not have everything yet: the rest waits in the ledger for the \
                     next start"
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        second = signals.again() => {
            tracing::warn!(signal = second, "stopped at once");
            // Threads may be blocked in a sink: nothing is waited for.
            std::process::exit(i32::from(SIGNAL) + second)
        }
    }
}

const fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) | StartError::Transport { .. } => CONFIGURATION,
        StartError::Sink { .. } => CANNOT_CREATE,
        StartError::Ledger { source, .. } => match source {
            LedgerError::Locked { .. } => TRY_AGAIN,
            LedgerError::Io { .. } => CANNOT_CREATE,
            _ => GENERAL,
        },
        StartError::Thread(_) | StartError::Died => INTERNAL,
    }
}
