//! The Inform (V2) API: its requests, its frames, its refusals.

use jiff::civil::Date;
use sha2::{Digest, Sha256};
use streamkeeper_call::Response;
use streamkeeper_core::marked::{self, Members};
use streamkeeper_core::policy::Target;
use streamkeeper_core::time::{Timestamp, UtcDay};
use streamkeeper_core::version::Version;
use streamkeeper_inform::{
    ApiCall, ApiRequest, CallErrorKind, EventType, InformEvent, ReplayQuery, classify,
};
use streamkeeper_sse::Frame;

use crate::config::InformTable;

use super::Reading;
use super::event::{Event, EventKind};
use super::part::Part;

/// The Inform (V2) API, as one stream uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inform {
    /// Resource types; empty: all.
    pub(crate) resources: Vec<String>,
    /// Event types; empty: the service's default.
    pub(crate) event_types: Vec<String>,
}

impl Inform {
    pub(super) fn new(config: &InformTable) -> Self {
        Self { resources: config.resource_filter.clone(), event_types: config.event_types.clone() }
    }

    /// The replay from a day on; of these resources, if any are named.
    pub(crate) fn replay(&self, date: Date, only: &[String]) -> String {
        let resources = if only.is_empty() { &self.resources } else { only };
        let query = ReplayQuery {
            date,
            resources: resources.to_vec(),
            event_types: self.event_types.clone(),
        };
        ApiRequest::replay(&query).path_and_query
    }

    pub(super) fn request(&self, target: &Target) -> Option<String> {
        match target {
            Target::Marked(marked::Target::Stream(id)) => {
                Some(ApiRequest::connect(&id.0).path_and_query)
            }
            Target::Marked(marked::Target::Replay(day)) => Some(self.replay(date(*day), &[])),
            Target::Cursored(_) => None,
        }
    }
}

/// A day of the core's, as the API writes it.
pub(crate) fn date(day: UtcDay) -> Date {
    // The core counts days of the years that a date can spell; another would be refused by the service.
    day.to_string().parse().unwrap_or_default()
}

/// What a refusal means, in words that name nothing the server said (Inform API, Errors).
pub(super) fn refusal(answer: &Response) -> String {
    let status = answer.status;
    CallErrorKind::of_response(ApiCall::Connect, answer)
        .unwrap_or(CallErrorKind::Unexpected { status })
        .to_string()
}

/// Reads a frame of an Inform (V2) stream.
pub(crate) fn read(frame: Frame) -> Reading {
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
        kind: match identity.event_type {
            EventType::Data => EventKind::Data,
            EventType::Rule => EventKind::Rule,
            EventType::Connection => EventKind::Connection,
        },
        version,
        start_day,
        key: part(identity.key),
        checksum: part(identity.checksum),
        user_id: identity.user_id.map(part),
        record_type: identity.record_type.map(part),
        named: None,
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
            readings.push(super::read(frame.unwrap()));
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
