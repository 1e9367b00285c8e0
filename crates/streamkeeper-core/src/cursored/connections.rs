//! What the reports of the connection mean for the stream.

use std::time::Duration;

use crate::classify::{End, Refusal};
use crate::id::ConnectionId;
use crate::policy::slots::{Places, spread};
use crate::policy::{Output, Report, SlotState, Span};
use crate::time::Instant;
use crate::watchdog::Lack;

use super::link::{Ending, Link};
use super::pauses::Break;
use super::{Cause, Cursored, Output as Own, Sign, Target};

impl Cursored {
    /// Connects if it is time, and nothing has to come before: what was read is committed, or the cursor
    /// would ask for it again; a snapshot that is owed comes before what follows it.
    pub(super) fn connect_if_due(&mut self, now: Instant) {
        if !self.is_running() {
            return;
        }
        let may = !self.ended && self.tail.is_committed() && !self.resync.is_owed();
        let places = Places { allowed: usize::from(may), free: 1 };
        for connection in self.slots.connect(places, now) {
            let cursor = self.point.cursor().filter(|_| self.config.asks()).cloned();
            self.link = Some(Link::new(connection, cursor.clone()));
            self.effects.push(Output::Connect { connection, target: Target { cursor }.into() });
        }
    }

    /// The present connection, if it is this one.
    pub(super) fn link_of(&mut self, connection: ConnectionId) -> Option<&mut Link> {
        self.link.as_mut().filter(|link| link.connection == connection)
    }

    pub(super) fn opened(&mut self, connection: ConnectionId, now: Instant) {
        if !self.slots.opened(connection, now) {
            return;
        }
        let rotate_at = self.config.max_age.map(|age| now + spread(age, &mut self.seeds));
        if let Some(link) = self.link_of(connection) {
            link.opened = Some(now);
            link.rotate_at = rotate_at;
        }
        self.pauses.admitted();
        self.refused.set_token(false);
        if self.point.opened() {
            // Without a cursor nothing else tells the next process that it has missed something.
            self.persist(false, now);
        }
    }

    pub(super) fn heartbeat(&mut self, connection: ConnectionId, now: Instant) {
        let Some(slot) = self.slots.of(connection) else { return };
        slot.poke();
        self.alive(connection, now);
        self.rest_if_due(connection, now);
    }

    pub(super) fn data(&mut self, connection: ConnectionId, now: Instant) {
        let Some(slot) = self.slots.of(connection) else { return };
        slot.data();
        self.pauses.brought();
        if let Some(link) = self.link_of(connection) {
            link.brought = true;
            // It goes on after all.
            link.planned = false;
        }
        self.alive(connection, now);
    }

    /// A frame came.
    pub(super) fn alive(&mut self, connection: ConnectionId, now: Instant) {
        if self.slots.alive(connection, now) {
            self.unreachable = false;
            if let Some(link) = self.link_of(connection) {
                link.proven = true;
            }
            self.end_if_over(now);
        }
    }

    /// Half-closes a connection whose heartbeats call for a rest, if the server can be asked later for what
    /// it sends meanwhile.
    fn rest_if_due(&mut self, connection: ConnectionId, now: Instant) {
        let busy = !self.is_running() || self.incidents.is_under_way() || self.resync.is_owed();
        if busy || !self.resumes() {
            return;
        }
        if let Some((slot, rest)) = self.slots.rest_if_wanted(connection, &mut self.effects, now) {
            self.effects.report(Report::Rest { slot, rest });
        }
    }

    pub(super) fn late(&mut self, connection: ConnectionId, lack: Lack) {
        if let Some(slot) = self.slots.of(connection) {
            slot.is_late();
            self.effects.report(Report::Late(connection, lack));
        }
    }

    /// A connection is silent for too long, or a frame of it takes too long: it is killed, and the next one
    /// goes on from the cursor.
    pub(super) fn stale(&mut self, connection: ConnectionId, cause: Cause, now: Instant) {
        let is_live = self.slots.of(connection).is_some_and(|slot| slot.state() == SlotState::Live);
        if !is_live {
            return;
        }
        if let Some(link) = self.link_of(connection) {
            link.ending = Some(Ending::Stale);
        }
        // What goes on being silent is one stall, and calls once.
        let calls = self.config.calls_group && !self.incidents.is_under_way();
        for report in self.incidents.stalled(cause, now) {
            self.effects.report(report);
        }
        if calls {
            self.effects.push(Own::CallGroup);
        }
        self.slots.kill_all(&mut self.effects);
        self.record.changed();
    }

    /// Another stream of the group is stale: what this one's connection hangs on may be the same, and it would be
    /// noticed later. One that has heard nothing yet is new, and says nothing of what was before; one in trouble
    /// of its own is replaced for that.
    pub(super) fn group_stale(&mut self, now: Instant) {
        let resumes = self.resumes() || self.config.full_state;
        let may = self.is_running() && !self.incidents.is_under_way() && !self.resync.is_owed();
        let is_live = self.slots.iter().any(|slot| slot.state() == SlotState::Live);
        let Some(link) = self.link.as_mut().filter(|link| link.proven && link.ending.is_none())
        else {
            return;
        };
        if !(may && is_live) {
            return;
        }
        link.ending = Some(Ending::Group);
        let connection = link.connection;
        self.effects.report(super::Report::CalledByGroup { connection });
        if resumes {
            self.slots.kill_all(&mut self.effects);
        } else {
            // Nobody could ask for what a kill loses.
            self.slots.drain_all(&mut self.effects, now);
        }
    }

    /// The present connection is ended because a person wants it.
    pub(super) const fn link_is_wanted_ended(&mut self) {
        if let Some(link) = &mut self.link {
            link.ending = Some(Ending::Wanted);
        }
    }

    /// Replaces a connection that is as old as it may become: it is half-closed and read to its end, and the
    /// next one goes on from the cursor.
    pub(super) fn rotate_if_due(&mut self, now: Instant) {
        if self.rotation_due().is_none_or(|due| now < due) {
            return;
        }
        let Some(link) = &mut self.link else { return };
        link.rotate_at = None;
        link.ending = Some(Ending::Old);
        let (connection, age) = (link.connection, now.since(link.opened.unwrap_or(now)));
        self.effects.report(super::Report::Rotating { connection, age });
        self.slots.drain_all(&mut self.effects, now);
    }

    /// When the present connection is as old as it may become.
    pub(super) fn rotation_due(&self) -> Option<Instant> {
        let link = self.link.as_ref().filter(|link| link.ending.is_none())?;
        let is_live = self.slots.iter().any(|slot| slot.state() == SlotState::Live);
        link.rotate_at.filter(|_| is_live && self.is_running())
    }

    pub(super) fn retry(&mut self, connection: ConnectionId, wait: Duration) {
        if self.link_of(connection).is_some() {
            self.pauses.ask(wait);
        }
    }

    pub(super) fn planned(&mut self, connection: ConnectionId) {
        if let Some(link) = self.link_of(connection) {
            link.planned = true;
        }
    }

    pub(super) fn committed(&mut self, connection: ConnectionId, span: &Span) {
        self.incidents.count(span);
        let is_first = self.point.cursor().is_none();
        let moved =
            span.cursor.as_ref().is_some_and(|cursor| self.point.committed(connection, cursor));
        // That of an event is in the commit of the event.
        if moved && is_first && span.new == 0 {
            self.record.first_cursor();
        } else if moved {
            self.record.changed();
        }
    }

    pub(super) fn ended(&mut self, connection: ConnectionId, end: End, now: Instant) {
        let said = self.refused.asked_to_wait(end.retry_after(), self.pauses.config(), now);
        if let Some(report) = said {
            self.effects.report(report);
        }
        let Some(link) = self.link.take_if(|link| link.connection == connection) else { return };
        let Some(before) = self.slots.of(connection).map(|slot| slot.state()) else { return };
        let broken = link.broken(end, before);
        let pause = self.pauses.next(broken);
        self.slots.closed(connection, now + pause, now);
        let may_miss = link.may_miss(broken) && self.is_running();
        self.tail.ended(end, may_miss);
        let suspect = may_miss && !self.resumes() && !self.config.full_state;
        self.effects.report(Report::Ended { connection, end, suspect });
        if broken != Break::Wanted {
            self.refused.set_token(matches!(end, End::Refused(Refusal::Token { .. })));
            self.unreachable |= !link.proven;
        }
        self.refused_for_good(&link, end, now);
        if link.opened.is_some() && self.is_running() {
            self.flush();
        }
        self.flush_if_ended();
    }

    /// What a 204, a 404 and a 410 say of the stream and of the resume point.
    fn refused_for_good(&mut self, link: &Link, end: End, now: Instant) {
        let asked = link.asked.is_some();
        match end {
            End::Refused(Refusal::NoContent) => {
                self.ended = true;
                self.effects.report(super::Report::EndedByServer);
                self.record.changed();
                if asked {
                    self.gap(Sign::NoContent, now);
                }
            }
            End::Refused(Refusal::Gone) if asked => {
                self.point.forget(link.connection);
                self.gap(Sign::Gone, now);
            }
            _ => {}
        }
    }
}
