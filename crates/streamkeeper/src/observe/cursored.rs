//! What a cursored stream reports, in words: for the log, and for the stories of its incidents.
//!
//! A cursor is the server's, and opaque: it is never shown.

use streamkeeper_core::cursored::{Cause, GapSign, IncidentSummary, Report, Sign};

/// A report as a step of a story.
pub(super) fn words(report: &Report) -> String {
    match report {
        Report::IncidentBegan { cause, .. } => why(*cause).into(),
        Report::Gap { sign, .. } => {
            format!("gap: {}; events may be missing for good", shown(*sign))
        }
        Report::IncidentOver(IncidentSummary { new, duplicate, .. }) => {
            format!("over: {new} events have been accepted since, {duplicate} were known already")
        }
        Report::FirstCursor { found: true } => "the first cursor is known".into(),
        Report::FirstCursor { found: false } => "there is no first cursor to be had".into(),
        Report::Rotating { .. } => "the connection is replaced for its age".into(),
        Report::CalledByGroup { .. } => "replaced: another stream of its group is stale".into(),
        Report::Resyncing => "fetching the snapshot".into(),
        Report::Resynced => "the snapshot is committed".into(),
        Report::ResyncFailed { .. } => "the snapshot cannot be had; trying again".into(),
        Report::EndedByServer => "the server says that nothing more comes (204)".into(),
    }
}

/// What was seen, as a clause.
pub(super) const fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::Stale => "the connection was silent for stale_after",
        Cause::SlowFrame => "a frame took longer than frame_timeout, or came too slowly to be life",
        Cause::Gap(_) => "the resume point is lost",
    }
}

pub(super) const fn shown(sign: Sign) -> &'static str {
    match sign {
        Sign::Answer(GapSign::Event) => "an event of the server says so",
        Sign::Answer(GapSign::Header) => "the answer goes on from another point than was asked for",
        Sign::Answer(GapSign::Sequence) => "the ids do not go on by one",
        Sign::Answer(GapSign::Session) => "its session is over, and another one has begun",
        Sign::NoContent => "204 to a request with a cursor",
        Sign::Gone => "404 or 410 to a request with a cursor",
        Sign::Break => "there was a break, and there is no cursor to go on from",
    }
}
