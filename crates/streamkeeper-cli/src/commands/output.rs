//! What a command answers, on stdout: for people or for programs.
//!
//! A reader that has seen enough (`| head`) closes the pipe; that is no failure, and ends the
//! command quietly.

use std::fmt::Display;
use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::escape::escaped_lines;
use crate::exit::{Failure, GENERAL};

/// The form of the answer.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,

    /// The same as `--output json`
    #[arg(long)]
    json: bool,
}

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Output {
    /// Writes `answer`, as JSON or as `text` words it.
    pub(super) fn write<T: Serialize + ?Sized>(
        &self,
        answer: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = if self.is_json() {
            let mut json = serde_json::to_string_pretty(answer).map_err(failed)?;
            json.push('\n');
            json
        } else {
            escaped_lines(&text(answer)).into_owned()
        };
        say(&text)
    }

    /// Whether the answer is for programs.
    pub(super) fn is_json(&self) -> bool {
        self.json || self.output == Form::Json
    }
}

/// An answer of many, as a line of its own.
pub(super) fn json_line<T: Serialize + ?Sized>(answer: &T) -> Result<String, Failure> {
    let mut line = serde_json::to_string(answer).map_err(failed)?;
    line.push('\n');
    Ok(line)
}

/// Writes `text`, as it is.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    quiet_at_the_end(write_out(text))
}

/// Writes `text`, as it is; false if the reader has gone.
pub(super) fn still_read(text: &str) -> Result<bool, Failure> {
    match write_out(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).map_err(failed),
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// A reader that has gone has seen enough.
pub(super) fn quiet_at_the_end(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(failed),
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::new(GENERAL, format!("cannot write to stdout: {error}"))
}
