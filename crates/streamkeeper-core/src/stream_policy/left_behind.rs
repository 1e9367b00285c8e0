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
use crate::establish::{Answer, Call, Listed, Ours, is_ours};
use crate::id::StreamId;
use crate::time::Instant;

use super::{Report, StreamPolicy};

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
#[derive(Clone, Debug, Default)]
pub(super) struct LeftBehind {
    streams: Vec<(StreamId, Attempt)>,
    /// An earlier process may have left some, and nobody has looked yet.
    pub(super) unlooked: bool,
    look: Option<Attempt>,
    /// Streams with our name that are not ours, said once.
    strangers: Vec<StreamId>,
}

impl LeftBehind {
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

    /// A stream is gone.
    pub(super) fn deleted(&mut self, gone: &StreamId) {
        self.streams.retain(|(id, _)| id != gone);
    }
}

impl StreamPolicy {
    /// Looks for what an earlier process left behind, in a moment: something has been read.
    pub(super) fn look_for_left_behind(&mut self, now: Instant) {
        if std::mem::take(&mut self.left_behind.unlooked) {
            self.left_behind.look = Some(self.rare_attempt(now));
        }
    }

    /// A stream is to be deleted when the service lets go of it, and not before it has asked us to.
    pub(super) fn leave_behind(&mut self, id: StreamId, not_before: Instant, now: Instant) {
        if self.left_behind.streams.iter().any(|(known, _)| *known == id) {
            return; // by an earlier recovery, too
        }
        self.report(Report::LeftBehind(id.clone()));
        let mut attempt = self.rare_attempt(now);
        attempt.not_before = attempt.not_before.max(not_before);
        self.left_behind.streams.push((id, attempt));
    }

    /// What an earlier process has written down.
    pub(super) fn take_over_left_behind(&mut self, ids: Vec<StreamId>, now: Instant) {
        for id in ids {
            let attempt = self.rare_attempt(now);
            self.left_behind.streams.push((id, attempt));
        }
    }

    /// What is ours on the service.
    pub(super) fn ours(&self) -> Ours {
        Ours {
            stream: self.stream.clone(),
            left_behind: self.left_behind.ids(),
            announced: self.announced.clone(),
        }
    }

    /// Whether this makes a stream whose name has to be written down first: that of the configuration
    /// is ours anyway.
    pub(super) fn announces(&mut self, call: &Call) -> bool {
        let Call::Create { name, .. } = call else { return false };
        let news = *name != self.config.server_name && !self.announced.contains(name);
        if news {
            self.announced.push(name.clone());
        }
        news
    }

    /// Streams that bear our name with a number, and are not ours as far as is known: said once.
    pub(super) fn found_strangers(&mut self, strangers: Vec<Listed>) {
        for Listed { id, name, .. } in strangers {
            if !self.left_behind.strangers.contains(&id) {
                self.left_behind.strangers.truncate(STRANGERS_MAX);
                self.left_behind.strangers.push(id.clone());
                self.report(Report::NotOurs { id, name });
            }
        }
    }

    pub(super) fn left_behind_answered(&mut self, call: &Call, answer: Answer, now: Instant) {
        match (call, answer) {
            (Call::Delete { id }, Answer::Deleted) => {
                self.left_behind.deleted(id);
                self.report(Report::Deleted(id.clone()));
            }
            (Call::Delete { id }, answer) => {
                let mut streams = self.left_behind.streams.iter_mut();
                if let Some((_, attempt)) = streams.find(|(left, _)| left == id) {
                    attempt.again(now, &answer);
                }
            }
            (Call::List, Answer::Listed(streams)) => {
                self.left_behind.look = None;
                self.leave_others_behind(streams, now);
            }
            (Call::List, answer) => {
                if let Some(look) = &mut self.left_behind.look {
                    look.again(now, &answer);
                }
            }
            (Call::Create { .. }, _) => {}
        }
    }

    /// Whatever bears our name beside the stream that we read. If that one has another name, the
    /// configuration's was changed since: what has it now is nobody's that we know.
    fn leave_others_behind(&mut self, mut streams: Vec<Listed>, now: Instant) {
        let base = self.config.server_name.clone();
        let ours = self.ours();
        streams.retain(|stream| is_ours(&stream.name, &base));
        let named = streams.len();
        streams.retain(|stream| Some(&stream.id) != self.stream.as_ref());
        if streams.len() == named {
            return;
        }
        let (ours, strangers): (Vec<_>, Vec<_>) =
            streams.into_iter().partition(|stream| ours.has(stream, &base));
        ours.into_iter().for_each(|stream| self.leave_behind(stream.id, now, now));
        self.found_strangers(strangers);
        // What there is of them is known by its id now.
        self.announced.clear();
    }

    /// A held member takes minutes to be let go: several such streams are asked for rarely.
    fn rare_attempt(&mut self, now: Instant) -> Attempt {
        let token = self.config.token_backoff();
        let rarely = BackoffConfig { initial: token.initial * 2, ..token };
        Attempt { not_before: now + FIRST, backoff: Backoff::new(rarely, self.seeds.u64(..)) }
    }
}

/// Before the first attempt.
const FIRST: Duration = Duration::from_secs(5);

/// So many streams that are not ours are remembered as said.
const STRANGERS_MAX: usize = 30;
