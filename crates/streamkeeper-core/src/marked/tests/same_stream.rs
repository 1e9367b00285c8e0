//! The strategy `replay`: the same stream is read on, and a replay beside it until that has passed whatever may
//! have been lost.

use super::bench::{Bench, NOON, restless, s};
use crate::classify::{End, Refusal};
use crate::id::{ConnectionId, Reader, UserKey};
use crate::marked::establish::Call;
use crate::marked::{
    self, MarkedConfig, Members, Obstacle, Phase, Report, Strategy, StreamState, Target,
};
use crate::policy::{Datum, Health, Input, Output};
use crate::time::{Instant, Timestamp};

fn replaying() -> MarkedConfig {
    MarkedConfig { strategy: Strategy::Replay, verify_every: None, ..restless(2) }
}

/// A stream that has read its history, and lost a connection: everything is closed.
fn stalled() -> Bench {
    let mut bench = Bench::running(replaying());
    bench.poke_until(900.0);
    assert!(bench.policy.mark().is_some());
    stall(&mut bench);
    bench
}

/// A slot is silent; what is killed is gone at once. How many that were.
fn stall(bench: &mut Bench) -> usize {
    bench.input(Input::Stale(bench.slot(0)));
    let killed = bench.killed();
    killed.iter().for_each(|connection| bench.end(*connection, End::Killed));
    killed.len()
}

fn replay_of(bench: &Bench) -> Option<ConnectionId> {
    bench.connections.keys().copied().find(|connection| connection.reader == Reader::Replay)
}

/// Everything pokes until then; on the slots the service counts so many clients.
fn read_until(bench: &mut Bench, seconds: f64, count: Option<u32>) {
    while bench.seconds() < seconds {
        bench.pass_to(bench.seconds() + 5.0);
        bench.open_all();
        for connection in bench.connections.keys().copied().collect::<Vec<_>>() {
            let members = Members { count, max: None };
            bench.input(marked::Input::Poke { connection, members });
            bench.poke(connection);
        }
    }
}

fn is_over(bench: &Bench) -> bool {
    bench.reports.iter().any(|report| matches!(report, Report::CaughtUp { incident: Some(_) }))
}

/// Why the stream had to be made anew, each time that it was said.
fn obstacles(bench: &Bench) -> Vec<Obstacle> {
    let obstacle = |report: &Report| match report {
        Report::NeedsNewStream(obstacle) => Some(*obstacle),
        _ => None,
    };
    bench.reports.iter().filter_map(obstacle).collect()
}

#[test]
fn a_stall_opens_the_same_stream_again_and_a_replay_beside_it() {
    let mut bench = stalled();
    assert_eq!(bench.persisted.last().unwrap().phase, Phase::Rereading);
    let targets: Vec<_> = bench.connections.values().cloned().collect();
    let day = bench.policy.mark().unwrap().utc_day();
    assert_eq!(
        targets,
        [Target::Stream(s("s1")), Target::Stream(s("s1")), Target::Replay(day)],
        "all at once"
    );
    read_until(&mut bench, 1_500.0, Some(2));
    assert_eq!(bench.policy.health(), Health::Recovering);
    assert!(!bench.policy.replays(), "what slots read is live");
    let mark = bench.policy.mark();
    read_until(&mut bench, 2_200.0, Some(2));
    assert!(is_over(&bench));
    assert_eq!((bench.policy.suspects(), bench.policy.health()), (0, Health::Live));
    assert_eq!(bench.policy.incident(), None);
    assert!(bench.policy.mark() > mark);
    assert_eq!(bench.persisted.last().unwrap().phase, Phase::Running);
    assert_eq!((bench.calls(), obstacles(&bench)), (vec![], vec![]));
    assert_eq!(bench.killed(), [replay_of(&bench).unwrap()], "it is not read any longer");
}

#[test]
fn a_client_that_the_service_still_counts_may_be_sent_what_is_ours() {
    let mut bench = stalled();
    read_until(&mut bench, 2_400.0, Some(3));
    assert!(!is_over(&bench), "the replay has passed the termination long ago");
    // It is gone: everything that it was sent is older than this.
    read_until(&mut bench, 2_500.0, Some(2));
    assert!(!is_over(&bench), "the replay has not come so far");
    read_until(&mut bench, 3_000.0, Some(2));
    assert!(is_over(&bench));
    assert_eq!((bench.calls(), bench.policy.suspects()), (vec![], 0));
}

#[test]
fn a_second_stall_moves_the_goal_on_and_leaves_the_replay_alone() {
    let mut bench = stalled();
    read_until(&mut bench, 1_500.0, Some(2));
    let replay = replay_of(&bench).unwrap();
    assert_eq!(stall(&mut bench), 2, "the slots");
    read_until(&mut bench, 1_700.0, Some(2));
    assert!(!is_over(&bench));
    read_until(&mut bench, 2_200.0, Some(2));
    assert!(is_over(&bench));
    assert_eq!(replay_of(&bench), Some(replay));
    assert_eq!(bench.policy.suspects(), 0);
}

#[test]
fn a_stall_of_the_replay_starts_it_over() {
    let mut bench = stalled();
    read_until(&mut bench, 1_500.0, Some(2));
    let replay = replay_of(&bench).unwrap();
    bench.input(Input::Stale(replay));
    assert_eq!(bench.killed(), [replay]);
    bench.end(replay, End::Killed);
    assert!(bench.reports.contains(&Report::RereadFailed { end: End::Killed }));
    read_until(&mut bench, 1_600.0, Some(2));
    assert!(replay_of(&bench).is_some_and(|again| again != replay));
    read_until(&mut bench, 2_900.0, Some(2));
    assert!(is_over(&bench));
}

#[test]
fn clients_that_stay_and_clients_that_nobody_counts_need_a_new_stream() {
    for count in [Some(3), None] {
        let mut bench = stalled();
        read_until(&mut bench, 3_000.0, count);
        assert_eq!(bench.calls(), []);
        // Four walks after the first connection was open.
        read_until(&mut bench, 3_310.0, count);
        assert_eq!(obstacles(&bench), [Obstacle::Clients], "{count:?}");
        assert_eq!(bench.persisted.last().unwrap().phase, Phase::Recovering);
        for connection in bench.killed() {
            bench.end(connection, End::Killed);
        }
        bench.pass_to(bench.seconds() + 0.25);
        assert_eq!(bench.calls(), [Call::Delete { id: s("s1") }]);
    }
}

#[test]
fn a_replay_that_is_refused_for_good_needs_a_new_stream() {
    let mut bench = stalled();
    while obstacles(&bench).is_empty() && bench.seconds() < 3_000.0 {
        bench.pass_to(bench.seconds() + 5.0);
        for connection in bench.take_connects() {
            if connection.reader == Reader::Replay {
                bench.end(connection, End::Refused(Refusal::Gone));
            } else {
                bench.input(Input::Opened(connection));
            }
        }
        let open: Vec<_> = bench.connections.keys().copied().collect();
        open.into_iter().for_each(|connection| bench.poke(connection));
    }
    assert_eq!(obstacles(&bench), [Obstacle::ReplayRefused]);
    for connection in bench.killed() {
        bench.end(connection, End::Killed);
    }
    bench.pass_to(bench.seconds() + 0.25);
    assert_eq!(bench.calls(), [Call::Delete { id: s("s1") }]);
}

#[test]
fn a_stream_that_is_gone_is_made_anew() {
    let mut bench = stalled();
    bench.end(bench.slot(0), End::Refused(Refusal::Gone));
    for connection in bench.killed() {
        bench.end(connection, End::Killed);
    }
    bench.pass_to(bench.seconds() + 0.25);
    assert_eq!(obstacles(&bench), [Obstacle::StreamGone]);
    assert_eq!(bench.calls(), [Call::Delete { id: s("s1") }]);
}

#[test]
fn an_unclean_start_goes_on_with_a_stream_whose_history_has_been_read() {
    let noon = Timestamp::from_micros(NOON * 1_000_000);
    let state = |phase, id: Option<&str>| StreamState {
        phase,
        stream_id: id.map(s),
        ..StreamState::at(Some(noon))
    };
    for (state, wall, expected) in [
        (state(Phase::Running, Some("s1")), NOON + 60, None),
        (state(Phase::Rereading, Some("s1")), NOON + 60, None),
        (state(Phase::Recovering, Some("s1")), NOON + 60, Some(Obstacle::Unread)),
        (state(Phase::Running, None), NOON + 60, Some(Obstacle::Unread)),
        (state(Phase::Running, Some("s1")), NOON + 7 * 86_400, Some(Obstacle::Unread)),
        (
            StreamState { stream_id: Some(s("s1")), ..StreamState::at(None) },
            NOON,
            Some(Obstacle::Unread),
        ),
    ] {
        let mut bench = Bench::new(replaying());
        let wall = Timestamp::from_micros(wall * 1_000_000);
        bench.input(Input::Start { state: Some(state.clone().into()), wall });
        assert_eq!(obstacles(&bench), Vec::from_iter(expected), "{state:?}");
        assert_eq!(bench.policy.incident().unwrap().id.0, 1);
        let same = bench.connections.values().any(|target| *target == Target::Stream(s("s1")));
        assert_eq!(same, expected.is_none(), "{state:?}");
        assert_eq!(bench.policy.mark(), state.mark);
    }
}

#[test]
fn a_queue_that_was_full_reads_everything_afresh() {
    let mut bench = stalled();
    read_until(&mut bench, 1_500.0, Some(2));
    let open: Vec<_> = bench.connections.keys().copied().collect();
    open.iter().for_each(|connection| bench.input(Input::Blocked(*connection)));
    bench.pass_to(1_531.0);
    let killed = bench.killed();
    assert_eq!(killed.len(), 3, "nobody would see the replay die, either");
    killed.into_iter().for_each(|connection| bench.end(connection, End::Killed));
    assert_eq!(bench.policy.health(), Health::Degraded("outbox_full"));
    bench.input(Input::Room);
    read_until(&mut bench, 2_800.0, Some(2));
    assert!(is_over(&bench));
    assert_eq!((bench.calls(), bench.policy.suspects()), (vec![], 0));
}

/// A start after a crash of a stream on which data flows: no slot pokes. Everything is read until then.
fn data_flows_until(bench: &mut Bench, seconds: f64, replay_pokes: bool) {
    while bench.seconds() < seconds {
        bench.pass_to(bench.seconds() + 5.0);
        for connection in bench.take_connects() {
            bench.input(Input::Opened(connection));
        }
        let wanted = |output: &Output| matches!(output, Output::Marked(marked::Output::Count(_)));
        if bench.wanted.iter().any(wanted) {
            bench.wanted.retain(|output| !wanted(output));
            bench.input(marked::Input::Counted { stream: s("s1"), members: Some(2) });
        }
        let noon = Timestamp::from_micros(NOON * 1_000_000);
        let created_at = noon.plus(bench.now.since(Instant::ZERO));
        for connection in bench.connections.keys().copied().collect::<Vec<_>>() {
            if connection.reader == Reader::Replay && replay_pokes {
                bench.poke(connection);
            }
            bench.input(Input::Data(connection));
            let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
            bench.commit(connection, None, vec![datum]);
        }
    }
}

#[test]
fn a_stream_that_never_pokes_is_recovered_by_what_the_replay_says_or_by_records_alone() {
    for (replay_pokes, by) in [(true, 1_500.0), (false, 4_000.0)] {
        let mut bench = Bench::new(replaying());
        let noon = Timestamp::from_micros(NOON * 1_000_000);
        let state = StreamState { stream_id: Some(s("s1")), ..StreamState::at(Some(noon)) };
        // Our own clock is a quarter of an hour behind.
        let wall = Timestamp::from_micros((NOON - 900) * 1_000_000);
        bench.input(Input::Start { state: Some(state.into()), wall });
        data_flows_until(&mut bench, 600.0, replay_pokes);
        assert!(!is_over(&bench));
        data_flows_until(&mut bench, by, replay_pokes);
        assert!(is_over(&bench), "{replay_pokes}");
        assert_eq!((bench.policy.suspects(), obstacles(&bench)), (0, vec![]));
    }
}
