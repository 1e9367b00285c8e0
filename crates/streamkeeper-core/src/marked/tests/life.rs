//! Starts, rests, limits, failing attempts, stops.

use std::time::Duration;

use super::bench::{Bench, NOON, restless};
use crate::classify::{End, Refusal};
use crate::id::{IncidentId, SlotId, StreamId, UserKey};
use crate::marked::establish::{Answer, Call};
use crate::marked::{self, Cause, MarkedConfig, Members, OpenIncident, Report, StreamState};
use crate::policy::{self, Datum, Health, Input, Output, SlotState};
use crate::time::{Instant, Timestamp};

#[test]
fn a_first_start_looks_creates_writes_down_and_connects_one_slot_first() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 3));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    assert_eq!(bench.answer_create("s1"), None);
    let last = bench.persisted.last().unwrap();
    assert_eq!((last.stream_id.clone(), last.clean), (Some(StreamId("s1".into())), false));
    let first = bench.take_connects();
    assert_eq!(first.len(), 1, "how many are allowed is not known yet");
    bench.input(Input::Opened(first[0]));
    assert_eq!(bench.take_connects(), [], "a 200 proves nothing");
    bench.poke(first[0]);
    assert_eq!(bench.take_connects().len(), 2);
    assert_eq!(bench.policy.health(), Health::Live);
}

#[test]
fn nothing_connects_before_the_stream_id_is_durable() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 1));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    bench.disk_answers = false;
    bench.answer_create("s1");
    assert_eq!(bench.take_connects(), []);
    bench.disk_answers = true;
    bench.answer_disk();
    assert_eq!(bench.take_connects().len(), 1);
}

#[test]
fn a_clean_restart_goes_on_with_the_same_stream() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 1));
    let mark = Some(Timestamp::from_micros(NOON * 1_000_000));
    let stream_id = Some(StreamId("s1".into()));
    bench.start(Some(StreamState { stream_id, clean: true, ..StreamState::at(mark) }));
    assert_eq!(bench.calls(), []);
    assert_eq!(bench.take_connects().len(), 1);
    assert!(!bench.persisted.last().unwrap().clean, "a crash from here on is an unclean end");
    assert_eq!(bench.policy.mark(), mark);
}

#[test]
fn a_clean_start_that_is_stopped_before_it_connects_stays_clean() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 1));
    bench.disk_answers = false;
    let mark = Some(Timestamp::from_micros(NOON * 1_000_000));
    let stream_id = Some(StreamId("s1".into()));
    bench.start(Some(StreamState { stream_id, clean: true, ..StreamState::at(mark) }));
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    assert_eq!(bench.take_connects(), []);
    bench.disk_answers = true;
    bench.answer_disk();
    bench.input(Input::Flushed);
    assert!(bench.wanted.contains(&Output::Stopped { clean: true }));
    let last = bench.persisted.last().unwrap();
    assert!(last.clean && last.mark == mark);
}

#[test]
fn a_new_stream_that_was_never_read_is_not_clean() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 1));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    bench.disk_answers = false;
    bench.answer_create("s1");
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    bench.disk_answers = true;
    bench.answer_disk();
    bench.input(Input::Flushed);
    assert!(bench.wanted.contains(&Output::Stopped { clean: false }));
}

#[test]
fn an_incident_keeps_its_number_and_its_counts_across_a_restart() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 1));
    let mark = Some(Timestamp::from_micros((NOON - 60) * 1_000_000));
    let incident = OpenIncident {
        cause: Cause::Stale(SlotId(2)),
        since: Timestamp::from_micros((NOON - 30) * 1_000_000),
        recoveries: 1,
        new: 5,
        recovered: 4,
        duplicate: 3,
        lost: None,
    };
    let state = StreamState {
        stream_id: Some(StreamId("s1".into())),
        incidents: IncidentId(7),
        incident: Some(incident),
        ..StreamState::at(mark)
    };
    let wall = Timestamp::from_micros(NOON * 1_000_000);
    bench.input(Input::Start { state: Some(state.into()), wall });
    let summary = bench.policy.incident().unwrap();
    assert_eq!((summary.id, summary.cause), (IncidentId(7), incident.cause));
    assert_eq!((summary.recoveries, summary.new, summary.duplicate), (2, 5, 3));
    assert_eq!(summary.duration, Duration::from_secs(30));
    let written = bench.persisted.last().unwrap();
    assert_eq!(written.incidents, IncidentId(7));
    assert_eq!(written.incident, Some(OpenIncident { recoveries: 2, ..incident }));
}

#[test]
fn while_nothing_can_be_made_durable_the_stream_is_degraded() {
    let mut bench = Bench::running(MarkedConfig::new("acme", 1));
    bench.input(Input::LedgerFailed("disk_full"));
    assert_eq!(bench.policy.health(), Health::Degraded("disk_full"));
    bench.input(Input::LedgerWell);
    assert!(!matches!(bench.policy.health(), Health::Degraded(_)));
}

#[test]
fn an_unclean_restart_makes_a_new_stream_from_the_day_of_the_mark() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 1));
    let mark = Some(Timestamp::from_micros((NOON - 86_400) * 1_000_000));
    let stream_id = Some(StreamId("s1".into()));
    bench.start(Some(StreamState { stream_id, ..StreamState::at(mark) }));
    bench.answer(&Call::Delete { id: StreamId("s1".into()) }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-20"));
}

#[test]
fn five_pokes_then_a_half_close_and_a_rest_that_doubles_until_data_comes() {
    let mut bench = Bench::running(MarkedConfig::new("acme", 1));
    let mut rests = Vec::new();
    for _ in 0..3 {
        let connection = bench.slot(0);
        let before = bench.seconds();
        while !bench.wanted.contains(&Output::Drain(connection)) {
            bench.pass_to(bench.seconds() + 5.0);
            bench.poke(connection);
        }
        assert!((19.9..25.1).contains(&(bench.seconds() - before)), "after the fifth poke");
        bench.end(connection, End::Terminated { mid_event: false });
        let closed = bench.seconds();
        while bench.take_connects().is_empty() {
            let deadline = bench.policy.deadline().unwrap();
            bench.pass_to(deadline.since(Instant::ZERO).as_secs_f64());
        }
        rests.push(bench.seconds() - closed);
        assert_eq!(bench.policy.health(), Health::Live, "a rest is no new start");
        let connection = bench.slot(0);
        bench.input(Input::Opened(connection));
    }
    for (rest, base) in rests.iter().zip([5.0, 10.0, 20.0]) {
        assert!((base..base * 1.11).contains(rest), "{rests:?}");
    }
    assert_eq!(bench.policy.suspects(), 0, "a wanted end, read to the end, loses nothing");
    let connection = bench.slot(0);
    bench.input(Input::Data(connection));
    (0..5).for_each(|_| bench.poke(connection));
    let rest = bench.common.iter().rev().find_map(|report| match report {
        policy::Report::Rest { rest, .. } => Some(*rest),
        _ => None,
    });
    assert!(rest.unwrap() < Duration::from_secs(6), "data starts afresh: {rest:?}");
}

#[test]
fn a_drain_that_does_not_end_is_cut_and_its_end_is_suspect() {
    let mut bench = Bench::running(MarkedConfig::new("acme", 1));
    let connection = bench.slot(0);
    (0..5).for_each(|_| bench.poke(connection));
    bench.pass_to(29.9);
    assert_eq!(bench.killed(), []);
    bench.pass_to(30.1);
    assert_eq!(bench.killed(), [connection]);
    bench.end(connection, End::Killed);
    assert_eq!(bench.policy.suspects(), 1);
    assert!(matches!(bench.policy.slots().next(), Some((_, SlotState::Resting { .. }, _))));
}

#[test]
fn as_many_slots_are_used_as_the_service_allows_and_one_line_says_why() {
    let mut bench = Bench::new(MarkedConfig::new("acme", 20));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    bench.answer_create("s1");
    let members = Members { count: Some(1), max: Some(3) };
    for round in 0..3 {
        for connection in bench.take_connects() {
            bench.input(Input::Opened(connection));
            bench.input(marked::Input::Poke { connection, members });
        }
        assert!(bench.connections.len() <= 3, "round {round}");
    }
    assert_eq!(bench.connections.len(), 3);
    let said = |report: &&Report| matches!(report, Report::Limit { .. });
    let limits: Vec<_> = bench.reports.iter().filter(said).collect();
    assert_eq!(limits, [&Report::Limit { allowed: 3, configured: 20 }]);
}

/// How many times the policy connects within a minute, if every attempt ends like this.
fn attempts_in_a_minute(end: End) -> usize {
    let mut bench = Bench::new(MarkedConfig::new("acme", 20));
    let mark = None;
    let stream_id = Some(StreamId("s1".into()));
    bench.start(Some(StreamState { stream_id, clean: true, ..StreamState::at(mark) }));
    let mut attempts = 0;
    while bench.seconds() < 60.0 {
        for connection in bench.take_connects() {
            attempts += 1;
            bench.end(connection, end);
        }
        bench.pass_to(bench.seconds() + 0.1);
    }
    attempts
}

#[test]
fn twenty_slots_that_cannot_connect_are_no_storm() {
    let unavailable = Refusal::Unavailable { status: 503, retry_after: None };
    for (end, bound) in [
        (End::NotOpened { sent: false }, 9),
        (End::NotOpened { sent: true }, 9),
        (End::Refused(unavailable), 9),
        (End::Refused(Refusal::Crowded { retry_after: None }), 9),
        (End::Refused(Refusal::NotEvents), 9),
        (End::Refused(Refusal::Token { status: 401, retry_after: None }), 5),
        (End::Terminated { mid_event: false }, 9),
    ] {
        let attempts = attempts_in_a_minute(end);
        assert!((2..=bound).contains(&attempts), "{attempts} attempts for {end:?}");
    }
}

#[test]
fn a_stop_reads_every_connection_to_its_end_and_is_clean() {
    let mut bench = Bench::running(restless(2));
    // The history of a new stream has to be read before the checkpoint is all that is needed.
    bench.poke_until(700.0);
    bench.input(Input::Stop { drain: Duration::from_secs(10) });
    let open: Vec<_> = bench.connections.keys().copied().collect();
    for &connection in &open {
        assert!(bench.wanted.contains(&Output::Drain(connection)));
    }
    bench.end(open[0], End::Terminated { mid_event: false });
    assert!(!bench.wanted.contains(&Output::Flush));
    bench.end(open[1], End::Closed { mid_event: false });
    assert!(bench.wanted.contains(&Output::Flush));
    bench.input(Input::Flushed);
    assert!(bench.wanted.contains(&Output::Stopped { clean: true }));
    assert!(bench.persisted.last().unwrap().clean);
}

/// A stop whose only connection does not end, so that it is cut.
fn stopped_with_a_suspect(config: MarkedConfig) -> Bench {
    let mut bench = Bench::running(config);
    bench.poke_until(700.0);
    bench.input(Input::Stop { drain: Duration::from_secs(2) });
    let connection = bench.slot(0);
    bench.pass_to(702.5);
    assert_eq!(bench.killed(), [connection]);
    bench.end(connection, End::Killed);
    bench.input(Input::Flushed);
    bench
}

#[test]
fn a_stop_whose_only_blemish_is_a_suspect_goes_on_with_the_same_stream_and_verifies_it() {
    let bench = stopped_with_a_suspect(restless(1));
    assert!(bench.wanted.contains(&Output::Stopped { clean: true }));
    let state = bench.persisted.last().unwrap().clone();
    let mark = state.mark.unwrap();
    assert_eq!((state.clean, state.suspects.len()), (true, 1));

    let mut next = Bench::new(restless(1));
    let wall = Timestamp::from_micros((NOON + 760) * 1_000_000);
    next.input(Input::Start { state: Some(state.into()), wall });
    next.now = Instant::ZERO + Duration::from_secs(760);
    next.open_all();
    assert_eq!(next.policy.suspects(), 1);
    next.poke_until(1_500.0);
    let deleted = next.calls().into_iter().any(|call| matches!(call, Call::Delete { .. }));
    assert!(!deleted);
    let date = next.reports.iter().find_map(|report| match report {
        Report::VerificationStarted { date } => Some(*date),
        _ => None,
    });
    assert_eq!(date, Some(mark.utc_day()));
    assert_eq!(next.policy.suspects(), 0, "it has been verified: {:?}", next.reports);
}

#[test]
fn a_stop_with_a_suspect_is_not_clean_where_nothing_is_ever_verified() {
    let bench = stopped_with_a_suspect(MarkedConfig { verify_every: None, ..restless(1) });
    assert!(bench.wanted.contains(&Output::Stopped { clean: false }));
}

#[test]
fn a_stop_beside_a_foreign_client_leaves_a_suspect() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(700.0);
    let connection = bench.slot(0);
    let members = Members { count: Some(2), max: Some(3) };
    bench.input(marked::Input::Poke { connection, members });
    bench.input(Input::Stop { drain: Duration::from_secs(2) });
    bench.end(connection, End::Terminated { mid_event: false });
    bench.input(Input::Flushed);
    assert_eq!(bench.persisted.last().unwrap().suspects.len(), 1);
}

#[test]
fn an_outage_is_one_state_not_one_for_each_attempt() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(60.0);
    bench.end(bench.slot(0), End::Terminated { mid_event: false });
    assert_eq!(bench.policy.health(), Health::Live, "an ordinary reconnect is no outage");
    let mut attempts = 0;
    while attempts < 5 {
        for connection in bench.take_connects() {
            bench.end(connection, End::NotOpened { sent: false });
            attempts += 1;
        }
        assert_eq!(bench.policy.health(), Health::Degraded("unreachable"));
        bench.pass_to(bench.seconds() + 0.25);
        assert_eq!(bench.policy.health(), Health::Degraded("unreachable"), "while trying, too");
    }
    bench.pass_to(bench.seconds() + 60.0);
    bench.open_all();
    assert_eq!(bench.policy.health(), Health::Live);
}

#[test]
fn no_slot_rests_while_a_backlog_is_read() {
    for behind in [60, 7_200] {
        let mut bench = Bench::running(MarkedConfig::new("acme", 2));
        let (busy, idle) = (bench.slot(0), bench.slot(1));
        for _ in 0..24 {
            bench.pass_to(bench.seconds() + 5.0);
            let created_at = NOON + bench.seconds() as i64 - behind;
            let datum = Datum {
                user: UserKey(1),
                created_at: Timestamp::from_micros(created_at * 1_000_000),
                start_day: None,
                new: true,
            };
            bench.input(Input::Data(busy));
            bench.poke(busy);
            bench.commit(busy, None, vec![datum]);
            bench.poke(idle);
        }
        let rests = bench.wanted.contains(&Output::Drain(idle));
        assert_eq!(rests, behind == 60, "{behind}");
    }
}
