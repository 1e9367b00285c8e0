//! Keys that only streams of one family have, met in a stream of the other.
//!
//! One that stands in the stream's own table is a mistake, and said. One that comes from `[defaults]` is meant
//! for others, and left aside.

use serde_json::{Map, Value};

use super::document::{Layer, Places};
use super::error::{Place, Problem};
use super::keys::{COMMON, INFORM, Key, SSE};

/// A family of dialects.
pub(super) enum Family<'a> {
    Inform,
    /// With the dialect's name.
    Sse(&'a str),
}

/// Takes out what a stream of this family cannot have.
pub(super) fn leave_out(layer: &mut Layer, family: &Family<'_>, problems: &mut Vec<Problem>) {
    let (own, foreign, message) = match family {
        Family::Inform => (
            INFORM,
            SSE,
            "belongs to the sse family, and the dialect is \"inform\": set `dialect` to \"sse\", or to a \
             preset"
                .to_owned(),
        ),
        Family::Sse(dialect) => (
            SSE,
            INFORM,
            format!(
                "belongs to the Inform API: a stream of the dialect {dialect:?} has no such key"
            ),
        ),
    };
    let has = |rows: &[Key], path: &str| rows.iter().any(|key| key.path == path);
    let mut paths: Vec<&str> = Vec::new();
    for key in foreign.iter().filter(|key| !has(own, key.path)) {
        // A table of which nothing is known here is one thing.
        let path = match key.path.split_once('.') {
            Some((table, _)) if !is_table_of(own, table) => table,
            _ => key.path,
        };
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    for path in paths {
        if take(&mut layer.values, path) && !is_default(&layer.places, path) {
            problems.push(layer.places.problem(path, &*message));
        }
    }
    if matches!(family, Family::Sse(_)) && is_default(&layer.places, "connections") {
        take(&mut layer.values, "connections");
    }
}

/// Whether a family, or any stream, has keys in a table.
fn is_table_of(own: &[Key], table: &str) -> bool {
    let is_in = |key: &Key| key.path.split_once('.').is_some_and(|(name, _)| name == table);
    own.iter().chain(COMMON).any(is_in)
}

/// Takes a value out; whether there was one.
fn take(values: &mut Map<String, Value>, path: &str) -> bool {
    match path.split_once('.') {
        None => values.remove(path).is_some(),
        Some((table, below)) => values
            .get_mut(table)
            .and_then(Value::as_object_mut)
            .is_some_and(|inner| take(inner, below)),
    }
}

/// Whether it was written for all streams.
fn is_default(places: &Places, path: &str) -> bool {
    places.keys.get(path).is_some_and(|spot| {
        matches!(spot.place, Place::Variable(_)) || spot.key.starts_with("defaults.")
    })
}
