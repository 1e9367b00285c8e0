//! The fields of any event that are read, as raw slices of the payload, in one pass.
//!
//! Each value stays unparsed until it is known to matter, so that a value of an unexpected type
//! costs that field alone and never the event. A `null` is the same as a missing field; of a
//! repeated field the last counts. Everything else is skipped without being looked at.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::time::parse_micros;

#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) id: Option<&'a RawValue>,
    pub(super) checksum: Option<&'a RawValue>,
    pub(super) record_type: Option<&'a RawValue>,
    pub(super) created_at: Option<&'a RawValue>,
    pub(super) deleted_at: Option<&'a RawValue>,
    pub(super) start_time: Option<&'a RawValue>,
    pub(super) event_time: Option<&'a RawValue>,
    pub(super) triggered_at: Option<&'a RawValue>,
    pub(super) user: Option<&'a RawValue>,
    pub(super) user_id: Option<&'a RawValue>,
    pub(super) source: Option<&'a RawValue>,
    pub(super) rule_id: Option<&'a RawValue>,
    pub(super) action: Option<&'a RawValue>,
    pub(super) event: Option<&'a RawValue>,
    pub(super) ts: Option<&'a RawValue>,
    pub(super) stream: Option<&'a RawValue>,
    pub(super) members: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The user, from `user.user_id` or, in rule and older events, from `user_id`.
    pub(super) fn user_id(&self) -> Option<Cow<'a, str>> {
        let nested = || object::<Fields<'_>>(self.user?.get().as_bytes())?.user_id.and_then(text);
        nested().or_else(|| self.user_id.and_then(text))
    }

    fn slot(&mut self, key: Key) -> Option<&mut Option<&'a RawValue>> {
        Some(match key {
            Key::Id => &mut self.id,
            Key::Checksum => &mut self.checksum,
            Key::Type => &mut self.record_type,
            Key::CreatedAt => &mut self.created_at,
            Key::DeletedAt => &mut self.deleted_at,
            Key::StartTime => &mut self.start_time,
            Key::EventTime => &mut self.event_time,
            Key::TriggeredAt => &mut self.triggered_at,
            Key::User => &mut self.user,
            Key::UserId => &mut self.user_id,
            Key::Source => &mut self.source,
            Key::RuleId => &mut self.rule_id,
            Key::Action => &mut self.action,
            Key::Event => &mut self.event,
            Key::Ts => &mut self.ts,
            Key::Stream => &mut self.stream,
            Key::Members => &mut self.members,
            Key::Other => return None,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Id,
    Checksum,
    Type,
    CreatedAt,
    DeletedAt,
    StartTime,
    EventTime,
    TriggeredAt,
    User,
    UserId,
    Source,
    RuleId,
    Action,
    Event,
    Ts,
    Stream,
    Members,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key()? {
                    match fields.slot(key) {
                        Some(slot) => {
                            let raw: &RawValue = map.next_value()?;
                            *slot = (raw.get() != "null").then_some(raw);
                        }
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads a JSON object, or nothing. The library's error is dropped: it would quote the payload.
pub(super) fn object<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Option<T> {
    serde_json::from_slice(data).ok()
}

/// A string or a number as text, `None` if it is empty or of another type.
///
/// Numbers keep their spelling, since those beyond 64 bits would lose digits. So do strings with
/// escapes that stand for no character (half a surrogate pair): as an identity they still serve.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    /// Borrows where there are no escapes.
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let json = raw.get();
    let text = match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<Text<'_>>(json)
            .map_or_else(|_| Cow::Borrowed(json.trim_matches('"')), |text| text.0),
        b'-' | b'0'..=b'9' => Cow::Borrowed(json),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A timestamp in microseconds.
pub(super) fn time(raw: &RawValue) -> Option<i64> {
    parse_micros(&text(raw)?)
}

/// The `count` and `max` of a poke's `members`, which may be the count itself.
pub(super) fn count(raw: &RawValue) -> (Option<u32>, Option<u32>) {
    #[derive(serde::Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        count: Option<&'a RawValue>,
        #[serde(borrow)]
        max: Option<&'a RawValue>,
    }
    let number = |raw| text(raw)?.trim().parse().ok();
    match object::<Members<'_>>(raw.get().as_bytes()) {
        Some(members) => (members.count.and_then(number), members.max.and_then(number)),
        None => (number(raw), None),
    }
}
