//! What the frames of a server mean: life, data, identity.
//!
//! Everything after this module speaks of [`Event`]s and pokes, whatever the server calls them.
//! Only the Inform dialect is built; a further one is a further reading of a frame, not a further
//! path of the data.

use std::hash::{DefaultHasher, Hasher};

use sha2::{Digest, Sha256};
use streamkeeper_core::id::UserKey;
use streamkeeper_core::marked::Members;
use streamkeeper_core::policy::Datum;
use streamkeeper_core::time::{Timestamp, UtcDay};
use streamkeeper_core::version::Version;
use streamkeeper_inform::{EventType, InformEvent, VersionId, classify};
use streamkeeper_sse::{Frame, Text};

use crate::dialect::part::Part;

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
    pub(crate) kind: EventType,
    pub(crate) version: Version,
    pub(crate) start_day: Option<UtcDay>,
    key: Part,
    checksum: Part,
    user_id: Option<Part>,
    record_type: Option<Part>,
    pub(crate) data: Text,
}

impl std::fmt::Debug for Event {
    // Health data stays out of every log: identity and payload are left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("bytes", &self.data.len()).finish_non_exhaustive()
    }
}

impl Event {
    /// The key of the record; in the ledger, ids of different kinds do not meet.
    pub(crate) fn key(&self) -> &str {
        self.key.of(self.data.as_str())
    }

    /// The service's id of the user.
    pub(crate) fn user_id(&self) -> Option<&str> {
        Some(self.user_id.as_ref()?.of(self.data.as_str()))
    }

    /// The resource type of a record.
    pub(crate) fn record_type(&self) -> Option<&str> {
        Some(self.record_type.as_ref()?.of(self.data.as_str()))
    }

    /// Whether its checksum is the version's number in 32 lower-case hex digits, and so need not be
    /// kept beside that.
    pub(crate) fn checksum_is_number(&self) -> bool {
        let checksum = self.checksum.of(self.data.as_str());
        checksum.len() == 32
            && checksum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The id of its envelope.
    pub(crate) fn version_id(&self) -> VersionId<'_> {
        let Version { created_at, withdrawn, .. } = self.version;
        VersionId {
            key: self.key(),
            created_at: created_at.map(Timestamp::as_micros),
            checksum: self.checksum.of(self.data.as_str()),
            withdrawn,
        }
    }

    /// What the event proves about the stream's position; only records of data do, because rule and
    /// connection events are not kept for a client that is away (Inform API, Connecting).
    pub(crate) fn datum(&self, new: bool) -> Option<Datum> {
        if self.kind != EventType::Data {
            return None;
        }
        Some(Datum {
            user: user_key(self.user_id().unwrap_or_default()),
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
    let data = event.data.as_str();
    let name = event.name.as_ref().map(streamkeeper_sse::Label::as_str);
    let read = match classify(name, data) {
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
    let Some(identity) = read.identity(data) else { return Reading::Alive };
    let version = Version {
        created_at: identity.created_at.map(Timestamp::from_micros),
        checksum: checksum(&identity.checksum),
        withdrawn: identity.withdrawn,
    };
    let part = |text| Part::new(text, data);
    Reading::Event(Event {
        kind: identity.event_type,
        version,
        start_day,
        key: part(identity.key),
        checksum: part(identity.checksum),
        user_id: identity.user_id.map(part),
        record_type: identity.record_type.map(part),
        data: event.data,
    })
}

/// A checksum in 128 bits: 32 hex digits as they are, anything else by its digest.
fn checksum(text: &str) -> u128 {
    hex(text).unwrap_or_else(|| digest(text))
}

/// The number that 32 hex digits are; in halves, because 128 bits are slow to compute with.
fn hex(text: &str) -> Option<u128> {
    let half = |digits: &[u8; 16]| {
        digits.iter().try_fold(0_u64, |number, digit| {
            Some(number << 4 | u64::from(char::from(*digit).to_digit(16)?))
        })
    };
    let (high, low) = text.as_bytes().split_first_chunk()?;
    Some(u128::from(half(high)?) << 64 | u128::from(half(low.try_into().ok()?)?))
}

/// A user by hash; the policies count users, they never name one. It is in memory only, so its value
/// may change with the version.
fn user_key(user_id: &str) -> UserKey {
    let mut hasher = DefaultHasher::new();
    hasher.write(user_id.as_bytes());
    UserKey(hasher.finish())
}

fn digest(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(0, |number, &byte| (number << 8) | u128::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
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
        assert_eq!(event.data, *record);
        assert_eq!(event.version.checksum, 0x5150_2ff9_34e3_b47b_3df8_2844_94f8_14b8);
        assert!(event.datum(true).is_some());
    }

    #[test]
    fn a_checksum_is_its_digits_or_their_digest() {
        let digits = "51502FF934e3b47b3df8284494f814b8";
        assert_eq!(checksum(digits), 0x5150_2ff9_34e3_b47b_3df8_2844_94f8_14b8);
        for text in ["", "5150", &digits[1..], &format!("{digits}0"), &digits.replace('5', "+")] {
            assert_eq!(checksum(text), digest(text), "{text}");
        }
    }

    #[test]
    fn comments_and_empty_events_prove_life_and_garbage_is_garbled() {
        assert!(matches!(read(": hi\n").as_slice(), [Reading::Alive]));
        assert!(matches!(read("data: not json\n\n").as_slice(), [Reading::Garbled]));
        assert!(matches!(read("data: [1]\n\n").as_slice(), [Reading::Garbled]));
    }
}
