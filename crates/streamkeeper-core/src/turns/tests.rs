//! Turns at exact times.

mod refusals;

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::BackoffConfig;

use super::*;

const A: FeedId = FeedId(1);
const B: FeedId = FeedId(2);
const C: FeedId = FeedId(3);

const INITIAL: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn config() -> TurnsConfig {
    let backoff = BackoffConfig { initial: INITIAL, max: LONGEST, ..BackoffConfig::default() };
    TurnsConfig {
        events_max: 100,
        bytes_max: 1_000,
        several: true,
        in_flight: 1,
        linger: Duration::ZERO,
        backoff,
        attempts: Some(3),
    }
}

/// The turns, and the delivery that is under way.
struct Rig {
    turns: Turns,
    under_way: VecDeque<(DeliveryId, Vec<(FeedId, usize)>)>,
    gathered: Vec<(FeedId, usize)>,
}

impl std::ops::Deref for Rig {
    type Target = Turns;

    fn deref(&self) -> &Turns {
        &self.turns
    }
}

impl std::ops::DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Turns {
        &mut self.turns
    }
}

impl Rig {
    fn poll(&mut self, now: Instant) -> Option<Output> {
        let output = self.turns.poll(now);
        if let Some(Output::Deliver(delivery)) = output {
            self.under_way.push_back((delivery, std::mem::take(&mut self.gathered)));
        }
        output
    }

    /// So many events are read of the stream.
    fn read(&mut self, now: Instant, feed: FeedId, events: usize, more: bool) {
        self.gathered.extend((events > 0).then_some((feed, events)));
        self.turns.handle(now, Input::Read { events, bytes: events * 10, more });
    }

    fn delivers(&mut self, now: Instant) {
        assert!(matches!(self.poll(now), Some(Output::Deliver(_))));
    }

    /// The oldest delivery succeeds.
    fn delivered(&mut self, now: Instant) {
        let (delivery, _) = self.under_way.pop_front().unwrap();
        self.turns.handle(now, Input::Delivered(delivery));
    }

    fn failed(
        &mut self,
        now: Instant,
        whole: Option<Retry>,
        blamed: impl Fn(FeedId) -> Option<Blamed>,
    ) {
        let (delivery, parts) = self.under_way.pop_front().unwrap();
        let fate =
            |&(feed, left): &(FeedId, usize)| Fate { feed, done: 0, left, blamed: blamed(feed) };
        let fates = parts.iter().map(fate).collect();
        self.turns.handle(now, Input::Failed { delivery, whole, fates });
    }

    /// The sink as a whole fails.
    fn down(&mut self, now: Instant, retry: Retry) {
        self.failed(now, Some(retry), |_| None);
    }

    /// These streams fail.
    fn refused(&mut self, now: Instant, retry: Retry, feeds: &[FeedId]) {
        self.failed(now, None, |feed| feeds.contains(&feed).then_some(Blamed::Retry(retry)));
    }

    /// An event is refused, in the one stream of the delivery.
    fn poisoned(&mut self, now: Instant, at: Option<usize>) {
        self.failed(now, None, |_| Some(Blamed::Poisoned { at }));
    }
}

/// A sink whose streams are known to it and have nothing.
fn turns(config: TurnsConfig, feeds: &[FeedId]) -> Rig {
    let (under_way, gathered) = (VecDeque::new(), Vec::new());
    let mut turns = Rig { turns: Turns::new(config, 7), under_way, gathered };
    feeds.iter().for_each(|feed| turns.handle(at(0), Input::Add(*feed)));
    assert_eq!(turns.poll(at(0)), Some(Output::Open));
    turns.handle(at(0), Input::Opened);
    for feed in feeds {
        assert_eq!(turns.poll(at(0)), Some(Output::Resume(*feed)));
        turns.handle(at(0), Input::Resumed);
    }
    for feed in feeds {
        assert_eq!(reads(&mut turns, at(0)), *feed);
        turns.handle(at(0), Input::Read { events: 0, bytes: 0, more: false });
    }
    assert_eq!((turns.poll(at(0)), turns.deadline()), (None, None));
    turns
}

/// The stream that is to be read.
fn reads(turns: &mut Rig, now: Instant) -> FeedId {
    match turns.poll(now) {
        Some(Output::Read { feed, .. }) => feed,
        other => panic!("{other:?} instead of a read"),
    }
}

/// Reads one event of each stream whose turn it is, up to the delivery; who is in it.
fn gathers(turns: &mut Rig, now: Instant) -> Vec<FeedId> {
    let mut gathered = Vec::new();
    loop {
        match turns.poll(now) {
            Some(Output::Read { feed, .. }) => {
                gathered.push(feed);
                turns.read(now, feed, 1, false);
            }
            Some(Output::Deliver(_)) => return gathered,
            other => panic!("{other:?} instead of a delivery of {gathered:?}"),
        }
    }
}

fn news(turns: &mut Rig, feeds: &[FeedId]) {
    feeds.iter().for_each(|feed| turns.handle(at(0), Input::News(*feed)));
}

const GROWING: Retry = Retry::Growing { at_least: None };

/// How long the turns wait from `now` on.
fn pause(turns: &Rig, now: Instant) -> Duration {
    turns.deadline().unwrap().since(now)
}

#[test]
fn a_failing_stream_delays_no_other_and_no_success_of_another_shortens_its_pauses() {
    let mut turns = turns(config(), &[A, B]);
    let mut now = at(0);
    let mut full = INITIAL;
    for attempt in 1..10 {
        news(&mut turns, &[A]);
        assert_eq!(gathers(&mut turns, now), [A]);
        turns.refused(now, GROWING, &[A]);
        assert_eq!(turns.attempts(Some(A)), attempt);
        let pause = pause(&turns, now);
        assert!((full / 2..=full).contains(&pause), "{pause:?} of {full:?}");
        // At the same moment, and again and again.
        for _ in 0..3 {
            news(&mut turns, &[A, B]);
            assert_eq!(gathers(&mut turns, now), [B]);
            turns.delivered(now);
            assert_eq!(turns.poll(now), None);
        }
        assert_eq!(turns.poll(now + (pause - Duration::from_nanos(1))), None);
        now = now + pause;
        full = (full * 2).min(LONGEST);
    }
    assert_eq!(gathers(&mut turns, now), [A]);
    turns.delivered(now);
    assert_eq!(turns.attempts(Some(A)), 0);
}

#[test]
fn what_was_in_a_delivery_beside_a_failing_stream_is_sent_again_at_once() {
    let mut turns = turns(config(), &[A, B, C]);
    news(&mut turns, &[A, B, C]);
    assert_eq!(gathers(&mut turns, at(5)), [A, B, C]);
    turns.refused(at(5), Retry::Held, &[B]);
    news(&mut turns, &[B]);
    assert_eq!(gathers(&mut turns, at(5)), [A, C]);
    turns.delivered(at(5));
    assert!(turns.is_done(), "what is held is not waited for");
    assert_eq!(pause(&turns, at(5)), LONGEST);
    assert_eq!(turns.poll(at(30_004)), None);
    assert_eq!(gathers(&mut turns, at(30_005)), [B]);
    turns.refused(at(30_005), Retry::Held, &[B]);
    assert_eq!(
        pause(&turns, at(30_005)),
        LONGEST,
        "a hand has to mend it; it is looked for as often"
    );
}

#[test]
fn a_sink_that_is_down_makes_all_wait_and_is_then_tried_with_one_stream_and_another() {
    let mut turns = turns(config(), &[A, B, C]);
    news(&mut turns, &[A, B]);
    gathers(&mut turns, at(0));
    news(&mut turns, &[C]);
    turns.down(at(0), GROWING);
    assert_eq!(turns.poll(at(0)), None);
    let first = turns.deadline().unwrap();
    assert_eq!(gathers(&mut turns, first), [C], "first those that did not fail");
    turns.down(first, GROWING);
    assert!(pause(&turns, first) >= INITIAL, "the pauses grow");
    let second = turns.deadline().unwrap();
    assert_eq!(gathers(&mut turns, second), [A]);
    assert!(!turns.is_done());
    turns.delivered(second);
    assert_eq!(gathers(&mut turns, second), [B, C], "together again");
    turns.down(second, GROWING);
    assert!(pause(&turns, second) <= INITIAL, "and afresh");
}

#[test]
fn a_busy_sink_is_left_alone_for_as_long_as_it_asks_and_a_held_one_for_longest() {
    let mut turns = turns(config(), &[A]);
    news(&mut turns, &[A]);
    gathers(&mut turns, at(0));
    let at_least = Some(Duration::from_secs(77));
    turns.down(at(0), Retry::Growing { at_least });
    assert_eq!(turns.deadline(), Some(at(77_000)));
    gathers(&mut turns, at(77_000));
    turns.down(at(77_000), Retry::Held);
    assert_eq!(turns.deadline(), Some(at(107_000)));
    assert!(turns.is_done(), "a stop does not wait for a hand");
}

#[test]
fn nothing_is_delivered_while_the_sink_does_not_know_where_a_stream_is() {
    let mut turns = turns(config(), &[A]);
    news(&mut turns, &[A]);
    turns.handle(at(0), Input::Add(B));
    turns.handle(at(0), Input::Add(C));
    assert_eq!(turns.poll(at(0)), Some(Output::Resume(B)));
    turns.handle(at(0), Input::Unready { retry: GROWING, whole: true });
    assert_eq!(turns.poll(at(0)), None);
    let now = turns.deadline().unwrap();
    assert_eq!(turns.poll(now), Some(Output::Resume(B)));
    // It says that the others pass.
    turns.handle(now, Input::Unready { retry: GROWING, whole: false });
    assert_eq!(turns.poll(now), Some(Output::Resume(C)));
    turns.handle(now, Input::Resumed);
    news(&mut turns, &[B]);
    assert_eq!(gathers(&mut turns, now), [A, C]);
    turns.delivered(now);
    let now = turns.deadline().unwrap();
    assert_eq!(turns.poll(now), Some(Output::Resume(B)));
    turns.handle(now, Input::Resumed);
    assert_eq!(gathers(&mut turns, now), [B]);
}

#[test]
fn a_stream_with_much_has_a_share_and_then_stands_behind_the_others() {
    let mut turns = turns(config(), &[A, B, C]);
    news(&mut turns, &[A, B, C]);
    let mut read = |now, expected: (FeedId, usize, usize), events, more| {
        let (feed, events_max, bytes_max) = expected;
        assert_eq!(turns.poll(now), Some(Output::Read { feed, events_max, bytes_max }));
        turns.read(now, feed, events, more);
    };
    read(at(0), (A, 33, 333), 33, true);
    read(at(0), (B, 33, 335), 1, false);
    read(at(0), (C, 66, 660), 5, false);
    turns.delivers(at(0));
    news(&mut turns, &[C]);
    turns.delivered(at(0));
    assert_eq!(gathers(&mut turns, at(0)), [A, C]);
    turns.delivered(at(0));
    assert_eq!(turns.poll(at(0)), None);
}

#[test]
fn a_sink_of_one_stream_at_a_time_gives_each_its_whole_room_in_turn() {
    let mut turns = turns(TurnsConfig { several: false, ..config() }, &[A, B]);
    news(&mut turns, &[A, B]);
    for expected in [A, B, A, B] {
        let read = Output::Read { feed: expected, events_max: 100, bytes_max: 1_000 };
        assert_eq!(turns.poll(at(0)), Some(read));
        turns.read(at(0), expected, 100, true);
        turns.delivers(at(0));
        turns.delivered(at(0));
    }
}

#[test]
fn what_trickles_in_shares_a_delivery_and_a_backlog_does_not_wait() {
    let linger = Duration::from_millis(10);
    let mut turns = turns(TurnsConfig { linger, ..config() }, &[A, B]);
    news(&mut turns, &[A]);
    assert_eq!(gathers(&mut turns, at(5)), [A], "at once");
    turns.delivered(at(6));
    assert_eq!((turns.poll(at(7)), turns.deadline()), (None, None));
    news(&mut turns, &[A]);
    news(&mut turns, &[B]);
    assert_eq!((turns.poll(at(14)), turns.deadline()), (None, Some(at(15))));
    turns.handle(at(14), Input::Add(C));
    assert_eq!(turns.poll(at(14)), Some(Output::Resume(C)), "that is no delivery");
    turns.handle(at(14), Input::Resumed);
    assert_eq!(gathers(&mut turns, at(15)), [A, B, C]);
    turns.delivered(at(99));
    // As much as fits, and there is more.
    news(&mut turns, &[A]);
    for now in [99, 100] {
        assert_eq!(reads(&mut turns, at(now)), A);
        turns.read(at(now), A, 100, true);
        news(&mut turns, &[B]);
        turns.delivers(at(now));
        turns.delivered(at(now));
        assert_eq!(reads(&mut turns, at(now)), B);
        turns.handle(at(now), Input::Read { events: 0, bytes: 0, more: false });
    }
}

#[test]
fn an_outbox_that_cannot_be_read_holds_up_its_stream_alone() {
    let mut turns = turns(config(), &[A, B]);
    news(&mut turns, &[A, B]);
    assert_eq!(reads(&mut turns, at(0)), A);
    turns.handle(at(0), Input::Unreadable);
    assert_eq!(gathers(&mut turns, at(0)), [B]);
    turns.delivered(at(0));
    assert_eq!(turns.deadline(), Some(Instant::ZERO + LONGEST));
    assert!(turns.is_done());
}

#[test]
fn a_stream_that_goes_is_forgotten_wherever_it_is() {
    let mut turns = turns(config(), &[A, B, C]);
    news(&mut turns, &[A, B, C]);
    gathers(&mut turns, at(0));
    turns.handle(at(0), Input::Remove(A));
    turns.refused(at(0), GROWING, &[A, B]);
    turns.handle(at(0), Input::Remove(B));
    turns.handle(at(0), Input::News(A));
    assert_eq!(gathers(&mut turns, at(0)), [C]);
    turns.delivered(at(0));
    assert_eq!((turns.poll(at(0)), turns.deadline()), (None, None));
    assert!(turns.is_done());
}

#[test]
#[should_panic(expected = "is no answer to None")]
fn an_answer_to_nothing_is_a_fault_of_ours() {
    turns(config(), &[A]).handle(at(0), Input::Resumed);
}

#[test]
fn who_has_gone_while_it_was_carried_leaves_no_blame_behind() {
    let mut turns = turns(config(), &[A, B]);
    turns.handle(at(0), Input::News(A));
    turns.handle(at(0), Input::News(B));
    assert_eq!(gathers(&mut turns, at(0)), [A, B]);
    turns.handle(at(0), Input::Remove(A));
    turns.refused(at(10), GROWING, &[A]);
    assert_eq!(turns.attempts(Some(B)), 0, "it was not to blame");
    assert_eq!(gathers(&mut turns, at(10)), [B], "and keeps its turn");
}
