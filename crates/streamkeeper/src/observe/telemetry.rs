//! What the policies report, as log lines and counts.
//!
//! The one place that words it. Fields are those of the field's conventions (`stream`, `slot`,
//! `incident`, `reason`, `duration_ms`); values come from the configuration, from counts and from
//! fixed words, never from a payload, a user id, a token or a URL.

mod cursored;

use std::time::Duration;

use streamkeeper_core::classify::End;
use streamkeeper_core::marked::{IncidentSummary, Lost, Report};
use streamkeeper_core::policy::{self, Incident};
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::watchdog::Lack;
use streamkeeper_ledger::{OpenReport, Start};
use tracing::{debug, error, info, warn};

use crate::api::status::IncidentStatus;
use crate::base::rfc3339::rfc3339;
use crate::observe::registry::{Counters, StreamEntry};

/// Words a report, and counts it.
pub(crate) fn tell(entry: &StreamEntry, report: &policy::Report) {
    entry.history.report(report);
    let stream: &str = &entry.name;
    match report {
        policy::Report::Late(connection, lack) => {
            let slot = connection.reader;
            match lack {
                Lack::Silence => warn!(stream, %slot, "late: no frame for longer than late_after"),
                Lack::SlowFrame => warn!(
                    stream,
                    %slot,
                    "late: a frame takes longer than late_after; its bytes come, so the connection \
                     lives",
                ),
            }
        }
        policy::Report::Rest { slot, rest } => {
            Counters::add(&entry.counters.rests, 1);
            info!(stream, %slot, duration_ms = ms(*rest), "resting: pokes only, no data");
        }
        policy::Report::Ended { connection, end, suspect } => {
            let reason = end.reason();
            let slot = connection.reader;
            if *suspect {
                // What comes of it is told by the family: the mark waits, or it is a gap.
                warn!(stream, %slot, reason, "a connection ended and may have lost events");
            } else if matches!(end, End::Refused(_) | End::NotOpened { .. }) {
                // The connection has said why, once.
                debug!(stream, %slot, reason, "an attempt to connect failed");
            } else if *end == End::Killed {
                // Part of what was announced: a recovery, a stop.
                debug!(stream, %slot, reason, "a connection was closed");
            } else {
                info!(stream, %slot, reason, "a connection ended");
            }
        }
        policy::Report::AskedToWait { asked, wait } => warn!(
            stream,
            asked_s = asked.as_secs(),
            duration_ms = ms(*wait),
            "the service asks us to wait (Retry-After); it is obeyed for backoff.retry_after_max \
             at most, and reconnect, recover, resume or a reload try at once",
        ),
        policy::Report::Marked(report) => tell_marked(entry, report),
        policy::Report::Cursored(report) => cursored::tell(entry, report),
    }
}

/// What only a marked stream reports.
fn tell_marked(entry: &StreamEntry, report: &Report) {
    let stream: &str = &entry.name;
    match report {
        Report::Limit { allowed, configured } => warn!(
            stream,
            allowed,
            configured,
            "the service allows {allowed} connections for this stream and {configured} are \
             configured: {} are used",
            (*allowed).min(*configured),
        ),
        Report::ForeignClients { count } => warn!(
            stream,
            count, "somebody else is connected to this stream and receives part of its events",
        ),
        // The lifecycle has said why, once.
        Report::CallFailed(_) => {}
        Report::TimeDoubted { .. } | Report::TimeJumped { .. } => tell_time(entry, report),
        Report::VerificationStarted { .. }
        | Report::VerificationDone { .. }
        | Report::VerificationFailed { .. }
        | Report::RereadStarted { .. }
        | Report::RereadFailed { .. }
        | Report::ReplayRefused { .. }
        | Report::WitnessesMissing { .. } => tell_verification(stream, report),
        _ => tell_incident(entry, report),
    }
}

/// What the service says of the time.
fn tell_time(entry: &StreamEntry, report: &Report) {
    let stream: &str = &entry.name;
    match report {
        Report::TimeDoubted { connection, by, again } => {
            Counters::add(&entry.counters.doubted, 1);
            let (slot, skew_ms) = (connection.reader, ms(*by));
            if *again {
                debug!(stream, %slot, skew_ms, "a heartbeat said a time that nothing bears out");
            } else {
                warn!(
                    stream, %slot, skew_ms,
                    "a heartbeat said a time that nothing else bears out: it is not believed, and \
                     the mark does not follow it; a clock of the service may be wrong",
                );
            }
        }
        Report::TimeJumped { by, again: false } => warn!(
            stream,
            skew_ms = ms(*by),
            "the service's time went ahead of ours, and its heartbeats agree on that: believed",
        ),
        Report::TimeJumped { by, again: true } => {
            debug!(stream, skew_ms = ms(*by), "the service's time went ahead of ours again");
        }
        _ => {}
    }
}

/// How what suspects may have lost is read again.
fn tell_verification(stream: &str, report: &Report) {
    match report {
        Report::VerificationStarted { date } => {
            info!(stream, %date, "verifying: reading the replay from that day beside the stream");
        }
        Report::VerificationDone { new, duplicate } => {
            info!(stream, new, duplicate, "verified: what suspects may have lost has been read");
        }
        Report::VerificationFailed { end } => {
            warn!(
                stream,
                reason = end.reason(),
                "the verification was interrupted; it is tried again"
            );
        }
        Report::RereadStarted { date } => {
            info!(stream, %date, "recovering: reading the replay from that day beside the stream");
        }
        Report::RereadFailed { end } => warn!(
            stream,
            reason = end.reason(),
            "the replay of the recovery was interrupted; it is tried again, and the stream is read on",
        ),
        Report::ReplayRefused { end } => error!(
            stream,
            reason = end.reason(),
            "the service refuses /replay: what connections may have lost cannot be verified, and the \
             mark stands still; `streamkeeper recover` makes the stream anew and reads it from the mark",
        ),
        Report::WitnessesMissing { count } => warn!(
            stream,
            count,
            "the replay did not show the last known record of so many users; if the service cuts \
             streams by start time, set recovery.lookback_days",
        ),
        _ => {}
    }
}

/// Says what was found when a ledger was opened.
pub(crate) fn tell_opened(stream: &str, report: &OpenReport) {
    let OpenReport { start, torn, replayed, missed } = report;
    if let Some(torn) = torn {
        let (path, bytes) = (torn.path.display(), torn.bytes);
        warn!(stream, %path, bytes, "cut off a torn tail of the ledger; nothing shows that it was ever committed");
    }
    for (sink, count) in missed {
        warn!(stream, sink, count, "a sink that was away has missed events: the others had them");
    }
    let start = match start {
        Start::First => "first",
        Start::Clean => "clean",
        Start::Unclean => "unclean",
    };
    info!(stream, start, keys = replayed, "opened the ledger");
}

fn tell_incident(entry: &StreamEntry, report: &Report) {
    let stream: &str = &entry.name;
    match report {
        Report::RecoveryStarted { incident, cause, connections, mark } => {
            Counters::add(&entry.counters.recoveries, 1);
            entry.measured.incident(*incident, cause.reason());
            let mark = mark.and_then(rfc3339).unwrap_or_else(|| "the beginning".to_owned());
            error!(
                stream, %incident, reason = cause.reason(), connections, mark,
                "events may have been lost: terminating all connections to read again from the mark",
            );
        }
        Report::NeedsNewStream(obstacle) => warn!(
            stream,
            reason = obstacle.reason(),
            "recovery.strategy is \"replay\", and this recovery cannot go on with the same stream: it is made \
             anew",
        ),
        Report::RecoveryPaused { cause, pause } => error!(
            stream,
            reason = cause.reason(),
            duration_ms = ms(*pause),
            "too many recoveries: the next one waits; reading goes on, the mark stands still",
        ),
        Report::Terminated => info!(stream, "all connections are closed"),
        Report::Deleted(id) => info!(stream, server_stream = %id, "deleted the old stream"),
        Report::LeftBehind(id) => warn!(
            stream, server_stream = %id,
            "the service does not delete the old stream: going on beside it, deleting it later",
        ),
        Report::NotOurs { id, name } => warn!(
            stream, server_stream = ?id.0, server_name = ?name,
            "a stream bears our name with a number, and is not known to be ours: it is left alone; if \
             it is nobody's, `streamkeeper streams delete` it",
        ),
        Report::NameTaken { name, resembling } => warn!(
            stream, server_name = ?name, resembling = ?resembling,
            "the name is taken on the service, and no stream in its list has it: going on under \
             another; if one of those resembling it is nobody's, delete it, or set server_name",
        ),
        Report::Created { id, name, start_date } => {
            let from = start_date.map_or_else(|| "30 days ago".to_owned(), |day| day.to_string());
            info!(stream, server_stream = %id, server_name = name, from, "created the stream");
        }
        Report::CaughtUp { incident: Some(incident) } => {
            entry.measured.incident_duration.observe(incident.duration);
            tell_over(stream, incident);
        }
        Report::FirstDayNotKept(day) => warn!(
            stream, %day,
            "start_date is older than what the service keeps: all that it keeps is read",
        ),
        Report::HistoryLost(lost) => {
            Counters::add(&entry.counters.lost_seconds, lost.until.since(lost.from).as_secs());
            let (from, until) = (date(lost.from), date(lost.until));
            error!(
                stream,
                from,
                until,
                "events are lost for good: the service does not keep them any more, and those of that time \
                 that had not come will not; the mark goes on from its end",
            );
        }
        Report::CaughtUp { incident: None } => info!(stream, "caught up with the stream's history"),
        _ => {}
    }
}

/// Says what came of an incident: never more than is so.
fn tell_over(stream: &str, incident: &IncidentSummary) {
    let IncidentSummary { id, cause, recovered, new, duplicate, duration, lost, .. } = *incident;
    let (reason, duration_ms) = (cause.reason(), ms(duration));
    match lost {
        None => info!(
            stream, incident = %id, reason, recovered, new, duplicate, duration_ms,
            "recovered: everything has been read again",
        ),
        Some(Lost { from, until }) => error!(
            stream, incident = %id, reason, recovered, new, duplicate, duration_ms,
            from = date(from), until = date(until),
            "recovered what the service keeps: events from then to then are lost for good",
        ),
    }
}

fn date(at: Timestamp) -> String {
    rfc3339(at).unwrap_or_else(|| "a time that is no date".to_owned())
}

/// An incident for readers.
pub(crate) fn incident_status(incident: &Incident) -> IncidentStatus {
    let summary = match incident {
        Incident::Marked(summary) => summary,
        Incident::Cursored(summary) => return cursored::incident_status(summary),
    };
    IncidentStatus {
        id: summary.id.0,
        cause: summary.cause.reason().into(),
        recoveries: summary.recoveries,
        start_date: summary.start_date.map(|day| day.to_string()),
        lost_from: summary.lost.and_then(|lost| rfc3339(lost.from)),
        lost_until: summary.lost.and_then(|lost| rfc3339(lost.until)),
        terminated_at: rfc3339(summary.terminated_at),
        new: summary.new,
        recovered: summary.recovered,
        duplicate: summary.duplicate,
        duration_ms: ms(summary.duration),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
