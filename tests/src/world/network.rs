//! Connections: what is on the way to us, what waits in a socket, how it can break.
//!
//! A wire is a queue of frames with the time of their arrival; those that have arrived wait in the
//! socket until the process reads them. When it is full the service has to wait. A reset discards
//! what has not been read.

use std::collections::VecDeque;

use streamkeeper_core::classify::End;
use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::marked::establish::CallFailure;
use streamkeeper_core::marked::{self, Members, Target};
use streamkeeper_core::policy::Input;
use streamkeeper_core::watchdog::{Lack, Signal, Watchdog};
use streamkeeper_simulator::model::{ClientId, Frame, Millis};

use crate::fault::{CallKind, CrashKind, DiskFault, Refused};
use crate::naive::Naive;

use super::{Place, World};

/// A connection of ours, from the attempt to its end.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) target: Target,
    pub(super) stage: Stage,
    pub(super) client: Option<ClientId>,
    /// The request has left us.
    pub(super) sent: bool,
    /// Nothing comes through any more.
    pub(super) cut: bool,
    pub(super) wire: VecDeque<(Millis, Item)>,
    pub(super) stalled_until: Millis,
    pub(super) draining: bool,
    pub(super) watchdog: Option<Watchdog>,
    pub(super) blocked: bool,
    pub(super) data_since_poke: bool,
    pub(super) garble: bool,
    /// What its next poke says.
    pub(super) wrong: Option<Wrong>,
    pub(super) dribble: Option<Dribble>,
}

/// A frame that comes in small parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dribble {
    next: Millis,
    until: Millis,
    bytes_per_s: u64,
}

impl Dribble {
    /// Between two parts: below anything that is called silence, whatever the scale.
    const EVERY: Millis = 500;

    pub(super) const fn new(now: Millis, until: Millis, bytes_per_s: u64) -> Self {
        Self { next: now + Self::EVERY, until, bytes_per_s }
    }
}

/// A statement of the service that is not true.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wrong {
    /// The time is off by so many milliseconds.
    Time(i64),
    /// So many clients are allowed.
    Max(usize),
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Open,
    /// Closed by us; its end is still to be told.
    Closing,
    Gone,
}

/// Something on a wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Frame(Frame),
    End(End),
}

/// What is wrong for a while: each until that time.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) network_cut_until: Millis,
    pub(super) refused_until: Millis,
    pub(super) refused: Option<(Refused, u16, Option<u64>)>,
    pub(super) refused_call: Option<(CallKind, CallFailure)>,
    pub(super) refused_call_until: Millis,
    pub(super) silent_until: Millis,
    pub(super) slow_frames_until: Millis,
    pub(super) silence_deaf: bool,
    pub(super) half_close_ignored_until: Millis,
    pub(super) suspended_until: Millis,
    pub(super) paused_until: Millis,
    pub(super) slow_commits_until: Millis,
    pub(super) slow_commit: Millis,
    pub(super) disk: Option<DiskFault>,
    /// The process dies like this, for so long, when its disk says so.
    pub(super) dies: Option<(CrashKind, Millis)>,
    pub(super) disk_fails_until: Millis,
    /// Of each sink.
    pub(super) slow_sinks_until: Vec<Millis>,
    pub(super) lose_answers: Option<(bool, u8)>,
}

impl Conditions {
    /// When the last of them is over.
    pub(super) fn over_at(&self) -> Millis {
        [
            self.network_cut_until,
            self.refused_until,
            self.refused_call_until,
            self.silent_until,
            self.slow_frames_until,
            self.half_close_ignored_until,
            self.suspended_until,
            self.paused_until,
            self.slow_commits_until,
            self.disk_fails_until,
        ]
        .into_iter()
        .chain(self.slow_sinks_until.iter().copied())
        .max()
        .unwrap_or(0)
    }
}

impl World {
    pub(super) fn at(&mut self, place: Place) -> &mut Connection {
        #[expect(clippy::indexing_slicing, reason = "connections are never removed")]
        &mut self.connections[place]
    }

    /// The connection of that name, if it is not gone.
    pub(super) fn find(&self, id: ConnectionId) -> Option<Place> {
        let of = |place: &&Place| self.connections.get(**place).is_some_and(|c| c.id == id);
        self.open.iter().find(of).copied()
    }

    /// Those that are not gone, and are as asked for.
    fn open_that(&self, picks: impl Fn(&Connection) -> bool) -> Vec<Place> {
        let picks = |place: &&Place| self.connections.get(**place).is_some_and(&picks);
        self.open.iter().filter(picks).copied().collect()
    }

    /// When to look again what the service has to do; `due`: when it has something.
    pub(super) fn service_looked_at(&self, due: Option<Millis>) -> Millis {
        match due {
            Some(due) if due > self.now => due,
            // Something is due that nobody reads: look again soon.
            Some(_) => self.now + self.scaled(1) / 2 + 1,
            None => Millis::MAX,
        }
    }

    /// The service writes what is due, as far as sockets take it.
    pub(super) fn service_writes(&mut self) {
        let mut frames = Vec::new();
        for index in 0..self.open.len() {
            let Some(&place) = self.open.get(index) else { continue };
            let room = self.plan.socket_frames.saturating_sub(self.at(place).wire.len());
            let Some(client) = self.at(place).client.filter(|_| room > 0) else { continue };
            if self.model.due(client).is_none_or(|due| due > self.now) {
                continue;
            }
            frames.clear();
            self.model.poll(client, self.now, room, &mut frames);
            for frame in &frames {
                let latency = self.draw(self.plan.latency);
                let plain = self.plan.ends_without_terminator;
                let now = self.now;
                let connection = self.at(place);
                let item = match frame {
                    Frame::End { .. } if plain && connection.draining => {
                        Item::End(End::Closed { mid_event: false })
                    }
                    Frame::End { .. } => Item::End(End::Terminated { mid_event: false }),
                    frame => Item::Frame(*frame),
                };
                connection.put(now + latency, item);
            }
        }
        for index in 0..self.foreign.len() {
            let Some(&client) = self.foreign.get(index) else { continue };
            frames.clear();
            self.model.poll(client, self.now, 10_000, &mut frames);
        }
    }

    /// When something arrives, or a silence is to be judged.
    pub(super) fn network_due(&self) -> Millis {
        let connections = self.open.iter().filter_map(|place| self.connections.get(*place));
        let due = connections.filter(|connection| connection.stage == Stage::Open).map(|c| {
            let arrival = c.wire.front().filter(|_| !c.blocked).map(|(at, _)| *at);
            let deadline = c.watchdog.as_ref().and_then(Watchdog::deadline);
            let deadline = deadline.and_then(|at| self.process.as_ref().map(|p| p.time_of(at)));
            let part = c.dribble.filter(|_| !c.blocked && !c.cut).map(|dribble| dribble.next);
            arrival.into_iter().chain(part).chain(deadline).min().unwrap_or(Millis::MAX)
        });
        due.min().unwrap_or(Millis::MAX)
    }

    /// The process reads what has arrived.
    pub(super) fn read_sockets(&mut self) {
        let now = self.now;
        let readable = |c: &Connection| {
            c.wire.front().is_some_and(|(at, _)| *at <= now)
                || c.dribble.is_some_and(|dribble| dribble.next <= now)
        };
        for place in self.open_that(|c| c.stage == Stage::Open && readable(c)) {
            self.read_part(place);
            self.read_socket(place);
        }
    }

    /// Reads the part of a frame that has come.
    fn read_part(&mut self, place: Place) {
        let now = self.now;
        let Some(arrived) = self.process.as_ref().map(|p| p.instant(now)) else { return };
        let connection = self.at(place);
        if connection.stage != Stage::Open || connection.blocked || connection.cut {
            return;
        }
        let Some(dribble) = connection.dribble.as_mut().filter(|dribble| dribble.next <= now)
        else {
            return;
        };
        // What waited in the socket while nobody read comes at once.
        let parts = (now.min(dribble.until) - dribble.next) / Dribble::EVERY + 1;
        let bytes = parts * Dribble::EVERY * dribble.bytes_per_s / 1_000;
        dribble.next += parts * Dribble::EVERY;
        if dribble.next > dribble.until {
            connection.dribble = None;
        }
        if let Some(watchdog) = &mut connection.watchdog {
            watchdog.progress(arrived, usize::try_from(bytes).unwrap_or(usize::MAX));
        }
    }

    fn read_socket(&mut self, place: Place) {
        let now = self.now;
        while self.at(place).stage == Stage::Open {
            let blocked = self.at(place).blocked;
            let Some(&(_, item)) = self.at(place).wire.front().filter(|(at, _)| *at <= now) else {
                return;
            };
            let room = self.process.as_ref().is_some_and(|p| p.has_room(self.plan.queue_frames));
            match item {
                Item::Frame(_) if !room => {
                    if !blocked {
                        self.block(place);
                    }
                    return;
                }
                Item::Frame(_) if blocked => return,
                Item::Frame(frame) => {
                    self.at(place).wire.pop_front();
                    self.read_frame(place, frame);
                }
                Item::End(end) => {
                    self.at(place).wire.pop_front();
                    self.end(place, end);
                }
            }
        }
    }

    fn read_frame(&mut self, place: Place, mut frame: Frame) {
        let Some(arrived) = self.process.as_ref().map(|p| p.instant(self.now)) else { return };
        let connection = self.at(place);
        if let Frame::Poke { at, max, .. } = &mut frame {
            match connection.wrong.take() {
                Some(Wrong::Time(by)) => *at = at.saturating_add_signed(by),
                Some(Wrong::Max(wrong)) => *max = wrong,
                None => {}
            }
        }
        let id = connection.id;
        if let Some(watchdog) = &mut connection.watchdog {
            watchdog.frame(arrived);
        }
        if matches!(frame, Frame::Event { .. }) && std::mem::take(&mut connection.garble) {
            self.report(Input::Garbled(id));
            return;
        }
        match frame {
            Frame::Poke { count, max, .. } => {
                connection.data_since_poke = false;
                let number = |n: usize| u32::try_from(n).ok();
                let members = Members { count: number(count), max: number(max) };
                self.report(marked::Input::Poke { connection: id, members }.into());
            }
            _ => {
                if !std::mem::replace(&mut connection.data_since_poke, true) {
                    self.report(Input::Data(id));
                }
            }
        }
        self.enqueue(id, frame);
    }

    fn block(&mut self, place: Place) {
        let Some(now) = self.process.as_mut().map(|p| p.found_full(self.now)) else { return };
        let connection = self.at(place);
        connection.blocked = true;
        if let Some(watchdog) = &mut connection.watchdog {
            watchdog.block(now);
        }
        let id = connection.id;
        self.report(Input::Blocked(id));
    }

    /// There is room again: everybody reads on.
    pub(super) fn unblock_all(&mut self) {
        let Some(now) = self.process.as_ref().map(|p| p.instant(self.now)) else { return };
        for place in self.open.clone() {
            let connection = self.at(place);
            if connection.blocked && connection.stage == Stage::Open {
                connection.blocked = false;
                if let Some(watchdog) = &mut connection.watchdog {
                    watchdog.unblock(now);
                }
                let id = connection.id;
                self.report(Input::Unblocked(id));
                self.read_socket(place);
            }
        }
    }

    /// Everything readable has been read: judge the silence.
    pub(super) fn judge_silence(&mut self) {
        let Some(now) = self.process.as_ref().map(|p| p.instant(self.now)) else { return };
        let due = |c: &Connection| {
            c.watchdog.as_ref().and_then(Watchdog::deadline).is_some_and(|deadline| deadline <= now)
        };
        for place in self.open_that(|c| c.stage == Stage::Open && due(c)) {
            let connection = self.at(place);
            let id = connection.id;
            let Some(watchdog) = &mut connection.watchdog else { continue };
            match watchdog.tick(now) {
                Some(Signal::Late(lack)) => self.report(Input::Late(id, lack)),
                Some(Signal::Stale(Lack::Silence)) => self.report(Input::Stale(id)),
                Some(Signal::Stale(Lack::SlowFrame)) => self.report(Input::TooSlow(id)),
                Some(Signal::Suspended(away)) => {
                    self.report(Input::Suspended { connection: id, away });
                }
                None => {}
            }
        }
    }

    /// A connection has ended; the policies are told.
    pub(super) fn end(&mut self, place: Place, end: End) {
        let connection = self.at(place);
        connection.stage = Stage::Gone;
        connection.wire.clear();
        let id = connection.id;
        self.open.retain(|other| *other != place);
        if end == End::Reset {
            self.outcome.resets += 1;
        }
        let end = match (self.plan.naive, end) {
            (Some(Naive::TrustRedelivery), End::Reset) => End::Terminated { mid_event: false },
            (Some(Naive::RecreateOnReset), End::Reset) => End::Panicked,
            _ => end,
        };
        self.report(Input::Ended { connection: id, end });
    }

    /// We close a connection hard. Its end is told when the socket is gone.
    pub(super) fn kill(&mut self, place: Place) {
        let now = self.now;
        let connection = self.at(place);
        if matches!(connection.stage, Stage::Closing | Stage::Gone) {
            return;
        }
        connection.stage = Stage::Closing;
        connection.wire.clear();
        if let Some(client) = connection.client {
            self.model.abort(client, now);
        }
        let takes = self.rng.u64(..=50 / self.plan.scale);
        self.agenda.add(now + takes, super::Happening::SocketGone(place));
    }

    pub(super) fn socket_gone(&mut self, place: Place) {
        if self.at(place).stage == Stage::Closing {
            self.end(place, End::Killed);
        }
    }

    /// We half-close a connection and read on.
    pub(super) fn drain(&mut self, place: Place) {
        let now = self.now;
        let ignored = now < self.conditions.half_close_ignored_until;
        let connection = self.at(place);
        connection.draining = true;
        let (cut, client) = (connection.cut, connection.client);
        let Some(client) = client else { return };
        if self.plan.naive == Some(Naive::CloseAtOnce) {
            self.model.abort(client, now);
            self.end(place, End::Terminated { mid_event: false });
        } else if !cut && !ignored {
            self.model.half_close(client, now);
        }
    }
}

impl Connection {
    /// Whether the process does not read it, because the queue is full.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked && self.stage == Stage::Open
    }

    /// Puts something on the wire, behind what is there.
    pub(super) fn put(&mut self, at: Millis, item: Item) {
        let behind = self.wire.back().map_or(0, |(before, _)| *before);
        self.wire.push_back((at.max(behind).max(self.stalled_until), item));
    }
}
