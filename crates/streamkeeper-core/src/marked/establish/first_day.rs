//! The first day of the stream that is made.
//!
//! A day that the service does not keep may be refused, for ever. All that it keeps can be had without
//! naming a day; so an old day is not asked for, and a refused one not again.

use crate::time::UtcDay;

use super::{CallFailure, Listed};

/// Which day is asked for, and what is known of it.
#[derive(Clone, Debug)]
pub struct FirstDay {
    /// `None`: all that the service keeps.
    wanted: Option<UtcDay>,
    /// Without one, that of the stream that is replaced.
    inherits: bool,
    kept_from: Option<UtcDay>,
    refused: Option<UtcDay>,
}

impl FirstDay {
    /// `inherits`: without a wanted day, take that of the stream that is replaced. `kept_from`: the oldest
    /// day that the service keeps, as far as we know the time.
    #[must_use]
    pub fn new(wanted: Option<UtcDay>, inherits: bool, kept_from: Option<UtcDay>) -> Self {
        Self {
            wanted: wanted.filter(|day| Some(*day) >= kept_from),
            inherits: inherits && wanted.is_none(),
            kept_from,
            refused: None,
        }
    }

    pub(super) const fn wanted(&self) -> Option<UtcDay> {
        self.wanted
    }

    /// The day that the service has refused as too old.
    pub(super) const fn refused(&self) -> Option<UtcDay> {
        self.refused
    }

    /// These are replaced.
    pub(super) fn inherit<'a>(&mut self, streams: impl Iterator<Item = &'a Listed>) {
        if !self.inherits {
            return;
        }
        if let Some(first) = streams.filter_map(|stream| stream.start_date).min() {
            self.inherits = false;
            self.wanted = Some(first).filter(|day| Some(*day) >= self.kept_from);
        }
    }

    /// A CREATE has failed: whether it was for the day, which is not asked for again then.
    pub(super) fn is_refused_by(&mut self, failure: CallFailure) -> bool {
        let Some(day) = self.wanted else { return false };
        let is_refused = match failure {
            CallFailure::FirstDay { .. } => true,
            // No reason is given, and this one would do.
            CallFailure::Rejected { status: 400 | 422 } => {
                self.kept_from.is_none_or(|kept_from| day <= kept_from)
            }
            _ => false,
        };
        if is_refused {
            (self.wanted, self.refused, self.inherits) = (None, Some(day), false);
        }
        is_refused
    }
}
