//! Exit codes: those of `sysexits.h`, and what each means here (docs/commands.md).

use std::fmt::Display;
use std::process::ExitCode;

use crate::escape::escaped_lines;
use crate::stderr;

/// A command that did not do what it was asked to: what to say, and how to exit.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

/// Something went wrong that has no code of its own.
pub(crate) const GENERAL: u8 = 1;
/// Wrong usage; clap's own code for it.
pub(crate) const USAGE: u8 = 2;
/// The service cannot be reached, or does not answer as it should.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A bug, or an operating system that gives no thread.
pub(crate) const INTERNAL: u8 = 70;
/// A file or address could not be created or bound.
pub(crate) const CANNOT_CREATE: u8 = 73;
/// Something is in use that will be free again: another process has the ledger.
pub(crate) const TRY_AGAIN: u8 = 75;
/// Another user's, or not for us.
pub(crate) const PERMISSION: u8 = 77;
/// The configuration is wrong.
pub(crate) const CONFIGURATION: u8 = 78;
/// Ended by a signal: this plus the signal's number.
pub(crate) const SIGNAL: u8 = 128;

impl Failure {
    /// A failure that exits with `code`.
    pub(crate) fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// What to say.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        // If nobody reads it, the code still says it.
        stderr::say(&escaped_lines(&format!("streamkeeper: {}\n", self.message)));
        ExitCode::from(self.code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(GENERAL, format!("{error:#}"))
    }
}

/// Ends the process as it is: nothing is waited for but its last words.
pub(crate) fn at_once(code: i32) -> ! {
    stderr::flush(stderr::LAST_WORDS);
    std::process::exit(code)
}

/// What a command comes to.
pub(crate) type Outcome = Result<ExitCode, Failure>;
