//! `status`: what the running Streamkeeper does, asked over its control socket; if none answers, what
//! the last one has left on disk.

mod text;
mod watch;

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;
use streamkeeper::control::{self, ControlError, ProcessStatus};
use streamkeeper::ledgers::{self, LedgerStats};

use super::data_dir::{DataDir, Ledgers, failed_stats};
use super::output::Output;
use crate::exit::{Failure, GENERAL, Outcome, PERMISSION, TRY_AGAIN};

/// Show what a running Streamkeeper does, or what one has left on disk.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    data_dir: DataDir,

    /// The streams [default: all]
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,

    /// Look again and again, until Ctrl-C, so often [default: 2s]
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = interval,
    )]
    watch: Option<Duration>,

    #[command(flatten)]
    output: Output,
}

/// An interval that leaves the process time for its work.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < INTERVAL_MIN {
        return Err(format!("at least {}", humantime::format_duration(INTERVAL_MIN)));
    }
    Ok(interval)
}

const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What was found: one of the two.
#[derive(Serialize)]
struct Found {
    running: bool,
    /// What a running process says.
    process: Option<ProcessStatus>,
    /// What is on disk, if none runs.
    ledgers: Option<Vec<LedgerStats>>,
    /// Why no process was asked.
    note: Option<String>,
}

impl Status {
    pub(crate) fn run(self) -> Outcome {
        match self.watch {
            Some(every) => watch::until_gone(&self, every)?,
            None => {
                let found = self.look()?;
                self.output.write(&found, |found| text::found(found, None, SystemTime::now()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn look(&self) -> Result<Found, Failure> {
        let data_dir = self.data_dir.find()?;
        match control::status(&data_dir) {
            Ok(process) => Found::running(process, &self.streams),
            Err(
                error @ (ControlError::NobodyListens { .. } | ControlError::PathTooLong { .. }),
            ) => {
                let Ledgers { data_dir, streams } = Ledgers::find(data_dir, &self.streams)?;
                let stats = streams.iter().map(|stream| ledgers::stats(&data_dir, stream));
                let stats =
                    stats.collect::<Result<_, _>>().map_err(|error| failed_stats(&error))?;
                Ok(Found::on_disk(stats, &error))
            }
            Err(error) => Err(unanswered(&error)),
        }
    }
}

impl Found {
    fn running(mut process: ProcessStatus, wanted: &[String]) -> Result<Self, Failure> {
        let known = |name: &String| process.streams.iter().any(|stream| stream.name == *name);
        if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
            let names: Vec<_> = process.streams.iter().map(|stream| &*stream.name).collect();
            let message = format!(
                "process {} keeps no stream `{unknown}`; it keeps: {} (a configuration file is \
                 given with --config)",
                process.pid,
                names.join(", "),
            );
            return Err(Failure::new(GENERAL, message));
        }
        process.streams.retain(|stream| wanted.is_empty() || wanted.contains(&stream.name));
        Ok(Self { running: true, process: Some(process), ledgers: None, note: None })
    }

    fn on_disk(ledgers: Vec<LedgerStats>, why: &ControlError) -> Self {
        let advice = match why {
            ControlError::NobodyListens { .. } => format!(": {WHERE_IT_RUNS}"),
            // It says what to do itself.
            _ => String::new(),
        };
        let note = format!("{why}{advice}; this is what the ledgers hold on disk");
        Self { running: false, process: None, ledgers: Some(ledgers), note: Some(note) }
    }
}

/// Why a process was not asked, and what to do.
pub(super) fn unanswered(error: &ControlError) -> Failure {
    match error {
        ControlError::NobodyListens { .. } => {
            Failure::new(GENERAL, format!("{error}: {WHERE_IT_RUNS}"))
        }
        ControlError::NoAnswer { .. } => {
            let advice = "it is suspended, or very busy: try again";
            Failure::new(TRY_AGAIN, format!("{error}: {advice}"))
        }
        ControlError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            let advice = "use the account that Streamkeeper runs under";
            Failure::new(PERMISSION, format!("{error}: {source}: {advice}"))
        }
        ControlError::Io { source, .. } => Failure::new(GENERAL, format!("{error}: {source}")),
        _ => Failure::new(GENERAL, error),
    }
}

/// What to do if nothing answers. Another account's socket is told apart from that.
const WHERE_IT_RUNS: &str = "start `streamkeeper run`, or say with --config or --data-dir where the \
                             one that runs has its data";
