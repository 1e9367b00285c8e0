//! A mark, or a configured day, that is older than what the service keeps.

use super::bench::{Bench, NOON, restless, s};
use crate::classify::{End, Refusal};
use crate::marked::establish::{Answer, Call, CallFailure, Listed};
use crate::marked::{self, Lost, MarkedConfig, Report, StreamState};
use crate::policy::Input;
use crate::time::Timestamp;

const DAY: i64 = 86_400;

/// So many days before noon.
fn days_ago(days: i64) -> Timestamp {
    Timestamp::from_micros((NOON - days * DAY) * 1_000_000)
}

/// A start after a crash whose mark is so many days old, while our wall clock says a day so many ago.
fn crashed(config: MarkedConfig, mark: i64, wall: i64) -> Bench {
    let mut bench = Bench::new(config);
    let state = StreamState { stream_id: Some(s("s1")), ..StreamState::at(Some(days_ago(mark))) };
    bench.input(Input::Start { state: Some(state.into()), wall: days_ago(wall) });
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    bench
}

fn refuse(bench: &mut Bench, failure: CallFailure) {
    bench.input(marked::Input::Answered(Answer::Failed { failure, retry_after: None }));
    bench.pass_to(bench.seconds() + 15.0);
}

fn lost(bench: &Bench) -> Vec<(String, String)> {
    let lost = bench.reports.iter().filter_map(|report| match report {
        Report::HistoryLost(Lost { from, until }) => {
            Some((from.utc_day().to_string(), until.utc_day().to_string()))
        }
        _ => None,
    });
    lost.collect()
}

fn told(from: &str, until: &str) -> Vec<(String, String)> {
    vec![(from.to_owned(), until.to_owned())]
}

/// What the incident that is over says of it.
fn caught_up(bench: &Bench) -> Option<Lost> {
    let over = bench.reports.iter().find_map(|report| match report {
        Report::CaughtUp { incident } => *incident,
        _ => None,
    });
    over.expect("the incident is over").lost
}

#[test]
fn no_day_is_asked_for_that_the_service_does_not_keep_and_what_is_lost_is_told() {
    let mut bench = crashed(restless(1), 40, 0);
    assert_eq!(bench.answer_create("s2"), None, "all that the service keeps");
    bench.open_all();
    bench.poke_until(60.0);
    assert_eq!(lost(&bench), told("2026-10-12", "2026-10-22"));
    assert_eq!(bench.policy.mark(), Some(days_ago(30).utc_day().start()));
    let incident = bench.policy.incident().expect("it is under way");
    assert_eq!(incident.lost.map(|lost| lost.from), Some(days_ago(40)));
    bench.poke_until(4_000.0);
    assert_eq!(lost(&bench).len(), 1, "said once");
    assert_eq!(caught_up(&bench).map(|lost| lost.from), Some(days_ago(40)));
}

#[test]
fn what_is_kept_is_read_from_the_day_of_the_mark_and_nothing_is_lost() {
    for days in [1, 29, 30] {
        let mut bench = crashed(restless(1), days, 0);
        let day = days_ago(days).utc_day().to_string();
        assert_eq!(bench.answer_create("s2"), Some(day));
        bench.open_all();
        bench.poke_until(4_000.0);
        assert_eq!((lost(&bench), caught_up(&bench)), (Vec::new(), None), "{days}");
    }
}

#[test]
fn a_wall_clock_that_is_wrong_neither_loses_a_day_nor_says_so() {
    // Ahead by two months: all that there is, is read, and that includes the day of the mark.
    let mut bench = crashed(restless(1), 2, -60);
    assert_eq!(bench.answer_create("s2"), None);
    bench.open_all();
    bench.poke_until(4_000.0);
    assert_eq!((lost(&bench), caught_up(&bench)), (Vec::new(), None));
    // Before the mark, or not long after it: the service tells the time when it is read.
    for wall in [20_000, 35] {
        let mut bench = crashed(restless(1), 40, wall);
        assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-10-12"), "{wall}");
        bench.open_all();
        bench.poke_until(60.0);
        assert_eq!(lost(&bench), told("2026-10-12", "2026-10-22"), "{wall}");
    }
}

#[test]
fn a_day_that_is_refused_as_too_old_is_not_asked_for_again() {
    let too_old = CallFailure::FirstDay { status: 422 };
    for (mark, failure) in [
        (30, too_old),
        (12, too_old),
        (30, CallFailure::Rejected { status: 400 }),
        (30, CallFailure::Rejected { status: 422 }),
    ] {
        let mut bench = crashed(restless(1), mark, 0);
        let day = days_ago(mark).utc_day().to_string();
        let calls = bench.calls();
        assert!(matches!(calls.as_slice(), [Call::Create { start_date: Some(first), .. }]
            if first.to_string() == day));
        refuse(&mut bench, failure);
        assert_eq!(bench.answer_create("s2"), None, "{failure:?}");
        bench.open_all();
        bench.poke_until(bench.seconds() + 60.0);
        let until = days_ago(mark - 1).utc_day().to_string();
        assert_eq!(lost(&bench), told(&day, &until), "{failure:?}");
    }
}

#[test]
fn a_refusal_that_may_have_another_reason_leaves_a_young_day() {
    let mut bench = crashed(restless(1), 12, 0);
    assert_eq!(bench.calls().len(), 1);
    refuse(&mut bench, CallFailure::Rejected { status: 422 });
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-09"));
}

#[test]
fn an_old_day_that_is_refused_is_let_go_though_no_clock_says_that_it_is_old() {
    let mut bench = crashed(restless(1), 40, 20_000);
    assert_eq!(bench.calls().len(), 1);
    refuse(&mut bench, CallFailure::Rejected { status: 422 });
    assert_eq!(bench.answer_create("s2"), None);
    bench.open_all();
    bench.poke_until(bench.seconds() + 60.0);
    assert_eq!(lost(&bench), told("2026-10-12", "2026-10-22"));
}

#[test]
fn a_configured_or_inherited_day_that_is_not_kept_is_not_asked_for() {
    for configured in [true, false] {
        let old = days_ago(90).utc_day();
        let mut config = restless(1);
        config.start_date = configured.then_some(old);
        let mut bench = Bench::new(config);
        bench.input(Input::Start { state: None, wall: days_ago(0) });
        let start_date = Some(old).filter(|_| !configured);
        let stream = Listed { id: s("s0"), name: "acme".into(), start_date };
        bench.answer(&Call::List, Answer::Listed(vec![stream]));
        bench.answer(&Call::Delete { id: s("s0") }, Answer::Deleted);
        assert_eq!(bench.answer_create("s1"), None, "{configured}");
        assert_eq!(bench.reports.contains(&Report::FirstDayNotKept(old)), configured);
    }
}

#[test]
fn what_an_incident_has_lost_is_remembered_by_the_next_process() {
    let mut bench = crashed(restless(1), 40, 0);
    bench.answer_create("s2");
    bench.open_all();
    bench.poke_until(60.0);
    let state = bench.persisted.last().cloned();
    let mut bench = Bench::new(restless(1));
    bench.input(Input::Start { state: state.map(Into::into), wall: days_ago(0) });
    bench.answer(&Call::Delete { id: s("s2") }, Answer::Deleted);
    assert_eq!(bench.answer_create("s3").as_deref(), Some("2026-10-22"));
    bench.open_all();
    bench.poke_until(4_000.0);
    assert_eq!(lost(&bench), Vec::new(), "it has been told");
    assert_eq!(caught_up(&bench).map(|lost| lost.from), Some(days_ago(40)));
}

#[test]
fn a_verification_from_a_day_that_is_not_kept_any_more_says_so_and_begins_where_it_can() {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    let mark = bench.policy.mark().expect("it has settled");
    bench.end(bench.slot(0), End::Reset);
    bench.open_all();
    bench.poke_until(1_000.0);
    // Refused for 40 days, until it is not any more.
    let end = bench.seconds() + 40.0 * DAY as f64;
    while bench.seconds() < end {
        for connection in bench.take_connects() {
            bench.end(connection, End::Refused(Refusal::Gone));
        }
        bench.pass_to(bench.seconds() + 3_600.0);
        let open: Vec<_> = bench.connections.keys().copied().collect();
        open.into_iter().for_each(|connection| bench.poke(connection));
    }
    let mut days = bench.reports.iter().rev().filter_map(|report| match report {
        Report::VerificationStarted { date } => Some(date.to_string()),
        _ => None,
    });
    assert_eq!(days.next().as_deref(), Some("2026-12-01"));
    let lost = lost(&bench);
    assert_eq!(lost.first(), Some(&(mark.utc_day().to_string(), "2026-11-22".to_owned())));
    assert_eq!(lost.last(), Some(&("2026-11-30".to_owned(), "2026-12-01".to_owned())));
    assert_eq!(lost.len(), 10, "a day at a time");
}
