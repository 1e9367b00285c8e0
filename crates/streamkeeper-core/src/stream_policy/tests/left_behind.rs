//! What an earlier process left behind is found, once, and deleted; what is not ours is let alone.

use std::time::Duration;

use super::bench::{Bench, restless, s};
use crate::classify::{End, Refusal};
use crate::establish::{Answer, Call, CallFailure, Listed};
use crate::stream_policy::{Input, Members, StreamState};

/// After a clean stop while `stream` was read.
fn restarted(stream: &str) -> Bench {
    let state = StreamState { stream_id: Some(s(stream)), clean: true, ..StreamState::at(None) };
    let mut bench = Bench::new(restless(1));
    bench.start(Some(state));
    bench.open_all();
    bench.pass_to(6.0);
    bench
}

fn listed(streams: &[(&str, &str)]) -> Answer {
    let stream =
        |&(id, name): &(&str, &str)| Listed { id: s(id), name: name.into(), start_date: None };
    Answer::Listed(streams.iter().map(stream).collect())
}

#[test]
fn what_an_earlier_process_left_behind_is_deleted_when_the_service_lets_go() {
    let mut bench = restarted("s2");
    let failed = |failure, seconds| Answer::Failed {
        failure,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    bench.answer(&Call::List, failed(CallFailure::Rejected { status: 500 }, 1));
    bench.pass_to(30.0);
    let streams = [("s1", "acme"), ("s2", "acme~2"), ("x", "other")];
    bench.answer(&Call::List, listed(&streams));
    bench.pass_to(36.0);
    let delete = Call::Delete { id: s("s1") };
    bench.answer(&delete, failed(CallFailure::Held, 1));
    bench.pass_to(60.0);
    bench.answer(&delete, failed(CallFailure::Held, 600));
    bench.pass_to(650.0);
    assert_eq!(bench.calls(), [], "the service has asked for ten minutes");
    bench.pass_to(670.0);
    bench.answer(&delete, Answer::Deleted);
    bench.pass_to(10_000.0);
    assert_eq!(bench.calls(), [], "looked for once");
}

#[test]
fn nobody_looks_while_the_service_does_not_answer() {
    let state = StreamState { stream_id: Some(s("s2")), clean: true, ..StreamState::at(None) };
    let mut bench = Bench::new(restless(1));
    bench.start(Some(state));
    while bench.seconds() < 600.0 {
        for connection in bench.take_connects() {
            bench.end(connection, End::NotOpened { sent: false });
        }
        assert_eq!(bench.calls(), []);
        bench.pass_to(bench.seconds() + 1.0);
    }
    bench.pass_to(660.0);
    bench.open_all();
    bench.pass_to(666.0);
    bench.answer(&Call::List, listed(&[("s1", "acme"), ("s2", "acme~2")]));
}

#[test]
fn a_slot_too_many_keeps_nothing_from_being_deleted() {
    let state = StreamState { stream_id: Some(s("s2")), clean: true, ..StreamState::at(None) };
    let mut bench = Bench::new(restless(2));
    bench.start(Some(state));
    let first = bench.take_connects()[0];
    bench.input(Input::Opened(first));
    bench.poke(first);
    let second = bench.take_connects()[0];
    bench.end(second, End::Refused(Refusal::Crowded { retry_after: None }));
    let members = Members { count: Some(1), max: Some(1) };
    bench.input(Input::Poke { connection: first, members });
    bench.poke_until(10.0);
    assert_eq!(bench.take_connects(), [], "the service allows one");
    bench.answer(&Call::List, listed(&[("s1", "acme"), ("s2", "acme~2")]));
    bench.poke_until(20.0);
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
}

#[test]
fn a_stream_of_our_name_is_let_alone_if_ours_has_another() {
    let mut bench = restarted("s2");
    bench.answer(&Call::List, listed(&[("s1", "acme"), ("s2", "before-the-name-was-changed")]));
    bench.pass_to(10_000.0);
    assert_eq!(bench.calls(), []);
}
