//! Carries the faults out: on connections, on the service, on the process.
//!
//! A fault that finds nothing to hit (no connection open, no process running) does nothing.

use streamkeeper_core::classify::End;
use streamkeeper_core::id::Reader;
use streamkeeper_core::marked::Target;
use streamkeeper_core::policy::Input;
use streamkeeper_ledger::fs::Fault::Crash;
use streamkeeper_simulator::model::{self, HOUR, Hang, Millis, Resource, What};

use crate::fault::{CrashKind, Fault, Which};
use crate::plan::millis;

use super::network::{Dribble, Item, Stage, Wrong};
use super::replays::is_replay;
use super::{ForShell, Happening, Place, World};

impl World {
    pub(super) fn strike(&mut self, number: usize) {
        let Some(&(_, fault)) = self.plan.faults.get(number) else { return };
        self.say(format_args!("! {fault:?}"));
        let now = self.now;
        match fault {
            Fault::Hang { which, deaf } => self.each(which, |world, place| world.hang(place, deaf)),
            Fault::Reset { which, middle } => {
                self.each(which, |world, place| world.reset(place, middle));
            }
            Fault::Cut { which, mid_event } => {
                self.each(which, |world, place| world.cut(place, End::Eof { mid_event }));
            }
            Fault::Truncated => self.each(Which::One, |world, place| {
                world.cut(place, End::Terminated { mid_event: true });
            }),
            Fault::Corrupt => {
                self.each(Which::One, |world, place| world.cut(place, End::Corrupt));
            }
            Fault::End { which } => self.each(which, |world, place| {
                if let Some(client) = world.at(place).client {
                    world.model.end(client, now);
                }
            }),
            Fault::Stall { which, lasts } => {
                self.each(which, |world, place| world.stall(place, now + lasts));
            }
            Fault::NetworkCut { lasts } => {
                self.conditions.network_cut_until = now + lasts;
                self.each(Which::All, |world, place| world.hang(place, true));
            }
            Fault::Refuse { what, status, retry_after, lasts } => {
                self.conditions.refused = Some((what, status, retry_after));
                self.conditions.refused_until = now + lasts;
            }
            Fault::RefuseCall { kind, failure, lasts } => {
                self.conditions.refused_call = Some((kind, failure));
                self.conditions.refused_call_until = now + lasts;
            }
            Fault::Silence { deaf, lasts } => {
                self.conditions.silence_deaf = deaf;
                self.conditions.silent_until = now + lasts;
            }
            Fault::LoseAnswers { acted, calls } => {
                self.conditions.lose_answers = Some((acted, calls));
            }
            Fault::IgnoreHalfClose { lasts } => {
                self.conditions.half_close_ignored_until = now + lasts;
            }
            Fault::Crash { kind, down } => self.die(kind, down),
            Fault::Restart { down } => self.restart(down),
            Fault::Suspend { lasts } => self.suspend(lasts),
            Fault::SlowCommits { each, lasts } => {
                self.conditions.slow_commit = each;
                self.conditions.slow_commits_until = now + lasts;
            }
            Fault::Disk { fault, after, lasts } => self.disk_fails(fault, after, lasts),
            Fault::SlowSinks { which, lasts } => self.slow_sinks(which, lasts),
            Fault::Panic => self.each(Which::One, |world, place| {
                if let Some(client) = world.at(place).client {
                    world.model.abort(client, now);
                }
                world.end(place, End::Panicked);
            }),
            Fault::SlowFrame { which, bytes_per_s, lasts } => {
                let until = now + lasts;
                self.conditions.slow_frames_until = self.conditions.slow_frames_until.max(until);
                self.each(which, |world, place| {
                    world.stall(place, until);
                    world.at(place).dribble = Some(Dribble::new(now, until, bytes_per_s));
                });
            }
            Fault::Garble => self.each(Which::One, |world, place| {
                let connection = world.at(place);
                connection.garble = matches!(connection.id.reader, Reader::Slot(_));
            }),
            Fault::Evict => {
                if let Some(id) = self.our_stream() {
                    let gone = self.model.evict(id, now);
                    self.say(format_args!("  evicted: {gone:?}"));
                }
            }
            Fault::Foreign { deaf, lasts } => self.foreign(deaf, lasts),
            Fault::MembersMax { max } => self.model.config_mut().members_max = max,
            Fault::Burst { events } => self.burst(events),
            Fault::Flips { records } => self.flip(records),
            Fault::WrongTime { by } => self.each(Which::One, |world, place| {
                world.at(place).wrong = Some(Wrong::Time(by));
            }),
            Fault::WrongMax { max } => self.each(Which::One, |world, place| {
                world.at(place).wrong = Some(Wrong::Max(max));
            }),
            Fault::Recover => self.report(Input::Recover),
            Fault::Pause { lasts } => self.pause_keeper(lasts),
            Fault::Reconnect => self.report(Input::Reconnect),
            Fault::Replay { days, dry_run } => self.ask_for_replay(days, dry_run),
        }
    }

    /// Does something to one open connection, or to all.
    fn each(&mut self, which: Which, mut what: impl FnMut(&mut Self, Place)) {
        let mut places = self.open.clone();
        places.retain(|place| self.at(*place).stage == Stage::Open);
        if which == Which::One && !places.is_empty() {
            let chosen = self.rng.usize(..places.len());
            places = places.get(chosen).copied().into_iter().collect();
        }
        for place in places {
            what(self, place);
        }
    }

    fn hang(&mut self, place: Place, deaf: bool) {
        let now = self.now;
        let connection = self.at(place);
        connection.cut = true;
        connection.wire.retain(|(at, _)| *at <= now);
        let hang = if deaf { Hang::Deaf } else { Hang::Hearing };
        if let Some(client) = connection.client {
            self.model.hang(client, hang, now);
        }
    }

    fn reset(&mut self, place: Place, middle: bool) {
        let now = self.now;
        let latency = self.draw(self.plan.latency);
        if let Some(client) = self.at(place).client {
            self.model.abort(client, now);
        }
        let connection = self.at(place);
        if middle {
            connection.wire.clear();
            connection.put(now, Item::End(End::Reset));
        } else {
            connection.put(now + latency, Item::End(End::Reset));
        }
    }

    /// The connection ends early: some of what is on the way still comes.
    fn cut(&mut self, place: Place, end: End) {
        let now = self.now;
        if let Some(client) = self.at(place).client {
            self.model.abort(client, now);
        }
        let length = self.at(place).wire.len();
        let comes = self.rng.usize(..=length);
        let connection = self.at(place);
        connection.wire.truncate(comes);
        connection.put(now, Item::End(end));
    }

    fn stall(&mut self, place: Place, until: Millis) {
        let now = self.now;
        let connection = self.at(place);
        connection.stalled_until = until;
        for (at, _) in &mut connection.wire {
            if *at > now {
                *at = until.max(*at);
            }
        }
    }

    fn our_stream(&self) -> Option<model::StreamId> {
        let open = self.open.iter().filter_map(|place| self.connections.get(*place));
        let mut targets = open.filter_map(|connection| match &connection.target {
            Target::Stream(id) => id.0.parse().ok(),
            Target::Replay(_) => None,
        });
        targets.next()
    }

    fn foreign(&mut self, deaf: bool, lasts: Millis) {
        let now = self.now;
        let Some(id) = self.our_stream() else { return };
        let Ok(client) = self.model.connect(id, now) else { return };
        if deaf {
            self.model.hang(client, Hang::Deaf, now);
        }
        self.foreign.push(client);
        self.agenda.add(now + lasts, Happening::ForeignLeaves(client));
    }

    fn burst(&mut self, events: u32) {
        let users = self.plan.service.users;
        for _ in 0..events {
            let user = self.rng.u32(..users);
            self.model.publish(user, What::New(Resource::Summary), self.now);
        }
    }

    /// A → B → A, withdrawn, and back.
    fn flip(&mut self, records: u32) {
        let published = self.model.events().len();
        for _ in 0..records.min(u32::try_from(published).unwrap_or(0)) {
            let place = self.rng.usize(..published);
            let Some(record) = self.model.events().get(place).map(|event| event.record) else {
                continue;
            };
            for what in [
                What::Corrected(record),
                What::Restored(record),
                What::Withdrawn(record),
                What::Restored(record),
            ] {
                self.model.publish(0, what, self.now);
            }
        }
    }

    /// The process dies at once, over what it is about to do, or over what it does next.
    fn die(&mut self, kind: CrashKind, down: Millis) {
        if self.process.is_none() || self.conditions.dies.is_some() {
            return;
        }
        let after = self.rng.u64(..24);
        match self.rng.u8(..3) {
            0 => {}
            1 => {
                self.disk.fs.plan(after, Crash);
                self.die_working();
            }
            _ => {
                self.disk.fs.plan(after, Crash);
                self.conditions.dies = Some((kind, down));
                let latest = self.now + self.scaled(60);
                let dies = Happening::Shell(self.processes, ForShell::Dies);
                self.agenda.add(latest, dies);
                return;
            }
        }
        self.crash(kind, down);
    }

    /// The process is dead if its disk says so, and at the latest now.
    pub(super) fn dies(&mut self, at_last: bool) {
        if (at_last || self.disk.fs.is_dead())
            && let Some((kind, down)) = self.conditions.dies
        {
            self.crash(kind, down);
        }
    }

    /// The process dies: what is in memory is lost, what was being written may be there or not.
    pub(super) fn crash(&mut self, kind: CrashKind, down: Millis) {
        let now = self.now;
        if self.process.is_none() {
            return;
        }
        self.process = None;
        self.conditions.dies = None;
        self.disk_dies(kind);
        for place in std::mem::take(&mut self.open) {
            let connection = self.at(place);
            connection.stage = Stage::Gone;
            match (kind, connection.client) {
                (CrashKind::Process, Some(client)) => self.model.abort(client, now),
                (CrashKind::Power, Some(client)) => self.model.hang(client, Hang::Deaf, now),
                (_, None) => {}
            }
        }
        self.away(down);
    }

    fn away(&mut self, down: Millis) {
        self.conditions.suspended_until = 0;
        // A pause is not written down: the next process reads.
        self.conditions.paused_until = 0;
        if down > HOUR {
            self.model.set_rate(self.plan.rate_away, self.now);
        }
        self.agenda.add(self.now + down, Happening::Start);
    }

    /// The process, or its whole machine, is stopped. After an hour nobody keeps its connections; what
    /// had arrived on them waits.
    fn suspend(&mut self, lasts: Millis) {
        if self.process.is_none() {
            return;
        }
        let until = self.now + lasts;
        // What waits for its end has been put there.
        self.conditions.suspended_until = self.conditions.suspended_until.max(until);
        if lasts > HOUR {
            self.model.set_rate(self.plan.rate_away, self.now);
            let deaf = self.rng.bool();
            self.each(Which::All, |world, place| world.hang(place, deaf));
            self.agenda.add(self.now + HOUR, Happening::Forsaken);
            self.agenda.add(until, Happening::Woke);
        }
    }

    /// The process has been suspended for an hour: nobody keeps what was being opened, either.
    pub(super) fn forsaken(&mut self) {
        for place in self.open.clone() {
            let connection = self.at(place);
            if connection.client.is_some() && !connection.cut {
                self.hang(place, true);
            }
        }
    }

    /// As much is published as ever, unless nobody reads for some other reason.
    pub(super) fn woke(&mut self) {
        let away = self.conditions.paused_until.max(self.conditions.suspended_until);
        if self.process.is_some() && self.now >= away {
            self.model.set_rate(self.plan.rate, self.now);
        }
    }

    /// The operator wants no connection, and wants them back after a while.
    fn pause_keeper(&mut self, lasts: Millis) {
        if self.process.is_none() {
            return;
        }
        let until = self.now + lasts;
        self.report(Input::Pause);
        self.conditions.paused_until = self.conditions.paused_until.max(until);
        self.agenda.add(until, Happening::Resume);
        if lasts > HOUR {
            self.model.set_rate(self.plan.rate_away, self.now);
        }
    }

    /// A pause is over, unless another one lasts longer.
    pub(super) fn resume_keeper(&mut self) {
        if self.process.is_some() && self.now >= self.conditions.paused_until {
            self.woke();
            self.report(Input::Resume);
        }
    }

    fn restart(&mut self, down: Millis) {
        let drain = self.plan.policy.watchdog.stale_after;
        let patience = millis(drain) * 6 + self.plan.answer_timeout * 2;
        let Some(process) = &mut self.process else { return };
        if process.stopping.is_some() {
            return;
        }
        process.stopping = Some(down);
        let late = Happening::Shell(process.number, ForShell::StopTimesOut);
        self.agenda.add(self.now + patience, late);
        self.abort_replay();
        self.report(Input::Stop { drain });
    }

    /// The policies have stopped.
    pub(super) fn stopped(&mut self, clean: bool) {
        self.sweep();
        let Some(process) = self.process.take() else { return };
        if let Some((kind, _)) = self.conditions.dies.take() {
            // It was to die over its next step, and has none.
            self.disk_dies(kind);
        }
        self.stopped_clean = clean;
        let ours = |place: &Place| self.connections.get(*place).is_some_and(|c| !is_replay(c.id));
        if self.open.iter().any(ours) {
            self.broken("stopped with connections open".into());
        }
        self.outcome.clean_stops += usize::from(clean);
        self.away(process.stopping.unwrap_or(0));
    }

    pub(super) fn stop_times_out(&mut self) {
        let down = self.process.as_ref().and_then(|process| process.stopping).unwrap_or(0);
        self.crash(CrashKind::Process, down);
    }
}
