//! The fields of any event that are read, as raw slices of the payload, in one pass.
//!
//! Each value stays unparsed until it is known to matter, so that a value of an unexpected type
//! costs that field alone and never the event. A `null` is the same as a missing field; of a
//! repeated field the last counts. Everything else is skipped.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use crate::time::parse_micros;

#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) checksum: Option<&'a str>,
    pub(super) record_type: Option<&'a str>,
    pub(super) created_at: Option<&'a str>,
    pub(super) deleted_at: Option<&'a str>,
    pub(super) start_time: Option<&'a str>,
    pub(super) event_time: Option<&'a str>,
    pub(super) triggered_at: Option<&'a str>,
    pub(super) user: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    pub(super) rule_id: Option<&'a str>,
    pub(super) action: Option<&'a str>,
    pub(super) event: Option<&'a str>,
    pub(super) ts: Option<&'a str>,
    pub(super) stream: Option<&'a str>,
    pub(super) members: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Reads a JSON object, or nothing.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        json::members(text, |name, raw| {
            if let Some(slot) = fields.slot(name) {
                *slot = (raw != "null").then_some(raw);
            }
        })?;
        Some(fields)
    }

    /// The user, from `user.user_id` or, in rule and older events, from `user_id`.
    pub(super) fn user_id(&self) -> Option<Cow<'a, str>> {
        let nested = || Self::read(self.user?)?.user_id.and_then(text);
        nested().or_else(|| self.user_id.and_then(text))
    }

    #[inline]
    fn slot(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        Some(match name {
            "id" => &mut self.id,
            "checksum" => &mut self.checksum,
            "type" => &mut self.record_type,
            "created_at" => &mut self.created_at,
            "deleted_at" => &mut self.deleted_at,
            "start_time" => &mut self.start_time,
            "event_time" => &mut self.event_time,
            "triggered_at" => &mut self.triggered_at,
            "user" => &mut self.user,
            "user_id" => &mut self.user_id,
            "source" => &mut self.source,
            "rule_id" => &mut self.rule_id,
            "action" => &mut self.action,
            "event" => &mut self.event,
            "ts" => &mut self.ts,
            "stream" => &mut self.stream,
            "members" => &mut self.members,
            _ => return None,
        })
    }
}

/// A string or a number as text, `None` if it is empty or of another type.
///
/// Numbers keep their spelling, since those beyond 64 bits would lose digits. So do strings with
/// escapes that stand for no character (half a surrogate pair): as an identity they still serve.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let text = match raw.as_bytes().first()? {
        b'"' => match json::plain(raw) {
            Some(text) => Cow::Borrowed(text),
            None => serde_json::from_str(raw)
                .map_or_else(|_| Cow::Borrowed(raw.trim_matches('"')), Cow::Owned),
        },
        b'-' | b'0'..=b'9' => Cow::Borrowed(raw),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A timestamp in microseconds.
pub(super) fn time(raw: &str) -> Option<i64> {
    parse_micros(&text(raw)?)
}

/// The `count` and `max` of a poke's `members`, which may be the count itself.
pub(super) fn count(raw: &str) -> (Option<u32>, Option<u32>) {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        count: Option<&'a RawValue>,
        #[serde(borrow)]
        max: Option<&'a RawValue>,
    }
    let number = |raw: &str| text(raw)?.trim().parse().ok();
    let member = |raw: Option<&RawValue>| number(raw?.get());
    // The library's error is dropped: it would quote the payload.
    match serde_json::from_str::<Members<'_>>(raw) {
        Ok(members) => (member(members.count), member(members.max)),
        Err(_) => (number(raw), None),
    }
}
