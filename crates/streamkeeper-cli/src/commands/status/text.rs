//! What `status` says, for people.

use std::time::{Duration, SystemTime};

use humantime::{format_duration, parse_rfc3339};
use indicatif::{HumanBytes, HumanCount};
use streamkeeper::control::ProcessStatus;
use streamkeeper::{ConsumerStatus, IncidentStatus, StreamStatus};

use super::Found;
use crate::commands::ledger::text::stats;

/// What was found before, and when: rates are reckoned from it.
pub(super) struct Earlier {
    pub(super) found: Found,
    pub(super) at: SystemTime,
}

/// What was found at `now`; rates are those since `earlier`, if that was the same process.
pub(super) fn found(found: &Found, earlier: Option<&Earlier>, now: SystemTime) -> String {
    let mut text = String::new();
    if let Some(note) = &found.note {
        text += &format!("{note}\n\n");
    }
    if let Some(process) = &found.process {
        text += &running(process, earlier, now);
    }
    text + &found.ledgers.as_deref().map(stats).unwrap_or_default()
}

fn running(process: &ProcessStatus, earlier: Option<&Earlier>, now: SystemTime) -> String {
    let ProcessStatus { version, pid, uptime_s, listen, streams, last_reload_refused } = process;
    let up = Duration::from_secs(*uptime_s);
    let mut text =
        format!("streamkeeper {version}, process {pid}, running for {}\n", format_duration(up));
    if let Some(listen) = listen {
        text += &format!("metrics, health and status at http://{listen}/\n");
    }
    if *last_reload_refused {
        text += "its last changed configuration was refused: what runs is the one before\n";
    }
    for stream in streams {
        let rate = rate_since(earlier, *pid, stream, now);
        let rate = rate.map_or_else(
            || format!("{:.1}/s on average", stream.accepted as f64 / up.as_secs_f64().max(1.0)),
            |rate| format!("{rate:.1}/s now"),
        );
        text += &table(stream, &rate, now);
    }
    text
}

/// Events in a second since `earlier`, if that is of the same process and knows the stream.
fn rate_since(
    earlier: Option<&Earlier>,
    pid: u32,
    stream: &StreamStatus,
    now: SystemTime,
) -> Option<f64> {
    let Earlier { found, at } = earlier?;
    let process = found.process.as_ref().filter(|process| process.pid == pid)?;
    let then = process.streams.iter().find(|then| then.name == stream.name)?;
    let new = stream.accepted.saturating_sub(then.accepted);
    let seconds = now.duration_since(*at).ok()?.as_secs_f64();
    (seconds > 0.0).then(|| new as f64 / seconds)
}

fn table(stream: &StreamStatus, rate: &str, now: SystemTime) -> String {
    let mut text = format!("\nstream {}: {}", stream.name, stream.state);
    if let Some(detail) = &stream.detail {
        text += &format!(" ({detail})");
    }
    text.push('\n');
    let mut row = |name: &str, value: &str| text += &format!("  {name:<9} {value}\n");
    row("mark", &at(stream.mark.as_deref(), "none yet", now));
    if stream.suspects > 0 {
        row("suspects", &format!("{} hold the mark down", stream.suspects));
    }
    row("slots", &stream.slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    if let (Some(count), Some(max)) = (stream.members, stream.members_max) {
        row("members", &format!("{count} of {max} that the service allows"));
    }
    row("frames", &frames(stream, now));
    row("events", &events(stream, rate));
    row("repairs", &repairs(stream));
    if let Some(under_way) = &stream.incident {
        row("incident", &incident(under_way, "under way"));
    }
    if let Some(last) = &stream.last_incident {
        row("last", &incident(last, "over"));
    }
    let queue = HumanBytes(stream.queue_bytes as u64);
    row("waiting", &format!("{queue} for the disk, {} for sinks", HumanBytes(stream.outbox_bytes)));
    for consumer in &stream.consumers {
        row("sink", &sink(consumer));
    }
    text
}

/// A time, and how long ago that is.
fn at(time: Option<&str>, never: &str, now: SystemTime) -> String {
    let Some(time) = time else { return never.to_owned() };
    match parse_rfc3339(time).ok().and_then(|then| now.duration_since(then).ok()) {
        Some(ago) => format!("{time}, {} ago", format_duration(seconds(ago))),
        // The service's clock may be ahead of ours.
        None => time.to_owned(),
    }
}

fn frames(stream: &StreamStatus, now: SystemTime) -> String {
    let (frames, pokes) = (HumanCount(stream.frames), HumanCount(stream.pokes));
    let bytes = HumanBytes(stream.bytes_received);
    let last = at(stream.last_frame.as_deref(), "never", now);
    format!("{frames}, {pokes} of them pokes, {bytes}; the last {last}")
}

fn events(stream: &StreamStatus, rate: &str) -> String {
    let (accepted, known) = (HumanCount(stream.accepted), HumanCount(stream.duplicate));
    let mut text = format!("{accepted} accepted ({rate}), {known} known already");
    for (count, what) in [(stream.conflicting, "conflicting"), (stream.garbled, "garbled")] {
        if count > 0 {
            text += &format!(", {} {what}", HumanCount(count));
        }
    }
    text
}

fn repairs(stream: &StreamStatus) -> String {
    let (connects, rests) = (HumanCount(stream.connects), HumanCount(stream.rests));
    let (new, known) = (HumanCount(stream.replayed_new), HumanCount(stream.replayed_duplicate));
    let recoveries = HumanCount(stream.recoveries);
    format!(
        "connects {connects}, rests {rests}, recoveries {recoveries} ({new} new, {known} known)"
    )
}

fn incident(incident: &IncidentStatus, how: &str) -> String {
    let IncidentStatus { id, cause, recoveries, recovered, duplicate, .. } = incident;
    let took = format_duration(seconds(Duration::from_millis(incident.duration_ms)));
    let day = incident.start_date.as_deref().unwrap_or("30 days ago");
    let read = match (how, &incident.terminated_at) {
        // The new stream, and its day, are still to come.
        ("under way", None) => "everything is being closed".to_owned(),
        _ => format!("read again from {day}"),
    };
    let lost = match (&incident.lost_from, &incident.lost_until) {
        (Some(from), Some(until)) => format!("; LOST for good: what came from {from} to {until}"),
        _ => String::new(),
    };
    format!(
        "{id} {how}: {cause}, {took}, recoveries {recoveries}; {read}: {} recovered, {} known{lost}",
        HumanCount(*recovered),
        HumanCount(*duplicate),
    )
}

fn sink(consumer: &ConsumerStatus) -> String {
    let ConsumerStatus {
        name,
        delivered,
        failures,
        failing,
        failing_detail,
        dead_letters,
        backlog,
    } = consumer;
    let (delivered, backlog) = (HumanCount(*delivered), HumanCount(*backlog));
    let mut text = format!("{name}: delivered {delivered}, backlog {backlog}");
    if *failures > 0 {
        text += &format!(", failures {}", HumanCount(*failures));
    }
    if let Some(reason) = failing {
        text += &format!(", failing now: {reason}");
    }
    if let Some(detail) = failing_detail {
        text += &format!(" ({detail})");
    }
    if *dead_letters > 0 {
        text += &format!(", dead letters {}", HumanCount(*dead_letters));
    }
    text
}

/// Whole seconds: nobody reads the rest.
const fn seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

#[cfg(test)]
mod tests;
