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
use streamkeeper_core::turns::{Blamed, DeliveryId, Fate, Input, Output, Retry, Turns};
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
    /// Events that were set aside.
    pub set_aside: u64,
}

#[derive(Debug)]
enum Happening {
    Append(usize),
    Comes(usize),
    Goes(usize),
    /// The sink answers the process of that number, to a delivery or to what else was asked.
    Answer(u64, Option<DeliveryId>),
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
    under_way: BTreeMap<DeliveryId, Vec<Part>>,
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
            under_way: BTreeMap::new(),
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
        // Reading and setting aside take no time: whoever does only that for ever delivers nothing.
        for _ in 0..=2 * self.plan.streams.len() {
            let Some(output) = self.turns.poll(at(self.now)) else {
                // While something is under way there may be no room for more.
                let is_idle = self.under_way.is_empty();
                return if is_idle { self.watch.idle(self.now, self.present()) } else { Ok(()) };
            };
            match output {
                Output::Read { feed, events_max, bytes_max } => {
                    self.read(feed, events_max, bytes_max);
                }
                Output::SetAside(feed) => self.set_aside(feed)?,
                Output::Deliver(delivery) => {
                    let parts = std::mem::take(&mut self.gathered);
                    self.under_way.insert(delivery, parts);
                    return self.ask(output);
                }
                Output::Open | Output::Resume(_) => {
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
            Happening::Answer(process, of) if process == self.process => match of {
                Some(delivery) => return self.answer_delivery(delivery),
                None => self.answer(),
            },
            Happening::Answer(..) => {}
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
        self.under_way.clear();
        self.watch.restarted();
        for stream in std::mem::take(&mut self.feeds).into_values() {
            self.comes(stream);
        }
    }

    fn read(&mut self, feed: FeedId, events_max: usize, bytes_max: usize) {
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

    /// An event goes where it is safe.
    fn set_aside(&mut self, feed: FeedId) -> Verdict {
        let Some(stream) = self.feeds.get(&feed).copied() else {
            self.handle(Input::SetAside);
            return Ok(());
        };
        if self.rng.u8(..8) == 0 {
            self.watch.holds(self.now, stream);
            self.handle(Input::Kept);
            return Ok(());
        }
        let (first, _) = self.watch.cursor(stream);
        // It may have waited until all is well.
        let is_poisoned = self.is_odd(stream, first);
        self.outcome.set_aside += 1;
        self.watch.set_aside(stream, is_poisoned)?;
        self.handle(Input::SetAside);
        Ok(())
    }

    /// Asks the sink; it takes its time.
    fn ask(&mut self, output: Output) -> Verdict {
        let of = match output {
            Output::Deliver(delivery) => Some(delivery),
            _ => None,
        };
        self.watch.asked(self.now, of.is_some())?;
        if let Output::Resume(feed) = output {
            let stream = self.feeds.get(&feed).copied().unwrap_or(usize::MAX);
            let (first, _) = self.watch.cursor(stream);
            self.watch.gives(self.now, stream, first, first)?;
        }
        if let Some(parts) = of.and_then(|delivery| self.under_way.get(&delivery)) {
            let config = self.plan.config;
            let events: u64 = parts.iter().map(|part| part.next - part.first).sum();
            let is_more_than_one = parts.len() > 1;
            if events as usize > config.events_max
                || (is_more_than_one && !config.several)
                || self.under_way.len() > config.in_flight
            {
                return Err(format!("a delivery of {events}: {parts:?}"));
            }
            for Part { stream, first, next, .. } in parts.clone() {
                self.watch.gives(self.now, stream, first, next)?;
            }
        }
        let takes = self.draw(self.plan.takes);
        self.agenda.add(self.now + takes, Happening::Answer(self.process, of));
        Ok(())
    }

    /// To being opened, or told where a stream is.
    fn answer(&mut self) {
        let Some(asked) = self.asked.take() else { return };
        let about: Vec<_> = match asked {
            Output::Resume(feed) => self.feeds.get(&feed).map(|stream| (feed, *stream)),
            _ => None,
        }
        .into_iter()
        .collect();
        if let Some((retry, of)) = self.failure(&about) {
            self.outcome.failures += 1;
            return self.handle(Input::Unready { retry, whole: of.is_none() });
        }
        self.watch.sink_is_well();
        about.iter().for_each(|(_, stream)| self.watch.forgets(*stream));
        self.handle(if asked == Output::Open { Input::Opened } else { Input::Resumed });
    }

    fn answer_delivery(&mut self, delivery: DeliveryId) -> Verdict {
        let Some(parts) = self.under_way.remove(&delivery) else { return Ok(()) };
        let about: Vec<_> = parts.iter().map(|part| (part.feed, part.stream)).collect();
        let input = match self.failure(&about) {
            Some((retry, of)) => self.failed(delivery, &parts, (retry, of))?,
            None if parts.iter().any(|part| self.poisoned_in(*part).is_some()) => {
                self.poisoned(delivery, &parts)?
            }
            None => {
                self.outcome.deliveries += 1;
                self.watch.sink_is_well();
                for part in &parts {
                    self.arrives(*part, part.next)?;
                }
                Input::Delivered(delivery)
            }
        };
        let is_whole = matches!(input, Input::Failed { whole: Some(_), .. });
        self.handle(input);
        // Blamed on the sink, though the sink has blamed an event.
        if self.turns.is_stopped() && !is_whole && self.turns.attempts(None) > 0 {
            self.watch.failed(self.now, None, Retry::Held);
            about.iter().for_each(|(_, stream)| self.watch.holds(self.now, *stream));
        }
        let carried = |stream: &usize| about.iter().any(|(_, other)| other == stream);
        let others: Vec<_> = self.idle_streams().filter(|stream| !carried(stream)).collect();
        self.watch.passed(others.into_iter())
    }

    /// Up to there the events of a stream are with the sink. Who has gone acknowledges nothing.
    fn arrives(&mut self, part: Part, next: u64) -> Verdict {
        if next == part.first || !self.feeds.contains_key(&part.feed) {
            return Ok(());
        }
        self.watch.arrived(part.stream, next);
        self.watch.acknowledged(part.stream, next)
    }

    /// The sink, or a stream, does not take what was given; some of it may be there, said or unsaid.
    fn failed(
        &mut self,
        delivery: DeliveryId,
        parts: &[Part],
        (retry, of): (Retry, Option<Vec<FeedId>>),
    ) -> Result<Input, String> {
        self.outcome.failures += 1;
        let mut fates = Vec::new();
        for part in parts {
            let is_blamed = of.as_ref().is_some_and(|feeds| feeds.contains(&part.feed));
            let there = self.rng.u64(part.first..=part.next);
            let said = if self.rng.bool() && !is_blamed { there } else { part.first };
            self.watch.arrived(part.stream, there);
            self.arrives(*part, said)?;
            let blamed = is_blamed.then_some(Blamed::Retry(retry));
            fates.push(fate(*part, said, blamed));
        }
        let whole = of.is_none().then_some(retry);
        Ok(Input::Failed { delivery, whole, fates })
    }

    /// Some events are refused for what they are.
    fn poisoned(&mut self, delivery: DeliveryId, parts: &[Part]) -> Result<Input, String> {
        self.outcome.failures += 1;
        self.watch.sink_is_well();
        let mut fates = Vec::new();
        for part in parts {
            let Some(at) = self.poisoned_in(*part) else {
                let said = if self.rng.bool() { part.next } else { part.first };
                self.arrives(*part, said)?;
                fates.push(fate(*part, said, None));
                continue;
            };
            let said = if self.rng.bool() { self.rng.u64(part.first..=at) } else { part.first };
            self.arrives(*part, said)?;
            let at = self.rng.bool().then_some((at - said) as usize);
            let is_one = parts.len() == 1 && part.next == part.first + 1;
            if is_one && self.feeds.contains_key(&part.feed) {
                self.watch.refused_alone(self.now, part.stream);
            }
            fates.push(fate(*part, said, Some(Blamed::Poisoned { at })));
        }
        Ok(Input::Failed { delivery, whole: None, fates })
    }

    fn poisoned_in(&self, part: Part) -> Option<u64> {
        (part.first..part.next).find(|event| self.is_poisoned(part.stream, *event))
    }

    fn is_poisoned(&self, stream: usize, event: u64) -> bool {
        self.now < self.plan.ends && self.is_odd(stream, event)
    }

    fn is_odd(&self, stream: usize, event: u64) -> bool {
        let drawn =
            fastrand::Rng::with_seed(self.plan.seed ^ ((stream as u64) << 40) ^ event).u64(..);
        self.plan.poison > 0 && drawn.is_multiple_of(self.plan.poison)
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

    /// Those that are there, and not under way.
    fn idle_streams(&self) -> impl Iterator<Item = usize> {
        let is_under_way =
            |stream: &usize| self.under_way.values().flatten().any(|part| part.stream == *stream);
        self.present().filter(move |stream| !is_under_way(stream))
    }

    fn draw(&mut self, span: Span) -> u64 {
        if span.max <= span.min { span.min } else { self.rng.u64(span.min..=span.max) }
    }
}

/// A stream with so many events that are not acknowledged gets no more.
const BACKLOG_MAX: u64 = 200;

/// Up to `done` the part is with the sink.
const fn fate(part: Part, done: u64, blamed: Option<Blamed>) -> Fate {
    let Part { feed, first, next, .. } = part;
    Fate { feed, done: (done - first) as usize, left: (next - done) as usize, blamed }
}

fn at(millis: Millis) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}
