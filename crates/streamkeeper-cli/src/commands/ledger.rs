//! `ledger`: what the ledgers hold, whether they are sound, their events.
//!
//! `stats` works beside a running process. `verify` and `export` read everything and take the ledger's
//! lock meanwhile: a process that has it is named, and they end with 75.

pub(super) mod text;

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use streamkeeper::ledgers::{self, ExportError};

use super::data_dir::{DataDir, Ledgers, code, failed, failed_stats, in_words};
use super::output::{Output, quiet_at_the_end, say};
use crate::exit::{Failure, GENERAL, Outcome};

/// Look into the ledgers on disk.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Read everything and check it; no process may use the ledger meanwhile.
    Verify(Verify),
    /// Show what they hold, in numbers.
    Stats(Stats),
    /// Write the events of one to stdout, as the sinks get them; no process may use it meanwhile.
    Export(Export),
}

/// Read everything and check it.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    data_dir: DataDir,

    /// The streams [default: all that have a ledger]
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
}

/// Show what they hold, in numbers.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    data_dir: DataDir,

    /// The streams [default: all that have a ledger]
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,

    #[command(flatten)]
    output: Output,
}

/// Write the events of one to stdout.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    data_dir: DataDir,

    /// The stream [default: the only one that has a ledger]
    #[arg(value_name = "STREAM")]
    stream: Option<String>,

    /// What a line holds
    #[arg(long, value_enum, default_value_t = Format::Cloudevents)]
    format: Format,

    /// The sequence number of the first event [default: the oldest that is still there]
    #[arg(long, value_name = "SEQUENCE", default_value_t = 1, hide_default_value = true)]
    from: u64,

    /// How many events at most
    #[arg(long, value_name = "EVENTS")]
    limit: Option<u64>,
}

/// What a line of an export holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The CloudEvents envelope
    Cloudevents,
    /// The record alone
    Raw,
}

impl Ledger {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Stats(stats) => stats.run(),
            Self::Export(export) => export.run(),
        }
    }
}

impl Verify {
    /// Checks every ledger, whatever is wrong with one before.
    fn run(self) -> Outcome {
        let Ledgers { data_dir, streams } = Ledgers::find(self.data_dir.find()?, &self.streams)?;
        let mut ends = 0;
        for stream in streams {
            match ledgers::verify(&data_dir, &stream) {
                Ok(verified) => {
                    say(&text::verified(&stream, &verified))?;
                    if !verified.damage.is_empty() {
                        ends = GENERAL;
                    }
                }
                Err(error) => {
                    say(&format!("{stream}: not checked: {}\n", in_words(&error)))?;
                    // Damage counts for more than what could not be seen.
                    ends = if ends == GENERAL { ends } else { code(&error) };
                }
            }
        }
        Ok(ExitCode::from(ends))
    }
}

impl Stats {
    fn run(self) -> Outcome {
        let Ledgers { data_dir, streams } = Ledgers::find(self.data_dir.find()?, &self.streams)?;
        let stats = streams.iter().map(|stream| ledgers::stats(&data_dir, stream));
        let stats: Vec<_> =
            stats.collect::<Result<_, _>>().map_err(|error| failed_stats(&error))?;
        self.output.write(&stats, |stats| text::stats(stats))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    fn run(self) -> Outcome {
        let wanted: Vec<_> = self.stream.iter().cloned().collect();
        let Ledgers { data_dir, streams } = Ledgers::find(self.data_dir.find()?, &wanted)?;
        let [stream] = streams.as_slice() else {
            let message = format!("which stream? There are: {}", streams.join(", "));
            return Err(Failure::new(GENERAL, message));
        };
        let mut left = self.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let mut stdout = io::BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let mut line = Vec::new();
        let mut written = Ok(());
        let exported = ledgers::export(&data_dir, stream, self.from, |envelope| {
            line.clear();
            match self.format {
                Format::Cloudevents => envelope.to_cloudevents_json(&mut line),
                Format::Raw => envelope.to_raw_json(&mut line),
            }
            line.push(b'\n');
            written = stdout.write_all(&line);
            left -= 1;
            if written.is_ok() && left > 0 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        // What came before damage is given.
        quiet_at_the_end(written.and_then(|()| stdout.flush()))?;
        match exported {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(ExportError::Ledger(error)) => Err(failed(&error)),
            Err(error @ ExportError::NewerVersion { .. }) => Err(Failure::new(GENERAL, error)),
        }
    }
}

/// So much of an export is written at once.
const BUFFER_BYTES: usize = 1 << 16;
