//! The turns of a sink: `streamkeeper-core`'s machine between streams that append and a sink that fails.
//!
//! Beside the large simulation, which has one stream: here there are up to forty at one sink, and nothing of
//! the service. The same seed draws both. The world plays the shell (it reads, delivers, acknowledges,
//! and dies), [`TurnsWatch`] looks at every step.

mod plan;

use std::collections::BTreeMap;
use std::time::Duration;

use streamkeeper_core::id::FeedId;
use streamkeeper_core::time::Instant;
use streamkeeper_core::turns::{Input, Output, Retry, Turns};
use streamkeeper_simulator::model::{Millis, Span};

use crate::agenda::Agenda;
use crate::checkers::Verdict;
use crate::checkers::turns::TurnsWatch;

pub use self::plan::{DeliveryPlan, How, SinkFault, StreamPlan};

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct DeliveryOutcome {
    /// The first thing that did not hold, and when.
    pub violation: Option<(Millis, String)>,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Deliveries that succeeded.
    pub deliveries: u64,
    /// Deliveries that failed.
    pub failures: u64,
}

#[derive(Debug)]
enum Happening {
    Append(usize),
    Comes(usize),
    Goes(usize),
    /// The sink answers the process of that number.
    Answer(u64),
    Dies,
}

/// A part of a delivery: of which stream, from where to where.
#[derive(Clone, Copy, Debug)]
struct Part {
    feed: FeedId,
    stream: usize,
    first: u64,
    next: u64,
}

struct World {
    plan: DeliveryPlan,
    now: Millis,
    rng: fastrand::Rng,
    agenda: Agenda<Happening>,
    turns: Turns,
    process: u64,
    /// The streams that are there, by the numbers of their feeds.
    feeds: BTreeMap<FeedId, usize>,
    numbers: u64,
    gathered: Vec<Part>,
    asked: Option<Output>,
    watch: TurnsWatch,
    outcome: DeliveryOutcome,
}

/// Runs a plan to its end.
#[must_use]
pub fn run(plan: DeliveryPlan) -> DeliveryOutcome {
    let mut world = World::new(plan);
    // All is well from `ends` on: what is there then is delivered, and nothing is left to happen.
    while let Some(next) = world.next_at() {
        world.now = world.now.max(next);
        if let Err(what) = world.step() {
            world.outcome.violation = Some((world.now, what));
            return world.outcome;
        }
    }
    let missing = (0..world.plan.streams.len()).map(|stream| world.watch.cursor(stream));
    if let Some((cursor, end)) = missing.clone().find(|(cursor, end)| cursor < end) {
        let what = format!("all is well, and {cursor} to {end} were never delivered");
        world.outcome.violation = Some((world.now, what));
    }
    world.outcome.acknowledged = missing.map(|(cursor, _)| cursor).sum();
    world.outcome
}

impl World {
    fn new(plan: DeliveryPlan) -> Self {
        let mut agenda = Agenda::default();
        for (stream, of) in plan.streams.iter().enumerate() {
            agenda.add(of.comes, Happening::Comes(stream));
            agenda.add(of.comes, Happening::Append(stream));
            if let Some((goes, comes)) = of.away.filter(|(goes, _)| *goes > of.comes) {
                agenda.add(goes, Happening::Goes(stream));
                agenda.add(comes, Happening::Comes(stream));
            }
        }
        plan.deaths.iter().for_each(|at| agenda.add(*at, Happening::Dies));
        Self {
            now: 0,
            rng: fastrand::Rng::with_seed(plan.seed),
            agenda,
            turns: Turns::new(plan.config, plan.seed),
            process: 0,
            feeds: BTreeMap::new(),
            numbers: 0,
            gathered: Vec::new(),
            asked: None,
            watch: TurnsWatch::new(plan.config, plan.streams.len()),
            outcome: DeliveryOutcome::default(),
            plan,
        }
    }

    fn next_at(&self) -> Option<Millis> {
        // In whole milliseconds, never too early.
        let nanos = self.turns.deadline().map(|deadline| deadline.since(Instant::ZERO).as_nanos());
        let deadline = nanos.and_then(|nanos| Millis::try_from(nanos.div_ceil(1_000_000)).ok());
        self.agenda.next_at().into_iter().chain(deadline).min()
    }

    fn step(&mut self) -> Verdict {
        while let Some(happening) = self.agenda.pop_due(self.now) {
            self.happen(happening)?;
        }
        if self.asked.is_some() {
            return Ok(());
        }
        // Reading takes no time: whoever reads for ever delivers nothing.
        for _ in 0..=2 * self.plan.streams.len() {
            match self.turns.poll(at(self.now)) {
                None => return self.watch.idle(self.now, self.present()),
                Some(output @ Output::Read { feed, events_max, bytes_max }) => {
                    self.asked = Some(output);
                    self.read(feed, events_max, bytes_max);
                }
                Some(output) => {
                    self.asked = Some(output);
                    return self.ask(output);
                }
            }
        }
        Err("a hot loop of reads".into())
    }

    fn happen(&mut self, happening: Happening) -> Verdict {
        match happening {
            Happening::Append(stream) => self.append(stream),
            Happening::Comes(stream) => self.comes(stream),
            Happening::Goes(stream) => {
                if let Some(feed) = self.feed_of(stream) {
                    self.feeds.remove(&feed);
                    self.watch.forgets(stream);
                    self.handle(Input::Remove(feed));
                }
            }
            Happening::Answer(process) if process == self.process => return self.answer(),
            Happening::Answer(_) => {}
            Happening::Dies => self.die(),
        }
        Ok(())
    }

    fn append(&mut self, stream: usize) {
        let Some(of) = self.plan.streams.get(stream).copied() else { return };
        let (cursor, end) = self.watch.cursor(stream);
        // A full outbox takes nothing.
        if end - cursor < BACKLOG_MAX {
            let events = self.draw(of.events);
            self.watch.appended(stream, events);
        }
        if let Some(feed) = self.feed_of(stream) {
            self.handle(Input::News(feed));
        }
        let next = self.now + self.draw(of.every);
        if next < self.plan.ends {
            self.agenda.add(next, Happening::Append(stream));
        }
    }

    fn comes(&mut self, stream: usize) {
        if self.feed_of(stream).is_none() {
            self.numbers += 1;
            self.feeds.insert(FeedId(self.numbers), stream);
            self.handle(Input::Add(FeedId(self.numbers)));
        }
    }

    fn die(&mut self) {
        self.process += 1;
        self.turns = Turns::new(self.plan.config, self.rng.u64(..));
        (self.asked, self.gathered) = (None, Vec::new());
        self.watch.restarted();
        for stream in std::mem::take(&mut self.feeds).into_values() {
            self.comes(stream);
        }
    }

    fn read(&mut self, feed: FeedId, events_max: usize, bytes_max: usize) {
        self.asked = None;
        let stream = self.feeds.get(&feed).copied().unwrap_or(usize::MAX);
        let unreadable = |fault: &SinkFault| {
            fault.stream == Some(stream) && matches!(fault.how, How::Unreadable)
        };
        if self.faults().any(unreadable) {
            self.watch.failed(self.now, Some(&[stream]), Retry::Held);
            return self.handle(Input::Unreadable);
        }
        let bytes_each = self.plan.streams.get(stream).map_or(1, |of| of.bytes);
        let (first, end) = self.watch.cursor(stream);
        let most = events_max.min((bytes_max / bytes_each).max(1)) as u64;
        let next = end.min(first + most);
        let events = (next - first) as usize;
        if events > 0 {
            self.gathered.push(Part { feed, stream, first, next });
        }
        self.handle(Input::Read { events, bytes: events * bytes_each, more: next < end });
    }

    /// Asks the sink; it takes its time.
    fn ask(&mut self, output: Output) -> Verdict {
        self.watch.asked(self.now, output == Output::Deliver)?;
        if let Output::Resume(feed) = output {
            let stream = self.feeds.get(&feed).copied().unwrap_or(usize::MAX);
            let (first, _) = self.watch.cursor(stream);
            self.watch.gives(self.now, stream, first, first)?;
        } else {
            let events: u64 = self.gathered.iter().map(|part| part.next - part.first).sum();
            let is_more_than_one = self.gathered.len() > 1;
            if events as usize > self.plan.config.events_max
                || (is_more_than_one && !self.plan.config.several)
            {
                return Err(format!("a delivery of {events}: {:?}", self.gathered));
            }
            for Part { stream, first, next, .. } in self.gathered.clone() {
                self.watch.gives(self.now, stream, first, next)?;
            }
        }
        let takes = self.draw(self.plan.takes);
        self.agenda.add(self.now + takes, Happening::Answer(self.process));
        Ok(())
    }

    fn answer(&mut self) -> Verdict {
        let delivery = std::mem::take(&mut self.gathered);
        let Some(asked) = self.asked.take() else { return Ok(()) };
        let asked_about = match asked {
            Output::Resume(feed) => {
                self.feeds.get(&feed).map(|stream| (feed, *stream)).into_iter().collect()
            }
            _ => delivery.iter().map(|part| (part.feed, part.stream)).collect::<Vec<_>>(),
        };
        if let Some((retry, of)) = self.failure(&asked_about) {
            self.outcome.failures += 1;
            if !matches!(asked, Output::Resume(_)) {
                let part = delivery.first().filter(|_| self.rng.bool());
                let arrived = part.map(|part| (part.stream, self.rng.u64(part.first..=part.next)));
                arrived.into_iter().for_each(|(stream, next)| self.watch.arrived(stream, next));
            }
            self.handle(Input::Failed { retry, of });
        } else if matches!(asked, Output::Resume(_)) {
            self.handle(Input::Resumed);
            self.watch.sink_is_well();
            asked_about.iter().for_each(|(_, stream)| self.watch.forgets(*stream));
        } else {
            self.outcome.deliveries += 1;
            self.watch.sink_is_well();
            // Who has gone acknowledges nothing.
            for part in delivery.iter().filter(|part| self.feeds.contains_key(&part.feed)) {
                self.watch.arrived(part.stream, part.next);
                self.watch.acknowledged(part.stream, part.next)?;
            }
            self.handle(Input::Delivered);
        }
        if matches!(asked, Output::Resume(_)) {
            return Ok(());
        }
        let carried = |stream: &usize| asked_about.iter().any(|(_, other)| other == stream);
        let others: Vec<_> = self.present().filter(|stream| !carried(stream)).collect();
        self.watch.passed(others.into_iter())
    }

    /// How the sink fails, and whom it blames for it.
    fn failure(&mut self, asked_about: &[(FeedId, usize)]) -> Option<(Retry, Option<Vec<FeedId>>)> {
        let fails = |fault: &SinkFault, stream: Option<usize>| match fault.how {
            How::Fails(retry) if fault.stream == stream => Some(retry),
            _ => None,
        };
        let whole = self.faults().find_map(|fault| fails(fault, None));
        if let Some(retry) = whole {
            self.watch.failed(self.now, None, retry);
            return Some((retry, None));
        }
        let first = self.faults().find_map(|fault| {
            let of = asked_about.iter().find(|(_, stream)| fault.stream == Some(*stream))?;
            fails(fault, Some(of.1)).map(|retry| (retry, *of))
        });
        let (retry, (feed, stream)) = first?;
        self.watch.sink_is_well();
        // Who has gone meanwhile is not to blame when it comes again.
        if self.feeds.contains_key(&feed) {
            self.watch.failed(self.now, Some(&[stream]), retry);
        }
        Some((retry, (!self.plan.one_back_off_for_all).then(|| vec![feed])))
    }

    fn faults(&self) -> impl Iterator<Item = &SinkFault> {
        let now = self.now;
        self.plan.faults.iter().filter(move |fault| fault.from <= now && now < fault.until)
    }

    fn handle(&mut self, input: Input) {
        self.turns.handle(at(self.now), input);
    }

    fn feed_of(&self, stream: usize) -> Option<FeedId> {
        self.feeds.iter().find(|(_, other)| **other == stream).map(|(feed, _)| *feed)
    }

    /// The streams that are there.
    fn present(&self) -> impl Iterator<Item = usize> {
        self.feeds.values().copied()
    }

    fn draw(&mut self, span: Span) -> u64 {
        if span.max <= span.min { span.min } else { self.rng.u64(span.min..=span.max) }
    }
}

/// A stream with so many events that are not acknowledged gets no more.
const BACKLOG_MAX: u64 = 200;

fn at(millis: Millis) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}
