//! A service that refuses `/replay` for ever: the mark stands, and that is said.

use super::bench::{Bench, restless};
use crate::classify::{End, Refusal};
use crate::id::Reader;
use crate::marked::Report;
use crate::policy::{Health, Input};

/// Lets live connections poke until then, and refuses every replay like this; how many there were.
fn refuse_until(bench: &mut Bench, seconds: f64, refusal: Refusal) -> usize {
    let mut refused = 0;
    while bench.seconds() < seconds {
        bench.poke_until(bench.seconds() + 5.0);
        for connection in bench.take_connects() {
            assert_eq!(connection.reader, Reader::Replay);
            bench.end(connection, End::Refused(refusal));
            refused += 1;
        }
    }
    refused
}

/// A stream that has lost a connection, and reads on.
fn suspicious() -> Bench {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    bench.end(bench.slot(0), End::Reset);
    bench.open_all();
    bench
}

fn said(bench: &Bench) -> usize {
    let refused = |report: &&Report| matches!(report, Report::ReplayRefused { .. });
    bench.reports.iter().filter(refused).count()
}

#[test]
fn a_replay_that_is_refused_for_ever_is_a_state_of_its_own_said_once() {
    for status in [400, 403, 404, 410] {
        let mut bench = suspicious();
        let refusals = refuse_until(&mut bench, 3_000.0, Refusal::from_status(status, None));
        assert!((3..20).contains(&refusals), "{status}: {refusals} attempts");
        assert_eq!(bench.policy.health(), Health::Degraded("replay_refused"), "{status}");
        assert_eq!(said(&bench), 1, "{status}");
        let mark = bench.policy.mark();
        bench.poke_until(4_000.0);
        assert_eq!(bench.policy.mark(), mark, "{status}: the mark stands");
    }
}

#[test]
fn a_replay_that_is_refused_for_the_moment_is_none() {
    for status in [422, 429, 503] {
        let mut bench = suspicious();
        let refusal = Refusal::from_status(status, None);
        refuse_until(&mut bench, 4_000.0, refusal);
        assert_eq!((bench.policy.health(), said(&bench)), (Health::Live, 0), "{status}");
        refuse_until(&mut bench, 6_000.0, refusal);
        let refused = Health::Degraded("replay_refused");
        assert_eq!((bench.policy.health(), said(&bench)), (refused, 1), "{status}: for an hour");
        while !bench.take_connects().into_iter().any(|replay| {
            bench.input(Input::Opened(replay));
            true
        }) {
            bench.poke_until(bench.seconds() + 5.0);
        }
        assert_eq!(bench.policy.health(), Health::Live, "{status}: it is not refused any more");
    }
}

#[test]
fn a_recovery_reads_what_a_refused_replay_cannot() {
    let mut bench = suspicious();
    refuse_until(&mut bench, 3_000.0, Refusal::Gone);
    bench.input(Input::Recover);
    for connection in bench.killed() {
        bench.end(connection, End::Killed);
    }
    assert_ne!(bench.policy.health(), Health::Degraded("replay_refused"));
}
