//! Who may try to connect: stream by stream, not slot by slot.
//!
//! While attempts fail, one slot at a time probes, with a growing delay, so that twenty slots of a
//! service that is down are no storm. The first frame opens the gate for all; the delays start
//! afresh only when a connection has lasted, because a 200 proves nothing and a first poke little.

use crate::backoff::Backoff;
use crate::classify::{End, Refusal};
use crate::id::SlotId;
use crate::time::Instant;

/// Admits attempts to connect.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    backoff: Backoff,
    token_backoff: Backoff,
    /// Attempts fail, or none has succeeded yet: one at a time, not before this instant.
    probing: Option<Instant>,
    probe: Option<SlotId>,
    failed_at: Option<Instant>,
    /// The service has asked for no attempt before this instant.
    asked: Instant,
}

impl Admission {
    pub(crate) const fn new(backoff: Backoff, token_backoff: Backoff) -> Self {
        Self {
            backoff,
            token_backoff,
            probing: Some(Instant::ZERO),
            probe: None,
            failed_at: None,
            asked: Instant::ZERO,
        }
    }

    /// Whether `slot` may try now; if it may, it is the probe.
    pub(crate) fn admit(&mut self, slot: SlotId, now: Instant) -> bool {
        match self.held_until() {
            _ if now < self.asked => false,
            None if self.probing.is_none() => true,
            Some(until) if now >= until => {
                self.probe = Some(slot);
                true
            }
            _ => false,
        }
    }

    /// A connection of `slot` ended without having proven itself.
    pub(crate) fn failed(&mut self, slot: SlotId, end: End, now: Instant) {
        let token = matches!(end, End::Refused(Refusal::Token { .. }));
        let retry_after = end.retry_after();
        let asked = retry_after.map_or(now, |asked| now + self.backoff.config().obeyed(asked));
        self.asked = self.asked.max(asked);
        // Of attempts that were under way together, the first failure speaks for all.
        if self.probing.is_none() || self.probe == Some(slot) {
            let backoff = if token { &mut self.token_backoff } else { &mut self.backoff };
            self.probing = Some(now + backoff.next(retry_after));
            self.probe = None;
            self.failed_at = Some(now);
        }
    }

    /// The first frame of a connection came: attempts succeed. Unless one has failed since it `opened`;
    /// that was later.
    pub(crate) fn proven(&mut self, opened: Instant, now: Instant) {
        if self.has_failed_since(opened) {
            return;
        }
        self.probing = Some(self.asked).filter(|&asked| now < asked);
        self.probe = None;
    }

    /// A connection has lived long enough to forget the failures before it `opened`. Of those after that it
    /// says nothing: the service may keep who is connected, and refuse everybody else.
    pub(crate) fn lasted(&mut self, opened: Instant) {
        if self.has_failed_since(opened) {
            return;
        }
        self.backoff.reset();
        self.token_backoff.reset();
    }

    fn has_failed_since(&self, opened: Instant) -> bool {
        self.failed_at.is_some_and(|failed| opened < failed)
    }

    /// The next attempt is one by itself, and not before this instant.
    pub(crate) const fn hold(&mut self, until: Instant) {
        self.probing = Some(until);
        self.probe = None;
    }

    /// Somebody wants an attempt now, whatever it waits for.
    pub(crate) fn try_now(&mut self, now: Instant) {
        self.asked = self.asked.min(now);
        self.probing = self.probing.map(|until| until.min(now));
    }

    /// A wanted end of a probe is no failure.
    pub(crate) fn released(&mut self, slot: SlotId) {
        if self.probe == Some(slot) {
            self.probe = None;
        }
    }

    /// Whether the last attempt to connect failed, or none has succeeded yet.
    pub(crate) const fn is_failing(&self) -> bool {
        self.probing.is_some()
    }

    /// Whether the last attempt to connect failed, also while the next one is under way.
    pub(crate) const fn has_failed(&self) -> bool {
        self.is_failing() && self.backoff.attempt() + self.token_backoff.attempt() > 0
    }

    /// When the next attempt may be made, if attempts are being held back.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        if self.probe.is_some() { None } else { self.probing.map(|until| until.max(self.asked)) }
    }
}
