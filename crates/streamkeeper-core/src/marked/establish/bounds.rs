//! Whatever the service answers, it is not asked more often than a person would.
//!
//! A refusal that is taken for another, or a success that changes nothing, is how a client comes to
//! ask a thousand times a second. So the machine is fed any sequence of answers, each at once.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// The most calls of one kind in any minute, however the service answers.
const LISTS: usize = 25;
const CREATES: usize = 25;
/// A list may name several streams to delete.
const DELETES: usize = 60;

const MINUTE: Duration = Duration::from_secs(60);

fn failure() -> impl Strategy<Value = CallFailure> {
    let status = prop::sample::select(vec![400_u16, 404, 405, 409, 410, 422, 429, 500, 503]);
    prop_oneof![
        Just(CallFailure::Token { status: 401 }),
        Just(CallFailure::Token { status: 403 }),
        Just(CallFailure::Held),
        Just(CallFailure::NameTaken),
        Just(CallFailure::StreamLimit),
        Just(CallFailure::FirstDay { status: 422 }),
        status.clone().prop_map(|status| CallFailure::Rejected { status }),
        (prop::option::of(status), any::<bool>())
            .prop_map(|(status, acted)| CallFailure::Unavailable { status, acted }),
    ]
}

/// Streams old and new, with names like ours, ours in capitals, and others.
fn listed() -> impl Strategy<Value = Vec<Listed>> {
    let name = prop::sample::select(vec!["acme", "ACME", "acme~2", "acme~3", "acme~x", "other"]);
    let stream = (0..40_u32, name).prop_map(|(id, name)| Listed {
        id: StreamId(id.to_string()),
        name: name.to_owned(),
        start_date: None,
    });
    prop::collection::vec(stream, 0..30)
}

fn refused() -> impl Strategy<Value = Answer> {
    let asked = prop::option::of((0..100_u64).prop_map(Duration::from_secs));
    (failure(), asked).prop_map(|(failure, retry_after)| Answer::Failed { failure, retry_after })
}

/// What the service does, for each kind of call; a DELETE or CREATE may be answered for ever alike.
#[derive(Clone, Debug)]
struct Script {
    lists: Vec<Option<Vec<Listed>>>,
    deletes: Vec<Option<Answer>>,
    creates: Vec<Answer>,
    refused_list: Answer,
}

fn script() -> impl Strategy<Value = Script> {
    let lists = prop::collection::vec(prop::option::weighted(0.8, listed()), 1..6);
    let deletes = prop::collection::vec(prop::option::of(refused()), 1..6);
    let creates = prop::collection::vec(refused(), 1..6);
    (lists, deletes, creates, refused()).prop_map(|(lists, deletes, creates, refused_list)| {
        Script { lists, deletes, creates, refused_list }
    })
}

impl Script {
    /// The answer to the `number`-th call of its kind.
    fn answer(&self, call: &Call, number: usize) -> Answer {
        match call {
            Call::List => self.lists[number % self.lists.len()]
                .clone()
                .map_or_else(|| self.refused_list.clone(), Answer::Listed),
            Call::Delete { .. } => {
                self.deletes[number % self.deletes.len()].clone().unwrap_or(Answer::Deleted)
            }
            Call::Create { .. } => self.creates[number % self.creates.len()].clone(),
        }
    }
}

/// The most of these instants that lie within a minute.
fn most_in_a_minute(times: &[Instant]) -> usize {
    let within =
        |&from: &Instant| times.iter().filter(|&&at| at >= from && at.since(from) < MINUTE).count();
    times.iter().map(within).max().unwrap_or(0)
}

/// Runs for ten minutes, or until far too many calls were made; the times of each kind of call.
fn run(known: bool, script: &Script, seed: u64) -> [Vec<Instant>; 3] {
    let mut now = Instant::ZERO;
    // With a day that may be refused as too old.
    let day = known.then(|| "2026-11-01".parse().expect("a day"));
    let known = known.then(|| StreamId("1".into()));
    let ours = Ours {
        stream: known,
        left_behind: (2..9).map(|id: u32| StreamId(id.to_string())).collect(),
        announced: vec!["acme~3".to_owned()],
    };
    let mut establish =
        Establish::new(tests::config(), ours, FirstDay::new(day, true, None), now, seed);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    while now.since(Instant::ZERO) < 10 * MINUTE && times.iter().all(|kind| kind.len() < 2_000) {
        let due = establish.deadline().expect("nothing is under way");
        now = now.max(due);
        let call = establish.next_call(now).expect("it is due");
        let kind = match call {
            Call::List => 0,
            Call::Delete { .. } => 1,
            Call::Create { .. } => 2,
        };
        let answer = script.answer(&call, times[kind].len());
        times[kind].push(now);
        establish.answered(now, answer);
    }
    times
}

proptest! {
    #[test]
    fn no_sequence_of_answers_makes_a_storm(
        known: bool, script in script(), seed: u64,
    ) {
        let [lists, deletes, creates] = run(known, &script, seed).map(|t| most_in_a_minute(&t));
        prop_assert!(lists <= LISTS, "{lists} lists in a minute");
        prop_assert!(deletes <= DELETES, "{deletes} deletions in a minute");
        prop_assert!(creates <= CREATES, "{creates} creations in a minute");
    }
}

#[test]
fn a_409_to_everything_but_the_list_is_no_storm() {
    let held = Answer::Failed { failure: CallFailure::Held, retry_after: None };
    for streams in [vec![], vec![("1", "acme")], vec![("2", "ACME")]] {
        let streams = streams.iter().map(|&(id, name)| Listed {
            id: StreamId(id.into()),
            name: name.into(),
            start_date: None,
        });
        let script = Script {
            lists: vec![Some(streams.collect())],
            deletes: vec![Some(held.clone())],
            creates: vec![held.clone()],
            refused_list: held.clone(),
        };
        for known in [true, false] {
            let calls = run(known, &script, 1).map(|times| most_in_a_minute(&times));
            assert!(
                calls.iter().all(|&calls| calls < 12),
                "{calls:?} with {streams:?}",
                streams = script.lists
            );
        }
    }
}
