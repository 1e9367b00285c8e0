//! The fields of a data record: fixed ones, optional ones, metrics and readings by type.

use std::fmt::Write as _;

use super::{
    CONTENT, ORGANIZATION, Size, checksum,
    fields::{Fields, text},
    hex24, record_id, resource_name, rfc3339, rng, timestamp, user_id,
};
use crate::model::{Event, MINUTE, Resource};

/// All fields of a version of a data record.
pub(super) fn data(seed: u64, event: &Event, size: Size, layout: &mut fastrand::Rng) -> Fields {
    let mut content = rng(&[seed, CONTENT, event.record.into(), event.content.into()]);
    let content = &mut content;
    let start = event.start_at();
    let mut fields = Fields::default();
    fields.add("id", text(&record_id(seed, event.record)));
    fields.add("checksum", text(&checksum(seed, event)));
    fields.add("type", text(resource_name(event.resource)));
    fields.add("created_at", text(&rfc3339(event.created_at)));
    fields.add("user", user(seed, event.user));
    fields.add("start_time", text(&seconds(start)));
    fields.add("end_time", text(&seconds(event.created_at)));
    fields.add("source", r#"{"type":"fitbit","device":null}"#.to_owned());
    fields.add("metrics", metrics(event.resource, content));
    if event.withdrawn {
        fields.add("deleted_at", text(&rfc3339(event.created_at)));
    } else if !layout.u8(..).is_multiple_of(4) {
        fields.add("deleted_at", "null".to_owned());
    }
    let optional: [(&str, String); 8] = [
        ("category", text("daily")),
        ("log_id", text(&timestamp(start).strftime("%Y-%m-%d").to_string())),
        ("version", text("1.0")),
        ("utc_offset", "-18000".to_owned()),
        ("offset_origin", text("profile")),
        ("tags", r#"["imported","søvn","\u2764"]"#.to_owned()),
        ("user_notes", r#"["after lunch: \"good\"\n\t2\/3","data: not a field"]"#.to_owned()),
        ("x_future_field", r#"{"nested":[1,2.50,-3e2,null,true,{}]}"#.to_owned()),
    ];
    for (name, value) in optional {
        if !layout.u8(..).is_multiple_of(4) {
            fields.add(name, value);
        }
    }
    let segments = readings_of(event.resource, size, content);
    if segments > 0 || layout.bool() {
        fields.add("segments", readings(event, segments, content));
    }
    fields
}

/// The user object of a record.
pub(super) fn user(seed: u64, user: u32) -> String {
    format!(
        r#"{{"user_id":"{}","uid":"customer-{user}","organization_id":"{}"}}"#,
        user_id(seed, user),
        hex24(&[seed, ORGANIZATION]),
    )
}

fn metrics(resource: Resource, content: &mut fastrand::Rng) -> String {
    let names: &[(&str, &str)] = match resource {
        Resource::Measurement => &[("body_weight", "kg"), ("bmi", "index")],
        Resource::Nutrition => &[("energy_consumed", "kcal"), ("protein", "g"), ("fat", "g")],
        Resource::Sleep => &[("sleep_duration", "s"), ("awake_duration", "s")],
        Resource::Summary => &[("steps", "count"), ("energy_burned", "kcal"), ("floors", "count")],
        Resource::Workout => &[("active_duration", "s"), ("distance", "m"), ("heart_rate", "bpm")],
        Resource::Cgm => &[("blood_glucose_mean", "mg/dl")],
        Resource::Intraday => &[("heart_rate_mean", "bpm"), ("steps", "count")],
    };
    let mut out = String::from("[");
    for (name, unit) in names {
        let before = if out.len() > 1 { "," } else { "" };
        let value = content.u32(..20_000);
        let written = write!(
            out,
            r#"{before}{{"type":"{name}","origin":"device","unit":"{unit}","value":{value}}}"#
        );
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    out.push(']');
    out
}

/// How many readings a record has: most have few, some a whole day.
fn readings_of(resource: Resource, size: Size, content: &mut fastrand::Rng) -> u32 {
    let most = match resource {
        Resource::Measurement | Resource::Nutrition | Resource::Summary => 0,
        Resource::Sleep => 30,
        Resource::Workout => 60,
        Resource::Cgm => 288,
        Resource::Intraday => 480,
    };
    let draws = (0..3).map(|_| content.u32(0..=most)).min().unwrap_or(0);
    if size == Size::Small { draws.min(4) } else { draws }
}

fn readings(event: &Event, count: u32, content: &mut fastrand::Rng) -> String {
    let mut out = String::with_capacity(2 + 80 * count as usize);
    out.push('[');
    let day = seconds(event.start_at());
    let day = day.get(..10).unwrap_or_default();
    for reading in 0..u64::from(count) {
        let before = if reading > 0 { "," } else { "" };
        let minute = (event.start_at() / MINUTE + reading * 3) % (24 * 60);
        let (hour, minute) = (minute / 60, minute % 60);
        let value = content.u16(40..400);
        let written = write!(
            out,
            r#"{before}{{"at":"{day}T{hour:02}:{minute:02}:00Z","value":{value},"quality":"ok"}}"#
        );
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    out.push(']');
    out
}

fn seconds(at: crate::model::Millis) -> String {
    format!("{:.0}", timestamp(at))
}
