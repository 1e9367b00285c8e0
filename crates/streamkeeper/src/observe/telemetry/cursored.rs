//! What a cursored stream reports, for the log and the status. A cursor is the server's, and never shown.

use std::time::Duration;

use streamkeeper_core::cursored::{IncidentSummary, Report};
use tracing::{error, info, warn};

use crate::api::status::IncidentStatus;
use crate::observe::cursored::{shown, why};
use crate::observe::registry::StreamEntry;

/// Words a report, and counts it.
pub(super) fn tell(entry: &StreamEntry, report: &Report) {
    let stream: &str = &entry.name;
    match report {
        Report::IncidentBegan { incident, cause } => {
            entry.measured.incident(*incident, cause.reason());
            let reason = cause.reason();
            warn!(stream, %incident, reason, "an incident begins: {}", why(*cause));
        }
        Report::Gap { incident, sign } => error!(
            stream,
            %incident,
            reason = sign.reason(),
            "gap: {}; events may be missing that cannot be asked for any more",
            shown(*sign),
        ),
        Report::IncidentOver(incident) => {
            let IncidentSummary { id, cause, gaps, stalls, new, duplicate, duration } = *incident;
            let (reason, duration_ms) = (cause.reason(), ms(duration));
            info!(
                stream, incident = %id, reason, gaps, stalls, new, duplicate, duration_ms,
                "the incident is over: the stream is read, or is not to be",
            );
        }
        Report::FirstCursor { found: true } => info!(stream, "the first cursor is known"),
        Report::FirstCursor { found: false } => {
            warn!(stream, "there is no first cursor to be had: connecting without one");
        }
        Report::Rotating { connection, age } => {
            let slot = connection.reader;
            info!(stream, %slot, duration_ms = ms(*age), "replacing a connection for its age");
        }
        Report::CalledByGroup { connection } => {
            let slot = connection.reader;
            info!(stream, %slot, "replacing a connection: another stream of its group is stale");
        }
        Report::Resyncing => info!(stream, "fetching the snapshot"),
        Report::Resynced => info!(stream, "the snapshot is committed"),
        Report::ResyncFailed { wait } => {
            warn!(stream, duration_ms = ms(*wait), "the snapshot cannot be had; trying again");
        }
        Report::EndedByServer => warn!(
            stream,
            "the server says that nothing more comes (204): it is not asked until resume, reconnect, \
             recover or a restart",
        ),
    }
}

/// An incident for readers.
pub(super) fn incident_status(summary: &IncidentSummary) -> IncidentStatus {
    IncidentStatus {
        id: summary.id.0,
        cause: summary.cause.reason().into(),
        recoveries: summary.gaps.saturating_add(summary.stalls),
        start_date: None,
        lost_from: None,
        lost_until: None,
        terminated_at: None,
        new: summary.new,
        recovered: 0,
        duplicate: summary.duplicate,
        duration_ms: ms(summary.duration),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
