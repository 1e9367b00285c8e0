//! `replay`: a stream's history read again beside it, by the process that runs, and how that goes.
//!
//! The process holds the ledger, so it does the work; this command asks for it, looks on, and says at
//! the end what came. Whoever ends the command early ends the looking on, not the replay.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use streamkeeper::{ReplaySpec, ReplayStatus, control};

use super::data_dir::DataDir;
use super::output::Output;
use super::status::unanswered;
use crate::exit::{Failure, GENERAL, Outcome, PERMISSION, UNAVAILABLE};

/// Read a stream's history again, beside it: what is new is accepted, what is known is dropped.
///
/// The service sends everything since that day, and then live events; it is over when everything up
/// to its beginning has been read and `settle` and `margin` have passed.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The stream
    #[arg(value_name = "STREAM")]
    stream: String,

    /// The UTC day to read from; the service keeps 30 days
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: jiff::civil::Date,

    /// Only records of this type, such as `summary`; may be given several times [default: those of
    /// `resource_filter`]
    #[arg(long, value_name = "TYPE")]
    only: Vec<String>,

    /// Accept nothing: count what would be new
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    data_dir: DataDir,

    #[command(flatten)]
    output: Output,
}

impl Replay {
    pub(crate) fn run(self) -> Outcome {
        let Self { stream, from, only, dry_run, data_dir, output } = self;
        let data_dir = data_dir.find()?;
        let spec = ReplaySpec { stream, from, only, dry_run };
        control::replay(&data_dir, &spec).map_err(|error| unanswered(&error))?;
        let ended = look_on(&data_dir, &spec)?;
        output.write(&ended, summary)?;
        match ended.ended.as_deref() {
            Some("done") => Ok(ExitCode::SUCCESS),
            Some("token_refused") => Err(Failure::new(PERMISSION, "the service refused the token")),
            _ => Err(Failure::new(UNAVAILABLE, "it was interrupted: ask for it again")),
        }
    }
}

/// Shows how it goes, to its end.
fn look_on(data_dir: &Path, spec: &ReplaySpec) -> Result<ReplayStatus, Failure> {
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::no_length()
    } else {
        ProgressBar::hidden()
    };
    // The template is a constant; without it the bar is a plain one.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    loop {
        let status = control::status(data_dir).map_err(|error| unanswered(&error))?;
        let stream = status.streams.into_iter().find(|one| one.name == spec.stream);
        let Some(replay) = stream.and_then(|stream| stream.replay) else {
            return Err(Failure::new(
                GENERAL,
                "the stream has been removed, or the process restarted",
            ));
        };
        if replay.ended.is_some() {
            bar.finish_and_clear();
            return Ok(replay);
        }
        let (new, known) = (sum(&replay.new), sum(&replay.duplicate));
        let reached = replay.reached.as_deref().map_or_else(
            || "the service walks its history".to_owned(),
            |reached| format!("has read to {reached}"),
        );
        bar.set_message(format!("from {}: {reached}; {new} new, {known} known", spec.from));
        bar.tick();
        std::thread::sleep(LOOK_EVERY);
    }
}

fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

fn summary(replay: &ReplayStatus) -> String {
    let ReplayStatus { spec, new, duplicate, ended, .. } = replay;
    let ended = ended.as_deref().unwrap_or("running");
    let would = if spec.dry_run { "would be new" } else { "new" };
    let mut text = format!("replay of {} from {}: {ended}\n", spec.stream, spec.from);
    text += &format!("{:<14} {would:>14} {:>14}\n", "type", "known");
    let types: BTreeSet<_> = new.keys().chain(duplicate.keys()).collect();
    let count = |counts: &BTreeMap<String, u64>, word| counts.get(word).copied().unwrap_or(0);
    for word in types {
        text += &format!("{word:<14} {:>14} {:>14}\n", count(new, word), count(duplicate, word));
    }
    text + &format!("{:<14} {:>14} {:>14}\n", "all", sum(new), sum(duplicate))
}

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
