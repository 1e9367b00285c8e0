//! The clients that the service counts on the stream: how many it allows, and whether all are ours.
//!
//! Fewer places than slots leave slots unused. A client that is not ours gets a share of the events,
//! which is lost to us: once it is certain, everything is read again. Our own closed connections are
//! counted until the service lets go of them, so certainty takes time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{ConnectionId, Reader, SlotId, StreamId};
use crate::policy::slots::{Places, Slot, SlotState, Slots};
use crate::time::Instant;

use super::reading::SETTLE_EVERY;
use super::{Cause, Marked, MarkedConfig, Members, Output, Report};

/// What the service has said of the stream's clients, and what is to be made of it.
#[derive(Clone, Debug)]
pub(super) struct Census {
    /// So long must what is said last, before it is believed.
    settle: Duration,
    /// What opened or ended within this may be counted or not.
    lately: Duration,
    /// Between recoveries for the same reason.
    spacing: Duration,
    limit: Option<u32>,
    /// Fewer than that, said once.
    fewer_said: Option<u32>,
    members: Option<u32>,
    /// How many clients there were by what each slot, or the service when it was asked, said last.
    said: BTreeMap<Option<SlotId>, u32>,
    /// When a poke or an answer last said how many clients there are, or we asked.
    counted_at: Instant,
    counting: bool,
    /// Attempts to connect since the service counted its clients.
    attempts: u32,
    /// When connections ended that may be counted still.
    closings: Vec<Instant>,
    foreign_since: Option<Instant>,
    /// How many times it has been said since then.
    foreign_said: u32,
    /// Since when more were counted than connections of ours that surely are: those that come and go explain
    /// it, each for `settle` at most, and one after the other for as long as they do so.
    unsure_since: Option<Instant>,
    foreign_recovered_at: Option<Instant>,
    /// Since when there was no room for any connection of ours.
    kept_out_since: Option<Instant>,
    /// Since when a connection of ours has been open that the service could count.
    there_since: Option<Instant>,
    /// Since when no more clients are counted than surely are ours.
    ours_since: Option<Instant>,
    /// When that was certain for the first time since everything was closed.
    ours_at: Option<Instant>,
}

/// What is to be made of a count.
#[derive(Clone, Copy, Debug)]
enum Clients {
    /// As far as is known, all are ours.
    Ours,
    /// Somebody else was there, and is gone: what it was sent meanwhile is lost.
    OursAgain,
    /// So many are not ours; it may yet turn out otherwise.
    Foreign { count: u32, certain: bool },
}

impl Census {
    pub(super) fn new(config: &MarkedConfig) -> Self {
        Self {
            settle: config.position.settle,
            lately: config.watchdog.late_after,
            // If it persists on a fresh stream, recreating is no cure.
            spacing: config.verify_every.unwrap_or(SETTLE_EVERY * 12),
            limit: None,
            fewer_said: None,
            members: None,
            said: BTreeMap::new(),
            counted_at: Instant::ZERO,
            counting: false,
            attempts: 0,
            closings: Vec::new(),
            foreign_since: None,
            foreign_said: 0,
            unsure_since: None,
            foreign_recovered_at: None,
            kept_out_since: None,
            there_since: None,
            ours_since: None,
            ours_at: None,
        }
    }

    /// A new stream is read: what was said is said of the old one.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.members = None;
        self.closed_all(now);
    }

    /// The same stream is read afresh: what was said was said of other connections. They keep their places until
    /// the service has let go of them.
    pub(super) fn closed_all(&mut self, now: Instant) {
        self.said.clear();
        self.counted_at = now;
        self.closings.clear();
        self.foreign_since = None;
        self.foreign_said = 0;
        self.unsure_since = None;
        self.kept_out_since = None;
        self.there_since = None;
        self.ours_since = None;
        self.ours_at = None;
    }

    /// The clients that the last poke counted, and the most that the service allows.
    pub(super) const fn members(&self) -> Members {
        Members { count: self.members, max: self.limit }
    }

    /// What room there is for connections of ours.
    pub(super) fn places(&self) -> Places {
        let free = self.limit.zip(self.members).map(|(max, count)| max.saturating_sub(count));
        Places {
            allowed: self.limit.map_or(usize::MAX, |max| max as usize),
            free: free.unwrap_or(u32::MAX).saturating_sub(self.attempts),
        }
    }

    /// These are being opened.
    pub(super) fn connecting(&mut self, opening: &[ConnectionId]) {
        let more = u32::try_from(opening.len()).unwrap_or(u32::MAX);
        self.attempts = self.attempts.saturating_add(more);
        for connection in opening {
            self.said.remove(&slot_of(*connection));
        }
    }

    /// An attempt was refused for want of room: no more than one at a time, until the service has counted.
    /// `alone`: no connection of ours is open that could take the place.
    pub(super) fn crowded(&mut self, alone: bool, now: Instant) {
        self.attempts = u32::MAX;
        if alone {
            self.kept_out_since.get_or_insert(now);
        }
    }

    /// A connection of ours is open. Whether somebody else had its place for longer than one of ours that is
    /// closed is counted: what was sent meanwhile is lost to us.
    pub(super) fn let_in(&mut self, now: Instant) -> bool {
        self.kept_out_since.take().is_some_and(|since| now.since(since) > self.settle)
    }

    /// A connection of ours is open.
    pub(super) fn opened(&mut self, now: Instant) {
        self.there_since.get_or_insert(now);
    }

    /// No connection of ours is open: nobody says whose the clients are.
    pub(super) const fn nobody_is_there(&mut self) {
        self.there_since = None;
    }

    /// Whether there is no room for any connection of ours.
    pub(super) const fn is_kept_out(&self) -> bool {
        self.kept_out_since.is_some()
    }

    /// When all clients were certainly ours for the first time since everything was closed.
    pub(super) const fn ours_at(&self) -> Option<Instant> {
        self.ours_at
    }

    /// Since when the service could have said so, if it has not.
    pub(super) fn unsettled_since(&self) -> Option<Instant> {
        self.there_since.or(self.kept_out_since).filter(|_| self.ours_at.is_none())
    }

    /// A connection of ours ended; the service may count it for a while.
    pub(super) fn closed(&mut self, now: Instant) {
        self.closings.push(now);
    }

    /// More clients have been counted for long than are surely ours: are they ours, just opened or closed and
    /// not yet released, or somebody else's? While nothing comes and goes, it shows.
    pub(super) fn is_unclear(&self, now: Instant) -> bool {
        self.unsure_since.is_some_and(|since| now.since(since) >= self.settle)
    }

    /// Whether somebody else may be sent what is ours.
    pub(super) const fn has_foreigners(&self) -> bool {
        self.foreign_since.is_some()
    }

    pub(super) const fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// So many clients are allowed: whether that is to be acted upon. Fewer than before must be said twice:
    /// to close connections because of a single statement that is wrong would be for nothing.
    fn note_limit(&mut self, max: u32) -> bool {
        let fewer = self.limit.is_some_and(|limit| max < limit);
        let said_before = self.fewer_said.take() == Some(max);
        if fewer && !said_before {
            self.fewer_said = Some(max);
            return false;
        }
        self.limit.replace(max) != Some(max)
    }

    /// So many clients are there: whether it were as many the last time, by the same slot. Hosts may count
    /// differently, each in its own way.
    fn note_count(&mut self, count: u32, by: Option<SlotId>, slots: &Slots, now: Instant) -> bool {
        self.counted_at = now;
        self.attempts = u32::try_from(slots.connecting()).unwrap_or(u32::MAX);
        self.members = Some(count);
        self.said.insert(by, count).is_none_or(|before| before == count)
    }

    /// Whose the clients are that were counted.
    fn judge(&mut self, count: u32, slots: &Slots, now: Instant) -> Clients {
        let (settle, lately) = (self.settle, self.lately);
        let count = count as usize;
        self.closings.retain(|&closed| now.since(closed) <= settle);
        let excess = count.saturating_sub(slots.connected());
        // No more of our closed connections can still be counted than the count leaves over. A poke
        // may have been under way: what opened or ended just now may be counted or not.
        let counted = slots.iter().filter(|slot| slot.is_live_for_longer_than(lately, now));
        let counted = counted.count();
        let left_over = count.saturating_sub(counted);
        self.are_ours(count <= counted, now);
        while self.closings.len() > left_over
            && self.closings.first().is_some_and(|&closed| now.since(closed) > lately)
        {
            self.closings.remove(0);
        }
        // Whom frames are sent to is counted.
        let sure = |slot: &&Slot| slot.reads() || slot.is_live_for_longer_than(lately, now);
        let unsure = count > slots.iter().filter(sure).count();
        self.unsure_since = unsure.then(|| self.unsure_since.unwrap_or(now));
        let foreign = u32::try_from(excess.saturating_sub(self.closings.len())).unwrap_or(u32::MAX);
        if foreign == 0 {
            let seen = self.foreign_since.take().map(|since| now.since(since));
            let twice = std::mem::take(&mut self.foreign_said) > 1;
            // What is said once may be the count of a moment ago, come late, or wrong.
            let were_there = seen.is_some_and(|seen| seen >= lately / 2) && twice;
            return if were_there { Clients::OursAgain } else { Clients::Ours };
        }
        let since = *self.foreign_since.get_or_insert(now);
        self.foreign_said = self.foreign_said.saturating_add(1);
        Clients::Foreign { count: foreign, certain: now.since(since) >= settle }
    }

    /// Whether no more clients are counted than connections that were ours when that was said. One statement may
    /// come just when one of ours has ended unseen and one that was closed is still counted: it has to be said
    /// again, with nothing in between that says otherwise.
    fn are_ours(&mut self, ours: bool, now: Instant) {
        self.ours_since = ours.then(|| self.ours_since.unwrap_or(now));
        if self.ours_since.is_some_and(|since| now.since(since) >= self.lately) {
            self.ours_at.get_or_insert(now);
        }
    }

    /// Whether everything may be read again because of them: now and then.
    fn may_recover(&self, now: Instant) -> bool {
        self.foreign_recovered_at.is_none_or(|last| now.since(last) >= self.spacing)
    }
}

fn slot_of(connection: ConnectionId) -> Option<SlotId> {
    match connection.reader {
        Reader::Slot(id) => Some(id),
        Reader::Replay => None,
    }
}

impl Marked {
    /// What a poke says of the stream's clients: how many we may be, and whether we are alone.
    pub(super) fn poke_counts(&mut self, by: ConnectionId, members: Members, now: Instant) {
        self.note_members(members, slot_of(by), now);
    }

    fn note_members(&mut self, members: Members, by: Option<SlotId>, now: Instant) {
        if let Some(max) = members.max.filter(|&max| max > 0)
            && self.census.note_limit(max)
        {
            self.apply_limit(max, now);
        }
        let Some(count) = members.count else { return };
        if !self.census.note_count(count, by, &self.slots, now) {
            self.reading.changed(now);
        }
        match self.census.judge(count, &self.slots, now) {
            // The live reading stood still.
            Clients::OursAgain => self.reading.suspect(now),
            Clients::Foreign { count, certain: true }
                if !self.recovery.is_under_way() && self.census.may_recover(now) =>
            {
                self.census.foreign_recovered_at = Some(now);
                self.effects.report(Report::ForeignClients { count });
                self.recover(Cause::ForeignClient, now);
            }
            Clients::Ours | Clients::Foreign { .. } => {}
        }
    }

    /// When the service has to be asked how many clients there are: a service that pokes only when
    /// idle does not say it while data flows (Inform API, Connecting), and a foreign client would
    /// get its share unseen.
    pub(super) fn count_due(&self) -> Option<Instant> {
        let due = self.is_running() && self.slots.reads() && !self.census.counting;
        due.then(|| self.census.counted_at + self.census.settle)
    }

    pub(super) fn count_if_due(&mut self, now: Instant) {
        if let Some(stream) = self.remote.id()
            && self.count_due().is_some_and(|due| now >= due)
        {
            self.effects.push(Output::Count(stream.clone()));
            self.census.counting = true;
        }
    }

    pub(super) fn counted(&mut self, stream: &StreamId, members: Option<u32>, now: Instant) {
        self.census.counting = false;
        self.census.counted_at = now;
        if self.is_running() && self.remote.id() == Some(stream) {
            self.note_members(Members { count: members, max: None }, None, now);
        }
    }

    /// Uses as many slots as the service allows.
    fn apply_limit(&mut self, max: u32, now: Instant) {
        let slots = self.slots.iter();
        let configured = u32::try_from(slots.count()).unwrap_or(u32::MAX);
        let was_limited = self.slots.iter().any(|slot| slot.state() == SlotState::Limited);
        if max < configured || was_limited {
            self.effects.report(Report::Limit { allowed: max, configured });
        }
        self.slots.use_at_most(max, &mut self.effects, now);
    }
}
