//! The incident under way: from a stall, or a lost resume point, until the stream is read again.
//!
//! One at a time. A stall within a gap belongs to it; a gap ends what began as a stall, and is an incident of
//! its own, so that each has one cause.

use std::time::Duration;

use crate::id::IncidentId;
use crate::policy::Span;
use crate::time::{Instant, Timestamp};

use super::{Cause, IncidentSummary, OpenIncident, Report, Sign};

#[derive(Clone, Copy, Debug)]
struct Incident {
    id: IncidentId,
    cause: Cause,
    since: Instant,
    /// How long it had lasted when this process started.
    earlier: Duration,
    gaps: u32,
    stalls: u32,
    new: u64,
    duplicate: u64,
}

/// The incidents of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Incidents {
    last: IncidentId,
    open: Option<Incident>,
}

impl Incidents {
    /// What the last process has written down; `wall`: the time, as far as is known.
    pub(super) fn take_over(
        &mut self,
        last: IncidentId,
        open: Option<OpenIncident>,
        now: Instant,
        wall: Timestamp,
    ) {
        self.last = last;
        self.open = open.map(|open| Incident {
            id: last,
            cause: open.cause,
            since: now,
            earlier: wall.since(open.since),
            gaps: open.gaps,
            stalls: open.stalls,
            new: open.new,
            duplicate: open.duplicate,
        });
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.open.is_some()
    }

    /// A connection was killed for its silence: what is to be reported, in order.
    pub(super) fn stalled(&mut self, cause: Cause, now: Instant) -> Vec<Report> {
        let mut reports = Vec::new();
        if self.open.is_none() {
            reports.push(self.begin(cause, now));
        }
        if let Some(incident) = &mut self.open {
            incident.stalls += 1;
        }
        reports
    }

    /// The resume point is lost: what is to be reported, in order.
    pub(super) fn gap(&mut self, sign: Sign, now: Instant) -> Vec<Report> {
        let mut reports = Vec::new();
        if self.open.is_some_and(|incident| !incident.cause.is_gap()) {
            reports.extend(self.end(now));
        }
        if self.open.is_none() {
            reports.push(self.begin(Cause::Gap(sign), now));
        }
        if let Some(incident) = &mut self.open {
            incident.gaps += 1;
            reports.push(Report::Gap { incident: incident.id, sign });
        }
        reports
    }

    fn begin(&mut self, cause: Cause, now: Instant) -> Report {
        self.last.0 += 1;
        let incident = self.last;
        self.open = Some(Incident {
            id: incident,
            cause,
            since: now,
            earlier: Duration::ZERO,
            gaps: 0,
            stalls: 0,
            new: 0,
            duplicate: 0,
        });
        Report::IncidentBegan { incident, cause }
    }

    /// Events were judged.
    pub(super) const fn count(&mut self, span: &Span) {
        if let Some(incident) = &mut self.open {
            incident.new += span.new;
            incident.duplicate += span.duplicate;
        }
    }

    /// The incident under way is over.
    pub(super) fn end(&mut self, now: Instant) -> Option<Report> {
        let summary = self.summary(now)?;
        self.open = None;
        Some(Report::IncidentOver(summary))
    }

    /// The incident under way.
    pub(super) fn summary(&self, now: Instant) -> Option<IncidentSummary> {
        let incident = self.open?;
        Some(IncidentSummary {
            id: incident.id,
            cause: incident.cause,
            gaps: incident.gaps,
            stalls: incident.stalls,
            new: incident.new,
            duplicate: incident.duplicate,
            duration: incident.earlier.saturating_add(now.since(incident.since)),
        })
    }

    /// The number of the last incident.
    pub(super) const fn last(&self) -> IncidentId {
        self.last
    }

    /// What is written down of the incident under way; `wall` is the time.
    pub(super) fn open(&self, now: Instant, wall: Timestamp) -> Option<OpenIncident> {
        let summary = self.summary(now)?;
        Some(OpenIncident {
            cause: summary.cause,
            since: wall.minus(summary.duration),
            gaps: summary.gaps,
            stalls: summary.stalls,
            new: summary.new,
            duplicate: summary.duplicate,
        })
    }
}
