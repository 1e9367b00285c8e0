//! Making a fresh stream: the procedure of calls from "everything is terminated" to a stream id.
//!
//! DELETE the stream we know (or LIST and DELETE what bears our name), then CREATE. Each answer can
//! be lost, refused or late, and each has one way on:
//!
//! - a CREATE that may have acted: list again, and delete what was made; it was never read from, so
//!   nothing is lost and nothing needs to be told apart ("never adopt", recovery.md);
//! - a DELETE that may have acted: delete again; 404 is done;
//! - 409, a member held by the service: retry for `hold_patience`, then create alongside under the
//!   next free name and leave the old one behind, to be deleted when the service lets go.
//!
//! Call it only while no connection of ours is open. One call at a time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::id::StreamId;
use crate::time::{Instant, UtcDay};

/// A call to the service's stream resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /streams`, all of them.
    List,
    /// `DELETE /streams/{id}`.
    Delete {
        /// Which.
        id: StreamId,
    },
    /// `POST /streams`.
    Create {
        /// The name on the server.
        name: String,
        /// The first day; `None`: the service's last 30 days.
        start_date: Option<UtcDay>,
    },
}

/// A stream as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: StreamId,
    /// Its name on the server.
    pub name: String,
    /// Its first day.
    pub start_date: Option<UtcDay>,
}

/// What came of a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All streams of the organization.
    Listed(Vec<Listed>),
    /// Deleted now, or gone before.
    Deleted,
    /// Created.
    Created(StreamId),
    /// It failed.
    Failed {
        /// Why.
        failure: CallFailure,
        /// The service's `Retry-After`, which may come with any refusal (Inform API, Errors).
        retry_after: Option<Duration>,
    },
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// 401 or 403.
    Token {
        /// 401 or 403.
        status: u16,
    },
    /// 409: the service still counts a client of this stream.
    Held,
    /// 422: the name is in use.
    NameTaken,
    /// 422: the organization has its five streams.
    StreamLimit,
    /// The request was refused for what it asks (a bad filter, 400, 404 on a collection).
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// No answer, a passing refusal (429, 5xx), or one that was not understood.
    Unavailable {
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// Whether the service may have done what it was asked to.
        acted: bool,
    },
}

/// How many streams an organization may have (Inform API, Stream resources).
pub const STREAMS_MAX: usize = 5;

/// Bounds of the procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstablishConfig {
    /// The stream's name on the server.
    pub server_name: String,
    /// A DELETE answered 409 for longer: create alongside.
    pub hold_patience: Duration,
    /// Between failed calls.
    pub backoff: BackoffConfig,
    /// Between calls refused for the token: never in a tight loop.
    pub token_backoff: BackoffConfig,
}

/// What the caller has to know of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The procedure goes on.
    Continues,
    /// A stream was deleted (or found gone).
    Deleted(StreamId),
    /// A call failed; it is tried again.
    Failed(CallFailure),
    /// Done: connect to this stream.
    Done(Established),
}

/// The fresh stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// Its id.
    pub id: StreamId,
    /// Its name on the server.
    pub name: String,
    /// Its first day.
    pub start_date: Option<UtcDay>,
    /// Streams of ours that the service did not let go.
    pub left_behind: Vec<StreamId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    List,
    Delete(VecDeque<StreamId>),
    Create { name: String },
}

/// The procedure.
#[derive(Clone, Debug)]
pub struct Establish {
    config: EstablishConfig,
    step: Step,
    start_date: Option<UtcDay>,
    inherit_start_date: bool,
    held: Vec<StreamId>,
    /// Deleted, whatever the list says, until a CREATE is refused.
    gone: Vec<StreamId>,
    held_since: Option<Instant>,
    in_flight: bool,
    not_before: Instant,
    /// Never starts afresh: a CREATE that fails may have acted, and is followed by calls that do not.
    backoff: Backoff,
    /// Between DELETEs of one stream that is held.
    hold_backoff: Backoff,
    token_backoff: Backoff,
}

impl Establish {
    /// Replaces the stream `known`, or whatever bears our name if that is `None`.
    ///
    /// `inherit_start_date`: without a `start_date`, take that of the stream that is replaced.
    #[must_use]
    pub fn new(
        config: EstablishConfig,
        known: Option<StreamId>,
        start_date: Option<UtcDay>,
        inherit_start_date: bool,
        now: Instant,
        seed: u64,
    ) -> Self {
        Self {
            step: known.map_or(Step::List, |id| Step::Delete(VecDeque::from([id]))),
            start_date,
            inherit_start_date,
            held: Vec::new(),
            gone: Vec::new(),
            held_since: None,
            in_flight: false,
            not_before: now,
            backoff: Backoff::new(config.backoff, seed),
            hold_backoff: Backoff::new(config.backoff, seed),
            token_backoff: Backoff::new(config.token_backoff, seed),
            config,
        }
    }

    /// The next call, if one is due at `now`.
    pub fn next_call(&mut self, now: Instant) -> Option<Call> {
        if self.in_flight || now < self.not_before {
            return None;
        }
        let call = match &self.step {
            Step::List => Call::List,
            Step::Delete(ids) => match ids.front() {
                Some(id) => Call::Delete { id: id.clone() },
                None => Call::List,
            },
            Step::Create { name } => {
                Call::Create { name: name.clone(), start_date: self.start_date }
            }
        };
        self.in_flight = true;
        Some(call)
    }

    /// When [`Establish::next_call`] has something to give, if not now.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        (!self.in_flight).then_some(self.not_before)
    }

    /// Somebody wants the next call made now, whatever it waits for.
    pub fn try_now(&mut self, now: Instant) {
        self.not_before = self.not_before.min(now);
    }

    /// The answer to the call in flight.
    pub fn answered(&mut self, now: Instant, answer: Answer) -> Progress {
        self.in_flight = false;
        match answer {
            Answer::Listed(streams) => self.listed(now, &streams),
            Answer::Deleted => self.deleted(),
            Answer::Created(id) => self.created(id),
            Answer::Failed { failure, retry_after } => self.failed(now, failure, retry_after),
        }
    }

    fn listed(&mut self, now: Instant, streams: &[Listed]) -> Progress {
        let ours = |stream: &&Listed| is_ours(&stream.name, &self.config.server_name);
        if self.start_date.is_none() && self.inherit_start_date {
            self.start_date = streams.iter().filter(ours).filter_map(|s| s.start_date).min();
        }
        // The list may be of a moment ago: to delete those again would lead to the same list.
        let is_gone = |stream: &Listed| self.gone.contains(&stream.id);
        let streams: Vec<_> = streams.iter().filter(|stream| !is_gone(stream)).cloned().collect();
        let to_delete: VecDeque<_> = streams
            .iter()
            .filter(ours)
            .filter(|stream| !self.held.contains(&stream.id))
            .map(|stream| stream.id.clone())
            .collect();
        self.held.retain(|id| streams.iter().any(|stream| stream.id == *id));
        if !to_delete.is_empty() {
            self.step = Step::Delete(to_delete);
        } else if streams.len() >= STREAMS_MAX && !self.held.is_empty() {
            self.make_room();
            self.not_before = now + self.backoff.next(None);
        } else {
            self.step = Step::Create { name: self.free_name(&streams) };
        }
        Progress::Continues
    }

    fn deleted(&mut self) -> Progress {
        self.hold_backoff.reset();
        let gone = match &mut self.step {
            Step::Delete(ids) => ids.pop_front(),
            Step::List | Step::Create { .. } => None,
        };
        self.gone.extend(gone.clone());
        self.held_since = None;
        if matches!(&self.step, Step::Delete(ids) if ids.is_empty()) {
            // Alongside held ones the free name has to be looked up.
            self.step = if self.held.is_empty() {
                Step::Create { name: self.config.server_name.clone() }
            } else {
                Step::List
            };
        }
        gone.map_or(Progress::Continues, Progress::Deleted)
    }

    fn created(&mut self, id: StreamId) -> Progress {
        let name = match &self.step {
            Step::Create { name } => name.clone(),
            Step::List | Step::Delete(_) => self.config.server_name.clone(),
        };
        Progress::Done(Established {
            id,
            name,
            start_date: self.start_date,
            left_behind: std::mem::take(&mut self.held),
        })
    }

    fn failed(
        &mut self,
        now: Instant,
        failure: CallFailure,
        retry_after: Option<Duration>,
    ) -> Progress {
        let backoff = match failure {
            CallFailure::Token { .. } | CallFailure::Rejected { .. } => &mut self.token_backoff,
            CallFailure::Held => &mut self.hold_backoff,
            _ => &mut self.backoff,
        };
        self.not_before = now + backoff.next(retry_after);
        let creates = matches!(self.step, Step::Create { .. });
        if creates {
            self.gone.clear();
        }
        match failure {
            CallFailure::Held => self.held_again(now),
            // Alongside is refused: too many for this organization, or the other name.
            CallFailure::StreamLimit | CallFailure::Rejected { .. }
                if creates && !self.held.is_empty() =>
            {
                self.make_room();
            }
            CallFailure::NameTaken | CallFailure::StreamLimit => self.step = Step::List,
            // Why is not always said in words that we know: it may be the name.
            CallFailure::Rejected { .. } | CallFailure::Unavailable { acted: true, .. }
                if creates =>
            {
                self.step = Step::List;
            }
            _ => {}
        }
        Progress::Failed(failure)
    }

    /// 409: after `hold_patience` set it aside, and look for room alongside.
    fn held_again(&mut self, now: Instant) {
        let since = *self.held_since.get_or_insert(now);
        let patience_ends = since + self.config.hold_patience;
        if now < patience_ends {
            // Ask again soon, and once more just when the patience ends, whatever the service asks for:
            // a recovery has to go on.
            self.not_before = self.not_before.min(patience_ends);
            return;
        }
        if let Step::Delete(ids) = &mut self.step {
            self.held.extend(ids.pop_front());
            if ids.is_empty() {
                self.step = Step::List;
            }
        }
        self.not_before = now;
    }

    /// No room alongside: the held ones have to go first.
    fn make_room(&mut self) {
        self.step = Step::Delete(std::mem::take(&mut self.held).into());
    }

    /// Our name, or the first of `name~2`, `name~3` … that is not in use.
    fn free_name(&self, streams: &[Listed]) -> String {
        let base = &self.config.server_name;
        let taken = |name: &str| streams.iter().any(|stream| stream.name == name);
        if !taken(base) {
            return base.clone();
        }
        let mut number = 2_u32;
        loop {
            let name = format!("{base}~{number}");
            if !taken(&name) {
                return name;
            }
            number = number.saturating_add(1);
        }
    }
}

/// Whether a stream's name on the server is `base`, or `base~N` made alongside it.
pub fn is_ours(name: &str, base: &str) -> bool {
    let Some(rest) = name.strip_prefix(base) else { return false };
    rest.is_empty()
        || rest.strip_prefix('~').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
#[path = "establish_tests.rs"]
mod tests;
