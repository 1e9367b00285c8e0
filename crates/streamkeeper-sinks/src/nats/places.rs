//! What is known of each stream: which event comes next, and which message of the server is the last.
//!
//! What is in here is believed only while nothing is under way. Before a message is sent its stream is
//! unsure, and it is sure again when the server has answered; so a delivery that was dropped anywhere
//! leaves a stream that is looked at first.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use streamkeeper_sink::{Envelope, OwnPlace, Resume, SinkError, parts};

/// What the server has of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The server's number of its last message; 0 if there is none.
    pub(super) last: u64,
    /// The place that this message says.
    pub(super) place: Option<OwnPlace>,
}

#[derive(Clone, Debug)]
struct Known {
    own: OwnPlace,
    /// The server's number of the last message of this stream that we know of.
    last: u64,
    /// There may be later ones.
    unsure: bool,
}

/// All streams'.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<String, Known>>);

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger has said where it is.
    pub(super) fn resume(&self, resume: Resume<'_>, seen: &Seen) {
        let own = OwnPlace {
            ledger: Some(resume.ledger.to_owned()),
            next: resume.place(seen.place.as_ref()),
        };
        let known = Known { own, last: seen.last, unsure: false };
        self.lock().insert(resume.source.to_owned(), known);
    }

    /// The streams of a batch that have to be looked at, each with the last message that is known.
    pub(super) fn unsure(&self, batch: &[Envelope]) -> Vec<(String, Option<u64>)> {
        let known = self.lock();
        let look = |(source, _): (&str, _)| match known.get(source) {
            Some(known) if !known.unsure => None,
            known => Some((source.to_owned(), known.map(|known| known.last))),
        };
        parts(batch).filter_map(look).collect()
    }

    /// A stream was looked at: this is its last message, and `since` are the places that the messages say
    /// which came since we looked last.
    pub(super) fn looked(&self, source: &str, last: u64, since: &[OwnPlace]) {
        let mut known = self.lock();
        let Some(known) = known.get_mut(source) else {
            // Nobody has said where the ledger is: then nothing is known to be there.
            let own = OwnPlace { ledger: None, next: 0 };
            known.insert(source.to_owned(), Known { own, last, unsure: false });
            return;
        };
        if last < known.last {
            tracing::warn!(
                stream = source,
                "messages that were acknowledged are not there any more"
            );
        }
        let ours = since.iter().filter(|place| place.ledger == known.own.ledger);
        known.own.next = ours.map(|place| place.next).fold(known.own.next, u64::max);
        (known.last, known.unsure) = (last, false);
    }

    /// The events of a batch that are not there yet.
    pub(super) fn missing<'a>(&self, batch: &'a [Envelope]) -> Vec<&'a Envelope> {
        let known = self.lock();
        let next = |event: &Envelope| known.get(&*event.source).map_or(0, |known| known.own.next);
        batch.iter().filter(|event| event.redelivered || event.sequence >= next(event)).collect()
    }

    /// What these events are sent with: for each the place behind it, and the last message before it where
    /// it is the first of its stream. From here on their streams are unsure.
    pub(super) fn send(&self, events: &[&Envelope]) -> Vec<(OwnPlace, Option<u64>)> {
        let mut all = self.lock();
        let of_each = |event: &&Envelope| {
            let known = all.entry(event.source.to_string()).or_insert_with(|| Known {
                own: OwnPlace { ledger: None, next: 0 },
                last: 0,
                unsure: false,
            });
            let mut place = known.own.clone();
            place.next = after(event, place.next);
            let first = !std::mem::replace(&mut known.unsure, true);
            (place, first.then_some(known.last))
        };
        events.iter().map(of_each).collect()
    }

    /// All of these events are there; the last of them under this number of the server's, the others
    /// just before it. `None`: it has them already, and they are not the last.
    pub(super) fn sent(&self, events: &[&Envelope], last: Option<u64>) {
        let mut all = self.lock();
        for (behind, event) in (0..events.len() as u64).rev().zip(events) {
            let Some(known) = all.get_mut(&*event.source) else { continue };
            known.own.next = after(event, known.own.next);
            if let Some(last) = last {
                (known.last, known.unsure) = (last.saturating_sub(behind), false);
            }
        }
    }

    /// Nothing of these events is there, for sure.
    pub(super) fn refused(&self, events: &[&Envelope]) {
        let mut all = self.lock();
        for event in events {
            if let Some(known) = all.get_mut(&*event.source) {
                known.unsure = false;
            }
        }
    }

    /// The ledger and the place of a stream.
    pub(super) fn own(&self, source: &str) -> OwnPlace {
        let none = OwnPlace { ledger: None, next: 0 };
        self.lock().get(source).map_or(none, |known| known.own.clone())
    }

    /// The error, with what is there of each stream in spite of it.
    pub(super) fn with_done(&self, error: SinkError, batch: &[Envelope]) -> SinkError {
        let done = |(source, events): (&str, &[Envelope])| {
            let next = self.own(source).next;
            let there = |event: &&Envelope| !event.redelivered && event.sequence < next;
            let done = events.iter().take_while(there).count();
            (done > 0).then(|| (source.to_owned(), done))
        };
        parts(batch)
            .filter_map(done)
            .fold(error, |error, (source, done)| error.with_done(source, done))
    }
}

/// The place behind an event.
fn after(event: &Envelope, next: u64) -> u64 {
    if event.redelivered { next } else { next.max(event.sequence.saturating_add(1)) }
}
