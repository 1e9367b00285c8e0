//! The two readings of `start_date`: cut by `created_at`, or by the start of the measured span.

use super::bench::{Bench, NOON, restless};
use crate::classify::End;
use crate::id::{ConnectionId, StreamId, UserKey};
use crate::marked::establish::{Answer, Call};
use crate::policy::{Datum, Input};
use crate::time::{Instant, Timestamp};

/// A record of today whose span started two days before.
fn early_span(bench: &Bench) -> Datum {
    let now = bench.now.since(Instant::ZERO);
    let created_at = Timestamp::from_micros(NOON * 1_000_000).plus(now);
    let start_day = Some(created_at.utc_day().minus_days(2));
    Datum { user: UserKey(9), created_at, start_day, new: true }
}

/// A stream that was made again on 2026-11-21 after a stall, and is being verified.
fn verifying() -> (Bench, ConnectionId) {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    bench.input(Input::Stale(bench.slot(0)));
    let killed = bench.killed();
    killed.into_iter().for_each(|connection| bench.end(connection, End::Killed));
    bench.answer(&Call::Delete { id: StreamId("s1".into()) }, Answer::Deleted);
    assert_eq!(bench.answer_create("s2").as_deref(), Some("2026-11-21"));
    bench.open_all();
    bench.poke_until(1_800.0);
    let replay = bench.take_connects()[0];
    bench.input(Input::Opened(replay));
    (bench, replay)
}

#[test]
fn what_only_the_replay_brings_shows_a_cut_by_start_time_and_is_read_from_further_back() {
    let (mut bench, replay) = verifying();
    let mark = bench.policy.mark();
    let datum = early_span(&bench);
    bench.commit(replay, None, vec![datum]);
    bench.poke_until(3_000.0);
    let killed = bench.killed();
    assert_eq!(killed.len(), 2, "the stream and the replay");
    killed.into_iter().for_each(|connection| bench.end(connection, End::Killed));
    bench.answer(&Call::Delete { id: StreamId("s2".into()) }, Answer::Deleted);
    assert_eq!(bench.answer_create("s3").as_deref(), Some("2026-11-19"));
    assert_eq!(bench.policy.mark(), mark, "what was withheld holds the mark");
}

#[test]
fn what_the_stream_brings_too_shows_a_cut_by_created_at() {
    let (mut bench, replay) = verifying();
    let datum = early_span(&bench);
    bench.commit(replay, None, vec![datum]);
    bench.commit(bench.slot(0), None, vec![Datum { new: false, ..datum }]);
    bench.poke_until(3_000.0);
    assert_eq!(bench.killed(), [replay]);
    assert_eq!(bench.policy.suspects(), 0);
}
