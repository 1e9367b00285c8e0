//! Making a fresh stream: the procedure of calls from "everything is terminated" to a stream id.
//!
//! DELETE the stream we know (or LIST and DELETE what bears our name), then CREATE. Each answer can
//! be lost, refused or late, and each has one way on:
//!
//! - a CREATE that may have acted: list again, and delete what was made; it was never read from, so
//!   nothing is lost and nothing needs to be told apart ("never adopt", recovery.md);
//! - a DELETE that may have acted: delete again; 404 is done;
//! - a DELETE that is refused, most often because the service holds a client (409): retry for
//!   `hold_patience`, then create alongside under the next free name and leave the old one behind, to
//!   be deleted later.
//!
//! **No storm.** A refusal means what it means for the call that was made, and no other: "held" is the
//! answer to a DELETE. Whatever the answers are, the calls of a minute are bounded (`bounds`): every
//! refusal is followed by a pause that grows, and so is every list but the first, as no call succeeds
//! for ever without one in between.
//!
//! Call it only while no connection of ours is open. One call at a time.

mod call;
mod first_day;
mod progress;

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::{Backoff, BackoffConfig};
use crate::id::StreamId;
use crate::time::Instant;

pub use self::call::{Answer, Call, CallFailure, Listed};
pub use self::first_day::FirstDay;
pub use self::progress::{Established, Progress};

/// Bounds of the procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstablishConfig {
    /// The stream's name on the server.
    pub server_name: String,
    /// A DELETE refused for longer: create alongside.
    pub hold_patience: Duration,
    /// Between failed calls.
    pub backoff: BackoffConfig,
    /// Between calls refused for the token: never in a tight loop.
    pub token_backoff: BackoffConfig,
}

/// What is written down of streams that we have made, or wanted to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// The stream that is read.
    pub stream: Option<StreamId>,
    /// Streams that are not read any more, and could not be deleted.
    pub left_behind: Vec<StreamId>,
    /// Names of streams that were to be made alongside: nobody knows what became of them.
    pub announced: Vec<String>,
}

impl Ours {
    /// Whether that one is known to be ours, or bears the name that is ours by configuration. A number
    /// behind that name proves nothing: others may have chosen it.
    pub(crate) fn has(&self, stream: &Listed, server_name: &str) -> bool {
        stream.name == server_name
            || self.stream.as_ref() == Some(&stream.id)
            || self.left_behind.contains(&stream.id)
            || self.announced.contains(&stream.name)
    }
}

/// A call that fails, until one of its kind does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    List(CallFailure),
    Delete(CallFailure),
    Create(CallFailure),
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
    first_day: FirstDay,
    /// Not to be deleted for now: alongside them.
    held: Vec<StreamId>,
    ours: Ours,
    /// Streams in the last list with our name and a number, which are not ours as far as is known.
    strangers: Vec<Listed>,
    /// Deleted, whatever the list says, until a CREATE is refused.
    gone: Vec<StreamId>,
    /// When the first of the DELETEs was refused that have been since.
    held_since: Option<Instant>,
    /// Names that CREATEs were refused for, one entry each time.
    taken: Vec<String>,
    /// Names in the last list that are ours but for upper and lower case.
    resembling: Vec<String>,
    /// A list was answered after the patience had run out: it is not everything that is refused.
    looked: bool,
    /// No list was asked for yet.
    first_look: bool,
    /// What keeps it from coming to an end.
    trouble: Option<Trouble>,
    in_flight: bool,
    not_before: Instant,
    /// The service has asked for no DELETE before.
    no_delete_before: Instant,
    /// Never starts afresh: a CREATE that fails may have acted, and is followed by calls that do not.
    backoff: Backoff,
    /// Between DELETEs that are refused.
    hold_backoff: Backoff,
    token_backoff: Backoff,
}

impl Establish {
    /// Replaces the stream that is ours, or whatever bears our name if none is known.
    #[must_use]
    pub fn new(
        config: EstablishConfig,
        ours: Ours,
        first_day: FirstDay,
        now: Instant,
        seed: u64,
    ) -> Self {
        Self {
            step: ours.stream.clone().map_or(Step::List, |id| Step::Delete([id].into())),
            ours,
            strangers: Vec::new(),
            first_day,
            held: Vec::new(),
            gone: Vec::new(),
            held_since: None,
            taken: Vec::new(),
            resembling: Vec::new(),
            looked: false,
            first_look: true,
            trouble: None,
            in_flight: false,
            not_before: now,
            no_delete_before: now,
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
                Call::Create { name: name.clone(), start_date: self.first_day.wanted() }
            }
        };
        self.first_look &= call != Call::List;
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

    /// Names alongside that may have been made: what was refused has not.
    pub fn announced(&self) -> &[String] {
        &self.ours.announced
    }

    /// Streams in the last list with our name and a number, which are not ours as far as is known.
    pub fn take_strangers(&mut self) -> Vec<Listed> {
        std::mem::take(&mut self.strangers)
    }

    /// The answer to the call in flight.
    pub fn answered(&mut self, now: Instant, answer: Answer) -> Progress {
        self.in_flight = false;
        match answer {
            Answer::Listed(streams) => self.listed(now, &streams),
            Answer::Deleted => self.deleted(now),
            Answer::Created(id) => self.created(id),
            Answer::Failed { failure, retry_after } => self.failed(now, failure, retry_after),
        }
    }

    /// What keeps it from coming to an end, in one word for people; `None`: all is in order. A client
    /// that the service holds for a while is.
    #[must_use]
    pub const fn trouble(&self) -> Option<&'static str> {
        match self.trouble {
            None | Some(Trouble::Delete(CallFailure::Held)) => None,
            // It is looked for, and deleted; or another one is taken.
            Some(Trouble::Create(CallFailure::NameTaken)) if self.taken.len() < 2 => None,
            Some(Trouble::List(failure) | Trouble::Delete(failure) | Trouble::Create(failure)) => {
                Some(match failure {
                    CallFailure::Unavailable { .. } | CallFailure::StreamLimit => {
                        "service_unavailable"
                    }
                    CallFailure::Token { .. } => "token_refused",
                    CallFailure::Held
                    | CallFailure::NameTaken
                    | CallFailure::FirstDay { .. }
                    | CallFailure::Rejected { .. } => "call_refused",
                })
            }
        }
    }

    fn listed(&mut self, now: Instant, streams: &[Listed]) -> Progress {
        if matches!(self.trouble, Some(Trouble::List(_))) {
            self.trouble = None;
        }
        self.looked = self.patience_ends().is_some_and(|ends| now >= ends);
        let base = &self.config.server_name;
        let ours = |stream: &&Listed| self.ours.has(stream, base);
        let stranger = |stream: &&Listed| !ours(stream) && is_ours(&stream.name, base);
        self.strangers = streams.iter().filter(stranger).cloned().collect();
        self.first_day.inherit(streams.iter().filter(ours));
        // The list may be of a moment ago: to delete those again would lead to the same list.
        let is_gone = |stream: &Listed| self.gone.contains(&stream.id);
        let streams: Vec<_> = streams.iter().filter(|stream| !is_gone(stream)).cloned().collect();
        let to_delete: VecDeque<_> = streams
            .iter()
            .filter(ours)
            .filter(|stream| !self.held.contains(&stream.id))
            .map(|stream| stream.id.clone())
            .take(DELETED_MAX)
            .collect();
        self.held.retain(|id| streams.iter().any(|stream| stream.id == *id));
        if to_delete.is_empty() {
            let like = |name: &&String| name.eq_ignore_ascii_case(base) && *name != base;
            let names = streams.iter().map(|stream| &stream.name);
            self.resembling = names.filter(like).cloned().collect();
            // Also if the organization seems to be full: the service counts better than we do.
            let name = self.free_name(&streams);
            self.step = Step::Create { name: name.clone() };
            let base = &self.config.server_name;
            if name != *base && self.is_refused(base) && streams.iter().all(|s| s.name != *base) {
                let resembling = self.resembling.clone();
                return Progress::NameTaken { name: base.clone(), resembling };
            }
        } else {
            self.delete(to_delete);
        }
        Progress::Continues
    }

    fn deleted(&mut self, now: Instant) -> Progress {
        if matches!(self.trouble, Some(Trouble::Delete(_))) {
            self.trouble = None;
        }
        let gone = match &mut self.step {
            Step::Delete(ids) => ids.pop_front(),
            Step::List | Step::Create { .. } => None,
        };
        self.gone.extend(gone.clone());
        self.held_since = None;
        self.looked = false;
        if matches!(&self.step, Step::Delete(ids) if ids.is_empty()) {
            if self.held.is_empty() {
                self.step = Step::Create { name: self.config.server_name.clone() };
            } else {
                // Alongside held ones the free name has to be looked up.
                self.look(now);
            }
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
            start_date: self.first_day.wanted(),
            refused_day: self.first_day.refused(),
            left_behind: std::mem::take(&mut self.held),
            not_before: self.no_delete_before,
        })
    }

    fn failed(
        &mut self,
        now: Instant,
        failure: CallFailure,
        retry_after: Option<Duration>,
    ) -> Progress {
        let deletes = matches!(self.step, Step::Delete(_));
        let creates = matches!(self.step, Step::Create { .. });
        let day_is_refused = creates && self.first_day.is_refused_by(failure);
        let backoff = match failure {
            _ if day_is_refused => &mut self.backoff,
            CallFailure::Token { .. } | CallFailure::Rejected { .. } => &mut self.token_backoff,
            _ if deletes => &mut self.hold_backoff,
            _ => &mut self.backoff,
        };
        self.not_before = now + backoff.next(retry_after);
        match &self.step {
            Step::List => self.trouble = Some(Trouble::List(failure)),
            Step::Delete(_) => {
                self.trouble = Some(Trouble::Delete(failure));
                if let Some(asked) = retry_after {
                    self.no_delete_before = now + self.config.backoff.obeyed(asked);
                }
                self.not_deleted(now, failure);
            }
            Step::Create { .. } => {
                self.trouble = Some(Trouble::Create(failure));
                if !day_is_refused {
                    self.not_created(failure);
                }
            }
        }
        Progress::Failed(failure)
    }

    /// A DELETE was refused, or not answered: after `hold_patience` go alongside. Whatever the service
    /// asks for, a recovery has to go on.
    fn not_deleted(&mut self, now: Instant, failure: CallFailure) {
        let since = *self.held_since.get_or_insert(now);
        let patience_ends = since + self.config.hold_patience;
        if now < patience_ends {
            self.not_before = self.not_before.min(patience_ends);
            if self.no_delete_before > patience_ends {
                self.set_aside(usize::MAX);
                self.not_before = patience_ends;
            }
        } else if failure == CallFailure::Held || self.looked {
            self.set_aside(if self.no_delete_before > now { usize::MAX } else { 1 });
            self.not_before = now;
            if self.step == Step::List {
                self.look(now);
            }
        } else {
            // Perhaps everything is refused at the moment, and the old one need not be left: once the
            // service answers, one more DELETE decides.
            self.look(now);
        }
    }

    /// So many are not asked for again for now; look for room alongside when none is left.
    fn set_aside(&mut self, count: usize) {
        let Step::Delete(ids) = &mut self.step else { return };
        self.held.extend(ids.drain(..count.min(ids.len())));
        if ids.is_empty() {
            self.step = Step::List;
        }
    }

    fn not_created(&mut self, failure: CallFailure) {
        self.gone.clear();
        if let Step::Create { name } = &self.step
            && matches!(failure, CallFailure::Unavailable { acted: true, .. })
            && !self.ours.announced.contains(name)
        {
            self.ours.announced.push(name.clone());
        }
        match failure {
            // Alongside is refused: too many for this organization, or the other name.
            CallFailure::StreamLimit | CallFailure::Rejected { .. } | CallFailure::Held
                if !self.held.is_empty() =>
            {
                let held = std::mem::take(&mut self.held);
                let not_before = self.not_before;
                self.delete(held.into());
                self.not_before = self.not_before.max(not_before);
            }
            // Two rounds of the same, and the next list leads to another name. A refusal that does not
            // say so counts if there is a name that may be the same for the service.
            CallFailure::NameTaken | CallFailure::Rejected { .. } | CallFailure::Held
                if failure == CallFailure::NameTaken || !self.resembling.is_empty() =>
            {
                if let Step::Create { name } = std::mem::replace(&mut self.step, Step::List) {
                    self.taken.truncate(TAKEN_MAX);
                    self.taken.push(name);
                }
            }
            // It has done nothing, and says so.
            CallFailure::Token { .. } | CallFailure::Unavailable { acted: false, .. } => {}
            // Why is not always said in words that we know: it may be the name.
            _ => self.step = Step::List,
        }
    }

    /// Deletes these, as soon as the service lets us.
    fn delete(&mut self, ids: VecDeque<StreamId>) {
        self.step = Step::Delete(ids);
        self.not_before = self.not_before.max(self.no_delete_before);
    }

    /// Lists the streams: at once for the first time, later after a pause.
    fn look(&mut self, now: Instant) {
        self.step = Step::List;
        self.not_before = if self.first_look { now } else { now + self.backoff.next(None) };
    }

    fn patience_ends(&self) -> Option<Instant> {
        self.held_since.map(|since| since + self.config.hold_patience)
    }

    /// Whether a name is taken for the service, whatever its list says: it may ignore upper and lower
    /// case, or have made one of the other.
    fn is_refused(&self, name: &str) -> bool {
        self.taken.iter().filter(|taken| *taken == name).count() >= 2
    }

    /// Our name, or the first of `name~2`, `name~3` … that is not in use.
    fn free_name(&self, streams: &[Listed]) -> String {
        let base = &self.config.server_name;
        let taken =
            |name: &str| streams.iter().any(|stream| stream.name == name) || self.is_refused(name);
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

/// One list leads to so many DELETEs at most. An organization has five streams (Inform API, Stream
/// resources); what is left then is seen when the CREATE is refused.
const DELETED_MAX: usize = 5;

/// So many refused names are remembered: ten names, each refused twice.
const TAKEN_MAX: usize = 20;

/// Whether a stream's name on the server is `base`, or `base~N` made alongside it.
pub fn is_ours(name: &str, base: &str) -> bool {
    let Some(rest) = name.strip_prefix(base) else { return false };
    rest.is_empty()
        || rest.strip_prefix('~').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod tests;
