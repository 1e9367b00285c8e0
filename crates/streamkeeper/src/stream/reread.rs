//! A replay that an operator asks for: `/replay` from a day on, read beside the stream.
//!
//! What is new is accepted and delivered as ever; what is known is dropped; a dry run only counts. It
//! is a connection like a slot's, with a driver of its own in place of the supervisor: the stream's
//! policy hears of what was accepted, and of nothing else, so that a replay cannot disturb it. It ends
//! when everything has been read up to the moment at which it began, by the same rules as a
//! verification; an interrupted one is not tried again, and says so.

use crate::api::replay::{ReplaySpec, ReplayStatus};
use crate::observe::tally::Tally;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Addr;
use streamkeeper_core::classify::End;
use streamkeeper_core::id::{ConnectionId, Epoch, Reader};
use streamkeeper_core::marked::MarkedConfig;
use streamkeeper_core::marked::low_water::{Gate, Position, PositionConfig};
use streamkeeper_core::policy::{Input, Span};
use streamkeeper_core::service_clock::ServiceClock;
use streamkeeper_core::time::{Instant, Timestamp};

use crate::base::reports::ReportsReceiver;
use crate::base::rfc3339::rfc3339;
use crate::observe::registry::StreamEntry;
use crate::store::writer::Writer;
use crate::stream::connection::{Connect, Connection, Hold};

/// What drives a replay: in place of the supervisor, it hears what its connection sees.
pub(crate) struct Driver {
    tally: Arc<Tally>,
    entry: Arc<StreamEntry>,
    writer: Writer,
    hold: Hold,
    position: Position,
    clock: ServiceClock,
    settings: PositionConfig,
    began: Instant,
    started: Option<Timestamp>,
    done: bool,
}

impl Driver {
    /// Opens the connection; the driver then has to [`Driver::run`].
    pub(crate) fn start(
        tally: Arc<Tally>,
        (entry, writer): (Arc<StreamEntry>, Writer),
        connection: &Addr<Connection>,
        path_and_query: String,
        (policy, wall): (&MarkedConfig, Timestamp),
    ) -> Self {
        let now = tally.reports.clock().now();
        let hold = Hold::default();
        let connect = Connect { connection: CONNECTION, path_and_query, hold: hold.clone() };
        let settings = policy.position;
        let position = Position::new(settings, now, true);
        let clock = ServiceClock::new(policy.watchdog.late_after, now, wall);
        if connection.try_send(connect).is_err() {
            let end = End::NotOpened { sent: false };
            tally.reports.send(Input::Ended { connection: CONNECTION, end });
        }
        Self {
            tally,
            entry,
            writer,
            hold,
            position,
            clock,
            settings,
            began: now,
            started: None,
            done: false,
        }
    }

    /// What ends the replay at once.
    pub(crate) fn hold(&self) -> Hold {
        self.hold.clone()
    }

    /// Follows the connection to its end.
    pub(crate) async fn run(mut self, mut reports: ReportsReceiver) {
        let stream: &str = &self.entry.name;
        let ReplaySpec { from, dry_run, .. } = self.tally.status().spec;
        tracing::info!(stream, %from, dry_run, "a replay begins: an operator asked for it");
        while let Some((now, input)) = reports.recv().await {
            match input {
                Input::Opened(_) => {
                    self.position.opened(now);
                    self.position.changed(now);
                }
                Input::Blocked(_) | Input::Unblocked(_) | Input::Suspended { .. } => {
                    self.position.changed(now);
                }
                Input::Stale(_) | Input::TooSlow(_) => self.hold.kill(),
                Input::Committed { span, .. } => self.committed(&span),
                Input::Ended { end, .. } => {
                    // What was read last is still on its way to the disk.
                    self.writer.passed().await;
                    while let Ok((_, input)) = reports.try_recv() {
                        if let Input::Committed { span, .. } = input {
                            self.committed(&span);
                        }
                    }
                    return self.ended(end);
                }
                _ => {}
            }
        }
    }

    /// Says how it ended.
    fn ended(&self, end: End) {
        let reason = if self.done { "done" } else { end.reason() };
        let ReplayStatus { new, duplicate, .. } = self.tally.status();
        let (new, duplicate) = (sum(&new), sum(&duplicate));
        let stream: &str = &self.entry.name;
        if self.done {
            tracing::info!(stream, new, duplicate, "the replay is done");
        } else {
            tracing::warn!(
                stream,
                reason,
                new,
                duplicate,
                "the replay was interrupted; what it brought stays"
            );
        }
        self.tally.change(|status| status.ended = Some(reason.to_owned()));
    }

    /// Frames have been judged: see how far it has come.
    fn committed(&mut self, span: &Span) {
        if let Some(poke) = span.poke {
            self.clock.poke(span.arrived, poke, None);
        }
        // By the service's clock, as soon as that is known: ours may be wrong.
        if self.clock.is_proven() {
            self.started.get_or_insert(self.clock.at(self.began));
        }
        self.position.frame(span.arrived);
        for datum in &span.data {
            self.position.data(span.arrived, datum);
        }
        if !self.position.is_settled() || self.position.gate() == Gate::Closed {
            return;
        }
        let heard = self.position.evidence();
        let Some(reached) = self.position.reached(&self.clock, heard, self.settings.margin) else {
            return;
        };
        self.tally.change(|status| status.reached = rfc3339(reached));
        if self.started.is_some_and(|started| reached >= started) && !self.done {
            self.done = true;
            self.hold.kill();
        }
    }
}

fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

/// The policy counts its own connections' epochs from 1: it knows none of this name.
pub(crate) const CONNECTION: ConnectionId =
    ConnectionId { reader: Reader::Replay, epoch: Epoch(0) };

#[cfg(test)]
mod tests;
