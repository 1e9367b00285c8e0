//! A sink at work: the shell around its [`Turns`].
//!
//! One task per sink, on a tokio runtime of the sinks' own. It asks the machine what is to be done, reads the
//! outboxes, has the sink deliver, moves the cursors when the sink has the events, and says how that went.
//! Which stream comes next, when again after a failure, and which event is given up, is not decided here. A
//! wake-up costs as much as there are streams with news, and nothing for the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::pending;
use futures_util::stream::FuturesUnordered;
use streamkeeper_core::backoff::BackoffConfig;
use streamkeeper_core::id::FeedId;
use streamkeeper_core::turns::{DeliveryId, Input, Output, Turns, TurnsConfig};
use streamkeeper_sink::{Blame, BoxFuture, Envelope, Shape, Sink, SinkError};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::dead_letters::DeadLetters;
use super::feeds::{Feed, Wanted};
use super::verdict::{self, Part};
use crate::base::clock::{Clock, seed};
use crate::base::news::News;
use crate::store::source::Source;

/// A stream comes to a sink, or goes.
#[derive(Debug)]
pub(crate) enum Change {
    Add(Vec<Source>),
    Remove {
        stream: Arc<str>,
        done: oneshot::Sender<()>,
    },
    /// The dead letters are others.
    Letters,
}

/// What the sinks are told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SinkStop {
    /// Go on.
    No,
    /// End when everything has been delivered.
    WhenEmpty,
    /// End at once.
    Now,
}

impl SinkStop {
    pub(crate) const fn is_now(self) -> bool {
        matches!(self, Self::Now)
    }
}

/// The longest pause between two attempts to deliver.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

/// The first one.
const RETRY_INITIAL: Duration = Duration::from_millis(500);

/// Which events a sink gets, and what becomes of those that it refuses.
pub(crate) struct Orders {
    /// The sink's name.
    pub(crate) name: String,
    /// Whether it gets events of this type.
    pub(crate) is_wanted: Box<dyn Fn(&str) -> bool + Send>,
    /// So often an event is tried alone.
    pub(crate) attempts: Option<u32>,
    /// Where it goes then.
    pub(crate) letters: Arc<DeadLetters>,
}

/// A sink, and the way of its streams to it.
pub(crate) struct SinkTask {
    orders: Orders,
    sink: Arc<dyn Sink>,
    shape: Shape,
    turns: Turns,
    clock: Clock,
    news: Arc<News>,
    feeds: HashMap<FeedId, Feed>,
    /// What the next delivery carries, and of which streams that is, in its order.
    batch: Vec<Envelope>,
    parts: Vec<Part>,
    /// So many deliveries as the sink takes at once: a hand may send dead letters beside ours.
    places: Arc<Semaphore>,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
}

/// What a sink has said to a delivery.
struct Answer {
    delivery: DeliveryId,
    batch: Vec<Envelope>,
    parts: Vec<Part>,
    result: Result<(), SinkError>,
}

impl SinkTask {
    /// Without a stream yet; `news` are those of all that will come.
    pub(crate) fn new(
        orders: Orders,
        sink: Arc<dyn Sink>,
        news: Arc<News>,
        places: Arc<Semaphore>,
    ) -> Self {
        let shape = sink.shape();
        let backoff =
            BackoffConfig { initial: RETRY_INITIAL, max: RETRY_MAX, ..BackoffConfig::default() };
        let Shape { events_max, bytes_max, several, in_flight, linger, .. } = shape;
        let attempts = orders.attempts;
        let config =
            TurnsConfig { events_max, bytes_max, several, in_flight, linger, backoff, attempts };
        let turns = Turns::new(config, seed());
        let (clock, feeds) = (Clock::start(), HashMap::new());
        let (batch, parts, under_way) = (Vec::new(), Vec::new(), FuturesUnordered::new());
        Self { orders, sink, shape, turns, clock, news, feeds, batch, parts, places, under_way }
    }

    /// Delivers what the streams have, until `stop` says so and nothing is left, or until `stop` says at
    /// once; then closes the sink.
    pub(crate) async fn run(
        mut self,
        mut changes: mpsc::UnboundedReceiver<Change>,
        mut stop: watch::Receiver<SinkStop>,
    ) {
        loop {
            // Before the news: what is committed before a stop is among them.
            let state = *stop.borrow_and_update();
            while let Ok(change) = changes.try_recv() {
                self.apply(change);
            }
            self.take_news();
            if state.is_now() {
                break;
            }
            if self.go_on().await {
                continue;
            }
            if state == SinkStop::WhenEmpty && self.turns.is_done() {
                break;
            }
            let deadline = self.turns.deadline().map(|deadline| self.clock.wake_at(deadline));
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(answer) = self.under_way.next() => self.answered(answer),
                () = self.news.some() => {}
                () = due => {}
                change = changes.recv() => match change {
                    Some(change) => self.apply(change),
                    None => break,
                },
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        // What is under way may be there in a moment, and would be given again.
        while let Some(answer) = self.under_way.next().await {
            self.answered(answer);
        }
        if let Err(error) = self.sink.close().await {
            tracing::warn!(
                sink = self.orders.name,
                reason = error.reason,
                "closing the sink failed"
            );
        }
    }

    fn apply(&mut self, change: Change) {
        let now = self.clock.now();
        match change {
            Change::Add(sources) => {
                for source in sources {
                    let bell = source.bell();
                    let feed = bell.feed();
                    // What is there by now is read after it was told to the sink.
                    bell.answer();
                    self.feeds.insert(feed, Feed::new(source));
                    self.turns.handle(now, Input::Add(feed));
                }
                self.count_letters();
            }
            Change::Remove { stream, done } => {
                let of = |feed: &Feed| feed.source.entry.name == stream;
                for (id, _) in self.feeds.extract_if(|_, feed| of(feed)) {
                    self.turns.handle(now, Input::Remove(id));
                }
                if done.send(()).is_err() {
                    tracing::trace!("nobody waits for the stream to be let go of");
                }
            }
            Change::Letters => self.count_letters(),
        }
    }

    fn count_letters(&self) {
        let letters = &self.orders.letters;
        let count = |feed: &Feed| {
            let there = letters.count(&feed.source.entry.name);
            feed.source.subscriber.consumer.set_dead_letters(there);
        };
        tokio::task::block_in_place(|| self.feeds.values().for_each(count));
    }

    fn take_news(&mut self) {
        let now = self.clock.now();
        for id in self.news.take() {
            // It may have gone, or come a moment later and be read then.
            if let Some(feed) = self.feeds.get(&id) {
                feed.source.bell().answer();
                self.turns.handle(now, Input::News(id));
            }
        }
    }

    /// Does what is to be done; false if that is nothing.
    async fn go_on(&mut self) -> bool {
        let mut output = self.turns.poll(self.clock.now());
        if matches!(output, Some(Output::Read { .. })) {
            // Reads files: all for one delivery on a thread that may wait.
            output = tokio::task::block_in_place(|| self.read_on(output));
        }
        match output {
            Some(Output::Open) => self.open().await,
            Some(Output::Resume(feed)) => self.resume(feed).await,
            Some(Output::Deliver(delivery)) => self.deliver(delivery),
            Some(Output::SetAside(feed)) => tokio::task::block_in_place(|| self.set_aside(feed)),
            Some(Output::Read { .. }) | None => return false,
        }
        true
    }

    /// Reads until something else is to be done.
    fn read_on(&mut self, mut output: Option<Output>) -> Option<Output> {
        while let Some(Output::Read { feed: id, events_max, bytes_max }) = output {
            let wanted = Wanted { events_max, bytes_max, is_wanted: &*self.orders.is_wanted };
            let answer = match self.feeds.get_mut(&id) {
                None => Input::Read { events: 0, bytes: 0, more: false },
                Some(feed) => match feed.take(wanted, &mut self.batch) {
                    Ok(taken) => {
                        let (events, through) = (taken.events, taken.through.unwrap_or_default());
                        if events > 0 {
                            self.parts.push(Part { feed: id, events, through });
                        } else if through > 0 {
                            feed.source.acknowledge(through, &[]);
                        }
                        Input::Read { events, bytes: taken.bytes, more: taken.more }
                    }
                    Err(reason) => {
                        feed.source.failing(Some((reason, None)));
                        Input::Unreadable
                    }
                },
            };
            self.turns.handle(self.clock.now(), answer);
            output = self.turns.poll(self.clock.now());
        }
        output
    }

    /// Makes the sink ready.
    async fn open(&mut self) {
        let opened = within(self.shape.time_limit, self.sink.open()).await;
        let answer = match opened {
            Ok(()) => Input::Opened,
            Err(error) => {
                let all: Vec<FeedId> = self.feeds.keys().copied().collect();
                self.say_failed(&all, &error, true);
                Input::Unready { retry: verdict::retry(error.failure), whole: true }
            }
        };
        self.turns.handle(self.clock.now(), answer);
    }

    /// Tells the sink where a stream is.
    async fn resume(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.get(&id) else { return };
        let told = within(self.shape.time_limit, self.sink.resume(feed.place())).await;
        let answer = match told {
            Ok(()) => {
                feed.source.failing(None);
                Input::Resumed
            }
            Err(error) => {
                let whole = error.blame == Blame::Sink;
                self.say_failed(&[id], &error, whole);
                Input::Unready { retry: verdict::retry(error.failure), whole }
            }
        };
        self.turns.handle(self.clock.now(), answer);
    }

    fn deliver(&mut self, delivery: DeliveryId) {
        let (batch, parts) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.parts));
        let (sink, limit) = (Arc::clone(&self.sink), self.shape.time_limit);
        let places = Arc::clone(&self.places);
        self.under_way.push(Box::pin(async move {
            // It is closed never.
            let _place = places.acquire().await;
            let result = within(limit, sink.deliver(&batch)).await;
            Answer { delivery, batch, parts, result }
        }));
    }

    fn answered(&mut self, answer: Answer) {
        let Answer { delivery, batch, parts, result } = answer;
        let mut rest = batch.as_slice();
        let part = |part: Part| {
            let (events, others) = rest.split_at_checked(part.events).unwrap_or((rest, &[]));
            rest = others;
            (part, events)
        };
        let parts: Vec<(Part, &[Envelope])> = parts.into_iter().map(part).collect();
        let input = match &result {
            Ok(()) => Input::Delivered(delivery),
            Err(error) => verdict::input(delivery, &parts, error),
        };
        if let (Err(error), Input::Failed { fates, whole, .. }) = (&result, &input) {
            let blamed = fates.iter().filter(|fate| whole.is_some() || fate.blamed.is_some());
            let blamed: Vec<FeedId> = blamed.map(|fate| fate.feed).collect();
            self.say_failed(&blamed, error, whole.is_some());
        }
        for (part, events) in parts {
            let done = result
                .as_ref()
                .map_or_else(|error| verdict::done(events, error), |()| events.len());
            self.settle(&part, events, done, result.is_ok());
        }
        let was_stopped = self.turns.is_stopped();
        self.turns.handle(self.clock.now(), input);
        if self.turns.is_stopped() && !was_stopped {
            tracing::error!(
                sink = self.orders.name,
                "the sink refuses most events: that looks like a fault of the sink, such as a schema. \
                 No more of them go to the dead letters; it is tried again from time to time"
            );
        }
    }

    /// Acknowledges the first `done` events of a part, and gives the others back to its stream.
    fn settle(&mut self, part: &Part, events: &[Envelope], done: usize, is_well: bool) {
        let Some(feed) = self.feeds.get_mut(&part.feed) else { return };
        let (done, left) = events.split_at_checked(done).unwrap_or((events, &[]));
        if left.is_empty() {
            feed.source.acknowledge(part.through, done);
        } else if let Some(last) = done.last() {
            feed.source.acknowledge(last.sequence + 1, done);
        }
        feed.keep(left.to_vec());
        if is_well {
            feed.source.failing(None);
        }
    }

    /// Puts an event that was refused for the last time where it is safe, and goes on behind it.
    fn set_aside(&mut self, id: FeedId) {
        let mut answer = Input::SetAside;
        if let Some(feed) = self.feeds.get_mut(&id)
            && let Some(event) = feed.first_kept()
        {
            let consumer = &feed.source.subscriber.consumer;
            let (stream, sink) = (&*feed.source.entry.name, &*self.orders.name);
            let (sequence, reason) = (event.sequence, consumer.failing().unwrap_or("refused"));
            match self.orders.letters.put(event, reason) {
                Ok(()) => {
                    tracing::error!(
                        sink,
                        stream,
                        sequence,
                        reason,
                        "an event was refused for good: it is among the dead letters ('streamkeeper \
                         dead-letters list')"
                    );
                    consumer.add_dead_letter(self.orders.letters.count(stream));
                    feed.pass_first_kept();
                    feed.source.failing(None);
                }
                Err(error) => {
                    tracing::error!(sink, stream, %error, "a dead letter cannot be written");
                    feed.source.failing(Some(("dead_letters_unwritable", None)));
                    answer = Input::Kept;
                }
            }
        }
        self.turns.handle(self.clock.now(), answer);
    }

    /// Says which streams do not pass, and why.
    fn say_failed(&self, blamed: &[FeedId], error: &SinkError, whole: bool) {
        let (sink, reason) = (&*self.orders.name, error.reason);
        let detail = error.detail.as_deref();
        for (id, feed) in blamed.iter().filter_map(|id| Some((*id, self.feeds.get(id)?))) {
            feed.source.failing(Some((reason, detail)));
            if !whole {
                let (stream, attempt) =
                    (&*feed.source.entry.name, self.turns.attempts(Some(id)) + 1);
                tracing::warn!(
                    sink,
                    stream,
                    reason,
                    detail,
                    attempt,
                    "a delivery failed; it is tried again"
                );
            }
        }
        if whole {
            let attempt = self.turns.attempts(None) + 1;
            tracing::warn!(sink, reason, detail, attempt, "the sink failed; it is tried again");
        }
    }
}

/// Waits for a sink's answer, for so long.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    match limit {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(|_| Err(SinkError::broken("timed_out"))),
    }
}
