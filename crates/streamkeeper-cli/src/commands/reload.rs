//! `reload` and `log`: what a running Streamkeeper is told over its control socket about itself.

use std::process::ExitCode;

use clap::Args;
use streamkeeper::{ReloadReport, control};

use super::data_dir::DataDir;
use super::output::{Output, say};
use super::status::unanswered;
use crate::exit::{Failure, GENERAL, Outcome};

/// Let the running Streamkeeper read its configuration again and take it over.
///
/// All of it, or nothing: whatever is wrong is printed, and everything goes on as before.
#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    data_dir: DataDir,

    #[command(flatten)]
    output: Output,
}

impl Reload {
    pub(crate) fn run(self) -> Outcome {
        let data_dir = self.data_dir.find()?;
        let answer = control::request(&data_dir, "reload").map_err(|error| unanswered(&error))?;
        // What the parser says would quote the answer.
        let report: ReloadReport = serde_json::from_str(&answer)
            .map_err(|_| Failure::new(GENERAL, "the answer is of another version"))?;
        self.output.write(&report, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(report: &ReloadReport) -> String {
    let ReloadReport { added, removed, changed, renewed } = report;
    let mut text = String::new();
    let all = [("added", added), ("removed", removed), ("changed", changed), ("renewed", renewed)];
    for (what, streams) in all {
        for stream in streams {
            text.push_str(&format!("{what} {stream}\n"));
        }
    }
    if text.is_empty() { "no stream has changed\n".to_owned() } else { text }
}

/// Change what the log of the running Streamkeeper shows, until it ends.
#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    data_dir: DataDir,

    /// A filter as in RUST_LOG: `debug`, or `warn,streamkeeper=trace`
    filter: String,
}

impl Log {
    pub(crate) fn run(self) -> Outcome {
        let data_dir = self.data_dir.find()?;
        control::request(&data_dir, &format!("log {}", self.filter))
            .map_err(|error| unanswered(&error))?;
        say(&format!("the log shows {}\n", self.filter))?;
        Ok(ExitCode::SUCCESS)
    }
}
