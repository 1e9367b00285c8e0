//! What the answers to the outputs mean: who takes a turn again, and when.

use crate::id::FeedId;
use crate::time::Instant;

use super::health::State;
use super::messages::{Blamed, DeliveryId, Fate, Input, Output, Retry};
use super::{Part, Turns, pause};

impl Turns {
    pub(super) fn answered(&mut self, now: Instant, asked: Option<Output>, answer: Input) {
        match (asked, answer) {
            (Some(Output::Open), Input::Opened) => {
                self.sink.is_well();
                self.opened = true;
            }
            (Some(Output::Open), Input::Unready { retry, .. }) => self.sink.failed(now, retry),
            (Some(Output::Resume(feed)), Input::Resumed) => self.resumed(feed),
            (Some(Output::Resume(_)), Input::Unready { retry, whole: true }) => {
                self.sink.failed(now, retry);
            }
            (Some(Output::Resume(feed)), Input::Unready { retry, whole: false }) => {
                self.sink.is_well();
                self.untold.retain(|other| *other != feed);
                self.wait(now, feed, retry);
            }
            (Some(Output::Read { feed, .. }), Input::Read { events, bytes, more }) => {
                self.read(feed, events, bytes, more);
            }
            (Some(Output::Read { feed, .. }), Input::Unreadable) => {
                self.wait(now, feed, Retry::Held);
            }
            (Some(Output::SetAside(feed)), Input::SetAside) => self.set_aside(feed),
            (Some(Output::SetAside(feed)), Input::Kept) => self.wait(now, feed, Retry::Held),
            (asked, answer) => panic!("{answer:?} is no answer to {asked:?}"),
        }
    }

    fn resumed(&mut self, id: FeedId) {
        self.sink.is_well();
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.told = true;
            feed.is_well();
            self.untold.retain(|other| *other != id);
            self.ready.push_back(id);
        }
    }

    fn read(&mut self, id: FeedId, events: usize, bytes: usize, more: bool) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        if let State::Gathered { more: news } = &mut feed.state {
            *news |= more;
        }
        if events > 0 {
            self.gathering.parts.push(Part { feed: id, events });
            self.gathering.events += events;
            self.gathering.bytes += bytes;
        } else {
            self.gathering.sifted |= more;
            self.back(id);
        }
    }

    pub(super) fn delivered(&mut self, delivery: DeliveryId) {
        let parts = self.take(delivery);
        self.sink.is_well();
        self.sink.blight.delivered(parts.iter().map(|part| part.events).sum());
        for Part { feed, events } in parts {
            self.passes(feed, events);
            self.back(feed);
        }
    }

    pub(super) fn failed(
        &mut self,
        now: Instant,
        delivery: DeliveryId,
        whole: Option<Retry>,
        fates: &[Fate],
    ) {
        let was_alone = self.take(delivery).len() == 1;
        self.sink.blight.delivered(fates.iter().map(|fate| fate.done).sum());
        match whole {
            Some(retry) => {
                self.sink.failed(now, retry);
                self.sink.alone = true;
            }
            None => self.sink.is_well(),
        }
        let mut again = Vec::new();
        for fate in fates {
            let Fate { feed, done, left, blamed } = *fate;
            if done > 0 {
                self.passes(feed, done);
            }
            match blamed {
                _ if left == 0 => self.back(feed),
                None => again.push(feed),
                Some(Blamed::Retry(retry)) => self.wait(now, feed, retry),
                Some(Blamed::Poisoned { at }) => {
                    let is_one = was_alone && done == 0 && left == 1;
                    self.poisoned(now, feed, is_one, (left, at));
                }
            }
        }
        self.queue_again(again, whole.is_some());
    }

    /// Where the sink as a whole has failed, others are tried first; else these keep their turn.
    fn queue_again(&mut self, again: Vec<FeedId>, behind: bool) {
        for id in &again {
            self.set(*id, State::Queued);
        }
        let again = again.into_iter().filter(|id| self.feeds.contains_key(id));
        if behind {
            self.ready.extend(again);
        } else {
            again.rev().for_each(|id| self.ready.push_front(id));
        }
    }

    /// An event of the stream is refused: it is looked for at once, and once found tried rarely.
    fn poisoned(&mut self, now: Instant, id: FeedId, is_one: bool, of: (usize, Option<usize>)) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        let (left, at) = of;
        feed.suspicion.found(left, at);
        if !is_one {
            feed.state = State::Queued;
            return self.ready.push_back(id);
        }
        let refusals = feed.suspicion.refused_alone();
        if self.config.attempts.is_none_or(|attempts| refusals < attempts) {
            return self.wait(now, id, Retry::Growing { at_least: None });
        }
        if self.sink.blight.is_too_much() {
            self.sink.blight.stopped = true;
            self.sink.failed(now, Retry::Held);
            return self.wait(now, id, Retry::Held);
        }
        feed.state = State::Gathered { more: true };
        self.refused.push_back(id);
    }

    fn set_aside(&mut self, id: FeedId) {
        self.sink.blight.set_aside();
        self.passes(id, 1);
        // What comes behind it is looked for in any case.
        self.set(id, State::Gathered { more: true });
        self.back(id);
    }

    /// The next events of the stream are behind us.
    fn passes(&mut self, id: FeedId, events: usize) {
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.suspicion.passed(events);
            feed.is_well();
        }
    }

    fn take(&mut self, delivery: DeliveryId) -> Vec<Part> {
        let parts = self.under_way.remove(&delivery);
        assert!(parts.is_some(), "{delivery:?} is not under way");
        parts.unwrap_or_default()
    }

    /// Behind the others if it has more, or away.
    fn back(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        if feed.state == (State::Gathered { more: true }) || feed.suspicion.is_any() {
            feed.state = State::Queued;
            self.ready.push_back(id);
        } else {
            feed.state = State::Quiet;
        }
    }

    fn wait(&mut self, now: Instant, id: FeedId, retry: Retry) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        let until = now + pause(&mut feed.backoff, retry);
        feed.state = State::Waits { until };
        feed.held = retry == Retry::Held;
        self.waiting.insert((until, id));
    }
}
