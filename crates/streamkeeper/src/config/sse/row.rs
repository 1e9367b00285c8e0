//! The keys of a row: those of `[stream.sse]`, and of `[dialects.NAME]`.

use super::{Row, values};
use crate::config::document::Layer;
use crate::config::error::Problem;
use crate::config::reader::Reader;
use crate::config::values::{duration, duration_or_off, flag};

/// Reads what stands over a row.
pub(in crate::config) fn set(reader: &mut Reader<'_>, row: &mut Row) {
    reader.set("alive_on", &mut row.alive_on, values::alive_on);
    reader.set("interval", &mut row.interval, values::interval);
    reader.set("stale_factor", &mut row.stale_factor, values::factor);
    reader.set("stale_floor", &mut row.stale_floor, duration);
    reader.set("cursor", &mut row.cursor, values::cursor);
    reader.set("cursor_via", &mut row.cursor_via, values::cursor_via);
    reader.set("identity", &mut row.identity, values::identity);
    reader.set("heartbeats", &mut row.heartbeats, values::names);
    reader.set("ignore", &mut row.ignore, values::names);
    reader.set("name", &mut row.name, values::name);
    reader.set("first_cursor", &mut row.first_cursor, values::first_cursor);
    reader.set("session", &mut row.session, values::session);
    reader.set("end", &mut row.end, values::names);
    reader.set("gap_check", &mut row.gap_check, values::gap_check);
    reader.set("resync", &mut row.resync, values::resync);
    reader.set("group", &mut row.group, values::group);
    reader.set("max_age", &mut row.max_age, duration_or_off);
    reader.set("redirects", &mut row.redirects, flag);
    reader.set("full_state", &mut row.full_state, flag);
}

/// What stands over a row.
pub(in crate::config) fn read(mut row: Row, layer: &Layer, problems: &mut Vec<Problem>) -> Row {
    let mut reader = Reader::new(layer.values.clone(), &layer.places, problems);
    set(&mut reader, &mut row);
    reader.finish();
    row
}
