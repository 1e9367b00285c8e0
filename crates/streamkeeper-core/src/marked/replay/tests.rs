//! An operator's replay at exact times.

use crate::id::UserKey;
use crate::policy::Datum;

use super::*;

/// The service's time at our instant zero.
const NOON: i64 = 1_795_262_400;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn ts(seconds: u64) -> Timestamp {
    Timestamp::from_micros(NOON * 1_000_000).plus(Duration::from_secs(seconds))
}

fn opened(wall: Timestamp) -> Replay {
    let mut replay = Replay::new(&MarkedConfig::new("acme", 1), Instant::ZERO, wall);
    replay.handle(at(0), &Input::Opened(Replay::CONNECTION));
    replay
}

fn poke(replay: &mut Replay, seconds: u64) {
    commit(replay, seconds, Some(ts(seconds)), Vec::new());
}

fn commit(replay: &mut Replay, seconds: u64, poke: Option<Timestamp>, data: Vec<Datum>) {
    let span = Span { arrived: at(seconds), poke, data, cursor: None, new: 0, duplicate: 0 };
    let connection = Replay::CONNECTION;
    replay.handle(at(seconds), &Input::Committed { connection, span });
}

/// What it wants, but for what is said to people.
fn wanted(replay: &mut Replay) -> Vec<ReplayOutput> {
    let outputs = std::iter::from_fn(|| replay.poll());
    outputs.filter(|output| !matches!(output, ReplayOutput::Reached(_))).collect()
}

fn end(replay: &mut Replay, seconds: u64, end: End) {
    replay.handle(at(seconds), &Input::Ended { connection: Replay::CONNECTION, end });
}

/// Pokes every 5 s until it is done; when that was.
fn done_at(replay: &mut Replay) -> u64 {
    for seconds in (5..10_000).step_by(5) {
        poke(replay, seconds);
        if wanted(replay) == [ReplayOutput::Kill(Replay::CONNECTION)] {
            return seconds;
        }
    }
    panic!("it is never done");
}

#[test]
fn it_is_done_when_the_history_is_walked_whatever_our_wall_clock_says() {
    for wall in [Timestamp::from_micros(0), ts(0), ts(90 * 86_400)] {
        let mut replay = opened(wall);
        assert_eq!(done_at(&mut replay), 600);
        end(&mut replay, 601, End::Killed);
        assert_eq!(wanted(&mut replay), [ReplayOutput::Flush]);
        replay.handle(at(601), &Input::Flushed);
        assert_eq!(wanted(&mut replay), [ReplayOutput::Ended { interrupted: None }]);
    }
}

#[test]
fn it_is_not_done_while_what_it_brings_is_old() {
    let mut replay = opened(ts(0));
    for seconds in (5..1_000).step_by(5) {
        let created_at = ts(seconds).minus(Duration::from_secs(86_400));
        let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
        commit(&mut replay, seconds, Some(ts(seconds)), vec![datum]);
    }
    assert_eq!(wanted(&mut replay), []);
}

#[test]
fn what_was_sent_in_a_silence_is_read_before_it_is_done() {
    let mut replay = opened(ts(0));
    (5..600).step_by(5).for_each(|seconds| poke(&mut replay, seconds));
    // The walk ended in it: a poke from before comes first, and what was walked to behind it.
    poke(&mut replay, 623);
    assert_eq!(wanted(&mut replay), []);
    let created_at = ts(0).minus(Duration::from_secs(86_400));
    let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
    commit(&mut replay, 624, None, vec![datum]);
    assert_eq!(wanted(&mut replay), []);
    (629..700).step_by(5).for_each(|seconds| poke(&mut replay, seconds));
    assert_eq!(wanted(&mut replay), [], "it has settled, and what it brought lately is old");
    poke(&mut replay, 704);
    assert_eq!(wanted(&mut replay), [ReplayOutput::Kill(Replay::CONNECTION)]);
}

#[test]
fn a_long_block_delays_its_end_and_a_short_one_does_not() {
    for (block, done) in [(1, 600), (60, 670)] {
        let mut replay = opened(ts(0));
        (5..=595 - block).step_by(5).for_each(|seconds| poke(&mut replay, seconds));
        replay.handle(at(595 - block), &Input::Blocked(Replay::CONNECTION));
        poke(&mut replay, 595 - block);
        replay.handle(at(595), &Input::Unblocked(Replay::CONNECTION));
        assert_eq!(wanted(&mut replay), []);
        let ended = (595..).step_by(5).find(|&seconds| {
            poke(&mut replay, seconds);
            !wanted(&mut replay).is_empty()
        });
        assert_eq!(ended, Some(done));
    }
}

#[test]
fn what_waited_on_its_way_does_not_make_its_goal_earlier() {
    // Nothing was read for five hours; what was sent meanwhile comes five times as fast, its records two hours old.
    let away = 5 * 3_600;
    let mut replay = opened(ts(0));
    let done = (1..10_000).find(|&read| {
        let sent = ts(read * 5);
        let created_at = sent.minus(Duration::from_secs(7_200));
        let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
        commit(&mut replay, away + read, Some(sent), vec![datum]);
        !wanted(&mut replay).is_empty()
    });
    // 75 s of reading, the margin and the two hours after the second poke, which was sent at 10 s.
    assert_eq!(done, Some((75 * 5 + 300 + 7_200 + 10) / 5));
}

#[test]
fn a_time_that_is_taken_back_is_not_waited_for() {
    let mut replay = opened(ts(0));
    for seconds in (5..=30).step_by(5) {
        commit(&mut replay, seconds, Some(ts(seconds + 3 * 86_400)), Vec::new());
    }
    let done = (35..10_000).step_by(5).find(|&seconds| {
        poke(&mut replay, seconds);
        !wanted(&mut replay).is_empty()
    });
    assert_eq!(done, Some(600));
}

#[test]
fn a_time_that_was_behind_is_not_its_goal_once_better_is_known() {
    let mut replay = opened(ts(0));
    for seconds in (5..=30).step_by(5) {
        let wrong = ts(seconds).minus(Duration::from_secs(3 * 86_400));
        commit(&mut replay, seconds, Some(wrong), Vec::new());
    }
    for seconds in (35..1_000).step_by(5) {
        let created_at = ts(0).minus(Duration::from_secs(3_600));
        let datum = Datum { user: UserKey(1), created_at, start_day: None, new: true };
        commit(&mut replay, seconds, Some(ts(seconds)), vec![datum]);
    }
    assert_eq!(wanted(&mut replay), []);
}

#[test]
fn a_silent_connection_is_closed_and_the_replay_says_that_it_was_interrupted() {
    let mut replay = opened(ts(0));
    (5..300).step_by(5).for_each(|seconds| poke(&mut replay, seconds));
    replay.handle(at(330), &Input::Stale(Replay::CONNECTION));
    assert_eq!(wanted(&mut replay), [ReplayOutput::Kill(Replay::CONNECTION)]);
    end(&mut replay, 331, End::Killed);
    replay.handle(at(332), &Input::Flushed);
    let over = ReplayOutput::Ended { interrupted: Some(End::Killed) };
    assert_eq!(wanted(&mut replay), [ReplayOutput::Flush, over]);
}

#[test]
fn what_was_read_last_counts_though_the_connection_has_ended() {
    let mut replay = opened(ts(0));
    (5..600).step_by(5).for_each(|seconds| poke(&mut replay, seconds));
    end(&mut replay, 600, End::Reset);
    poke(&mut replay, 600);
    replay.handle(at(601), &Input::Flushed);
    assert_eq!(wanted(&mut replay).last(), Some(&ReplayOutput::Ended { interrupted: None }));
}
