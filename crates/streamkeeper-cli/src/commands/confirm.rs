//! The question before what cannot be undone: asked on a terminal, answered beforehand by `--yes`.

use std::io::{self, IsTerminal as _};

use clap::Args;

use crate::exit::{Failure, GENERAL, USAGE};
use crate::stderr;

/// The answer, given beforehand.
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Confirm {
    /// Goes on only if the person says so. Without a terminal nobody can be asked, and silence is
    /// no consent.
    pub(super) fn ask(&self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let message = format!("{what}\nnobody can be asked here: give --yes if it is meant");
            return Err(Failure::new(USAGE, message));
        }
        stderr::say(&format!("{what}\nGo on? [y/N] "));
        stderr::flush(stderr::LAST_WORDS);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| Failure::new(GENERAL, error))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(GENERAL, "nothing was done")),
        }
    }
}
