//! `run`: the daemon.
//!
//! It ends on SIGTERM or SIGINT, within a bound, and at once on the second, or while it starts. It never
//! ends because of the service: then a stream is degraded, and says so. On SIGHUP, on `streamkeeper
//! reload`, and when a file of its configuration is replaced, it reads that again and takes it over as a
//! whole, or goes on with the one it has. What comes during the start is done after it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use streamkeeper::{
    BuildError, ControlRequest, LedgerError, ReloadReport, StartError, StopReport, StreamError,
    Streamkeeper,
};

use tokio::sync::oneshot;

use super::config_file::ConfigFile;
use super::signals::{self, Hangup, Signals};
use super::systemd::Systemd;
use super::watch::{Seen, Watch};
use crate::exit::{
    CANNOT_CREATE, CONFIGURATION, Failure, GENERAL, INTERNAL, Outcome, SIGNAL, TRY_AGAIN, at_once,
};
use crate::logging::{self, LogFilter};
use crate::stderr;

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
        signals::unblock()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the signal handler")?;
        runtime.block_on(self.serve())
    }

    /// Starts and serves, until a signal ends it.
    async fn serve(self) -> Outcome {
        // Before everything else: with large ledgers a start takes minutes, and SIGHUP ends a process
        // that does not listen for it.
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let hangup = Hangup::new().context("cannot listen for signals")?;
        let stop_within = Duration::from_secs(self.stop_within);
        let signal = tokio::select! {
            biased;
            daemon = Daemon::start(self.file) => {
                let mut daemon = daemon?;
                let signal = daemon.serve(&mut signals, hangup).await?;
                return daemon.stop(signal, signals, stop_within).await;
            }
            signal = signals.next() => signal,
        };
        // Nothing has been read yet, and the ledgers are as they were.
        tracing::info!(signal, "stopped during the start: the next one begins where this one did");
        Ok(ExitCode::SUCCESS)
    }
}

/// Does what may take long on another thread, so that signals are heard meanwhile.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let failed = |error: StartError| Failure::new(start_code(&error), error);
    let (done, when_done) = oneshot::channel();
    // It fails if nobody waits any more.
    let thread = std::thread::Builder::new().spawn(move || drop(done.send(work())));
    thread.map_err(|error| failed(error.into()))?;
    when_done.await.map_err(|_| failed(StartError::Died))
}

/// Fails unless two threads are to be had at a time: what watches the files would go on without its own.
fn look_for_threads() -> std::io::Result<()> {
    let another = || std::thread::Builder::new().spawn(|| ()).map(drop);
    // Neither panics.
    std::thread::Builder::new().spawn(another)?.join().unwrap_or(Ok(()))
}

/// What runs, and what an operator may change about it.
struct Daemon {
    keeper: Streamkeeper,
    file: ConfigFile,
    watch: Watch,
    log: LogFilter,
    systemd: Systemd,
}

impl Daemon {
    /// Reads the configuration and starts its streams.
    async fn start(file: ConfigFile) -> Result<Self, Failure> {
        // What changes from now on is noticed, also while the ledgers are opened.
        let read = move || (file.watched().map(Seen::now), file.load(), file);
        let (seen, config, file) = apart(read).await?;
        let (seen, config) = (seen?, config?);
        let log = logging::install(config.service.log_format);
        look_for_threads().map_err(|error| Failure::new(INTERNAL, StartError::from(error)))?;
        let watch = Watch::start(seen);
        let builder = Streamkeeper::builder(config)
            .sink_factories(streamkeeper_sinks::factories())
            .lost_log_lines(stderr::lost());
        let keeper = apart(move || builder.start())
            .await?
            .map_err(|error| Failure::new(start_code(&error), error))?;
        Ok(Self { keeper, file, watch, log, systemd: Systemd::new() })
    }

    /// Serves signals and requests, until a signal is to end it; gives that.
    async fn serve(&mut self, signals: &mut Signals, mut hangup: Hangup) -> Result<i32, Failure> {
        let mut requests =
            self.keeper.control_requests().context("somebody else answers requests")?;
        let mut period = tokio::time::interval(self.systemd.period());
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.systemd.ready();
        loop {
            tokio::select! {
                signal = signals.next() => return Ok(signal),
                () = self.keeper.died() => return Err(dead()),
                () = hangup.next() => drop(self.reload("SIGHUP").await),
                () = self.watch.changed() => drop(self.reload("a file that was replaced").await),
                Some(request) = requests.recv() => self.answer(request).await,
                _ = period.tick() => {
                    self.systemd.alive(&self.keeper).await;
                    self.systemd.status(&self.keeper.status());
                }
            }
        }
    }

    /// Ends everything in order, or at once on a second signal.
    async fn stop(self, signal: i32, mut signals: Signals, within: Duration) -> Outcome {
        self.systemd.stopping();
        tracing::info!(signal, "stopping: ending every connection and delivering what was read");
        tokio::select! {
            report = tokio::time::timeout(within + OVERTIME, self.keeper.stop(within)) => {
                let Ok(StopReport { clean, delivered }) = report else { return Err(dead()) };
                tracing::info!(clean, delivered, "stopped");
                if !delivered {
                    tracing::warn!(
                        "a sink does not have everything yet: the rest waits in the ledger for the \
                         next start"
                    );
                }
                if self.keeper.has_died() { Err(dead()) } else { Ok(ExitCode::SUCCESS) }
            }
            second = signals.again() => {
                tracing::warn!(signal = second, "stopped at once");
                // Threads may be blocked in a sink: nothing is waited for.
                at_once(i32::from(SIGNAL) + second)
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
        // One that is replaced from now on has been read, or is read again.
        if let Ok(watched) = self.file.watched() {
            self.watch.look_at(watched.named);
        }
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
            Ok(ReloadReport { added, removed, changed, renewed }) => {
                tracing::info!(
                    asked_by,
                    ?added,
                    ?removed,
                    ?changed,
                    ?renewed,
                    "took the configuration over"
                );
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

/// A part of the process is gone, or does not come to an end.
fn dead() -> Failure {
    let message =
        "a part of this process has died: start it again, and what was missed is read again";
    Failure::new(INTERNAL, message)
}

/// Whoever keeps within the time needs no more than this beyond it.
const OVERTIME: Duration = Duration::from_secs(5);

const fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) | StartError::Stream(StreamError::Transport { .. }) => CONFIGURATION,
        StartError::Sink(BuildError::Sink { .. }) | StartError::Listen { .. } => CANNOT_CREATE,
        StartError::Stream(StreamError::Ledger { source, .. }) => match source {
            LedgerError::Locked { .. } => TRY_AGAIN,
            LedgerError::Io { .. } => CANNOT_CREATE,
            _ => GENERAL,
        },
        StartError::Stream(StreamError::State { .. }) => GENERAL,
        _ => INTERNAL,
    }
}
