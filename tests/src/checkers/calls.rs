//! No hot loop: attempts to connect and calls are bounded per minute.
//!
//! While nothing answers (unreachable, or the token is refused) fewer than ten attempts fall into
//! the first minute. In general an attempt follows from something: a connection that had opened and
//! ended, a rest, an answer. What follows from nothing, i.e. from a failure, is bounded. Calls that make
//! and delete streams are bounded kind by kind, whatever follows from what: a refusal of one kind
//! beside successes of another is how a storm begins.

use std::collections::{BTreeMap, VecDeque};

use streamkeeper_core::id::StreamId;
use streamkeeper_core::marked::establish::Call;
use streamkeeper_simulator::model::Millis;

use crate::fault::CallKind;

use super::Verdict;

/// Attempts and calls that failed, in a sliding minute.
#[derive(Debug)]
pub struct Calls {
    minute: Millis,
    slots: usize,
    failed: VecDeque<Millis>,
    opened: VecDeque<Millis>,
    asked: VecDeque<Millis>,
    rereads: VecDeque<Millis>,
    lists: VecDeque<Millis>,
    deletes: VecDeque<Millis>,
    /// When each stream was last to be deleted.
    deleted: BTreeMap<StreamId, Millis>,
    creates: VecDeque<Millis>,
    none_answered_since: Option<Millis>,
    unanswered: usize,
    ever_answered: bool,
    asked_to_wait: Millis,
}

impl Calls {
    /// `minute`: how long a minute is at the scale of the run.
    #[must_use]
    pub const fn new(minute: Millis, slots: usize) -> Self {
        Self {
            minute,
            slots,
            failed: VecDeque::new(),
            opened: VecDeque::new(),
            asked: VecDeque::new(),
            rereads: VecDeque::new(),
            lists: VecDeque::new(),
            deletes: VecDeque::new(),
            deleted: BTreeMap::new(),
            creates: VecDeque::new(),
            none_answered_since: None,
            unanswered: 0,
            ever_answered: false,
            asked_to_wait: 0,
        }
    }

    /// An attempt or a call is made.
    ///
    /// # Errors
    /// There were too many lately.
    pub fn asked(&mut self, now: Millis) -> Verdict {
        let since = *self.none_answered_since.get_or_insert(now);
        if now.saturating_sub(since) <= self.minute {
            self.unanswered += 1;
        }
        // Later on all slots may have lost their connections together, and tried once; and a
        // recovery has calls to make, with delays of their own.
        let more = if self.ever_answered { self.slots + 10 } else { 0 };
        if self.unanswered >= 10 + more {
            return Err(format!("{} attempts in the first minute", self.unanswered));
        }
        self.counted(now)
    }

    /// A replay is asked for beside the slots, which waits for itself: where no slot finds room, a recovery on
    /// the same stream may still read what it missed.
    ///
    /// # Errors
    /// There were too many lately.
    pub fn reread(&mut self, now: Millis) -> Verdict {
        count(&mut self.rereads, now, self.minute);
        if self.rereads.len() > REREADS_MAX {
            return Err(format!("{} replays within a minute", self.rereads.len()));
        }
        self.counted(now)
    }

    fn counted(&mut self, now: Millis) -> Verdict {
        count(&mut self.asked, now, self.minute);
        forget(&mut self.opened, now, self.minute);
        // Each opening may have been followed by an end, each end by an attempt; a recovery makes
        // a handful of calls.
        let bound = 3 * self.slots + 2 * self.opened.len() + 30;
        if self.asked.len() > bound {
            return Err(format!("{} attempts and calls within a minute", self.asked.len()));
        }
        Ok(())
    }

    /// A call is made.
    ///
    /// # Errors
    /// There were too many of its kind lately.
    pub fn called(&mut self, call: &Call, now: Millis) -> Verdict {
        let (times, bound) = match CallKind::of(call) {
            CallKind::List => (&mut self.lists, LISTS_MAX),
            CallKind::Delete => (&mut self.deletes, DELETES_MAX),
            CallKind::Create => (&mut self.creates, CREATES_MAX),
        };
        count(times, now, self.minute);
        if let Call::Delete { id } = call {
            self.deleted.insert(id.clone(), now);
        }
        if times.len() > bound {
            return Err(format!("{} calls within a minute such as {call:?}", times.len()));
        }
        Ok(())
    }

    /// A refused attempt to connect was answered with a `Retry-After` that ends then.
    pub fn asked_to_wait(&mut self, until: Millis) {
        self.asked_to_wait = self.asked_to_wait.max(until);
    }

    /// An operator does something: no wait outlives that.
    pub const fn operator_acts(&mut self) {
        self.asked_to_wait = 0;
    }

    /// An attempt to connect to the stream is made.
    ///
    /// # Errors
    /// The service had asked to wait.
    pub fn connects(&self, now: Millis) -> Verdict {
        if now < self.asked_to_wait {
            return Err("connects before the service's Retry-After is over".into());
        }
        Ok(())
    }

    /// A connection opened, or a call was answered as hoped.
    pub fn succeeded(&mut self, now: Millis) {
        count(&mut self.opened, now, self.minute);
        self.answered();
    }

    /// The service answered, if not as hoped.
    pub const fn answered(&mut self) {
        self.unanswered = 0;
        self.ever_answered = true;
        self.none_answered_since = None;
    }

    /// An attempt or a call failed.
    ///
    /// # Errors
    /// There were too many failures lately.
    pub fn failed(&mut self, now: Millis) -> Verdict {
        count(&mut self.failed, now, self.minute);
        forget(&mut self.opened, now, self.minute);
        self.deleted.retain(|_, asked| now.saturating_sub(*asked) <= self.minute);
        // Each stream that is left behind waits for itself; one is the procedure's.
        let left_behind = self.deleted.len().saturating_sub(1);
        // All slots may have been connecting together; after a success the delays start afresh.
        let bound = self.slots + 12 + 3 * (self.opened.len() + left_behind);
        if self.failed.len() > bound {
            return Err(format!("{} failures within a minute", self.failed.len()));
        }
        Ok(())
    }
}

/// Delays that double from five seconds, begun afresh by each that opens.
const REREADS_MAX: usize = 20;

/// The most calls of a kind in a minute: a procedure makes some twenty however it is answered (see the
/// core's `establish::bounds`), and an operator may want one after the other.
const LISTS_MAX: usize = 30;
const CREATES_MAX: usize = 30;
/// One list may name several streams to delete.
const DELETES_MAX: usize = 60;

fn count(times: &mut VecDeque<Millis>, now: Millis, minute: Millis) {
    times.push_back(now);
    forget(times, now, minute);
}

fn forget(times: &mut VecDeque<Millis>, now: Millis, minute: Millis) {
    while times.front().is_some_and(|&then| now.saturating_sub(then) > minute) {
        times.pop_front();
    }
}
