//! Lost resume points: what shows them, and what is done.

use super::bench::{Bench, PROPER, state};
use crate::classify::End;
use crate::cursored::{
    self, Cause, CursoredConfig, CursoredState, GapSign, Report, Sign, Strategy,
};
use crate::id::IncidentId;
use crate::policy::{self, Health, Input, Output};

fn resyncing() -> CursoredConfig {
    CursoredConfig { resync: true, ..CursoredConfig::default() }
}

/// The gaps that were reported, and the causes of the incidents begun and over.
fn told(bench: &Bench) -> (Vec<Sign>, Vec<Cause>, Vec<Cause>) {
    let (mut gaps, mut begun, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for report in &bench.reports {
        match report {
            Report::Gap { sign, .. } => gaps.push(*sign),
            Report::IncidentBegan { cause, .. } => begun.push(*cause),
            Report::IncidentOver(summary) => over.push(summary.cause),
            _ => {}
        }
    }
    (gaps, begun, over)
}

#[test]
fn a_404_or_a_410_with_a_cursor_is_a_gap_and_the_next_request_has_none() {
    for status in [404, 410] {
        let mut bench = Bench::start(CursoredConfig::default(), Some(state("e7")));
        bench.refuse(status);
        let gap = Cause::Gap(Sign::Gone);
        assert_eq!(told(&bench), (vec![Sign::Gone], vec![gap], vec![]));
        assert_eq!(bench.last_state().cursor, None);
        assert!(bench.next_connect() <= 1.0);
        let (connection, cursor) = bench.take_connect();
        assert_eq!(cursor, None);
        bench.input(Input::Opened(connection));
        assert_eq!(told(&bench).2, [], "a 200 proves nothing");
        bench.event(connection, "e90");
        assert_eq!(told(&bench).2, [gap]);
        bench.end(connection, PROPER);
        assert_eq!(bench.asks().1.as_deref(), Some("e90"));
    }
}

#[test]
fn a_404_without_a_cursor_is_a_refusal() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    for most in [1.0, 2.0, 4.0, 8.0] {
        bench.refuse(404);
        assert!((most / 2.0..=most).contains(&bench.next_connect()));
    }
    assert_eq!(told(&bench), (vec![], vec![], vec![]));
    assert_eq!(bench.policy.health(), Health::Degraded("unreachable"));
}

#[test]
fn a_204_ends_the_stream_until_a_person_acts() {
    for act in [Input::Resume, Input::Reconnect, Input::Recover] {
        let mut bench = Bench::start(CursoredConfig::default(), None);
        bench.refuse(204);
        assert_eq!(told(&bench), (vec![], vec![], vec![]), "there was nothing to lose");
        assert_eq!(bench.policy.health(), Health::Ended);
        bench.pass(100_000.0);
        bench.input(Input::TryNow);
        assert_eq!((bench.connects(), bench.policy.backing_off_until()), (0, None));
        assert!(bench.last_state().ended);
        bench.input(act);
        assert_eq!(bench.take_connect().1, None);
    }
}

#[test]
fn a_204_with_a_cursor_is_a_gap_too_and_the_cursor_stays() {
    let mut bench = Bench::start(resyncing(), Some(state("e7")));
    bench.refuse(204);
    let gap = Cause::Gap(Sign::NoContent);
    assert_eq!(told(&bench), (vec![Sign::NoContent], vec![gap], vec![]));
    assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
    bench.input(cursored::Input::Resynced { ok: true });
    assert_eq!((told(&bench).2, bench.policy.health()), (vec![gap], Health::Ended));
    bench.pass(1.0);
    let ended = bench.last_state().clone();
    assert!(ended.ended && !ended.snapshot_owed && ended.incident.is_none());
    bench.input(Input::Resume);
    assert_eq!(bench.take_connect().1.as_deref(), Some("e7"));
    let mut restarted = Bench::start(resyncing(), Some(ended));
    assert_eq!(restarted.take_connect().1.as_deref(), Some("e7"), "a restart asks again");
}

#[test]
fn a_sign_in_an_answer_does_not_end_it_and_its_events_move_the_cursor() {
    for sign in [GapSign::Event, GapSign::Sequence, GapSign::Header] {
        let mut bench = Bench::start(CursoredConfig::default(), Some(state("e7")));
        let (connection, _) = bench.take_connect();
        bench.input(Input::Opened(connection));
        bench.input(cursored::Input::Gap { connection, sign });
        let gap = Cause::Gap(Sign::Answer(sign));
        let over = if sign == GapSign::Header { vec![] } else { vec![gap] };
        assert_eq!(told(&bench), (vec![Sign::Answer(sign)], vec![gap], over));
        assert_eq!(bench.take_others(), [cursored::Output::GoOn(connection).into()]);
        bench.event(connection, "e90");
        assert_eq!(told(&bench).2, [gap]);
        bench.end(connection, PROPER);
        assert_eq!(bench.asks().1.as_deref(), Some("e90"));
    }
}

#[test]
fn a_sign_that_no_event_follows_leaves_the_cursor_where_it_is() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Event });
    bench.end(connection, PROPER);
    assert_eq!(bench.asks().1.as_deref(), Some("e7"));
}

#[test]
fn the_snapshot_comes_before_the_next_connection_and_is_asked_for_until_it_is_had() {
    let mut bench = Bench::start(resyncing(), Some(state("e7")));
    bench.refuse(404);
    assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
    assert!(bench.last_state().snapshot_owed);
    bench.pass(100.0);
    assert_eq!(bench.connects(), 0);
    for most in [1.0, 2.0, 4.0] {
        bench.input(cursored::Input::Resynced { ok: false });
        assert_eq!(bench.policy.health(), Health::Degraded("resync_failed"));
        bench.pass(most / 2.0 - 0.001);
        assert_eq!(bench.take_others(), []);
        bench.pass(most / 2.0 + 0.001);
        assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
    }
    bench.input(cursored::Input::Resynced { ok: true });
    assert_eq!(bench.policy.health(), Health::Degraded("unreachable"), "until a frame comes");
    bench.open();
    assert_eq!(told(&bench).2, [Cause::Gap(Sign::Gone)]);
    bench.pass(2.0);
    assert!(!bench.last_state().snapshot_owed);
}

#[test]
fn a_connection_that_goes_on_while_the_snapshot_is_fetched_stays() {
    let (mut bench, connection) = Bench::reading(resyncing(), "e7");
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Event });
    assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
    assert_eq!(bench.policy.health(), Health::Recovering);
    bench.input(cursored::Input::Resynced { ok: true });
    assert_eq!(bench.take_others(), [cursored::Output::GoOn(connection).into()]);
    bench.event(connection, "e90");
    assert_eq!(told(&bench).2, [Cause::Gap(Sign::Answer(GapSign::Event))]);
    bench.end(connection, PROPER);
    assert_eq!(bench.asks().1.as_deref(), Some("e90"));
}

#[test]
fn what_is_behind_a_sign_waits_until_the_gap_is_durable() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.disk_answers = false;
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Sequence });
    assert_eq!(bench.take_others(), []);
    bench.disk_answers = true;
    bench.answer_disk();
    assert_eq!(bench.take_others(), [cursored::Output::GoOn(connection).into()]);
}

#[test]
fn a_connection_that_ends_while_it_waits_asks_again_for_what_is_lost() {
    let (mut bench, connection) = Bench::reading(resyncing(), "e7");
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Event });
    bench.take_others();
    bench.end(connection, PROPER);
    bench.pass(60.0);
    assert_eq!(bench.connects(), 0, "the snapshot comes first");
    bench.input(cursored::Input::Resynced { ok: true });
    assert_eq!(bench.take_others(), []);
    assert_eq!(bench.asks().1.as_deref(), Some("e7"));
}

#[test]
fn each_loss_is_reported_within_one_incident_and_wants_a_snapshot_of_its_own() {
    let (mut bench, connection) = Bench::reading(resyncing(), "e7");
    let gap = cursored::Input::Gap { connection, sign: GapSign::Event };
    bench.input(gap.clone());
    bench.input(gap);
    assert_eq!(told(&bench).0.len(), 2);
    assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
    bench.input(cursored::Input::Resynced { ok: true });
    assert_eq!(bench.take_others(), [cursored::Output::Resync.into()]);
    bench.input(cursored::Input::Resynced { ok: true });
    assert_eq!(bench.take_others(), [cursored::Output::GoOn(connection).into()]);
    let (_, begun, over) = told(&bench);
    assert_eq!((begun.len(), over.len()), (1, 1));
}

#[test]
fn a_stall_is_an_incident_that_ends_with_the_next_frame() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.event(connection, "e8");
    bench.pass(60.0);
    bench.input(Input::Stale(connection));
    assert_eq!(bench.take_others(), [Output::Kill(connection)]);
    assert_eq!(bench.policy.health(), Health::Recovering);
    bench.end(connection, End::Killed);
    assert!((bench.next_connect() - 0.1).abs() < 1e-9, "at once");
    let (next, cursor) = bench.take_connect();
    assert_eq!(cursor.as_deref(), Some("e8"));
    bench.input(Input::Opened(next));
    assert_eq!(told(&bench), (vec![], vec![Cause::Stale], vec![]));
    bench.input(cursored::Input::Heartbeat(next));
    assert_eq!(told(&bench).2, [Cause::Stale]);
    assert_eq!(bench.policy.health(), Health::Live);
}

#[test]
fn a_slow_frame_is_a_stall_of_its_own_name() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::TooSlow(connection));
    bench.input(Input::Stale(connection));
    assert_eq!(bench.take_others(), [Output::Kill(connection)]);
    assert_eq!(told(&bench).1, [Cause::SlowFrame]);
}

#[test]
fn a_gap_behind_a_stall_is_an_incident_of_its_own() {
    let (mut bench, connection) = Bench::reading(CursoredConfig::default(), "e7");
    bench.input(Input::Stale(connection));
    bench.end(connection, End::Killed);
    bench.refuse(404);
    let gap = Cause::Gap(Sign::Gone);
    assert_eq!(told(&bench), (vec![Sign::Gone], vec![Cause::Stale, gap], vec![Cause::Stale]));
    assert_eq!(bench.policy.incident().map(|incident| incident.id), Some(IncidentId(2)));
}

#[test]
fn without_a_cursor_an_unplanned_break_is_a_gap() {
    let config = CursoredConfig { strategy: Strategy::Reconnect, ..CursoredConfig::default() };
    let mut bench = Bench::start(config, None);
    let connection = bench.open();
    bench.event(connection, "e1");
    bench.end(connection, End::Reset);
    assert_eq!(told(&bench).0, [Sign::Break]);
    let suspect =
        |report: &policy::Report| matches!(report, policy::Report::Ended { suspect: true, .. });
    assert!(bench.common.iter().any(suspect));
    // What did not open is no further break.
    bench.refuse(503);
    let connection = bench.open();
    assert_eq!(told(&bench).2, [Cause::Gap(Sign::Break)]);
    bench.event(connection, "e2");
    bench.end(connection, PROPER);
    let connection = bench.open();
    bench.input(cursored::Input::Planned(connection));
    bench.end(connection, End::Reset);
    assert_eq!(told(&bench).0.len(), 1, "what was planned is none");
}

#[test]
fn a_server_that_sends_its_full_state_has_no_gaps_by_breaks() {
    let config = CursoredConfig {
        strategy: Strategy::Reconnect,
        full_state: true,
        ..CursoredConfig::default()
    };
    let mut bench = Bench::start(config, Some(CursoredState { clean: false, ..state("e1") }));
    let connection = bench.open();
    bench.event(connection, "e1");
    bench.end(connection, End::Reset);
    assert_eq!(told(&bench).0, []);
}

#[test]
fn whether_there_is_a_cursor_is_judged_when_what_was_read_is_committed() {
    for (cursor, gaps) in [(Some("e1"), 0), (None, 1)] {
        let mut bench = Bench::start(CursoredConfig::default(), None);
        let connection = bench.open();
        bench.disk_answers = false;
        bench.input(Input::Data(connection));
        bench.end(connection, End::Reset);
        bench.commit(connection, cursor);
        assert_eq!(told(&bench).0, []);
        bench.disk_answers = true;
        bench.answer_disk();
        assert_eq!(told(&bench).0.len(), gaps);
    }
}

#[test]
fn without_a_cursor_an_unclean_start_is_a_break() {
    for (clean, has_read, gaps) in [(false, true, 1), (true, true, 0), (false, false, 0)] {
        let old = CursoredState { cursor: None, clean, has_read, ..state("") };
        let bench = Bench::start(CursoredConfig::default(), Some(old));
        assert_eq!(told(&bench).0.len(), gaps);
    }
}

#[test]
fn counts_are_of_the_incident() {
    let (mut bench, connection) = Bench::reading(resyncing(), "e7");
    bench.event(connection, "e8");
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Event });
    bench.event(connection, "e9");
    bench.event(connection, "e10");
    let incident = bench.policy.incident().unwrap();
    assert_eq!((incident.new, incident.gaps, incident.stalls), (2, 1, 0));
}

#[test]
fn another_session_is_a_gap_and_is_asked_without_a_cursor() {
    let mut bench = Bench::start(CursoredConfig::default(), Some(state("e7")));
    let (connection, asked) = bench.asks();
    assert_eq!(asked.as_deref(), Some("e7"));
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Session });
    assert_eq!(bench.take_others(), [Output::from(cursored::Output::GoOn(connection))]);
    assert!(bench.last_state().forgotten && bench.last_state().cursor.is_none());
    let is_gap =
        |report: &Report| matches!(report, Report::Gap { sign, .. } if sign.reason() == "session");
    assert_eq!(bench.reports.iter().filter(|report| is_gap(report)).count(), 1);
    bench.input(Input::Opened(connection));
    bench.event(connection, "s1");
    assert_eq!(bench.policy.incident(), None, "it is read again");
    bench.end(connection, PROPER);
    assert_eq!(bench.asks().1.as_deref(), Some("s1"));
}

#[test]
fn the_first_session_is_no_gap() {
    let mut bench = Bench::start(CursoredConfig::default(), None);
    let (connection, _) = bench.asks();
    bench.input(cursored::Input::Gap { connection, sign: GapSign::Session });
    assert_eq!(bench.take_others(), [Output::from(cursored::Output::GoOn(connection))]);
    assert!(bench.reports.is_empty());
}
