//! The server: events with numbers, a buffer that forgets, an answer to whoever connects.
//!
//! Invariant: it knows what it has sent to whom, and nothing of what was read.

use std::collections::VecDeque;

use streamkeeper_core::classify::Refusal;
use streamkeeper_simulator::model::Millis;

use super::plan::{Plan, Shows};

/// The number of an event, from 1. Its decimal is the event's id.
pub type Number = u64;

/// What it keeps.
#[derive(Debug)]
pub struct Server {
    /// When the events were published that it keeps.
    kept: VecDeque<Millis>,
    /// The number of the next event.
    pub next: Number,
    /// Whoever connects gets this status until then.
    pub refuses: Option<(u16, Millis)>,
    /// Whoever connects gets a 200 and an end until then.
    pub drops_until: Millis,
}

/// What it says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No stream.
    Refused(Refusal),
    /// From this event on.
    From {
        /// The first that it sends, if it is there.
        first: Number,
        /// What was asked for is not there any more.
        lost: bool,
    },
}

impl Default for Server {
    fn default() -> Self {
        Self { kept: VecDeque::new(), next: 1, refuses: None, drops_until: 0 }
    }
}

impl Server {
    /// Publishes the next event.
    pub fn publish(&mut self, now: Millis) -> Number {
        self.kept.push_back(now);
        self.next += 1;
        self.next - 1
    }

    /// Forgets what is too old.
    pub fn trim(&mut self, keeps: Millis, now: Millis) {
        while self.kept.front().is_some_and(|&at| at + keeps < now) {
            self.kept.pop_front();
        }
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// The oldest event that it keeps.
    fn oldest(&self) -> Number {
        self.next - self.kept.len() as u64
    }

    /// Answers a request with this cursor.
    pub fn answer(&self, plan: &Plan, asked: Option<Number>, now: Millis) -> Answer {
        if let Some((status, _)) = self.refuses.filter(|&(_, until)| now < until) {
            return Answer::Refused(Refusal::from_status(status, None));
        }
        let Some(asked) = asked else { return Answer::From { first: self.next, lost: false } };
        if asked + 1 >= self.oldest() {
            let at = plan.resumes_at && asked >= self.oldest();
            return Answer::From { first: asked + u64::from(!at), lost: false };
        }
        if let Shows::Status(status) = plan.shows {
            return Answer::Refused(Refusal::from_status(status, None));
        }
        let first = if plan.from_oldest { self.oldest() } else { self.next };
        Answer::From { first, lost: true }
    }
}
