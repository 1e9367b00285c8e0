//! Attempts to connect and calls: on their way, refused, lost, answered.
//!
//! The model answers; what it leaves to its driver is here: statuses of refusal for a while, lost
//! requests and answers, requests that are taken and never answered.

use streamkeeper_core::classify::{End, Refusal};
use streamkeeper_core::id::{ConnectionId, StreamId};
use streamkeeper_core::marked::establish::{Answer, Call, CallFailure, Listed};
use streamkeeper_core::marked::{self, Target};
use streamkeeper_core::policy::Input;
use streamkeeper_core::time::{Timestamp, UtcDay};
use streamkeeper_core::watchdog::Watchdog;
use streamkeeper_simulator::model::{
    self, ClientId, Hang, Millis, NewReplay, NewStream, day_of, day_start,
};

use crate::fault::{CallKind, Refused};
use crate::plan::micros;

use super::network::{Connection, Stage};
use super::replays::is_replay;
use super::{ForShell, Happening, Place, World};

use std::collections::VecDeque;
use std::time::Duration;

impl World {
    pub(super) fn make_other_streams(&mut self) {
        for number in 0..self.plan.other_streams {
            // One of them looks almost like ours.
            let name = if number == 0 { "acme~two".into() } else { format!("other {number}") };
            if self.model.create(NewStream::named(name), self.now).is_err() {
                self.broken("the harness cannot make the streams of others".into());
            }
        }
    }

    /// The policies want a connection.
    pub(super) fn connect(&mut self, id: ConnectionId, target: Target) {
        let place = self.connections.len();
        let cut = self.now < self.conditions.network_cut_until;
        self.connections.push(Connection {
            id,
            target,
            stage: Stage::Connecting,
            client: None,
            sent: !cut,
            cut,
            wire: VecDeque::new(),
            stalled_until: 0,
            draining: false,
            watchdog: None,
            blocked: false,
            data_since_poke: false,
            garble: false,
            dribble: None,
            wrong: None,
        });
        self.open.push(place);
        if cut && self.rng.bool() {
            // Unreachable is said at once by some networks, and never by others.
            self.agenda.add(self.now, Happening::AttemptTimesOut(place));
            return;
        }
        let timeout = self.now + self.plan.answer_timeout;
        self.agenda.add(timeout, Happening::AttemptTimesOut(place));
        if !cut {
            let latency = self.draw(self.plan.latency);
            self.agenda.add(self.now + latency, Happening::RequestArrives(place));
        }
    }

    pub(super) fn request_arrives(&mut self, place: Place) {
        let now = self.now;
        if now < self.conditions.network_cut_until {
            self.at(place).cut = true;
            return;
        }
        let answer = match self.refusal(Refused::Connects) {
            Some((status, retry_after)) => {
                Err(End::Refused(Refusal::from_status(status, retry_after)))
            }
            None => match self.join(place) {
                Ok(client) => {
                    self.joined(place, client);
                    Ok(())
                }
                Err(refusal) => Err(End::Refused(Refusal::from_status(refusal.status(), None))),
            },
        };
        let latency = self.draw(self.plan.latency);
        self.agenda.add(now + latency, Happening::AnswerArrives(place, answer));
    }

    fn join(&mut self, place: Place) -> Result<ClientId, model::Refusal> {
        let now = self.now;
        match self.at(place).target.clone() {
            Target::Stream(id) => {
                let id = id.0.parse().map_err(|_| model::Refusal::NotFound)?;
                self.model.connect(id, now)
            }
            Target::Replay(day) => {
                let new = NewReplay { day: number_of(day), ..NewReplay::default() };
                self.model.replay(new, now)
            }
        }
    }

    fn joined(&mut self, place: Place, client: ClientId) {
        let now = self.now;
        let silent = now < self.conditions.silent_until;
        let deaf = self.conditions.silence_deaf;
        let connection = self.at(place);
        connection.client = Some(client);
        if matches!(connection.stage, Stage::Closing | Stage::Gone) {
            // The request had left before we closed.
            self.model.abort(client, now);
        } else if silent {
            connection.cut = true;
            let hang = if deaf { Hang::Deaf } else { Hang::Hearing };
            self.model.hang(client, hang, now);
        }
    }

    pub(super) fn answer_arrives(&mut self, place: Place, answer: Result<(), End>) {
        if self.at(place).cut || self.at(place).stage != Stage::Connecting {
            return;
        }
        let Some(process) = &self.process else { return };
        let watchdog = Watchdog::new(self.plan.policy.watchdog, process.instant(self.now));
        let connection = self.at(place);
        let id = connection.id;
        match answer {
            Ok(()) => {
                connection.stage = Stage::Open;
                connection.watchdog = Some(watchdog);
                self.opened(id);
            }
            Err(end) => self.end(place, end),
        }
    }

    pub(super) fn attempt_times_out(&mut self, place: Place) {
        if self.at(place).stage != Stage::Connecting {
            return;
        }
        let sent = self.at(place).sent;
        if let Some(client) = self.at(place).client {
            self.model.abort(client, self.now);
        }
        self.end(place, End::NotOpened { sent });
    }

    /// The policies want a call.
    pub(super) fn call(&mut self, call: Call) {
        let Some(number) = self.process.as_ref().map(|p| p.number) else { return };
        if self.now < self.conditions.network_cut_until {
            self.answer_later(number, self.plan.answer_timeout, unavailable(false));
        } else {
            let latency = self.draw(self.plan.latency);
            self.agenda.add(self.now + latency, Happening::CallArrives(number, call));
        }
    }

    /// The call acts even if the process that made it is gone.
    pub(super) fn call_arrives(&mut self, number: u64, call: Call) {
        let now = self.now;
        let timeout = self.plan.answer_timeout;
        if now < self.conditions.network_cut_until {
            self.answer_later(number, timeout, unavailable(true));
            return;
        }
        if let Some((acted, calls)) = self.conditions.lose_answers {
            self.conditions.lose_answers = (calls > 1).then(|| (acted, calls - 1));
            if acted {
                self.carry_out(&call);
            }
            self.answer_later(number, timeout, unavailable(true));
            return;
        }
        let answer = match self.refusal(Refused::Calls) {
            Some((status @ (401 | 403), retry_after)) => {
                Answer::Failed { failure: CallFailure::Token { status }, retry_after }
            }
            Some((status, retry_after)) => {
                // A gateway's error says nothing about what is behind it.
                let acted = status >= 500;
                if acted && self.rng.u8(..4) == 0 {
                    self.carry_out(&call);
                }
                let status = Some(status);
                let failure = CallFailure::Unavailable { status, acted };
                Answer::Failed { failure, retry_after }
            }
            None => match self.refused_call(&call) {
                Some(failure) => refused(failure),
                None => self.carry_out(&call),
            },
        };
        let latency = self.draw(self.plan.latency);
        self.answer_later(number, latency, answer);
    }

    fn answer_later(&mut self, number: u64, after: Millis, answer: Answer) {
        let answer = Happening::Shell(number, ForShell::Answer(answer));
        self.agenda.add(self.now + after, answer);
    }

    /// Asks how many clients a stream has.
    pub(super) fn count_members(&mut self, stream: StreamId) {
        let Some(number) = self.process.as_ref().map(|process| process.number) else { return };
        let away =
            self.now < self.conditions.network_cut_until || self.refusal(Refused::Calls).is_some();
        let counted = stream.0.parse().ok().filter(|_| !away);
        let members = counted.and_then(|id| u32::try_from(self.model.members(id)).ok());
        let latency = self.draw(self.plan.latency);
        let report = ForShell::Report(marked::Input::Counted { stream, members }.into());
        self.agenda.add(self.now + latency, Happening::Shell(number, report));
    }

    fn carry_out(&mut self, call: &Call) -> Answer {
        let now = self.now;
        match call {
            Call::List => {
                let list = self.model.streams().map(|stream| Listed {
                    id: StreamId(stream.id.to_string()),
                    name: stream.name.clone(),
                    start_date: stream.start_day.map(day_of_number),
                });
                Answer::Listed(list.collect())
            }
            Call::Delete { id } => {
                let Ok(id) = id.0.parse() else { return Answer::Deleted };
                match self.model.delete(id, now) {
                    Ok(_) | Err(model::Refusal::NotFound) => Answer::Deleted,
                    Err(_) => refused(CallFailure::Held),
                }
            }
            Call::Create { name, start_date } => {
                let start_day = start_date.map(number_of);
                let new = NewStream { start_day, ..NewStream::named(name) };
                match self.model.create(new, now) {
                    Ok(id) => Answer::Created(StreamId(id.to_string())),
                    Err(model::Refusal::DuplicateName) => refused(CallFailure::NameTaken),
                    Err(_) => refused(CallFailure::StreamLimit),
                }
            }
        }
    }

    /// How this kind of call is refused at the moment.
    fn refused_call(&self, call: &Call) -> Option<CallFailure> {
        let (kind, failure) = self.conditions.refused_call?;
        let hit = kind == CallKind::of(call) && self.now < self.conditions.refused_call_until;
        hit.then_some(failure)
    }

    /// The status with which this is refused at the moment.
    fn refusal(&self, what: Refused) -> Option<(u16, Option<Duration>)> {
        let (refused, status, retry_after) = self.conditions.refused?;
        let hit = refused == what || refused == Refused::Both;
        (hit && self.now < self.conditions.refused_until)
            .then(|| (status, retry_after.map(Duration::from_secs)))
    }

    fn opened(&mut self, id: ConnectionId) {
        if let Some(shadow) = &mut self.shadow {
            shadow.opened(id);
        }
        if !is_replay(id)
            && let Some(process) = &mut self.process
        {
            process.calls.succeeded(self.now);
        }
        self.report(Input::Opened(id));
    }
}

const fn unavailable(acted: bool) -> Answer {
    refused(CallFailure::Unavailable { status: None, acted })
}

const fn refused(failure: CallFailure) -> Answer {
    Answer::Failed { failure, retry_after: None }
}

/// The number of a day since 1970.
fn number_of(day: UtcDay) -> u32 {
    day_of(u64::try_from(day.start().as_micros()).unwrap_or(0) / 1_000)
}

fn day_of_number(number: u32) -> UtcDay {
    Timestamp::from_micros(micros(day_start(number))).utc_day()
}
