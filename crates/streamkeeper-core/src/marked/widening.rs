//! Whether the service withholds records whose spans start before a stream's first day.
//!
//! If something is missing from the stream that should have come if it were cut by `created_at`, and nothing
//! on the stream has shown that it is, then it may be cut by the start of the measured span (the older
//! reading of the page): then it is read again from as many days earlier as spans were seen to start before
//! they were processed.

use crate::policy::Datum;
use crate::time::UtcDay;

use super::lost_history::HISTORY_DAYS;

/// How far streams are made to reach back further than the mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widening {
    configured_days: u32,
    /// The most days that a span was seen to start before it was processed.
    span_days: u32,
    widened_days: u32,
    /// A record came that would have been withheld.
    ruled_out: bool,
}

impl Widening {
    pub(super) const fn new(configured_days: u32) -> Self {
        Self { configured_days, span_days: 0, widened_days: 0, ruled_out: false }
    }

    /// A record came, from a replay.
    pub(super) fn replayed(&mut self, datum: &Datum) {
        self.span_days = self.span_days.max(datum.span_days());
    }

    /// A record came on a stream that starts on that day.
    pub(super) fn read(&mut self, datum: &Datum, stream_start: Option<UtcDay>) {
        self.replayed(datum);
        if let (Some(start_day), Some(first)) = (datum.start_day, stream_start) {
            self.ruled_out |= start_day < first;
        }
    }

    /// Something is missing: whether reading again from further back may bring it.
    pub(super) fn widen(&mut self) -> bool {
        let days = self.span_days.min(HISTORY_DAYS);
        let widens = !self.ruled_out && days > self.widened_days;
        if widens {
            self.widened_days = days;
        }
        widens
    }

    /// How many days before the day of the mark are read again: none, unless configured, or widened.
    pub(super) fn days(&self) -> u32 {
        self.configured_days.saturating_add(self.widened_days).min(HISTORY_DAYS)
    }
}
