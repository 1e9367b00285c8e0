//! The stream on the service: which one is read, since when, and which others are ours.

use std::time::Duration;

use crate::id::StreamId;
use crate::marked::establish::{Call, Established, Ours};
use crate::time::{Instant, Timestamp, UtcDay};

use super::left_behind::LeftBehind;
use super::lost_history::Unread;
use super::{MarkedConfig, StreamState};

/// What is known of our streams on the service.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    server_name: String,
    id: Option<StreamId>,
    /// Its first day.
    start: Option<UtcDay>,
    unread: Option<Unread>,
    /// When it was created, until the first connection to it opens.
    unopened_since: Option<Instant>,
    pub(super) left_behind: LeftBehind,
    /// Names of streams that were to be made alongside, and may exist.
    announced: Vec<String>,
    /// The call under way.
    call: Option<Call>,
    /// The state with the name of the stream that this call makes is not durable yet.
    announcing: Option<u64>,
}

impl Remote {
    pub(super) fn new(config: &MarkedConfig) -> Self {
        Self {
            server_name: config.server_name.clone(),
            id: None,
            start: None,
            unread: None,
            unopened_since: None,
            left_behind: LeftBehind::new(config.token_backoff()),
            announced: Vec::new(),
            call: None,
            announcing: None,
        }
    }

    /// What an earlier process has written down.
    pub(super) fn take_over(
        &mut self,
        state: &StreamState,
        seeds: &mut fastrand::Rng,
        now: Instant,
    ) {
        self.id.clone_from(&state.stream_id);
        if self.id.is_some() {
            self.left_behind.is_unlooked();
        }
        for id in state.left_behind.iter().cloned() {
            self.left_behind.add(id, now, seeds, now);
        }
        self.announced.clone_from(&state.announced);
    }

    pub(super) const fn id(&self) -> Option<&StreamId> {
        self.id.as_ref()
    }

    pub(super) const fn start(&self) -> Option<UtcDay> {
        self.start
    }

    pub(super) fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The fresh stream is there. `mark`: what was created before need not be on it.
    pub(super) fn established(
        &mut self,
        established: &Established,
        mark: Option<Timestamp>,
        now: Instant,
    ) {
        self.id = Some(established.id.clone());
        self.start = established.start_date;
        self.unread = Unread::after(mark, established.refused_day, now);
        self.unopened_since = Some(now);
        self.announced.retain(|name| *name != established.name);
        if !self.announced.is_empty() {
            self.left_behind.is_unlooked();
        }
    }

    /// A connection to it has opened.
    pub(super) const fn opened(&mut self) {
        self.unopened_since = None;
    }

    /// Nobody has ever read it.
    pub(super) const fn is_unopened(&self) -> bool {
        self.unopened_since.is_some()
    }

    /// Whether a stream that is not known may be too young: not every part of the service learns of a
    /// new one at once. To make another would begin that anew.
    pub(super) fn may_yet_appear(&self, patience: Duration, now: Instant) -> bool {
        self.unopened_since.is_some_and(|since| now.since(since) < patience)
    }

    /// That it may not reach back to the mark, until it is told.
    pub(super) const fn take_unread(&mut self) -> Option<Unread> {
        self.unread.take()
    }

    /// What is ours on the service.
    pub(super) fn ours(&self) -> Ours {
        Ours {
            stream: self.id.clone(),
            left_behind: self.left_behind.ids(),
            announced: self.announced.clone(),
        }
    }

    /// Whether a call is under way.
    pub(super) const fn is_calling(&self) -> bool {
        self.call.is_some()
    }

    /// This call is to be made: whether it makes a stream whose name has to be written down first. That of
    /// the configuration is ours anyway.
    pub(super) fn calls(&mut self, call: Call) -> bool {
        let news = match &call {
            Call::Create { name, .. } if !self.knows(name) => {
                self.announced.push(name.clone());
                true
            }
            _ => false,
        };
        self.call = Some(call);
        news
    }

    fn knows(&self, name: &String) -> bool {
        *name == self.server_name || self.announced.contains(name)
    }

    /// The call under way waits for that state to be durable.
    pub(super) const fn announces_by(&mut self, number: u64) {
        self.announcing = Some(number);
    }

    /// A state is durable: the call that has waited for it. It is made no more if it is not `wanted`.
    pub(super) fn announced_by(&mut self, number: u64, wanted: bool) -> Option<Call> {
        if self.announcing != Some(number) {
            return None;
        }
        self.announcing = None;
        self.call = self.call.take().filter(|_| wanted);
        self.call.clone()
    }

    /// The call under way, which is answered.
    pub(super) const fn answered(&mut self) -> Option<Call> {
        self.call.take()
    }

    /// These names may exist now.
    pub(super) fn may_exist(&mut self, announced: &[String]) {
        self.announced = announced.to_vec();
    }

    /// What there is of the names that were announced is known by its id now.
    pub(super) fn looked_up(&mut self) {
        self.announced.clear();
    }
}
