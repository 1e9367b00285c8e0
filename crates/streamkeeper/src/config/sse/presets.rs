//! The presets, read from their file as the rows of anyone else are.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Row, row};
use crate::config::document::{Document, Layer};

/// Their names, in the order of the documentation.
pub(in crate::config) const NAMES: [&str; 14] = [
    "sse",
    "spring",
    "axum",
    "pilcrow",
    "couchdb",
    "wikimedia",
    "mercure",
    "mastodon",
    "hue",
    "horizon",
    "launchdarkly",
    "mcp",
    "nchan",
    "journald",
];

const TEXT: &str = include_str!("presets.toml");

/// The row of a preset, over that one; `None` if there is none of the name.
pub(in crate::config) fn row(name: &str, over: Row) -> Option<Row> {
    // A test holds that none has a problem.
    Some(row::read(over, &layer(name)?, &mut Vec::new()))
}

/// The keys of a preset, as they are written.
pub(in crate::config) fn values(name: &str) -> Option<Map<String, Value>> {
    layer(name).map(|layer| layer.values)
}

pub(super) fn layer(name: &str) -> Option<Layer> {
    if !NAMES.contains(&name) {
        return None;
    }
    Document::rows(Path::new("presets.toml"), TEXT).remove(name)
}
