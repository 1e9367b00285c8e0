//! With the strategy `replay`, the stream that is read is deleted for a reason only, which is said once.
//!
//! Whether the reason is a good one is not judged here: named scenarios say of which faults it may come.

use streamkeeper_core::id::StreamId;
use streamkeeper_core::marked::establish::Call;
use streamkeeper_core::marked::{Report, Strategy, Target};
use streamkeeper_core::policy;

use super::Verdict;

/// The streams of one process.
#[derive(Debug)]
pub struct Streams {
    strategy: Strategy,
    /// The one that is read.
    read: Option<StreamId>,
    /// That it has to be made anew was said in this incident.
    said: bool,
}

impl Streams {
    /// A process begins, with the stream that is known from before.
    #[must_use]
    pub const fn new(strategy: Strategy, known: Option<StreamId>) -> Self {
        Self { strategy, read: known, said: false }
    }

    /// A connection is asked for.
    pub fn connect(&mut self, target: &Target) {
        if let Target::Stream(id) = target {
            self.read = Some(id.clone());
        }
    }

    /// Something was reported.
    ///
    /// # Errors
    /// It was said before in this incident.
    pub fn report(&mut self, report: &policy::Report) -> Verdict {
        let policy::Report::Marked(report) = report else { return Ok(()) };
        match report {
            Report::NeedsNewStream(obstacle) if self.said => {
                return Err(format!("said again that a new stream is needed: {obstacle:?}"));
            }
            Report::NeedsNewStream(_) => self.said = true,
            Report::CaughtUp { .. } => self.said = false,
            _ => {}
        }
        Ok(())
    }

    /// A call is made: whether it deletes the stream that is read.
    ///
    /// # Errors
    /// It does, and nothing was said that would make it necessary.
    pub fn call(&self, call: &Call) -> Result<bool, String> {
        let Call::Delete { id } = call else { return Ok(false) };
        let deletes = self.read.as_ref() == Some(id);
        if deletes && self.strategy == Strategy::Replay && !self.said {
            return Err("DELETE of the stream that is read, for no reason".into());
        }
        Ok(deletes)
    }
}
