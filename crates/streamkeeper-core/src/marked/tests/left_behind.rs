//! What an earlier process left behind is found, once, and deleted; what is not ours is let alone.

use std::time::Duration;

use super::bench::{Bench, restless, s};
use crate::classify::{End, Refusal};
use crate::marked::establish::{Answer, Call, CallFailure, Listed};
use crate::marked::{self, Members, Report, StreamState};
use crate::policy::Input;

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
    bench.input(marked::Input::Poke { connection: first, members });
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

#[test]
fn what_was_left_behind_is_written_down_and_deleted_after_a_restart() {
    let state = StreamState {
        stream_id: Some(s("s2")),
        clean: true,
        left_behind: vec![s("s1")],
        ..StreamState::at(None)
    };
    let mut bench = Bench::new(restless(1));
    bench.start(Some(state));
    bench.open_all();
    bench.pass_to(5.5);
    let persisted = bench.persisted.last().unwrap();
    assert_eq!(persisted.left_behind, [s("s1")]);
    bench.answer(&Call::List, listed(&[("s1", "acme~3"), ("s2", "acme~2")]));
    bench.answer(&Call::Delete { id: s("s1") }, Answer::Deleted);
    bench.input(Input::Recover);
    assert_eq!(bench.persisted.last().unwrap().left_behind, []);
}

#[test]
fn a_stream_with_our_name_and_a_number_that_is_not_known_is_said_once_and_left_alone() {
    let mut bench = restarted("s2");
    bench.answer(&Call::List, listed(&[("x", "acme~2024"), ("s2", "acme")]));
    bench.pass_to(10_000.0);
    assert_eq!(bench.calls(), []);
    let said = Report::NotOurs { id: s("x"), name: "acme~2024".into() };
    assert_eq!(bench.reports.iter().filter(|report| **report == said).count(), 1);
}

/// The service holds the old stream, `acme`, and has been asked which names are free.
fn held() -> Bench {
    let mut bench = Bench::new(restless(1));
    bench.start(None);
    let held = Answer::Failed { failure: CallFailure::Held, retry_after: None };
    bench.answer(&Call::List, listed(&[("s1", "acme")]));
    loop {
        bench.pass_to(bench.seconds() + 0.5);
        match bench.calls().as_slice() {
            [Call::Delete { .. }] => bench.input(marked::Input::Answered(held.clone())),
            [Call::List] => return bench,
            other => assert!(other.is_empty() && bench.seconds() < 100.0, "{other:?}"),
        }
    }
}

#[test]
fn a_name_alongside_is_written_down_before_it_is_asked_for() {
    let mut bench = held();
    bench.disk_answers = false;
    bench.input(marked::Input::Answered(listed(&[("s1", "acme")])));
    assert_eq!(bench.persisted.last().unwrap().announced, ["acme~2"]);
    bench.pass_to(bench.seconds() + 10.0);
    assert_eq!(bench.calls(), [], "it is not durable yet");
    bench.disk_answers = true;
    bench.answer_disk();
    bench.answer_create("s2");
    let state = bench.persisted.last().unwrap();
    assert_eq!(
        (state.stream_id.as_ref(), state.left_behind.as_slice()),
        (Some(&s("s2")), &[s("s1")][..])
    );
    assert_eq!(state.announced, Vec::<String>::new(), "it has an id now");
}

#[test]
fn a_name_alongside_that_is_refused_is_not_ours() {
    let mut bench = held();
    bench.input(marked::Input::Answered(listed(&[("s1", "acme")])));
    assert!(matches!(bench.calls().as_slice(), [Call::Create { name, .. }] if name == "acme~2"));
    // Somebody else was faster.
    let taken = Answer::Failed { failure: CallFailure::NameTaken, retry_after: None };
    bench.input(marked::Input::Answered(taken));
    bench.pass_to(bench.seconds() + 5.0);
    bench.answer(&Call::List, listed(&[("s1", "acme"), ("x", "acme~2")]));
    bench.answer_create("s3");
    assert_eq!(bench.persisted.last().unwrap().announced, Vec::<String>::new());
}
