//! Streams of ours that are not read any more: they are deleted when the service lets them go.
//!
//! A recovery leaves one behind if the service does not delete it (recovery.md, "recover"). They are
//! written down: only a stream whose id is, or whose name was before it was to be made, is ours. One that
//! bears our name with a number, and was never written down, is reported and left alone. A process that starts
//! with a stream of its own looks once for what an earlier one left, or an organization would be short of one of
//! its five streams until the next recovery.
//! While nothing is read and attempts to connect fail, the service is asked for nothing that can wait.

use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::id::StreamId;
use crate::marked::establish::{Answer, Call, Listed, is_ours};
use crate::time::Instant;

use super::{Marked, Report};

/// When a call is to be made, and how much later again if it fails.
#[derive(Clone, Debug)]
struct Attempt {
    not_before: Instant,
    backoff: Backoff,
}

impl Attempt {
    fn again(&mut self, now: Instant, answer: &Answer) {
        let retry_after = match answer {
            Answer::Failed { retry_after, .. } => *retry_after,
            _ => None,
        };
        self.not_before = now + self.backoff.next(retry_after);
    }
}

/// The streams that are to be deleted, and whether they are all known.
#[derive(Clone, Debug)]
pub(super) struct LeftBehind {
    /// A held member takes minutes to be let go: several such streams are asked for rarely.
    rarely: BackoffConfig,
    streams: Vec<(StreamId, Attempt)>,
    /// An earlier process may have left some, and nobody has looked yet.
    unlooked: bool,
    look: Option<Attempt>,
    /// Streams with our name that are not ours, said once.
    strangers: Vec<StreamId>,
}

impl LeftBehind {
    pub(super) fn new(token_backoff: BackoffConfig) -> Self {
        let rarely = BackoffConfig { initial: token_backoff.initial * 2, ..token_backoff };
        Self { rarely, streams: Vec::new(), unlooked: false, look: None, strangers: Vec::new() }
    }

    /// The next call, if one is due at `now`.
    pub(super) fn call(&self, now: Instant) -> Option<Call> {
        if self.look.as_ref().is_some_and(|look| now >= look.not_before) {
            return Some(Call::List);
        }
        let due = self.streams.iter().find(|(_, attempt)| now >= attempt.not_before);
        due.map(|(id, _)| Call::Delete { id: id.clone() })
    }

    /// When [`LeftBehind::call`] has something to give.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let streams = self.streams.iter().map(|(_, attempt)| attempt);
        streams.chain(&self.look).map(|attempt| attempt.not_before).min()
    }

    /// Somebody wants everything tried now, whatever it waits for.
    pub(super) fn try_now(&mut self, now: Instant) {
        let streams = self.streams.iter_mut().map(|(_, attempt)| attempt);
        for attempt in streams.chain(&mut self.look) {
            attempt.not_before = attempt.not_before.min(now);
        }
    }

    /// The streams.
    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.streams.iter().map(|(id, _)| id.clone()).collect()
    }

    fn has(&self, id: &StreamId) -> bool {
        self.streams.iter().any(|(known, _)| known == id)
    }

    /// A stream is to be deleted when the service lets go of it, and not before it has asked us to.
    pub(super) fn add(
        &mut self,
        id: StreamId,
        not_before: Instant,
        seeds: &mut fastrand::Rng,
        now: Instant,
    ) {
        let mut attempt = self.attempt(seeds, now);
        attempt.not_before = attempt.not_before.max(not_before);
        self.streams.push((id, attempt));
    }

    /// A stream is gone.
    pub(super) fn deleted(&mut self, gone: &StreamId) {
        self.streams.retain(|(id, _)| id != gone);
    }

    /// There may be some that nobody knows of.
    pub(super) const fn is_unlooked(&mut self) {
        self.unlooked = true;
    }

    /// Looks for what nobody knows of, in a moment: something has been read.
    pub(super) fn look_if_unlooked(&mut self, seeds: &mut fastrand::Rng, now: Instant) {
        if std::mem::take(&mut self.unlooked) {
            self.look = Some(self.attempt(seeds, now));
        }
    }

    /// A call was answered by something else than what was hoped for.
    fn again(&mut self, call: &Call, answer: &Answer, now: Instant) {
        let attempt = match call {
            Call::List => self.look.as_mut(),
            Call::Delete { id } => {
                let mut streams = self.streams.iter_mut();
                streams.find(|(left, _)| left == id).map(|(_, attempt)| attempt)
            }
            Call::Create { .. } => None,
        };
        if let Some(attempt) = attempt {
            attempt.again(now, answer);
        }
    }

    /// A stream bears our name and is not ours: whether it is the first time that this is seen.
    fn is_new_stranger(&mut self, id: &StreamId) -> bool {
        let news = !self.strangers.contains(id);
        if news {
            self.strangers.truncate(STRANGERS_MAX);
            self.strangers.push(id.clone());
        }
        news
    }

    fn attempt(&self, seeds: &mut fastrand::Rng, now: Instant) -> Attempt {
        Attempt { not_before: now + FIRST, backoff: Backoff::new(self.rarely, seeds.u64(..)) }
    }
}

impl Marked {
    /// A stream is to be deleted when the service lets go of it, and not before it has asked us to.
    pub(super) fn leave_behind(&mut self, id: StreamId, not_before: Instant, now: Instant) {
        if self.remote.left_behind.has(&id) {
            return; // by an earlier recovery, too
        }
        self.effects.report(Report::LeftBehind(id.clone()));
        self.remote.left_behind.add(id, not_before, &mut self.seeds, now);
    }

    /// Streams that bear our name with a number, and are not ours as far as is known: said once.
    pub(super) fn found_strangers(&mut self, strangers: Vec<Listed>) {
        for Listed { id, name, .. } in strangers {
            if self.remote.left_behind.is_new_stranger(&id) {
                self.effects.report(Report::NotOurs { id, name });
            }
        }
    }

    pub(super) fn left_behind_answered(&mut self, call: &Call, answer: Answer, now: Instant) {
        match (call, answer) {
            (Call::Delete { id }, Answer::Deleted) => {
                self.remote.left_behind.deleted(id);
                self.effects.report(Report::Deleted(id.clone()));
            }
            (Call::List, Answer::Listed(streams)) => {
                self.remote.left_behind.look = None;
                self.leave_others_behind(streams, now);
            }
            (call, answer) => self.remote.left_behind.again(call, &answer, now),
        }
    }

    /// Whatever bears our name beside the stream that we read. If that one has another name, the
    /// configuration's was changed since: what has it now is nobody's that we know.
    fn leave_others_behind(&mut self, mut streams: Vec<Listed>, now: Instant) {
        let ours = self.remote.ours();
        let base = self.remote.server_name();
        streams.retain(|stream| is_ours(&stream.name, base));
        let named = streams.len();
        streams.retain(|stream| Some(&stream.id) != self.remote.id());
        if streams.len() == named {
            return;
        }
        let (ours, strangers): (Vec<_>, Vec<_>) =
            streams.into_iter().partition(|stream| ours.has(stream, base));
        ours.into_iter().for_each(|stream| self.leave_behind(stream.id, now, now));
        self.found_strangers(strangers);
        self.remote.looked_up();
    }
}

/// Before the first attempt.
const FIRST: Duration = Duration::from_secs(5);

/// So many streams that are not ours are remembered as said.
const STRANGERS_MAX: usize = 30;
