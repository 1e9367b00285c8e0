//! A replay that an operator asks for: the shell of a [`Replay`].
//!
//! What is new is accepted and delivered as ever; what is known is dropped; a dry run only counts. It
//! is a connection like a slot's, with a driver of its own in place of the supervisor: the stream's
//! policy hears of what was accepted, and of nothing else, so that a replay cannot disturb it. When it has
//! read everything is for the core to say; an interrupted one is not tried again, and says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Addr;
use streamkeeper_core::classify::End;
use streamkeeper_core::marked::{MarkedConfig, Replay, ReplayOutput};
use streamkeeper_core::policy::Input;
use streamkeeper_core::time::Timestamp;

use crate::api::replay::{ReplaySpec, ReplayStatus};
use crate::base::reports::ReportsReceiver;
use crate::base::rfc3339::rfc3339;
use crate::dialect::FrameReader;
use crate::dialect::sse::Ask;
use crate::observe::registry::StreamEntry;
use crate::observe::tally::Tally;
use crate::store::writer::Writer;
use crate::stream::connection::{Connect, Connection, Hold};

/// What drives a replay: in place of the supervisor, it hears what its connection sees.
pub(crate) struct Driver {
    tally: Arc<Tally>,
    entry: Arc<StreamEntry>,
    writer: Writer,
    hold: Hold,
    replay: Replay,
}

impl Driver {
    /// Opens the connection; the driver then has to [`Driver::run`].
    pub(crate) fn start(
        tally: Arc<Tally>,
        (entry, writer): (Arc<StreamEntry>, Writer),
        connection: &Addr<Connection>,
        ask: Ask,
        (policy, wall): (&MarkedConfig, Timestamp),
    ) -> Self {
        let hold = Hold::default();
        let connect = Connect {
            connection: Replay::CONNECTION,
            ask,
            frames: FrameReader::Inform,
            hold: hold.clone(),
        };
        let replay = Replay::new(policy, tally.reports.clock().now(), wall);
        if connection.try_send(connect).is_err() {
            let end = End::NotOpened { sent: false };
            tally.reports.send(Input::Ended { connection: Replay::CONNECTION, end });
        }
        Self { tally, entry, writer, hold, replay }
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
            self.replay.handle(now, &input);
            while let Some(output) = self.replay.poll() {
                match output {
                    ReplayOutput::Kill(_) => self.hold.kill(),
                    ReplayOutput::Reached(at) => {
                        self.tally.change(|status| status.reached = rfc3339(at));
                    }
                    ReplayOutput::Flush => self.flush(&mut reports).await,
                    ReplayOutput::Ended { interrupted } => return self.ended(interrupted),
                }
            }
        }
    }

    /// What was read last is still on its way to the disk, and comes back from there.
    async fn flush(&mut self, reports: &mut ReportsReceiver) {
        self.writer.passed().await;
        while let Ok((now, input)) = reports.try_recv() {
            self.replay.handle(now, &input);
        }
        self.replay.handle(self.tally.reports.clock().now(), &Input::Flushed);
    }

    /// Says how it ended.
    fn ended(&self, interrupted: Option<End>) {
        let reason = interrupted.map_or("done", End::reason);
        let ReplayStatus { new, duplicate, .. } = self.tally.status();
        let (new, duplicate) = (sum(&new), sum(&duplicate));
        let stream: &str = &self.entry.name;
        if interrupted.is_none() {
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
}

fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

#[cfg(test)]
mod tests;
