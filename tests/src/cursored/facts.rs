//! What must hold, and what is known of it.
//!
//! It sees what goes into the policies and what comes out, and knows what the server has sent; it knows nothing
//! of how the policies work.

use streamkeeper_core::classify::{End, Refusal};
use streamkeeper_core::cursored::{self, Report, Sign, Strategy};
use streamkeeper_core::id::{ConnectionId, IncidentId};
use streamkeeper_core::policy::{self, Input, Output};
use streamkeeper_simulator::model::Millis;

use super::ledger::{Ledger, number};
use super::plan::Plan;
use super::server::Number;
use crate::checkers::Verdict;

/// What is known.
#[derive(Debug, Default)]
pub struct Facts {
    /// From this event on nothing may be missing without a word.
    begin: Option<Number>,
    /// What may be missing: what lies between these two.
    excused: Vec<(Number, Number)>,
    /// What may be missing from there to the first event of the next connection.
    open: Vec<Number>,
    link: Option<Link>,
    /// Another stream is stale.
    called: bool,
    /// There is a cursor to go on from.
    point: bool,
    /// A connection, or the process, broke, and the next connection has not been asked for.
    broken: bool,
    attempts: Attempts,
    incident: Option<IncidentId>,
    last_incident: IncidentId,
    snapshot: Snapshot,
    /// How many gaps were reported.
    pub gaps: usize,
}

/// The connection of the moment.
#[derive(Debug)]
struct Link {
    id: ConnectionId,
    asked: Option<Number>,
    opened: bool,
    brought: bool,
    last: bool,
    ending: Option<Ending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Stale,
    Old,
    /// For another stream's sake.
    Group,
    Wanted,
}

#[derive(Debug, Default)]
struct Attempts {
    /// Without an event, in a row.
    failed: u32,
    tokens: u32,
    retry: Option<Millis>,
    /// None may come before.
    earliest: Millis,
}

#[derive(Debug, Default)]
struct Snapshot {
    owed: bool,
    /// One is being fetched: whether it is younger than every gap.
    fetching: Option<bool>,
    /// A gap whose snapshot a crash has forgotten: it has to show again before anything is accepted.
    forgotten: bool,
    /// The gap that it is owed for would show again.
    shows_again: bool,
}

impl Facts {
    /// A process starts, `clean` if the last one stopped so.
    pub fn starts(
        &mut self,
        ledger: &Ledger,
        plan: &Plan,
        start: &Option<cursored::CursoredState>,
        now: Millis,
    ) {
        let old = start.as_ref();
        let owed = old.is_some_and(|state| state.snapshot_owed);
        let forgotten =
            self.snapshot.forgotten || self.snapshot.owed && !owed && self.snapshot.shows_again;
        self.snapshot = Snapshot { owed, forgotten, ..Snapshot::default() };
        self.attempts = Attempts { earliest: now, ..Attempts::default() };
        self.link = None;
        self.point = plan.ids && old.is_some_and(|state| state.cursor.is_some());
        self.broken = old.is_some_and(|state| state.has_read && !state.clean);
        self.incident = old.and_then(|state| state.incident.map(|_| state.incidents));
        self.last_incident = old.map_or(IncidentId(0), |state| state.incidents);
        if old.is_some_and(|state| state.clean) && !self.point {
            // Nobody has promised anything for a stop that was wanted.
            self.open.push(newest(ledger));
        }
    }

    /// Something goes to the policies. `first`: the first event that the server sends on the connection. Answers
    /// the sign of a lost point that has to be reported for it.
    pub fn hears(
        &mut self,
        input: &Input,
        first: Option<Number>,
        ledger: &Ledger,
        now: Millis,
    ) -> Option<Sign> {
        match input {
            Input::Resume | Input::TryNow => self.attempts.earliest = now,
            Input::Recover | Input::Reconnect | Input::Pause | Input::Stop { .. } => {
                self.attempts.earliest = now;
                if let Some(link) = &mut self.link {
                    link.ending = Some(Ending::Wanted);
                }
            }
            Input::Opened(connection) => {
                let link = self.link.as_mut().filter(|link| link.id == *connection)?;
                link.opened = true;
                self.attempts.tokens = 0;
                let until = first.unwrap_or(Number::MAX);
                self.excused.extend(self.open.drain(..).map(|from| (from, until)));
            }
            Input::Data(connection) => {
                let link = self.link.as_mut().filter(|link| link.id == *connection)?;
                link.brought = true;
                self.attempts.failed = 0;
            }
            Input::Committed { span, .. } => self.point |= span.cursor.is_some(),
            Input::Cursored(own) => return self.hears_own(own, first),
            Input::Stale(connection) => {
                let link = self.link.as_mut().filter(|link| link.id == *connection)?;
                link.ending.get_or_insert(Ending::Stale);
            }
            Input::Ended { connection, end } => return self.ended(*connection, *end, ledger, now),
            _ => {}
        }
        None
    }

    fn hears_own(&mut self, input: &cursored::Input, first: Option<Number>) -> Option<Sign> {
        match input {
            cursored::Input::Retry { wait, .. } => {
                self.attempts.retry = Millis::try_from(wait.as_millis()).ok();
            }
            cursored::Input::Planned(connection) => {
                let link = self.link.as_mut().filter(|link| link.id == *connection)?;
                link.last = true;
            }
            cursored::Input::Gap { connection, sign } => {
                let link = self.link.as_ref().filter(|link| link.id == *connection)?;
                self.excused.push((link.asked?, first?));
                return Some(Sign::Answer(*sign));
            }
            cursored::Input::First(cursor) => self.point |= cursor.is_some(),
            cursored::Input::Resynced { ok } => {
                let younger = self.snapshot.fetching.take();
                if *ok && younger == Some(true) {
                    self.snapshot.owed = false;
                }
            }
            cursored::Input::GroupStale => self.called = true,
            cursored::Input::Heartbeat(_) => {}
        }
        None
    }

    fn ended(
        &mut self,
        connection: ConnectionId,
        end: End,
        ledger: &Ledger,
        now: Millis,
    ) -> Option<Sign> {
        let link = self.link.take_if(|link| link.id == connection)?;
        let proper = end == End::Terminated { mid_event: false } && link.brought;
        let ours = matches!(link.ending, Some(Ending::Wanted | Ending::Old));
        self.attempts.ended(&link, end, ours, now);
        if link.opened {
            self.broken = !(ours || link.last || proper);
            if !self.broken && !self.point {
                self.open.push(newest(ledger));
            }
        }
        match end {
            End::Refused(Refusal::Gone) => {
                let asked = link.asked?;
                self.open.push(asked);
                self.point = false;
                Some(Sign::Gone)
            }
            End::Refused(Refusal::NoContent) => link.asked.map(|_| Sign::NoContent),
            _ => None,
        }
    }

    /// What came out for that input; `due`: the sign that has to be among it.
    ///
    /// # Errors
    /// A gap is silent, or there is none; an incident begins or ends as it cannot.
    pub fn says(&mut self, outputs: &[Output], due: Option<Sign>, ledger: &Ledger) -> Verdict {
        let mut due = due;
        for output in outputs {
            match output {
                Output::Report(policy::Report::Cursored(report)) => {
                    self.reports(report, &mut due, ledger)?;
                }
                Output::Cursored(cursored::Output::Resync) => self.snapshot.fetching = Some(true),
                Output::Drain(connection) | Output::Kill(connection) => {
                    if let Some(link) = self.link.as_mut().filter(|link| link.id == *connection) {
                        let why = match output {
                            // Read to its end, it has missed nothing.
                            Output::Drain(_) if self.called => Ending::Old,
                            _ if self.called => Ending::Group,
                            _ => Ending::Wanted,
                        };
                        link.ending.get_or_insert(why);
                    }
                }
                _ => {}
            }
        }
        self.called = false;
        due.map_or(Ok(()), |sign| Err(format!("a gap is silent: {sign:?}")))
    }

    fn reports(&mut self, report: &Report, due: &mut Option<Sign>, ledger: &Ledger) -> Verdict {
        match report {
            Report::IncidentBegan { incident, .. } => {
                if self.incident.is_some() || *incident <= self.last_incident {
                    return Err(format!("{incident} began beside {:?}", self.incident));
                }
                self.incident = Some(*incident);
                self.last_incident = *incident;
            }
            Report::IncidentOver(summary) => return self.over(summary.id),
            Report::Gap { incident, sign } => {
                if self.incident != Some(*incident) {
                    return Err(format!("a gap outside of its incident {incident}"));
                }
                self.gap(*sign, due, ledger)?;
            }
            Report::Rotating { connection, .. } => {
                if let Some(link) = self.link.as_mut().filter(|link| link.id == *connection) {
                    link.ending = Some(Ending::Old);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn over(&mut self, incident: IncidentId) -> Verdict {
        if self.incident.take() == Some(incident) {
            Ok(())
        } else {
            Err(format!("{incident} ended without having begun"))
        }
    }

    fn gap(&mut self, sign: Sign, due: &mut Option<Sign>, ledger: &Ledger) -> Verdict {
        self.gaps += 1;
        if sign == Sign::Break {
            if self.point || !std::mem::take(&mut self.broken) {
                return Err("a break is reported that is no gap".into());
            }
            self.open.push(newest(ledger));
        } else if due.take() != Some(sign) {
            return Err(format!("a gap is reported that nothing shows: {sign:?}"));
        }
        self.snapshot.owed = true;
        self.snapshot.fetching = self.snapshot.fetching.map(|_| false);
        self.snapshot.forgotten = false;
        self.snapshot.shows_again = match sign {
            Sign::Answer(_) | Sign::Gone => true,
            Sign::Break => self.begin.is_some(),
            Sign::NoContent => false,
        };
        Ok(())
    }

    /// A connection is asked for.
    ///
    /// # Errors
    /// It is too early, or asks with what it must not.
    pub fn connects(
        &mut self,
        (id, asked): (ConnectionId, Option<Number>),
        (ledger, waiting): (&Ledger, bool),
        plan: &Plan,
        now: Millis,
    ) -> Verdict {
        if let Some(link) = &self.link {
            return Err(format!("{id:?} beside {:?}", link.id));
        }
        if now + 1 < self.attempts.earliest {
            let early = self.attempts.earliest - now;
            return Err(format!("an attempt {early} ms too early: {:?}", self.attempts));
        }
        if asked.is_some_and(|asked| !ledger.cursors.contains(&asked)) {
            return Err(format!("the cursor {asked:?} is not durable"));
        }
        if asked.is_some() && plan.config.strategy == Strategy::Reconnect {
            return Err("asked with a cursor".into());
        }
        if waiting {
            return Err("asked before what was read is committed".into());
        }
        if self.snapshot.owed && plan.config.resync {
            return Err("asked before the snapshot".into());
        }
        self.broken = false;
        self.link =
            Some(Link { id, asked, opened: false, brought: false, last: false, ending: None });
        Ok(())
    }

    /// Something has become durable.
    ///
    /// # Errors
    /// An event is accepted behind a gap that a crash has forgotten.
    pub fn durable(&mut self, ledger: &Ledger, first: Option<Number>, plan: &Plan) -> Verdict {
        let state = ledger.state.as_ref();
        if self.begin.is_none() {
            let cursor = state.and_then(|state| state.cursor.as_ref()).filter(|_| plan.ids);
            let has_read = state.is_some_and(|state| state.has_read) || !ledger.accepted.is_empty();
            self.begin = match cursor.and_then(number) {
                Some(cursor) => Some(cursor + 1),
                None => first.filter(|_| has_read),
            };
        }
        Ok(())
    }

    /// An event goes into the queue.
    ///
    /// # Errors
    /// There is a snapshot to come before it.
    pub fn queues(&self, plan: &Plan) -> Verdict {
        if self.snapshot.owed && plan.config.resync {
            return Err("an event goes before the snapshot".into());
        }
        Ok(())
    }

    /// Events are accepted.
    ///
    /// # Errors
    /// There is a gap before them that a crash has forgotten.
    pub fn accepts(&self, plan: &Plan) -> Verdict {
        if self.snapshot.forgotten && plan.config.resync {
            return Err("the cursor moves past a gap whose snapshot is forgotten".into());
        }
        Ok(())
    }

    /// Nothing goes wrong any more, and there was time enough.
    ///
    /// # Errors
    /// An event before `until` is missing without a word.
    pub fn complete(&self, ledger: &Ledger, plan: &Plan, until: Number) -> Verdict {
        let begin = self.begin.ok_or("nothing was ever read")?;
        if plan.config.full_state {
            return Ok(());
        }
        let excused =
            |event| self.excused.iter().any(|&(from, until)| (from + 1..until).contains(&event));
        let missing =
            (begin..until).find(|event| !ledger.accepted.contains(event) && !excused(*event));
        missing.map_or(Ok(()), |event| {
            Err(format!(
                "event {event} is missing without a word: from {begin}, excused {:?}",
                self.excused
            ))
        })
    }
}

impl Attempts {
    fn ended(&mut self, link: &Link, end: End, ours: bool, now: Millis) {
        let least = self.retry.unwrap_or(0).clamp(100, 60_000);
        let pause = if link.ending == Some(Ending::Wanted) {
            0
        } else if let End::Refused(Refusal::Token { .. }) = end {
            self.tokens += 1;
            (5_000 << (self.tokens - 1).min(10)).min(300_000)
        } else if link.brought || ours || link.ending == Some(Ending::Group) {
            least
        } else {
            self.failed += 1;
            least.max((500 << (self.failed - 1).min(10)).min(30_000))
        };
        self.earliest = now + pause;
    }
}

/// The newest event that was accepted, or the one before the first.
fn newest(ledger: &Ledger) -> Number {
    ledger.accepted.last().copied().unwrap_or(0)
}
