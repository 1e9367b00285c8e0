//! The state of a stream, and of everything, in a sentence.
//!
//! Claims nothing that is not so: what is lost and what is not follows from the state alone
//! (docs/semantics.md), and every state has its words.

use serde::Serialize;

use crate::api::condition::{SlotCondition, StreamCondition};
use crate::api::status::{IncidentStatus, StreamStatus};
use crate::observe::history::Brief;

/// How well something is, in the order in which it wants attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mood {
    /// Nothing to do.
    Well,
    /// Streamkeeper is at it.
    Busy,
    /// A person is wanted.
    Trouble,
}

/// A stream in the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) mood: Mood,
    state: StreamCondition,
    detail: Option<String>,
    /// The state in a sentence without the name.
    text: String,
    slots: Vec<SlotCondition>,
    mark: Option<String>,
    events_per_second: f64,
}

/// Everything in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sentence {
    mood: Mood,
    text: String,
    /// The mark that is furthest behind, if every stream has one.
    mark: Option<String>,
}

impl Line {
    pub(super) fn new(status: &StreamStatus, brief: &Brief) -> Self {
        let (mood, text) = describe(status, brief);
        Self {
            name: status.name.clone(),
            mood,
            state: status.state,
            detail: status.detail.clone().map(Into::into),
            text,
            slots: status.slots.clone(),
            mark: status.mark.clone(),
            events_per_second: brief.events_per_second,
        }
    }

    /// Whether it differs in more than what changes all the time.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let steady = |line: &Self| (line.mood, line.mark.is_some());
        steady(self) != steady(other)
            || self.text != other.text
            || self.slots != other.slots
            || self.state != other.state
    }
}

/// A stream's mood, and its sentence.
fn describe(status: &StreamStatus, brief: &Brief) -> (Mood, String) {
    use StreamCondition as Is;

    let (mood, text) = match status.state {
        Is::Starting => (Mood::Busy, "starting: nothing has been read yet".to_owned()),
        Is::Live if late(status) > 0 => (Mood::Busy, silent(late(status))),
        Is::Live if let Some(lost) = lost(status.last_incident.as_ref()) => {
            (Mood::Trouble, format!("live; in the last incident {lost}"))
        }
        Is::Live if status.suspects > 0 => (Mood::Well, suspects(status.suspects)),
        Is::Live => (Mood::Well, "live, all is read as it comes".to_owned()),
        Is::Recovering => (Mood::Busy, recovering(status, brief)),
        Is::Paused => (
            Mood::Busy,
            "paused by an operator: nothing is read until it is resumed, nothing is lost by it"
                .to_owned(),
        ),
        Is::Ended => (
            Mood::Trouble,
            "ended by the server: nothing is asked for until somebody resumes it".to_owned(),
        ),
        Is::Stopping => (Mood::Busy, "stopping: reading every connection to its end".to_owned()),
        Is::Stopped => (Mood::Busy, "stopped".to_owned()),
        Is::Degraded | Is::Other => (Mood::Trouble, degraded(status.detail.as_deref())),
    };
    let failing = status.consumers.iter().find_map(|sink| Some((sink, sink.failing.as_deref()?)));
    match failing {
        Some((sink, reason)) => {
            let waiting = sink.backlog;
            let name = &sink.name;
            let sink = format!("sink {name} takes no events ({reason}): {waiting} wait on disk");
            (Mood::Trouble, format!("{text}; {sink}"))
        }
        None => (mood, text),
    }
}

/// How many slots are silent for longer than usual, and not yet for too long.
fn late(status: &StreamStatus) -> usize {
    status.slots.iter().filter(|slot| **slot == SlotCondition::Late).count()
}

/// A silence that goes on is no harm yet, and may turn out to have been one.
fn silent(count: usize) -> String {
    let slots = if count == 1 { "1 slot is" } else { &format!("{count} slots are") };
    format!(
        "live, but {slots} without a frame for longer than usual: not known yet whether something is \
         missing; if that goes on, all is read again"
    )
}

fn suspects(count: usize) -> String {
    let connections = if count == 1 { "1 connection" } else { &format!("{count} connections") };
    format!(
        "live; {connections} ended in a way that may have lost events: the mark waits until that \
         has been read again"
    )
}

fn recovering(status: &StreamStatus, brief: &Brief) -> String {
    let mut text = "recovering".to_owned();
    if let Some((since, why)) = &brief.incident {
        text = format!("recovering since {since}: {why}");
    }
    let day = status.incident.as_ref().and_then(|incident| incident.start_date.as_deref());
    let day = match (day, &status.mark) {
        (Some(day), _) => day.to_owned(),
        (None, Some(mark)) => mark.get(..10).unwrap_or_default().to_owned(),
        (None, None) => "the service's first day".to_owned(),
    };
    let bound = lost(status.incident.as_ref())
        .unwrap_or_else(|| "nothing is lost as long as the service has that day".to_owned());
    format!("{text}; reading again from {day}: {bound}")
}

/// What of an incident is lost for good.
fn lost(incident: Option<&IncidentStatus>) -> Option<String> {
    let IncidentStatus { lost_from: Some(from), lost_until: Some(until), .. } = incident? else {
        return None;
    };
    Some(format!(
        "events from {from} to {until} that had not come are lost for good, the service does not keep them \
         any more"
    ))
}

/// What is wrong, and what helps.
fn degraded(detail: Option<&str>) -> String {
    let text = match detail {
        Some("token_refused") => {
            "the service refuses the token: check token, token_file or token_env"
        }
        Some("service_unavailable") => "the service does not answer the calls that make a stream",
        Some("call_refused") => {
            "the service refuses a call that makes a stream: the log says which, and with what status"
        }
        Some("unreachable") => "no slot reads, and the service cannot be reached",
        Some("outbox_full") => {
            "the outbox is full: a sink has to take events, or outbox_bytes to grow"
        }
        Some("disk_full") => "the disk is full: nothing is accepted until there is room",
        Some("disk_failed") => "the ledger cannot be written: the log says which file",
        Some("resync_failed") => {
            "a resume point was lost, and the snapshot that is to follow cannot be had: nothing is \
             read before"
        }
        Some("replay_refused") => {
            "the service refuses /replay: what connections may have lost is not verified until \
             everything is read again (recover)"
        }
        Some("too_many_recoveries") => {
            "too many recoveries: the next one waits; reading goes on, the mark stands still"
        }
        Some(other) => return format!("degraded: {other}"),
        None => "degraded",
    };
    format!("{text}; the mark stands, and is read on from later")
}

impl Sentence {
    pub(super) fn new(lines: &[Line]) -> Self {
        let mood = lines.iter().map(|line| line.mood).max().unwrap_or(Mood::Well);
        let marks: Option<Vec<&String>> = lines.iter().map(|line| line.mark.as_ref()).collect();
        // RFC 3339 in UTC sorts as text, as long as all have as many digits.
        let mark = marks.and_then(|marks| marks.into_iter().min().cloned());
        Self { mood, text: Self::text(lines, mood), mark }
    }

    fn text(lines: &[Line], mood: Mood) -> String {
        let Some(worst) = lines.iter().find(|line| line.mood == mood) else {
            return "No stream is configured.".to_owned();
        };
        if mood == Mood::Well {
            return match lines.len() {
                1 => format!("Nothing is lost: {} is {}.", worst.name, worst.text),
                count => format!("Nothing is lost: {count} streams are live."),
            };
        }
        let others = lines.iter().filter(|line| line.mood > Mood::Well).count() - 1;
        let more = match others {
            0 => String::new(),
            1 => " 1 more stream is not simply live.".to_owned(),
            others => format!(" {others} more streams are not simply live."),
        };
        format!("{}: {}.{more}", worst.name, worst.text)
    }
}

#[cfg(test)]
mod tests;
