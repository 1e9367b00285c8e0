//! A replay that an operator asks for: read beside the stream, once.
//!
//! It is a [`Reread`] with a clock of its own, from a day on up to the moment at which it began, and ends when
//! it has passed that, by the same rules as a verification. An interrupted one is not tried again. The stream's
//! policy hears of what it brought, and of nothing else: a replay cannot disturb it.
//!
//! **When it began** is said by nobody in the service's time. What its clock makes of that instant is too early
//! by as long as the pokes waited on their way (while the queue was full, or our process was away), and a goal
//! that is early is not safe. But every poke of its connection was said after it began: what the clock
//! believes when one is read is a goal that is late enough.
//!
//! **The contract** is that of [`Policy`](crate::policy::Policy), without a deadline: it has no timer but its
//! connection's watchdog. The shell opens the connection that it is given, and gives it what is heard of that
//! and nothing else; the connection ends with exactly one `Ended`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::classify::End;
use crate::id::{ConnectionId, Epoch, Reader};
use crate::policy::{Input, Span};
use crate::service_clock::ServiceClock;
use crate::time::{Instant, Timestamp};

use super::MarkedConfig;
use super::low_water::Position;
use super::reread::Reread;

/// What a [`Replay`] wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOutput {
    /// Close its connection now; answered by `Ended` when the socket is gone.
    Kill(ConnectionId),
    /// Answer `Flushed` when everything read so far has been judged, and given back.
    Flush,
    /// Everything that was created before has been read; for people.
    Reached(Timestamp),
    /// It is over; nothing more will come.
    Ended {
        /// How it was interrupted; `None`: it has read everything.
        interrupted: Option<End>,
    },
}

/// A replay that an operator has asked for.
#[derive(Clone, Debug)]
pub struct Replay {
    reread: Reread,
    clock: ServiceClock,
    margin: Duration,
    began: Instant,
    /// The least that has been believed when a poke was read: it began before.
    goal: Option<Timestamp>,
    /// It has read everything, and is being closed.
    is_done: bool,
    /// How its connection ended.
    end: Option<End>,
    outputs: VecDeque<ReplayOutput>,
}

impl Replay {
    /// Its connection. The stream's policy counts its own connections from 1: it knows none of this name.
    pub const CONNECTION: ConnectionId = ConnectionId { reader: Reader::Replay, epoch: Epoch(0) };

    /// It begins now, with its connection to be opened; `wall` is our own time.
    #[must_use]
    pub fn new(config: &MarkedConfig, now: Instant, wall: Timestamp) -> Self {
        let position = Position::new(config.position, now, true);
        Self {
            reread: Reread::new(config, Self::CONNECTION, position),
            clock: ServiceClock::new(config.watchdog.late_after, now, wall),
            margin: config.position.margin,
            began: now,
            goal: None,
            is_done: false,
            end: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input that happened at `now`; what does not concern a replay is ignored.
    pub fn handle(&mut self, now: Instant, input: &Input) {
        match input {
            Input::Opened(_) => self.reread.opened(now),
            Input::Blocked(_) => self.reread.blocked(true, now),
            Input::Unblocked(_) => self.reread.blocked(false, now),
            Input::Suspended { .. } => self.reread.unsettled(now),
            Input::Stale(_) | Input::TooSlow(_) => self.kill(),
            Input::Committed { span, .. } => self.committed(span),
            Input::Ended { end, .. } => {
                // What was read last is still on its way to the disk.
                self.end = Some(*end);
                self.outputs.push_back(ReplayOutput::Flush);
            }
            Input::Flushed => {
                if let Some(end) = self.end {
                    let interrupted = Some(end).filter(|_| !self.is_done);
                    self.outputs.push_back(ReplayOutput::Ended { interrupted });
                }
            }
            _ => {}
        }
    }

    /// The next effect, in order.
    pub fn poll(&mut self) -> Option<ReplayOutput> {
        self.outputs.pop_front()
    }

    fn kill(&mut self) {
        self.outputs.push_back(ReplayOutput::Kill(Self::CONNECTION));
    }

    /// Frames have been judged: see how far it has come.
    fn committed(&mut self, span: &Span) {
        if let Some(poke) = span.poke {
            self.clock.poke(span.arrived, poke, None);
            if self.clock.is_proven() {
                // The least: a time that was ahead, and is taken back, would never be reached.
                let believed = self.clock.latest(span.arrived);
                self.goal = Some(self.goal.map_or(believed, |goal| goal.min(believed)));
            }
        }
        self.reread.committed(span);
        let Some(reached) = self.reread.reached(&self.clock, self.margin) else { return };
        self.outputs.push_back(ReplayOutput::Reached(reached.at));
        // By the service's clock alone: ours may be wrong.
        let Some(goal) = self.goal else { return };
        // Where the first that was believed was wrongly behind, what was learnt since is later.
        let is_done = reached.at >= goal.max(self.clock.latest(self.began));
        if is_done && !self.is_done {
            self.is_done = true;
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests;
