//! `dead-letters`: the events that a sink has refused for good.
//!
//! `list` and `show` read what lies on disk, so they work without a running process; `retry` and `purge` are
//! done by the process, which has the sink. Payloads are shown by `show` alone, and that leaves a line in
//! the audit beside the letters.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::HumanCount;
use serde::Serialize;
use streamkeeper::dead_letters::{self, DeadLetter};
use streamkeeper::{LetterAct, LetterReport, LetterSpec, control};

use super::confirm::Confirm;
use super::data_dir::DataDir;
use super::output::{Output, json_line, say};
use super::status::unanswered;
use crate::exit::{Failure, GENERAL, Outcome, PERMISSION};

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List the dead letters: which sink refused what, when and why.
    List(List),
    /// Show dead letters whole, a line of JSON each; who has shown them is written down.
    Show(Show),
    /// Give dead letters to their sink again; what it takes is gone from them.
    Retry(Work),
    /// Throw dead letters away: asks first.
    Purge(Purge),
}

/// Those of one sink, or of all.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The sink, by its name in the configuration [default: all]
    sink: Option<String>,

    #[command(flatten)]
    data_dir: DataDir,

    #[command(flatten)]
    output: Output,
}

/// Those of one sink.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    data_dir: DataDir,
}

/// Those of one sink.
#[derive(Debug, Args)]
pub(crate) struct Work {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    data_dir: DataDir,

    #[command(flatten)]
    output: Output,
}

/// Those of one sink.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    #[command(flatten)]
    work: Work,

    #[command(flatten)]
    confirm: Confirm,
}

/// Which letters.
#[derive(Debug, Args)]
struct Which {
    /// The sink, by its name in the configuration
    sink: String,

    /// Their numbers, as `list` shows them [default: all]
    #[arg(value_name = "NUMBER")]
    numbers: Vec<u64>,
}

/// What `list` says of a letter: nothing of the event's content.
#[derive(Serialize)]
struct Listed {
    sink: String,
    number: u64,
    at: String,
    stream: String,
    sequence: u64,
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    bytes: usize,
}

impl DeadLetters {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Retry(work) => work.run(LetterAct::Retry),
            Self::Purge(Purge { work, confirm }) => {
                confirm.ask(&format!(
                    "The dead letters of the sink `{}` are thrown away: no sink gets those events.",
                    work.which.sink
                ))?;
                work.run(LetterAct::Purge)
            }
        }
    }
}

impl List {
    fn run(self) -> Outcome {
        let data_dir = self.data_dir.find()?;
        let sinks = match self.sink {
            Some(sink) => vec![sink],
            None => dead_letters::sinks(&data_dir).map_err(|error| unreadable(&error))?,
        };
        let mut listed = Vec::new();
        for sink in sinks {
            let letters = read(&data_dir, &sink, false)?;
            listed.extend(letters.into_iter().map(|letter| Listed::new(&sink, letter)));
        }
        self.output.write(&listed, |listed| text(listed))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(self) -> Outcome {
        let Which { sink, numbers } = self.which;
        let data_dir = self.data_dir.find()?;
        let is_meant = |letter: &DeadLetter| numbers.is_empty() || numbers.contains(&letter.number);
        for letter in read(&data_dir, &sink, true)?.iter().filter(|letter| is_meant(letter)) {
            say(&json_line(letter)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Work {
    fn run(self, act: LetterAct) -> Outcome {
        let Which { sink, numbers } = self.which;
        let data_dir = self.data_dir.find()?;
        let spec = LetterSpec { sink, act, numbers };
        let mut all = LetterReport::default();
        loop {
            let report =
                control::dead_letters(&data_dir, &spec).map_err(|error| unanswered(&error))?;
            all.done += report.done;
            (all.left, all.reason) = (report.left, report.reason);
            // It stops after some seconds; what is refused again is not asked for again.
            if report.done == 0 || all.left == 0 || all.reason.is_some() {
                break;
            }
        }
        let is_done = all.left == 0;
        self.output.write(&all, |report| words(report, act))?;
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(GENERAL) })
    }
}

impl Listed {
    fn new(sink: &str, letter: DeadLetter) -> Self {
        let DeadLetter { number, at, stream, sequence, kind, reason, data, .. } = letter;
        let bytes = data.len();
        Self { sink: sink.to_owned(), number, at, stream, sequence, kind, reason, bytes }
    }
}

fn read(data_dir: &Path, sink: &str, show: bool) -> Result<Vec<DeadLetter>, Failure> {
    dead_letters::letters(data_dir, sink, show).map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::PermissionDenied { PERMISSION } else { GENERAL };
    Failure::new(code, format!("the dead letters cannot be read: {error}"))
}

fn text(listed: &[Listed]) -> String {
    let line = |one: &Listed| {
        let Listed { sink, number, at, stream, sequence, kind, reason, bytes } = one;
        format!(
            "{sink} {number}: {at} {stream} event {sequence}, {kind}, {bytes} bytes: {reason}\n"
        )
    };
    let lines: String = listed.iter().map(line).collect();
    if lines.is_empty() { "no dead letters\n".to_owned() } else { lines }
}

fn words(report: &LetterReport, act: LetterAct) -> String {
    let LetterReport { done, left, reason } = report;
    let what = match act {
        LetterAct::Retry => "delivered",
        LetterAct::Purge => "thrown away",
    };
    let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{what} {}, left {}{reason}\n", HumanCount(*done as u64), HumanCount(*left as u64))
}
