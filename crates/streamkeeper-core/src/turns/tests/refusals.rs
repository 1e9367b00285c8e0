//! Events that are refused, what is there in spite of a failure, and several deliveries at once.

use super::*;

/// Reads as much as it is given; how much that was.
fn reads_up_to(turns: &mut Rig, now: Instant, feed: FeedId, there: usize) -> usize {
    match turns.poll(now) {
        Some(Output::Read { feed: read, events_max, .. }) if read == feed => {
            let events = events_max.min(there);
            turns.read(now, feed, events, there > events);
            turns.delivers(now);
            events
        }
        other => panic!("{other:?} instead of a read of {feed:?}"),
    }
}

#[test]
fn a_refused_event_that_nobody_names_is_found_by_halves_without_a_pause() {
    for poisoned in 0..40 {
        let mut turns = turns(config(), &[A]);
        news(&mut turns, &[A]);
        let (mut first, mut deliveries) = (0, 0);
        loop {
            let events = reads_up_to(&mut turns, at(0), A, 40 - first);
            deliveries += 1;
            if !(first..first + events).contains(&poisoned) {
                turns.delivered(at(0));
                first += events;
            } else if events == 1 {
                break;
            } else {
                turns.poisoned(at(0), None);
            }
        }
        assert_eq!(first, poisoned);
        assert!(deliveries <= 14, "{deliveries} deliveries to find {poisoned}");
    }
}

#[test]
fn a_refused_event_is_tried_alone_and_set_aside_at_last_and_its_stream_goes_on() {
    let mut turns = turns(config(), &[A, B]);
    news(&mut turns, &[A]);
    assert_eq!(reads_up_to(&mut turns, at(0), A, 9), 9);
    turns.poisoned(at(0), Some(4));
    assert_eq!(reads_up_to(&mut turns, at(0), A, 9), 4, "what stands before it goes first");
    turns.delivered(at(0));
    let mut now = at(0);
    for attempt in 1..=3 {
        assert_eq!(reads_up_to(&mut turns, now, A, 5), 1);
        turns.poisoned(now, Some(0));
        if attempt < 3 {
            news(&mut turns, &[B]);
            assert_eq!(gathers(&mut turns, now), [B], "no other waits for it");
            turns.delivered(now);
            now = turns.deadline().unwrap();
        }
    }
    assert!(!turns.is_done());
    assert_eq!(turns.poll(now), Some(Output::SetAside(A)));
    turns.handle(now, Input::SetAside);
    assert_eq!(reads_up_to(&mut turns, now, A, 4), 4, "and all that is behind it");
    turns.delivered(now);
    assert_eq!((turns.poll(now), turns.attempts(Some(A))), (None, 0));
}

#[test]
fn what_cannot_be_set_aside_is_tried_again_and_no_other_answer_counts_against_an_event() {
    let mut turns = turns(config(), &[A]);
    news(&mut turns, &[A]);
    let mut now = at(0);
    for attempt in 1..=3 {
        assert_eq!(reads_up_to(&mut turns, now, A, 1), 1);
        turns.refused(now, GROWING, &[A]);
        now = turns.deadline().unwrap();
        assert_eq!(reads_up_to(&mut turns, now, A, 1), 1);
        turns.poisoned(now, None);
        if attempt < 3 {
            now = turns.deadline().unwrap();
        }
    }
    assert_eq!(turns.poll(now), Some(Output::SetAside(A)));
    turns.handle(now, Input::Kept);
    assert_eq!(pause(&turns, now), LONGEST);
    now = now + LONGEST;
    assert_eq!(reads_up_to(&mut turns, now, A, 1), 1);
    turns.poisoned(now, None);
    assert_eq!(turns.poll(now), Some(Output::SetAside(A)));
}

#[test]
fn where_most_events_are_refused_the_sink_stops_and_goes_on_when_it_takes_one() {
    let mut turns = turns(TurnsConfig { attempts: Some(1), ..config() }, &[A]);
    news(&mut turns, &[A]);
    for _ in 0..10 {
        assert_eq!(reads_up_to(&mut turns, at(0), A, 1), 1);
        turns.poisoned(at(0), None);
        assert_eq!(turns.poll(at(0)), Some(Output::SetAside(A)));
        turns.handle(at(0), Input::SetAside);
        news(&mut turns, &[A]);
    }
    let mut now = at(0);
    for _ in 0..3 {
        assert_eq!(reads_up_to(&mut turns, now, A, 1), 1);
        turns.poisoned(now, None);
        assert_eq!((turns.poll(now), turns.is_stopped(), turns.is_done()), (None, true, true));
        now = turns.deadline().unwrap();
    }
    assert_eq!(reads_up_to(&mut turns, now, A, 1), 1);
    turns.delivered(now);
    assert!(!turns.is_stopped());
}

#[test]
fn what_is_there_in_spite_of_a_failure_is_behind_us() {
    let mut turns = turns(config(), &[A, B]);
    news(&mut turns, &[A, B]);
    for feed in [A, B] {
        assert_eq!(reads(&mut turns, at(0)), feed);
        turns.read(at(0), feed, 3, false);
    }
    turns.delivers(at(0));
    let (delivery, _) = turns.under_way.pop_front().unwrap();
    let fates = vec![
        Fate { feed: A, done: 1, left: 2, blamed: Some(Blamed::Retry(GROWING)) },
        Fate { feed: B, done: 3, left: 0, blamed: None },
    ];
    turns.handle(at(0), Input::Failed { delivery, whole: None, fates });
    assert_eq!((turns.poll(at(0)), turns.attempts(Some(A))), (None, 1), "B has all");
    let now = turns.deadline().unwrap();
    assert_eq!(reads_up_to(&mut turns, now, A, 2), 2);
}

#[test]
fn several_deliveries_are_under_way_and_a_stream_is_in_one_of_them() {
    let mut turns = turns(TurnsConfig { several: false, in_flight: 2, ..config() }, &[A, B, C]);
    news(&mut turns, &[A, B, C]);
    assert_eq!(gathers(&mut turns, at(0)), [A]);
    assert_eq!(gathers(&mut turns, at(0)), [B]);
    news(&mut turns, &[A]);
    assert_eq!((turns.poll(at(0)), turns.deadline()), (None, None), "no third");
    turns.handle(at(0), Input::Add(FeedId(4)));
    turns.delivered(at(0));
    assert_eq!(turns.poll(at(0)), None, "a new stream waits for all that is under way");
    turns.delivered(at(0));
    assert_eq!(turns.poll(at(0)), Some(Output::Resume(FeedId(4))));
    turns.handle(at(0), Input::Resumed);
    assert_eq!(gathers(&mut turns, at(0)), [C]);
    assert_eq!(gathers(&mut turns, at(0)), [A]);
    turns.down(at(0), GROWING);
    assert_eq!(turns.poll(at(0)), None);
    let now = turns.deadline();
    assert_eq!(now, None, "one is under way, and after a failure there is one alone");
    turns.delivered(at(1));
    assert!(turns.deadline().is_some());
}

#[test]
fn what_nobody_wants_is_passed_over_and_delays_nothing_that_was_read() {
    let mut turns = turns(config(), &[A, B]);
    news(&mut turns, &[A, B]);
    assert_eq!(reads(&mut turns, at(0)), A);
    turns.read(at(0), A, 1, false);
    assert_eq!(reads(&mut turns, at(0)), B);
    turns.read(at(0), B, 0, true);
    turns.delivers(at(0));
    turns.delivered(at(0));
    assert_eq!(reads(&mut turns, at(0)), B, "there is more");
    turns.read(at(0), B, 0, false);
    assert_eq!(turns.poll(at(0)), None);
}
