//! `status --watch`: the same look again and again, redrawn in place on a terminal.
//!
//! It outlives the process it looks at: who watches a restart wants to see its end, too. Only the first
//! look must succeed, so that a wrong folder or name is told at once.

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::{Duration, SystemTime};

use super::text::Earlier;
use super::{Status, text};
use crate::commands::output::{json_line, still_read};
use crate::escape::escaped_lines;
use crate::exit::Failure;

/// Looks every `every`, until nobody reads what is written; Ctrl-C ends the command by its signal.
pub(super) fn until_gone(status: &Status, every: Duration) -> Result<(), Failure> {
    let mut earlier: Option<Earlier> = None;
    loop {
        let at = SystemTime::now();
        let found = match status.look() {
            Err(failure) if earlier.is_none() => return Err(failure),
            found => found,
        };
        let said = match &found {
            Ok(found) if status.output.is_json() => json_line(found)?,
            Ok(found) => placed(&escaped_lines(&text::found(found, earlier.as_ref(), at))),
            // On stdout there are only answers: a program would take the words for one.
            Err(failure) if status.output.is_json() => {
                failure.report();
                String::new()
            }
            Err(failure) => placed(&escaped_lines(&format!("{}\n", failure.message()))),
        };
        if !still_read(&said)? {
            return Ok(());
        }
        if let Ok(found) = found {
            earlier = Some(Earlier { found, at });
        }
        thread::sleep(every);
    }
}

/// On a terminal in the place of what was there, line by line, so that nothing flickers.
fn placed(text: &str) -> String {
    if !io::stdout().is_terminal() {
        return format!("{text}\n");
    }
    let lines: String =
        text.lines().map(|line| format!("{line}{CLEAR_TO_END_OF_LINE}\n")).collect();
    format!("{HOME}{lines}{CLEAR_BELOW}")
}

const HOME: &str = "\x1b[H";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
