//! The queue and its commits: from a frame that was read to what it proves when it is durable.
//!
//! One queue in the order of reading; one commit at a time, taken from its front. What is durable
//! goes to the disk and to the checkers, and the policies are told per connection.

use streamkeeper_core::id::{ConnectionId, UserKey};
use streamkeeper_core::low_water::Datum;
use streamkeeper_core::stream_policy::{Input, Span};
use streamkeeper_core::time::{Instant, Timestamp};
use streamkeeper_simulator::model::Frame;

use crate::naive::Naive;
use crate::plan::micros;

use super::shell::Process;
use super::{ForShell, Happening, World};

/// A frame that was read and is not yet durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    connection: ConnectionId,
    arrived: Instant,
    frame: Frame,
}

impl World {
    /// A frame was read.
    pub(super) fn enqueue(&mut self, connection: ConnectionId, frame: Frame) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let arrived = process.instant(now);
        process.queue.push_back(Queued { connection, arrived, frame });
        self.commit_if_idle();
    }

    fn commit_if_idle(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.queue.is_empty() || !process.committing.is_empty() {
            return;
        }
        let frames = self.plan.commit_frames.min(process.queue.len());
        process.committing = process.queue.drain(..frames).collect();
        let number = process.number;
        let mut takes = self.draw(self.plan.commit_takes);
        if self.now < self.conditions.slow_commits_until {
            takes += self.conditions.slow_commit;
        }
        self.agenda.add(self.now + takes, Happening::Shell(number, ForShell::CommitDone));
    }

    pub(super) fn commit_done(&mut self) {
        let Some(process) = &mut self.process else { return };
        let frames = std::mem::take(&mut process.committing);
        for (connection, span) in self.make_durable(&frames) {
            if let Some(shadow) = &mut self.shadow {
                shadow.committed(connection, &span);
            }
            self.handle(Input::Committed { connection, span });
        }
        self.commit_if_idle();
        self.make_room();
        self.flush_if_empty();
    }

    /// Half of what had not been committed when the process died may be on disk all the same.
    pub(super) fn lose_queue(&mut self, process: Process) {
        if self.rng.bool() {
            self.make_durable(&process.committing);
        }
    }

    fn make_durable(&mut self, frames: &[Queued]) -> Vec<(ConnectionId, Span)> {
        let mut spans: Vec<(ConnectionId, Span)> = Vec::new();
        for queued in frames {
            if spans.last().is_none_or(|(connection, _)| *connection != queued.connection) {
                let arrived = queued.arrived;
                let span = Span { arrived, poke: None, data: Vec::new(), new: 0, duplicate: 0 };
                spans.push((queued.connection, span));
            }
            let Some((_, span)) = spans.last_mut() else { continue };
            span.arrived = queued.arrived;
            match queued.frame {
                Frame::Poke { at, .. } => {
                    let own_clock = self.plan.naive == Some(Naive::OwnClock);
                    span.poke = Some(match &self.process {
                        Some(process) if own_clock => {
                            self.plan.wall(process.time_of(queued.arrived))
                        }
                        _ => Timestamp::from_micros(micros(at)),
                    });
                }
                Frame::Event { event: id, .. } => {
                    let Some(event) = self.model.event(id).copied() else { continue };
                    let verdict = self.disk.accept(&event);
                    if verdict.is_new() {
                        span.new += 1;
                        if let Err(what) = self.events.accepted(id, &event) {
                            self.outcome.violation.get_or_insert(super::Violation {
                                after: self.now - self.plan.start,
                                what,
                            });
                        }
                    } else {
                        span.duplicate += 1;
                    }
                    span.data.push(Datum {
                        user: UserKey(u64::from(event.user)),
                        created_at: Timestamp::from_micros(micros(event.created_at)),
                        start_day: Some(Timestamp::from_micros(micros(event.start_at())).utc_day()),
                        new: verdict.is_new(),
                    });
                }
                Frame::End { .. } => {}
            }
        }
        spans
    }

    fn make_room(&mut self) {
        let half = self.plan.queue_frames / 2;
        let Some(process) = &mut self.process else { return };
        if process.was_full && process.has_room(half.max(1)) {
            process.was_full = false;
            self.resume_all();
            self.report(Input::Room);
        }
    }

    pub(super) fn flush_if_empty(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.flush && process.queue.is_empty() && process.committing.is_empty() {
            process.flush = false;
            self.report(Input::Flushed);
        }
    }
}
