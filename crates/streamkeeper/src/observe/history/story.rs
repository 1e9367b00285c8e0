//! The stories of a stream's incidents: what was seen when, what was done, what came of it.
//!
//! Each report becomes a step in words. What is reported outside of an incident is kept as a
//! happening; the happenings just before an incident are the beginning of its story.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use streamkeeper_core::classify::End;
use streamkeeper_core::cursored;
use streamkeeper_core::marked::Report;
use streamkeeper_core::policy;
use streamkeeper_core::time::{Instant, Timestamp};
use streamkeeper_core::watchdog::Lack;

use crate::base::rfc3339::rfc3339;
use crate::observe::cursored as words;
use crate::observe::marked::{self, length, reader};

use super::{Bounds, ms};

/// Incidents kept.
const INCIDENTS_MAX: usize = 20;

/// Steps kept of an incident, and of what happened outside of any. Of more, the first and the last
/// are kept.
const STEPS_MAX: usize = 48;

/// How far back a step may lie and be said again by the same words: a count instead of a line.
const REPEATS_WITHIN: usize = 4;

/// What happened on a stream.
#[derive(Debug, Default)]
pub(super) struct Story {
    version: u64,
    incidents: VecDeque<Incident>,
    happenings: Steps,
}

#[derive(Debug)]
struct Incident {
    id: u64,
    cause: &'static str,
    began: Instant,
    /// The same for people: `HH:MM:SS`, UTC.
    since: Box<str>,
    why: Box<str>,
    steps: Steps,
    over: Option<(Instant, policy::Incident)>,
}

#[derive(Debug, Default)]
struct Steps {
    list: VecDeque<Step>,
    omitted: u64,
}

#[derive(Debug)]
struct Step {
    at: Instant,
    text: Box<str>,
    /// How often; the last time.
    times: u32,
    last: Instant,
}

impl Story {
    /// Changes whenever anything else does.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// Since when an incident is under way, and why.
    pub(super) fn under_way(&self) -> Option<(&str, &str)> {
        let incident = self.incidents.back().filter(|incident| incident.over.is_none())?;
        Some((&incident.since, &incident.why))
    }

    pub(super) fn report(
        &mut self,
        now: Instant,
        wall: Timestamp,
        report: &policy::Report,
        bounds: Bounds,
    ) {
        let Some(text) = words(report, bounds) else { return };
        self.version += 1;
        match report {
            policy::Report::Marked(Report::RecoveryStarted { incident, cause, .. }) => {
                let begun = (incident.0, cause.reason(), marked::why(*cause, bounds.stale_after));
                self.begin(now, wall, begun, bounds);
            }
            policy::Report::Cursored(cursored::Report::IncidentBegan { incident, cause }) => {
                let begun = (incident.0, cause.reason(), words::why(*cause).into());
                self.begin(now, wall, begun, bounds);
            }
            _ => {}
        }
        match self.incidents.back_mut().filter(|incident| incident.over.is_none()) {
            Some(incident) => {
                incident.steps.push(now, text);
                incident.over = over(report).map(|summary| (now, summary));
            }
            None => self.happenings.push(now, text),
        }
    }

    /// Begins an incident, if it is not under way already.
    fn begin(
        &mut self,
        now: Instant,
        wall: Timestamp,
        (id, cause, why): (u64, &'static str, String),
        bounds: Bounds,
    ) {
        if self.incidents.back().is_some_and(|last| last.id == id && last.over.is_none()) {
            return;
        }
        if self.incidents.len() == INCIDENTS_MAX {
            self.incidents.pop_front();
        }
        // What led to it: a silence is said at `late_after`, and acted upon at `stale_after`.
        let steps = self.happenings.split_off(now, bounds.stale_after + PRELUDE_MIN);
        let since = rfc3339(wall).and_then(|text| text.get(11..19).map(Into::into));
        self.incidents.push_back(Incident {
            id,
            cause,
            began: now,
            since: since.unwrap_or_default(),
            why: why.into(),
            steps,
            over: None,
        });
    }

    /// All incidents, the newest first.
    pub(super) fn incidents(&self) -> Vec<IncidentView> {
        self.incidents.iter().rev().map(Incident::view).collect()
    }

    /// What was reported outside of them, the newest first.
    pub(super) fn happenings(&self) -> Vec<StepView> {
        self.happenings.list.iter().rev().map(Step::view).collect()
    }
}

impl Incident {
    fn view(&self) -> IncidentView {
        let marked = self.over.and_then(|(_, over)| match over {
            policy::Incident::Marked(summary) => Some(summary),
            policy::Incident::Cursored(_) => None,
        });
        let counts = self.over.map(|(_, over)| match over {
            policy::Incident::Marked(summary) => (summary.new, summary.duplicate),
            policy::Incident::Cursored(summary) => (summary.new, summary.duplicate),
        });
        IncidentView {
            id: self.id,
            cause: self.cause,
            why: self.why.clone(),
            began: ms(self.began),
            over: self.over.map(|(at, _)| ms(at)),
            recoveries: marked.map(|summary| summary.recoveries),
            recovered: marked.map(|summary| summary.recovered),
            new: counts.map(|(new, _)| new),
            duplicate: counts.map(|(_, duplicate)| duplicate),
            omitted: self.steps.omitted,
            steps: self.steps.list.iter().map(Step::view).collect(),
        }
    }
}

impl Steps {
    fn push(&mut self, at: Instant, text: String) {
        let recent = self.list.iter_mut().rev().take(REPEATS_WITHIN);
        if let Some(again) = recent.into_iter().find(|step| *step.text == *text) {
            again.times = again.times.saturating_add(1);
            again.last = at;
            return;
        }
        if self.list.len() == STEPS_MAX {
            self.list.remove(STEPS_MAX / 2);
            self.omitted += 1;
        }
        self.list.push_back(Step { at, text: text.into(), times: 1, last: at });
    }

    /// Takes the steps that are not older than this off the end.
    fn split_off(&mut self, now: Instant, age: Duration) -> Self {
        let old = self.list.iter().take_while(|step| now.since(step.last) > age).count();
        Self { list: self.list.split_off(old), omitted: 0 }
    }
}

impl Step {
    fn view(&self) -> StepView {
        let last = (self.times > 1).then(|| ms(self.last));
        StepView { at: ms(self.at), text: self.text.clone(), times: self.times, last }
    }
}

/// An incident for readers; times on the history's clock. Numbers when it is over.
#[derive(Debug, Serialize)]
pub(crate) struct IncidentView {
    id: u64,
    cause: &'static str,
    why: Box<str>,
    began: u64,
    over: Option<u64>,
    recoveries: Option<u32>,
    recovered: Option<u64>,
    new: Option<u64>,
    duplicate: Option<u64>,
    /// Steps that are not kept.
    omitted: u64,
    steps: Vec<StepView>,
}

/// A step of a story.
#[derive(Debug, Serialize)]
pub(crate) struct StepView {
    at: u64,
    text: Box<str>,
    times: u32,
    /// The last time, of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
}

/// The incident that is over by this report.
const fn over(report: &policy::Report) -> Option<policy::Incident> {
    match report {
        policy::Report::Marked(Report::CaughtUp { incident: Some(summary) }) => {
            Some(policy::Incident::Marked(*summary))
        }
        policy::Report::Cursored(cursored::Report::IncidentOver(summary)) => {
            Some(policy::Incident::Cursored(*summary))
        }
        _ => None,
    }
}

/// A report as a step; `None`: it is none (rests, and what a recovery closes, are on the lanes).
fn words(report: &policy::Report, bounds: Bounds) -> Option<String> {
    Some(match report {
        policy::Report::Rest { .. } | policy::Report::Ended { end: End::Killed, .. } => {
            return None;
        }
        policy::Report::Late(connection, lack) => {
            let (who, late_after) = (reader(connection.reader), length(bounds.late_after));
            match lack {
                Lack::Silence => format!("{who} has been silent for {late_after}: late"),
                Lack::SlowFrame => {
                    format!("a frame has been arriving at {who} for {late_after}: late")
                }
            }
        }
        policy::Report::Ended { connection, end, suspect } => {
            let who = reader(connection.reader);
            let reason = end.reason();
            match (end, suspect) {
                (_, true) => format!("{who} ended ({reason}) and may have lost events"),
                (End::Refused(_) | End::NotOpened { .. }, false) => {
                    format!("{who} could not connect: {reason}")
                }
                (_, false) => format!("{who} ended ({reason}); nothing is lost by that"),
            }
        }
        policy::Report::AskedToWait { asked, wait } => {
            format!("the service asks us to wait for {}: {} at most", length(*asked), length(*wait))
        }
        policy::Report::Marked(report) => return marked::words(report, bounds.stale_after),
        policy::Report::Cursored(report) => words::words(report),
    })
}

/// How long before an incident a happening is part of its story, beyond `stale_after`.
const PRELUDE_MIN: Duration = Duration::from_secs(10);
