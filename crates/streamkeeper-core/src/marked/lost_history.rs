//! What the service does not keep any more.
//!
//! A stream that nobody has read for more than 30 days cannot be read from its mark. Two things follow.
//! A day that the service does not keep is not asked for (it might be refused for ever), but all that there
//! is: a stream without a first day. So nothing that is kept depends on what our wall clock says, which
//! may be weeks ahead. And what lies between the mark and the oldest day that is kept is said to be lost, when
//! the service has told the time; the mark goes on from there (recovery.md, "lost for good").

use std::time::Duration;

use crate::service_clock::ServiceClock;
use crate::time::{Instant, Timestamp, UtcDay};

use super::{Lost, Marked, Report};

/// The service keeps 30 days of history (Inform API, Replay).
pub const HISTORY_DAYS: u32 = 30;

const DAY: Duration = Duration::from_secs(86_400);

/// A stream was made that may not reach back to the mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread {
    mark: Timestamp,
    made: Instant,
    /// The service has refused this day as too old.
    refused: Option<UtcDay>,
}

impl Unread {
    pub(super) fn after(
        mark: Option<Timestamp>,
        refused: Option<UtcDay>,
        made: Instant,
    ) -> Option<Self> {
        mark.map(|mark| Self { mark, made, refused })
    }

    /// What is lost, by what the clock says now.
    fn lost(self, clock: &ServiceClock) -> Lost {
        let today = clock.at(self.made).utc_day();
        let kept_from = today.minus_days(HISTORY_DAYS).start();
        // A day as young as that was refused for another reason.
        let refused = self.refused.filter(|day| today.days_since(*day) > 1);
        let until = kept_from.max(refused.map_or(kept_from, |day| day.start().plus(DAY)));
        Lost { from: self.mark, until }
    }
}

impl Marked {
    /// The time is known, or as well as it will be: whether the stream that was made reaches back to the
    /// mark.
    pub(super) fn tell_what_is_lost(&mut self) {
        if let Some(unread) = self.remote.take_unread() {
            self.lose(unread.lost(self.reading.clock()));
        }
    }

    /// What was created in that time, and did not come, will not.
    pub(super) fn lose(&mut self, lost: Lost) {
        if lost.from >= lost.until {
            return;
        }
        self.recovery.lose(lost);
        self.reading.lost_until(lost.until);
        self.effects.report(Report::HistoryLost(lost));
    }
}
