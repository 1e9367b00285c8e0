//! The fields of any event that are read, as raw slices of the payload, in one pass.
//!
//! Each value stays unparsed until it is known to matter, so that a value of an unexpected type
//! costs that field alone and never the event. A `null` is the same as a missing field; of a
//! repeated field the last counts. Everything else is skipped.

use std::borrow::Cow;

use crate::json::{self, text};
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

/// A timestamp in microseconds.
pub(super) fn time(raw: &str) -> Option<i64> {
    parse_micros(&text(raw)?)
}

/// The `count` and `max` of a poke's `members`, which may be the count itself.
pub(super) fn count(raw: &str) -> (Option<u32>, Option<u32>) {
    let number = |raw: &str| text(raw)?.trim().parse().ok();
    let (mut count, mut max) = (None, None);
    let members = json::members(raw, |name, raw| match name {
        "count" => count = number(raw),
        "max" => max = number(raw),
        _ => {}
    });
    if members.is_some() { (count, max) } else { (number(raw), None) }
}
