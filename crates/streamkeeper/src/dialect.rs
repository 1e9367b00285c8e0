//! What the frames of a server mean: life, data, identity.
//!
//! Everything after this module speaks of [`Event`]s and pokes, whatever the server calls them.
//! Only the Inform dialect is built; a further one is a further reading of a frame, not a further
//! path of the data.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use streamkeeper_core::id::UserKey;
use streamkeeper_core::low_water::Datum;
use streamkeeper_core::stream_policy::Members;
use streamkeeper_core::time::{Timestamp, UtcDay};
use streamkeeper_core::version::Version;
use streamkeeper_inform::{EventType, Identity, InformEvent, classify};
use streamkeeper_sse::Frame;

/// What a frame means.
#[derive(Debug)]
pub(crate) enum Reading {
    /// It proves life and says nothing else.
    Alive,
    /// A heartbeat.
    Poke { ts: Option<Timestamp>, members: Members },
    /// An event that a consumer wants.
    Event(Event),
    /// It should have been an event, and cannot be read as one.
    Garbled,
}

/// An event, with its identity; the payload byte for byte.
pub(crate) struct Event {
    pub(crate) identity: Identity,
    pub(crate) version: Version,
    pub(crate) start_day: Option<UtcDay>,
    pub(crate) data: Bytes,
}

impl std::fmt::Debug for Event {
    // Health data stays out of every log: identity and payload are left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("bytes", &self.data.len()).finish_non_exhaustive()
    }
}

impl Event {
    /// The key of the record in the ledger: ids of different kinds do not meet.
    pub(crate) fn key(&self) -> (EventType, &str) {
        (self.identity.event_type, &self.identity.key)
    }

    /// What the event proves about the stream's position; only records of data do, because rule and
    /// connection events are not kept for a client that is away (Inform API, Connecting).
    pub(crate) fn datum(&self, new: bool) -> Option<Datum> {
        if self.identity.event_type != EventType::Data {
            return None;
        }
        Some(Datum {
            user: user_key(self.identity.user_id.as_deref().unwrap_or_default()),
            created_at: self.version.created_at?,
            start_day: self.start_day,
            new,
        })
    }
}

/// Reads a frame of an Inform (V2) stream.
pub(crate) fn read_inform(frame: Frame) -> Reading {
    let event = match frame {
        Frame::Comment(_) => return Reading::Alive,
        Frame::Event(event) if !event.has_data() => return Reading::Alive,
        Frame::Event(event) => event,
    };
    let data = event.data.into_bytes();
    let name = event.name.as_ref().map(streamkeeper_sse::Label::as_str);
    let read = match classify(name, &data) {
        Err(_) => return Reading::Garbled,
        Ok(read) => read,
    };
    let mut start_day = None;
    match &read {
        InformEvent::Poke(poke) => {
            return Reading::Poke {
                ts: poke.ts.map(Timestamp::from_micros),
                members: Members { count: poke.members, max: poke.members_max },
            };
        }
        InformEvent::Record(record) => {
            start_day = record.start_time.map(|time| Timestamp::from_micros(time).utc_day());
        }
        InformEvent::Rule(_) | InformEvent::Connection(_) => {}
    }
    let Some(identity) = read.identity(&data) else { return Reading::Alive };
    let version = Version {
        created_at: identity.created_at.map(Timestamp::from_micros),
        checksum: checksum(&identity.checksum),
        withdrawn: identity.withdrawn,
    };
    Reading::Event(Event { identity, version, start_day, data })
}

/// A checksum in 128 bits: 32 hex digits as they are, anything else by its digest.
fn checksum(text: &str) -> u128 {
    let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(text, 16) {
        Ok(number) if hex => number,
        _ => digest(text),
    }
}

/// A user by hash; the policies count users, they never name one.
fn user_key(user_id: &str) -> UserKey {
    // The upper half of a 128-bit digest is as good a hash as the whole.
    UserKey((digest(user_id) >> 64) as u64)
}

fn digest(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(0, |number, &byte| (number << 8) | u128::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper_sse::{Decoder, Limits};

    fn read(text: &str) -> Vec<Reading> {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(Bytes::from(text.to_owned()));
        let mut readings = Vec::new();
        while let Some(frame) = decoder.next_frame() {
            readings.push(read_inform(frame.unwrap()));
        }
        readings
    }

    #[test]
    fn a_poke_says_the_time_and_the_members() {
        let readings = read(concat!(
            "event: poke\n",
            "data: {\"ts\":\"2017-11-28T15:49:35.700Z\",\"stream\":\"x\",",
            "\"members\":{\"count\":1,\"max\":20}}\n\n"
        ));
        let [Reading::Poke { ts: Some(ts), members }] = readings.as_slice() else { panic!() };
        assert_eq!(ts.utc_day().to_string(), "2017-11-28");
        assert_eq!(*members, Members { count: Some(1), max: Some(20) });
    }

    #[test]
    fn a_record_is_an_event_and_its_payload_is_untouched() {
        let record = r#"{"checksum":"51502ff934e3b47b3df8284494f814b8","id":"a", "x" : 1,
            "created_at":"2026-04-19T16:48:10.059Z","user":{"user_id":"u"}}"#
            .replace('\n', "");
        let readings = read(&format!("data: {record}\n\n"));
        let [Reading::Event(event)] = readings.as_slice() else { panic!() };
        assert_eq!(event.data, record.as_bytes());
        assert_eq!(event.version.checksum, 0x5150_2ff9_34e3_b47b_3df8_2844_94f8_14b8);
        assert!(event.datum(true).is_some());
    }

    #[test]
    fn comments_and_empty_events_prove_life_and_garbage_is_garbled() {
        assert!(matches!(read(": hi\n").as_slice(), [Reading::Alive]));
        assert!(matches!(read("data: not json\n\n").as_slice(), [Reading::Garbled]));
        assert!(matches!(read("data: {\"type\":\"summary\"}\n\n").as_slice(), [Reading::Garbled]));
    }
}
