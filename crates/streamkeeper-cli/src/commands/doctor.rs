//! `doctor`: what could stand in the way on this machine, and what to do about each.
//!
//! It looks, and changes nothing. A finding is serious if `run` cannot do its work with it; a warning
//! is what an operator should know before it hurts.

mod kernel;
mod machine;
mod server;
mod service;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::config_file::NamedConfig;
use super::output::Output;
use crate::exit::Outcome;

/// Look for what could stand in the way: files, network, kernel, limits, disk.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Do not call the service, or any server
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    file: NamedConfig,

    #[command(flatten)]
    output: Output,
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Findings {
    serious: bool,
    findings: Vec<Finding>,
}

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at.
    about: String,
    found: String,
    /// What to do; empty if nothing is.
    advice: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Good,
    Warning,
    Serious,
}

impl Finding {
    fn good(about: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Level::Good, about, found, "")
    }

    fn warning(about: impl Into<String>, found: impl Into<String>, advice: &str) -> Self {
        Self::new(Level::Warning, about, found, advice)
    }

    fn serious(about: impl Into<String>, found: impl Into<String>, advice: &str) -> Self {
        Self::new(Level::Serious, about, found, advice)
    }

    fn new(level: Level, about: impl Into<String>, found: impl Into<String>, advice: &str) -> Self {
        Self { level, about: about.into(), found: found.into(), advice: advice.to_owned() }
    }
}

impl Doctor {
    pub(crate) fn run(self) -> Outcome {
        let config = self.file.load()?;
        let mut findings = vec![Finding::good("configuration", "it is good")];
        findings.extend(machine::secrets(&self.file.path()?, &self.file.effective()?));
        findings.extend(machine::clock());
        if !self.offline {
            findings.extend(service::organizations(&config)?);
            findings.extend(server::servers(&config)?);
        }
        findings.extend(kernel::detection(&config));
        findings.extend(machine::descriptors(&config));
        findings.extend(machine::disk(&config));
        let serious = findings.iter().any(|finding| finding.level == Level::Serious);
        self.output.write(&Findings { serious, findings }, text)?;
        Ok(if serious { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for Finding { level, about, found, advice } in &findings.findings {
        let word = match level {
            Level::Good => "good",
            Level::Warning => "WARNING",
            Level::Serious => "SERIOUS",
        };
        text += &format!("{word:<8} {about}: {found}\n");
        if !advice.is_empty() {
            text += &format!("{:<8} → {advice}\n", "");
        }
    }
    text
}
