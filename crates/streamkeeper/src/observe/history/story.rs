//! The stories of a stream's incidents: what was seen when, what was done, what came of it.
//!
//! Each report becomes a step in words. What is reported outside of an incident is kept as a
//! happening; the happenings just before an incident are the beginning of its story.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use streamkeeper_core::classify::End;
use streamkeeper_core::cursored;
use streamkeeper_core::id::Reader;
use streamkeeper_core::marked::establish::CallFailure;
use streamkeeper_core::marked::{Cause, IncidentSummary, Lost, Obstacle, Report};
use streamkeeper_core::policy;
use streamkeeper_core::time::{Instant, Timestamp};
use streamkeeper_core::watchdog::{FLOOR_BYTES, Lack};

use crate::base::rfc3339::rfc3339;
use crate::observe::cursored as words;

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
                let begun = (incident.0, cause.reason(), why(*cause, bounds));
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

/// What was seen, as a clause.
fn why(cause: Cause, Bounds { stale_after, .. }: Bounds) -> String {
    match cause {
        Cause::Stale(slot) => format!("slot {slot} was silent for {}", length(stale_after)),
        Cause::SlowFrame(slot) => format!(
            "a frame of slot {slot} took longer than `frame_timeout`, or came below {FLOOR_BYTES} \
             bytes a second for {}",
            length(stale_after)
        ),
        Cause::Panic(slot) => format!("the code that read slot {slot} panicked"),
        Cause::OutboxFull => {
            format!("the queue was full for {}: the sinks take too little", length(stale_after))
        }
        Cause::UncleanStart => "the last process did not stop cleanly".into(),
        Cause::StreamGone => "the service does not know the stream any more".into(),
        Cause::CheckpointExpired => {
            "nobody had read the stream for so long that the service may have forgotten how far it \
             was read"
                .into()
        }
        Cause::ForeignClient => {
            "somebody else reads the stream, and gets a part of its events".into()
        }
        Cause::CutByStartTime => {
            "the service withholds records that begin before the stream's first day".into()
        }
        Cause::ReplayRefused => {
            "the replay that was to bring back what was lost is not to be had".into()
        }
        Cause::Operator => "the operator asked for it".into(),
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
                (_, true) => format!(
                    "{who} ended ({reason}) and may have lost events: the mark waits until they \
                     have been read again"
                ),
                (End::Refused(_) | End::NotOpened { .. }, false) => {
                    format!("{who} could not connect: {reason}")
                }
                (_, false) => format!("{who} ended ({reason}); nothing is lost by that"),
            }
        }
        policy::Report::AskedToWait { asked, wait } => {
            format!("the service asks us to wait for {}: {} at most", length(*asked), length(*wait))
        }
        policy::Report::Marked(report) => return words_of_marked(report, bounds),
        policy::Report::Cursored(report) => words::words(report),
    })
}

fn words_of_marked(report: &Report, bounds: Bounds) -> Option<String> {
    Some(match report {
        Report::Limit { allowed, configured } => {
            format!("the service allows {allowed} connections, {configured} are configured")
        }
        Report::ForeignClients { count } => {
            format!("the service counts {count} clients on the stream that are not ours")
        }
        Report::TimeDoubted { again: true, .. } | Report::TimeJumped { again: true, .. } => {
            return None;
        }
        Report::TimeDoubted { connection, by, .. } => format!(
            "{} was told a time {} from ours; it is not believed until others bear it out",
            reader(connection.reader),
            length(*by)
        ),
        Report::TimeJumped { by, .. } => {
            format!("the service's time went ahead by {}, as its heartbeats agree", length(*by))
        }
        Report::VerificationStarted { .. }
        | Report::VerificationDone { .. }
        | Report::VerificationFailed { .. }
        | Report::RereadStarted { .. }
        | Report::RereadFailed { .. }
        | Report::ReplayRefused { .. }
        | Report::WitnessesMissing { .. } => return verification(report),
        Report::CallFailed(failure) => {
            format!("a call failed: {}; it is tried again", answer(*failure))
        }
        _ => return recovery(report, bounds),
    })
}

/// A step of a recovery.
fn recovery(report: &Report, bounds: Bounds) -> Option<String> {
    Some(match report {
        Report::RecoveryStarted { cause, connections, mark, .. } => format!(
            "recovery: {}; closing {connections} connections, to read again from the mark, {}",
            why(*cause, bounds),
            mark.map_or_else(|| "the beginning".to_owned(), moment),
        ),
        Report::NeedsNewStream(obstacle) => {
            format!(
                "the strategy is \"replay\", but the stream has to be made anew: {}",
                keeps(*obstacle)
            )
        }
        Report::RecoveryPaused { cause, pause } => format!(
            "too many recoveries: the next one ({}) waits for {}; reading goes on, the mark stands \
             still",
            why(*cause, bounds),
            length(*pause)
        ),
        Report::Terminated => "all connections are closed".into(),
        Report::Deleted(_) => "DELETE: the service has deleted the old stream".into(),
        Report::LeftBehind(_) => {
            "DELETE: the service does not delete the old stream; going on beside it, deleting it \
             later"
                .into()
        }
        Report::NotOurs { .. } => {
            "LIST: a stream that is not known to be ours bears our name with a number".into()
        }
        Report::NameTaken { .. } => {
            "CREATE: the name is taken, though no stream has it; going on under another".into()
        }
        Report::Created { start_date, .. } => format!(
            "CREATE: a new stream that starts on {}; connecting to it",
            start_date.map_or_else(|| "the service's first day".to_owned(), |day| day.to_string()),
        ),
        Report::CaughtUp { incident: None } => "caught up with the stream's history".into(),
        Report::CaughtUp { incident: Some(summary) } => {
            let IncidentSummary { recovered, duplicate, new, duration, lost, .. } = summary;
            let text = format!(
                "caught up after {}: {recovered} events came back, {duplicate} were known already, \
                 {new} were accepted in all",
                length(*duration)
            );
            lost.map_or(text.clone(), |lost| format!("{text}; {}", lost_for_good(lost)))
        }
        Report::FirstDayNotKept(day) => {
            format!(
                "start_date is {day}, which the service does not keep: all that it keeps is read"
            )
        }
        Report::HistoryLost(lost) => lost_for_good(*lost),
        _ => return None,
    })
}

/// A step in reading again what suspects may have lost.
fn verification(report: &Report) -> Option<String> {
    Some(match report {
        Report::WitnessesMissing { count } => {
            format!("the replay did not show the last known record of {count} users")
        }
        Report::VerificationStarted { date } => {
            format!("verifying: reading the replay from {date} beside the stream")
        }
        Report::VerificationDone { new, duplicate } => format!(
            "verified: {new} events had been lost and are back, {duplicate} were known already"
        ),
        Report::VerificationFailed { end } => {
            format!("the verification was interrupted ({}); it is tried again", end.reason())
        }
        Report::RereadStarted { date } => format!(
            "the stream is read on, and the replay from {date} beside it, until that has passed what may have \
             been lost"
        ),
        Report::RereadFailed { end } => {
            format!("the replay was interrupted ({}); it is tried again", end.reason())
        }
        Report::ReplayRefused { end } => format!(
            "the service refuses /replay ({}): what may have been lost is not verified, the mark stands",
            end.reason()
        ),
        _ => return None,
    })
}

/// What keeps a recovery from going on with the same stream, as a clause.
const fn keeps(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Unread => "its history has not been read yet",
        Obstacle::StreamGone => "the service does not know it any more",
        Obstacle::CheckpointExpired => "the service may have forgotten how far it was read",
        Obstacle::Clients => "the service does not stop counting clients that are not ours",
        Obstacle::CutByStartTime => "it withholds records that begin before its first day",
        Obstacle::ReplayRefused => "the service refuses /replay",
        Obstacle::DayNotKept => "the service does not keep the day of the mark any more",
    }
}

/// What the service does not keep, and has not been read.
fn lost_for_good(Lost { from, until }: Lost) -> String {
    format!(
        "events from {} to {} that had not come are lost for good: the service does not keep them any more",
        moment(from),
        moment(until)
    )
}

/// Which answer a failed call got.
fn answer(failure: CallFailure) -> String {
    match failure {
        CallFailure::Token { status } => format!("{status}, the token was refused"),
        CallFailure::Held => "409, the service still counts a client of the stream".into(),
        CallFailure::NameTaken => "422, a stream of that name exists".into(),
        CallFailure::StreamLimit => "422, the organization has all the streams it may have".into(),
        CallFailure::FirstDay { status } => {
            format!("{status}, the first day was refused; asking for all that the service keeps")
        }
        CallFailure::Rejected { status } => format!("{status}, refused"),
        CallFailure::Unavailable { status: Some(status), .. } => format!("{status}, not available"),
        CallFailure::Unavailable { status: None, .. } => "no answer".into(),
    }
}

fn reader(reader: Reader) -> String {
    match reader {
        Reader::Slot(slot) => format!("slot {slot}"),
        Reader::Replay => "the verification".into(),
    }
}

/// A length for people: two units at most.
fn length(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    let (minutes, seconds) = (tenths / 600, tenths / 10 % 60);
    match (minutes, tenths % 10) {
        (0, 0) => format!("{seconds} s"),
        (0, tenth) => format!("{seconds}.{tenth} s"),
        (1..60, _) if seconds == 0 => format!("{minutes} min"),
        (1..60, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// A moment for people, to the second.
fn moment(at: Timestamp) -> String {
    let text = rfc3339(at).unwrap_or_default();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

/// How long before an incident a happening is part of its story, beyond `stale_after`.
const PRELUDE_MIN: Duration = Duration::from_secs(10);
