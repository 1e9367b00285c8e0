//! `run`: the daemon.
//!
//! It ends on SIGTERM or SIGINT, within a bound, and at once on the second. It never ends because of
//! the service: then a stream is degraded, and says so. On SIGHUP, on `streamkeeper reload`, and when a
//! drop-in file changes, it reads its configuration again and takes it over as a whole, or goes on with
//! the one it has.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use streamkeeper::{
    ControlRequest, LedgerError, ReloadReport, StartError, StopReport, Streamkeeper,
};

use super::config_file::ConfigFile;
use super::signals::{Hangup, Signals};
use super::systemd::Systemd;
use super::watch::Watch;
use crate::exit::{
    CANNOT_CREATE, CONFIGURATION, Failure, GENERAL, INTERNAL, Outcome, SIGNAL, TRY_AGAIN,
};
use crate::logging::{self, LogFilter};

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
        let log = logging::install(config.service.log_format);
        let drop_ins = self.file.drop_in_folder()?;
        let keeper = Streamkeeper::builder(config)
            .sink_factories(streamkeeper_sinks::factories())
            .start()
            .map_err(|error| Failure::new(start_code(&error), error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the signal handler")?;
        let daemon = Daemon { keeper, file: self.file, log, systemd: Systemd::new() };
        runtime.block_on(async {
            // Watched on the runtime, from before the first look on.
            let watch = Watch::start(&drop_ins);
            daemon.serve(watch, Duration::from_secs(self.stop_within)).await
        })
    }
}

/// What runs, and what an operator may change about it.
struct Daemon {
    keeper: Streamkeeper,
    file: ConfigFile,
    log: LogFilter,
    systemd: Systemd,
}

impl Daemon {
    /// Serves signals and requests, until a signal ends it.
    async fn serve(mut self, mut watch: Watch, stop_within: Duration) -> Outcome {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let mut hangup = Hangup::new().context("cannot listen for signals")?;
        let mut requests =
            self.keeper.control_requests().context("somebody else answers requests")?;
        let mut period = tokio::time::interval(self.systemd.period());
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.systemd.ready();
        let first = loop {
            tokio::select! {
                signal = signals.next() => break signal,
                () = hangup.next() => drop(self.reload("SIGHUP").await),
                () = watch.changed() => drop(self.reload("a drop-in file").await),
                Some(request) = requests.recv() => self.answer(request).await,
                _ = period.tick() => {
                    self.systemd.alive(&self.keeper).await;
                    self.systemd.status(&self.keeper.status());
                }
            }
        };
        self.systemd.stopping();
        tracing::info!(
            signal = first,
            "stopping: ending every connection and delivering what was read"
        );
        tokio::select! {
            report = self.keeper.stop(stop_within) => {
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

    /// Answers a request of the control socket.
    async fn answer(&self, request: ControlRequest) {
        let answer = match request.text.split_once(' ') {
            None if request.text == "reload" => {
                let report = self.reload("reload").await;
                report.and_then(|report| serde_json::to_string(&report).map_err(|e| e.to_string()))
            }
            Some(("log", filter)) => self.log.set(filter).map(|()| {
                tracing::info!(filter, "the log is filtered anew");
                "{}".to_owned()
            }),
            _ => Err("unknown request: it may be of another version".to_owned()),
        };
        request.answer(answer);
    }

    /// Reads the configuration again and takes it over, or says why not.
    async fn reload(&self, asked_by: &str) -> Result<ReloadReport, String> {
        self.systemd.reloading();
        let reloaded = match self.file.load() {
            Ok(config) => {
                let reload = self.keeper.reload(config);
                let reloaded = self.systemd.meanwhile(&self.keeper, reload).await;
                reloaded.map_err(|error| error.to_string())
            }
            Err(failure) => {
                self.keeper.note_refused_reload();
                Err(failure.message().to_owned())
            }
        };
        match &reloaded {
            Ok(ReloadReport { added, removed, changed }) => {
                tracing::info!(asked_by, ?added, ?removed, ?changed, "took the configuration over");
            }
            Err(why) => tracing::error!(
                asked_by,
                reason = why,
                "the configuration was not taken over: everything goes on with the one before"
            ),
        }
        self.systemd.ready();
        reloaded
    }
}

const fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) | StartError::Transport { .. } => CONFIGURATION,
        StartError::Sink { .. } | StartError::Listen { .. } => CANNOT_CREATE,
        StartError::Ledger { source, .. } => match source {
            LedgerError::Locked { .. } => TRY_AGAIN,
            LedgerError::Io { .. } => CANNOT_CREATE,
            _ => GENERAL,
        },
        StartError::Thread(_) | StartError::Died => INTERNAL,
    }
}
