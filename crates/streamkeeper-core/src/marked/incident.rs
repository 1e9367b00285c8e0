//! The incident under way: from the first report of loss to the end of the replay.
//!
//! One at a time: a second stall during the replay starts over from the same mark, within the same incident.

use std::time::Duration;

use crate::id::IncidentId;
use crate::policy::Span;
use crate::restart::{Permission, Restart, RestartConfig};
use crate::time::{Instant, Timestamp, UtcDay};

use super::{Cause, IncidentSummary, Lost, OpenIncident};

/// The incident under way.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    id: IncidentId,
    cause: Cause,
    since: Instant,
    /// How long it had lasted when this process started.
    earlier: Duration,
    recoveries: u32,
    /// As this process has chosen it.
    way: Option<Way>,
    terminated: Terminated,
    start_date: Option<UtcDay>,
    lost: Option<Lost>,
    new: u64,
    recovered: u64,
    duplicate: u64,
}

impl Incident {
    const fn summary(&self, now: Instant) -> IncidentSummary {
        IncidentSummary {
            id: self.id,
            cause: self.cause,
            recoveries: self.recoveries,
            start_date: self.start_date,
            lost: self.lost,
            terminated_at: self.terminated.there,
            new: self.new,
            recovered: self.recovered,
            duplicate: self.duplicate,
            duration: self.earlier.saturating_add(now.since(self.since)),
        }
    }

    /// An incident that begins now.
    const fn begin(id: IncidentId, cause: Cause, now: Instant, at: Timestamp) -> Self {
        Self {
            id,
            cause,
            since: now,
            earlier: Duration::ZERO,
            recoveries: 0,
            way: None,
            terminated: Terminated { here: now, there: at, clock_is_proven: false },
            start_date: None,
            lost: None,
            new: 0,
            recovered: 0,
            duplicate: 0,
        }
    }

    /// The incident in which the last process ended.
    fn resume(id: IncidentId, open: &OpenIncident, now: Instant, at: Timestamp) -> Self {
        let OpenIncident { cause, since, recoveries, new, recovered, duplicate, lost } = *open;
        let begun = Self::begin(id, cause, now, at);
        Self { earlier: at.since(since), recoveries, new, recovered, duplicate, lost, ..begun }
    }

    /// What is written down of it; `now` is the service's time.
    fn open(&self, now: Instant, at: Timestamp) -> OpenIncident {
        OpenIncident {
            cause: self.cause,
            since: at.minus(self.summary(now).duration),
            recoveries: self.recoveries,
            new: self.new,
            recovered: self.recovered,
            duplicate: self.duplicate,
            lost: self.lost,
        }
    }
}

/// On which stream a recovery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is made anew, and read from its beginning.
    NewStream,
    /// The one that there was, with a replay beside it.
    SameStream,
}

/// When everything was terminated last, for the incident under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminated {
    pub(super) here: Instant,
    /// In the service's time: what was created until then counts as recovered.
    pub(super) there: Timestamp,
    /// Whether a poke had told the service's time by then.
    pub(super) clock_is_proven: bool,
}

/// The incidents of a stream, how many recoveries they may take, and what is wanted.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    last: IncidentId,
    incident: Option<Incident>,
    restart: Restart,
    /// One that has to wait.
    wanted: Option<(Cause, Instant)>,
}

impl Recovery {
    pub(super) const fn new(config: RestartConfig) -> Self {
        Self { last: IncidentId(0), incident: None, restart: Restart::new(config), wanted: None }
    }

    /// The incident in which the last process ended; `wall`: the time, as far as is known.
    pub(super) fn take_over(
        &mut self,
        last: IncidentId,
        open: Option<&OpenIncident>,
        now: Instant,
        wall: Timestamp,
    ) {
        self.last = last;
        self.incident = open.map(|open| Incident::resume(last, open, now, wall));
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.incident.is_some()
    }

    /// How the recovery goes on that this process has begun, if one is under way.
    pub(super) fn way(&self) -> Option<Way> {
        self.incident.as_ref()?.way
    }

    /// Whether a replay beside the same stream has to be read to its end.
    pub(super) fn rereads(&self) -> bool {
        self.way() == Some(Way::SameStream)
    }

    /// Whether one has to wait, because too many came lately.
    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Until when one has to wait.
    pub(super) fn wanted_until(&self) -> Option<Instant> {
        self.wanted.map(|(_, until)| until)
    }

    /// The cause of one that has had to wait, and need not any more.
    pub(super) fn due(&self, now: Instant) -> Option<Cause> {
        self.wanted.filter(|&(_, until)| now >= until).map(|(cause, _)| cause)
    }

    /// Whether a recovery may start now. If not: until when it has to wait, and whether it is the first that
    /// does.
    pub(super) fn ask(&mut self, cause: Cause, now: Instant) -> Result<(), (Instant, bool)> {
        match self.restart.ask(now) {
            Permission::Granted => {
                self.wanted = None;
                Ok(())
            }
            Permission::PausedUntil(until) => {
                Err((until, self.wanted.replace((cause, until)).is_none()))
            }
        }
    }

    /// Everything is terminated, in the incident under way or in one that begins with it.
    pub(super) fn begin(&mut self, cause: Cause, way: Way, terminated: Terminated) -> IncidentId {
        let Terminated { here, there, .. } = terminated;
        let incident = self.incident.get_or_insert_with(|| {
            self.last.0 += 1;
            Incident::begin(self.last, cause, here, there)
        });
        incident.recoveries += 1;
        incident.way = Some(way);
        incident.terminated = terminated;
        incident.id
    }

    pub(super) fn terminated(&self) -> Option<Terminated> {
        self.incident.as_ref().map(|incident| incident.terminated)
    }

    /// The new stream, or the replay beside the old one, starts on that day.
    pub(super) const fn reads_from(&mut self, start_date: Option<UtcDay>) {
        if let Some(incident) = &mut self.incident {
            incident.start_date = start_date;
        }
    }

    /// Events were judged.
    pub(super) fn count(&mut self, span: &Span) {
        let Some(incident) = &mut self.incident else { return };
        let before = incident.terminated.there;
        let old = span.data.iter().filter(|datum| datum.new && datum.created_at <= before);
        incident.recovered += old.count() as u64;
        incident.new += span.new;
        incident.duplicate += span.duplicate;
    }

    /// What was created in that time, and did not come, will not.
    pub(super) fn lose(&mut self, lost: Lost) {
        let Some(incident) = &mut self.incident else { return };
        let before = incident.lost.unwrap_or(lost);
        incident.lost =
            Some(Lost { from: before.from.min(lost.from), until: before.until.max(lost.until) });
    }

    /// It is known better when everything was terminated, in the service's time.
    pub(super) const fn restamp(&mut self, there: Timestamp) {
        if let Some(incident) = &mut self.incident {
            incident.terminated.there = there;
        }
    }

    /// It is no later than `latest`.
    pub(super) fn no_later(&mut self, latest: Timestamp) {
        if let Some(incident) = &mut self.incident {
            incident.terminated.there = incident.terminated.there.min(latest);
        }
    }

    /// The incident under way is over.
    pub(super) fn end(&mut self, now: Instant) -> Option<IncidentSummary> {
        self.incident.take().map(|incident| incident.summary(now))
    }

    /// The incident under way.
    pub(super) fn summary(&self, now: Instant) -> Option<IncidentSummary> {
        self.incident.as_ref().map(|incident| incident.summary(now))
    }

    /// The number of the last incident.
    pub(super) const fn last(&self) -> IncidentId {
        self.last
    }

    /// What is written down of the incident under way; `at` is the service's time.
    pub(super) fn open(&self, now: Instant, at: Timestamp) -> Option<OpenIncident> {
        self.incident.as_ref().map(|incident| incident.open(now, at))
    }
}
