//! Renders an event of the model to the JSON the service would send, always to the same bytes.
//!
//! Invariant: the bytes depend on the seed, the event and the style alone, so a version that is
//! sent twice is the same twice, and the truth can be hashed at any time without keeping it. The
//! same content of a record has the same metrics; the order of the fields, which optional ones are
//! missing and which unknown ones appear differ from version to version, as they do in production
//! (Inform API, A data record). All people in it are made up.
//!
//! ```
//! use streamkeeper_simulator::{model, record::{self, Style}};
//!
//! let mut model = model::Model::new(model::Config::default(), 1, 1_780_000_000_000);
//! let what = model::What::New(model::Resource::Summary);
//! let id = model.publish(3, what, 1_780_000_000_000).expect("a new record can be published");
//! let event = *model.event(id).expect("it was published");
//! let bytes = record::render(1, &event, Style::default());
//! assert_eq!(bytes, record::render(1, &event, Style::default()));
//! let json: serde_json::Value = serde_json::from_slice(&bytes)?;
//! assert_eq!(json["type"], "summary");
//! assert_eq!(json["created_at"], "2026-05-28T20:26:40.000Z");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod fields;
mod payload;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::fields::{Fields, text};
use crate::model::{Event, Kind, Millis, Resource};

/// How events are rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// How large data records are.
    pub size: Size,
    /// The form of `connection` events.
    pub connections: ConnectionForm,
}

/// How large data records are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// 600 bytes to 40 KB, by resource type: intraday and cgm carry up to a day of readings.
    #[default]
    Realistic,
    /// Below 2 KB, for high rates.
    Small,
}

/// The form of `connection` events (Inform API, Connecting).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionForm {
    /// With `action`, `id` and `created_at`.
    #[default]
    Newer,
    /// `user_id`, `source` and `event` alone: no id and no time.
    Older,
    /// Now one, now the other.
    Mixed,
}

/// The JSON of an event, on one line.
pub fn render(seed: u64, event: &Event, style: Style) -> Vec<u8> {
    let mut layout = rng(&[seed, LAYOUT, event.record.into(), event.version.into()]);
    let fields = match event.kind {
        Kind::Data => payload::data(seed, event, style.size, &mut layout),
        Kind::Rule => rule(seed, event),
        Kind::Connection => connection(seed, event, style.connections),
    };
    fields.render(&mut layout)
}

/// The id a data record or a newer connection event bears: 32 hex digits, now and then 24.
pub fn record_id(seed: u64, record: u32) -> String {
    let key = [seed, RECORD, record.into()];
    if hash(&key).is_multiple_of(8) { hex24(&key) } else { hex32(&key) }
}

/// Whether an event is sent with an id: data and newer connection events.
pub fn bears_id(seed: u64, event: &Event, style: Style) -> bool {
    match event.kind {
        Kind::Data => true,
        Kind::Rule => false,
        Kind::Connection => !is_older(seed, event, style.connections),
    }
}

/// A user's id: 24 hex digits.
pub fn user_id(seed: u64, user: u32) -> String {
    hex24(&[seed, USER, user.into()])
}

/// The checksum of a version: 32 hex digits.
pub fn checksum(seed: u64, event: &Event) -> String {
    hex32(&[seed, CHECKSUM, event.checksum()])
}

/// An instant as RFC 3339 with milliseconds and `Z`. Beyond year 9999 it is the epoch.
pub fn rfc3339(at: Millis) -> String {
    format!("{:.3}", timestamp(at))
}

/// A resource type's name in the API.
pub fn resource_name(resource: Resource) -> &'static str {
    match resource {
        Resource::Measurement => "measurement",
        Resource::Nutrition => "nutrition",
        Resource::Sleep => "sleep",
        Resource::Summary => "summary",
        Resource::Workout => "workout",
        Resource::Cgm => "cgm",
        Resource::Intraday => "intraday",
    }
}

/// An event kind's name: in the API, and of the SSE event.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "data",
        Kind::Rule => "rule",
        Kind::Connection => "connection",
    }
}

fn rule(seed: u64, event: &Event) -> Fields {
    let mut fields = Fields::default();
    fields.add("rule_id", text(&hex24(&[seed, RULE, event.record.into()])));
    fields.add("user_id", text(&user_id(seed, event.user)));
    fields.add("triggered_at", text(&rfc3339(event.created_at)));
    fields
}

fn connection(seed: u64, event: &Event, form: ConnectionForm) -> Fields {
    let key = hash(&[seed, CONNECTION, event.record.into()]);
    let created = key.is_multiple_of(2);
    let source = ["fitbit", "garmin", "withings", "dexcom"].get((key >> 8) as usize % 4);
    let source = *source.unwrap_or(&"fitbit");
    let mut fields = Fields::default();
    if is_older(seed, event, form) {
        fields.add("user_id", text(&user_id(seed, event.user)));
        fields.add("source", text(source));
        fields.add("event", text(if created { "connected" } else { "disconnected" }));
        return fields;
    }
    let at = text(&rfc3339(event.created_at));
    let null = || "null".to_owned();
    fields.add("action", text(if created { "create" } else { "delete" }));
    fields.add("id", text(&record_id(seed, event.record)));
    fields.add("source", format!(r#"{{"type":{}}}"#, text(source)));
    fields.add("user", payload::user(seed, event.user));
    fields.add("created_at", at.clone());
    fields.add("event_time", at.clone());
    fields.add("deleted_at", if created { null() } else { at });
    fields.add("deleted_reason", if created { null() } else { text("user") });
    fields
}

fn is_older(seed: u64, event: &Event, form: ConnectionForm) -> bool {
    match form {
        ConnectionForm::Newer => false,
        ConnectionForm::Older => true,
        ConnectionForm::Mixed => {
            (hash(&[seed, CONNECTION, event.record.into()]) >> 16).is_multiple_of(2)
        }
    }
}

pub(crate) fn timestamp(at: Millis) -> jiff::Timestamp {
    let millis = i64::try_from(at).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default()
}

fn rng(key: &[u64]) -> fastrand::Rng {
    fastrand::Rng::with_seed(hash(key))
}

fn hash(key: &[u64]) -> u64 {
    key.iter().fold(0, |sum, part| crate::model::mix(sum ^ part))
}

fn hex24(key: &[u64]) -> String {
    let high = hash(key);
    format!("{high:016x}{:08x}", crate::model::mix(high) >> 32)
}

fn hex32(key: &[u64]) -> String {
    let high = hash(key);
    format!("{high:016x}{:016x}", crate::model::mix(high))
}

// What a hash is for: the same numbers give unrelated values for different purposes.
const LAYOUT: u64 = 1;
const RECORD: u64 = 2;
const USER: u64 = 3;
const CHECKSUM: u64 = 4;
const RULE: u64 = 5;
const CONNECTION: u64 = 6;
const CONTENT: u64 = 7;
const ORGANIZATION: u64 = 8;
