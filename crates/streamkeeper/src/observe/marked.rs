//! What a marked stream reports, in words for the stories of its incidents; and how a reader, a length and a
//! moment are said in any story.

use std::time::Duration;

use streamkeeper_core::id::Reader;
use streamkeeper_core::marked::establish::CallFailure;
use streamkeeper_core::marked::{Cause, IncidentSummary, Lost, Obstacle, Report};
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::watchdog::FLOOR_BYTES;

use crate::base::rfc3339::rfc3339;

/// What was seen, as a clause.
pub(super) fn why(cause: Cause, stale_after: Duration) -> String {
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

/// A report as a step; `None`: it is none.
pub(super) fn words(report: &Report, stale_after: Duration) -> Option<String> {
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
        Report::CallFailed(failure) => {
            format!("a call failed: {}; it is tried again", answer(*failure))
        }
        _ => return verification(report).or_else(|| recovery(report, stale_after)),
    })
}

/// A step of a recovery.
fn recovery(report: &Report, stale_after: Duration) -> Option<String> {
    Some(match report {
        Report::RecoveryStarted { cause, connections, mark, .. } => format!(
            "recovery: {}; closing {connections} connections, to read again from the mark, {}",
            why(*cause, stale_after),
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
            why(*cause, stale_after),
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

/// Who reads.
pub(super) fn reader(reader: Reader) -> String {
    match reader {
        Reader::Slot(slot) => format!("slot {slot}"),
        Reader::Replay => "the verification".into(),
    }
}

/// A length for people: two units at most.
pub(super) fn length(duration: Duration) -> String {
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
