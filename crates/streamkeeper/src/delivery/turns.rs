//! A sink at work: the shell around its [`Turns`].
//!
//! One task per sink, on a tokio runtime of the sinks' own. It asks the machine what is to be done, reads the
//! outboxes, has the sink deliver, moves the cursors when the sink has the events, and says how that went.
//! Which stream comes next, and when again after a failure, is not decided here. A wake-up costs as much
//! as there are streams with news, and nothing for the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::pending;
use streamkeeper_core::backoff::BackoffConfig;
use streamkeeper_core::id::FeedId;
use streamkeeper_core::turns::{Input, Output, Retry, Turns, TurnsConfig};
use streamkeeper_sink::{Blame, Envelope, Failure, Shape, Sink, SinkError};
use tokio::sync::{mpsc, oneshot, watch};

use super::feeds::Feed;
use crate::base::clock::{Clock, seed};
use crate::base::news::News;
use crate::store::source::Source;

/// A stream comes to a sink, or goes.
#[derive(Debug)]
pub(crate) enum Change {
    Add(Vec<Source>),
    Remove { stream: Arc<str>, done: oneshot::Sender<()> },
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

/// A sink, and the way of its streams to it.
pub(crate) struct SinkTask {
    name: String,
    sink: Box<dyn Sink>,
    shape: Shape,
    turns: Turns,
    clock: Clock,
    news: Arc<News>,
    feeds: HashMap<FeedId, Feed>,
    batch: Vec<Envelope>,
    /// Which streams the batch is of, and how many events of each, in its order.
    parts: Vec<(FeedId, usize)>,
}

impl SinkTask {
    /// Without a stream yet; `news` are those of all that will come.
    pub(crate) fn new(name: String, sink: Box<dyn Sink>, news: Arc<News>) -> Self {
        let shape = sink.shape();
        let backoff =
            BackoffConfig { initial: RETRY_INITIAL, max: RETRY_MAX, ..BackoffConfig::default() };
        let Shape { events_max, bytes_max, several, linger, .. } = shape;
        let config = TurnsConfig { events_max, bytes_max, several, linger, backoff };
        let turns = Turns::new(config, seed());
        let (clock, feeds) = (Clock::start(), HashMap::new());
        let (batch, parts) = (Vec::new(), Vec::new());
        Self { name, sink, shape, turns, clock, news, feeds, batch, parts }
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
                () = self.news.some() => {}
                () = due => {}
                change = changes.recv() => match change {
                    Some(change) => self.apply(change),
                    None => break,
                },
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        if let Err(error) = self.sink.close().await {
            tracing::warn!(sink = self.name, reason = error.reason, "closing the sink failed");
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
        }
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
            Some(Output::Resume(feed)) => self.resume(feed).await,
            Some(Output::Deliver) => self.deliver().await,
            Some(Output::Read { .. }) | None => return false,
        }
        true
    }

    /// Reads until something else is to be done.
    fn read_on(&mut self, mut output: Option<Output>) -> Option<Output> {
        while let Some(Output::Read { feed: id, events_max, bytes_max }) = output {
            let answer = match self.feeds.get_mut(&id) {
                None => Input::Read { events: 0, bytes: 0, more: false },
                Some(feed) => match feed.take(events_max, bytes_max, &mut self.batch) {
                    Ok(taken) => {
                        self.parts.extend((taken.events > 0).then_some((id, taken.events)));
                        Input::Read { events: taken.events, bytes: taken.bytes, more: taken.more }
                    }
                    Err(reason) => {
                        feed.source.failing(Some(reason));
                        Input::Unreadable
                    }
                },
            };
            self.turns.handle(self.clock.now(), answer);
            output = self.turns.poll(self.clock.now());
        }
        output
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
            Err(error) => self.failed(&[(id, 0)], &error),
        };
        self.turns.handle(self.clock.now(), answer);
    }

    async fn deliver(&mut self) {
        let delivered = within(self.shape.time_limit, self.sink.deliver(&self.batch)).await;
        let parts = std::mem::take(&mut self.parts);
        let answer = match delivered {
            Ok(()) => {
                self.acknowledge(&parts);
                Input::Delivered
            }
            Err(error) => {
                self.take_back(&parts);
                self.failed(&parts, &error)
            }
        };
        self.batch.clear();
        self.turns.handle(self.clock.now(), answer);
    }

    fn acknowledge(&self, parts: &[(FeedId, usize)]) {
        let mut rest = self.batch.as_slice();
        for (id, events) in parts {
            let (of_feed, others) = rest.split_at_checked(*events).unwrap_or((rest, &[]));
            rest = others;
            if let (Some(feed), Some(last)) = (self.feeds.get(id), of_feed.last()) {
                feed.source.acknowledge(last.sequence + 1, of_feed);
                feed.source.failing(None);
            }
        }
    }

    /// Gives the streams back what was not delivered.
    fn take_back(&mut self, parts: &[(FeedId, usize)]) {
        for (id, events) in parts.iter().rev() {
            let of_feed = self.batch.split_off(self.batch.len().saturating_sub(*events));
            if let Some(feed) = self.feeds.get_mut(id) {
                feed.keep(of_feed);
            }
        }
    }

    /// Says which streams do not pass, and what the machine is told.
    fn failed(&self, parts: &[(FeedId, usize)], error: &SinkError) -> Input {
        let retry = match error.failure {
            Failure::Busy { retry_after } => Retry::Growing { at_least: retry_after },
            Failure::Broken => Retry::Growing { at_least: None },
            Failure::Refused | Failure::Poisoned => Retry::Held,
        };
        let all: Vec<FeedId> = parts.iter().map(|(id, _)| *id).collect();
        let of = match &error.blame {
            Blame::Sink => None,
            Blame::Events(_) => Some(all.clone()),
            Blame::Streams(streams) => {
                // One that has gone meanwhile may be the one that is named: nobody else is blamed for it.
                let is_named = |id: &FeedId| {
                    let name = self.feeds.get(id).map(|feed| &feed.source.entry.name);
                    name.is_none_or(|name| streams.iter().any(|other| **other == **name))
                };
                let named: Vec<FeedId> = all.iter().copied().filter(is_named).collect();
                Some(if named.is_empty() { all.clone() } else { named })
            }
        };
        let present = |of: &[FeedId]| -> Vec<(FeedId, &Feed)> {
            of.iter().filter_map(|id| Some((*id, self.feeds.get(id)?))).collect()
        };
        for (_, feed) in present(of.as_deref().unwrap_or(&all)) {
            feed.source.failing(Some(error.reason));
        }
        self.log(of.as_deref().map(present).as_deref(), error);
        Input::Failed { retry, of }
    }

    fn log(&self, of: Option<&[(FeedId, &Feed)]>, error: &SinkError) {
        let (sink, reason) = (&*self.name, error.reason);
        for (id, feed) in of.into_iter().flatten() {
            let (stream, attempt) = (&*feed.source.entry.name, self.turns.attempts(Some(*id)) + 1);
            tracing::warn!(sink, stream, reason, attempt, "a delivery failed; it is tried again");
        }
        if of.is_none() {
            let attempt = self.turns.attempts(None) + 1;
            tracing::warn!(sink, reason, attempt, "the sink failed; it is tried again");
        }
    }
}

/// Waits for a sink's answer, for so long.
async fn within(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<(), SinkError>>,
) -> Result<(), SinkError> {
    match limit {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(|_| Err(SinkError::broken("timed_out"))),
    }
}
