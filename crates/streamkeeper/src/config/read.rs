//! Layers into settings: which keys each table has.
//!
//! Types and single values only; what has to hold between values is in `rules`, which
//! also sees a configuration made in code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use streamkeeper_sink::SinkTable;

use super::document::Layer;
use super::error::Problem;
use super::families::{self, Family};
use super::reader::Reader;
use super::secret::{self, Surroundings};
use super::sse::{presets, row};
use super::values::{
    self, Given, bytes, date, duration, duration_or_off, flag, number, one_of, text, texts,
};
use super::{
    Dialect, LogFormat, ResumeStrategy, Row, ServiceConfig, SinkConfig, SseTable, Strategy,
    StreamConfig, auth,
};
use crate::transport::Proxy;
use streamkeeper_sink::Secret;

pub(super) fn service(
    layer: &Layer,
    surroundings: &Surroundings,
    problems: &mut Vec<Problem>,
) -> ServiceConfig {
    let mut service = ServiceConfig::default();
    let mut reader = Reader::new(layer.values.clone(), &layer.places, problems);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    reader.set("data_dir", &mut service.data_dir, values::path);
    reader.set("listen", &mut service.listen, values::address_or_off);
    reader.set("log_format", &mut service.log_format, |given| one_of(given, &formats));
    reader.set("queue_bytes", &mut service.queue_bytes, bytes);
    let is_file = reader.has("token_file");
    service.token = secret::take(&mut reader, secret::TOKEN, surroundings);
    service.steering = is_file && service.token.is_some();
    reader.finish();
    service
}

/// What a stream's table is read with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) service: &'a ServiceConfig,
    /// The rows of the file's own.
    pub(super) rows: &'a BTreeMap<String, OwnRow>,
    pub(super) surroundings: &'a Surroundings,
}

/// A row of one's own, over the defaults for either kind of URL.
#[derive(Clone, Debug)]
pub(super) struct OwnRow {
    pub(super) sse: Row,
    pub(super) web_socket: Row,
}

/// What a word for a dialect stands for.
enum Meant {
    Inform,
    Sse(Box<SseTable>),
}

pub(super) fn stream(
    layer: &Layer,
    around: Around<'_>,
    problems: &mut Vec<Problem>,
) -> StreamConfig {
    let mut meant = None;
    let mut aside = Reader::new(layer.values.clone(), &layer.places, problems);
    let mut name = String::new();
    aside.require("name", &mut name, text);
    aside.set("dialect", &mut meant, |given| dialect(given, around.rows).map(Some));
    let is_unknown = layer.values.contains_key("dialect") && meant.is_none();
    let mut stream = match meant {
        Some(Meant::Sse(table)) => StreamConfig::sse(name, "", *table),
        Some(Meant::Inform) | None => StreamConfig::inform(name, "", Secret::new("")),
    };
    // What else is right depends on it.
    if is_unknown {
        return stream;
    }
    let mut layer = layer.clone();
    let family = match &stream.dialect {
        Dialect::Inform(_) => Family::Inform,
        Dialect::Sse(table) => Family::Sse(&table.dialect),
    };
    families::leave_out(&mut layer, &family, problems);
    let mut reader = Reader::new(layer.values, &layer.places, problems);
    for read in ["name", "dialect"] {
        reader.pass(read);
    }
    stream.queue_bytes = around.service.queue_bytes;
    common(&mut reader, &mut stream, around.surroundings);
    match &mut stream.dialect {
        Dialect::Inform(_) => inform(&mut reader, &mut stream, around.surroundings),
        Dialect::Sse(_) => sse(&mut reader, &mut stream, around),
    }
    policies(&mut reader, &mut stream);
    reader.finish();
    stream
}

fn dialect(given: &Given, rows: &BTreeMap<String, OwnRow>) -> Result<Meant, String> {
    let name = text(given)?;
    if name == "inform" {
        return Ok(Meant::Inform);
    }
    if let Some(table) = SseTable::preset(&name) {
        return Ok(Meant::Sse(Box::new(table)));
    }
    if let Some(row) = rows.get(&name) {
        return Ok(Meant::Sse(Box::new(SseTable::new(name, row.sse.clone()))));
    }
    let own = rows.keys().map(String::as_str);
    let known: Vec<_> = presets::NAMES.into_iter().chain(own).collect();
    Err(format!(
        "must be \"inform\", \"sse\" or a preset ({}), or have a row of its own: [dialects.{name}]",
        known.join(", ")
    ))
}

/// What any stream has.
fn common(reader: &mut Reader<'_>, stream: &mut StreamConfig, surroundings: &Surroundings) {
    reader.set("connections", &mut stream.connections, number);
    let file = |given: &Given| existing_file(given, surroundings).map(Some);
    reader.set("ca_file", &mut stream.ca_file, file);
    reader.set("client_cert_file", &mut stream.client_cert_file, file);
    reader.set("client_key_file", &mut stream.client_key_file, file);
    if let Some(proxy) = secret::take(reader, secret::PROXY, surroundings) {
        stream.proxy = if proxy.expose() == "off" { Proxy::Off } else { Proxy::Url(proxy) };
    }
    reader.set("max_event_bytes", &mut stream.max_event_bytes, bytes);
    reader.set("queue_bytes", &mut stream.queue_bytes, bytes);
    reader.set("call_timeout", &mut stream.call_timeout, duration);
    let watchdog = &mut stream.watchdog;
    let given = |given: &Given| duration(given).map(Some);
    reader.table("watchdog", |reader| {
        let is_alone = reader.has("stale_after") && !reader.has("late_after");
        reader.set("late_after", &mut watchdog.late_after, given);
        reader.set("stale_after", &mut watchdog.stale_after, given);
        reader.set("frame_timeout", &mut watchdog.frame_timeout, duration);
        reader.set("connect_timeout", &mut watchdog.connect_timeout, duration);
        // A default that nobody chose is no contradiction.
        if is_alone && watchdog.late_after >= watchdog.stale_after {
            watchdog.late_after = None;
        }
    });
}

/// What a stream of the Inform API has.
fn inform(reader: &mut Reader<'_>, stream: &mut StreamConfig, surroundings: &Surroundings) {
    let mut url = String::new();
    reader.require("url", &mut url, text);
    stream.url = Secret::new(url);
    let Some(table) = stream.as_inform_mut() else { return };
    reader.set("server_name", &mut table.server_name, text);
    if !secret::TOKEN.keys.iter().any(|key| reader.has(key)) {
        reader.problem("token", secret::TOKEN.missing());
    }
    if let Some(token) = secret::take(reader, secret::TOKEN, surroundings) {
        table.token = token;
    }
    reader.set("resource_filter", &mut table.resource_filter, texts);
    reader.set("event_types", &mut table.event_types, texts);
    reader.set("start_date", &mut table.start_date, |given| date(given).map(Some));
    reader.set("max_age", &mut table.max_age, duration_or_off);
    let recovery = &mut table.recovery;
    reader.table("recovery", |reader| {
        reader.set("strategy", &mut recovery.strategy, |given| {
            one_of(given, &[("recreate", Strategy::Recreate), ("replay", Strategy::Replay)])
        });
        reader.set("margin", &mut recovery.margin, duration);
        reader.set("settle", &mut recovery.settle, duration);
        reader.set("walk", &mut recovery.walk, duration);
        reader.set("verify_every", &mut recovery.verify_every, duration_or_off);
        reader.set("hold_patience", &mut recovery.hold_patience, duration);
        reader.set("lookback_days", &mut recovery.lookback_days, number);
        reader.set("max_recoveries", &mut recovery.max_recoveries, number);
        reader.set("within", &mut recovery.within, duration);
    });
}

/// What a stream of the sse family has.
fn sse(reader: &mut Reader<'_>, stream: &mut StreamConfig, around: Around<'_>) {
    let Around { rows, surroundings, .. } = around;
    if !secret::URL.keys.iter().any(|key| reader.has(key)) {
        reader.problem("url", secret::URL.missing());
    }
    if let Some(url) = secret::take(reader, secret::URL, surroundings) {
        stream.url = url;
    }
    let is_web_socket = stream.is_web_socket();
    let Dialect::Sse(table) = &mut stream.dialect else { return };
    if is_web_socket {
        let own = rows.get(&table.dialect).map(|row| row.web_socket.clone());
        let row = own.or_else(|| presets::row(&table.dialect, Row::web_socket()));
        table.row = row.unwrap_or_else(Row::web_socket);
    }
    table.auth = auth::read(reader, surroundings);
    reader.set("headers", &mut table.headers, values::headers);
    reader.table("recovery", |reader| {
        reader.set("strategy", &mut table.strategy, |given| {
            let built =
                [("resume", ResumeStrategy::Resume), ("reconnect", ResumeStrategy::Reconnect)];
            one_of(given, &built)
        });
    });
    reader.table("sse", |reader| row::set(reader, &mut table.row));
}

fn policies(reader: &mut Reader<'_>, stream: &mut StreamConfig) {
    let (hygiene, backoff, ledger) = (&mut stream.hygiene, &mut stream.backoff, &mut stream.ledger);
    reader.table("hygiene", |reader| {
        reader.set("enabled", &mut hygiene.enabled, flag);
        reader.set("max_consecutive_pokes", &mut hygiene.max_consecutive_pokes, number);
        reader.set("rest_initial", &mut hygiene.rest_initial, duration);
        reader.set("rest_max", &mut hygiene.rest_max, duration);
    });
    reader.table("backoff", |reader| {
        reader.set("initial", &mut backoff.initial, duration);
        reader.set("max", &mut backoff.max, duration);
        reader.set("retry_after_max", &mut backoff.retry_after_max, duration);
    });
    reader.table("ledger", |reader| {
        reader.set("commit_delay", &mut ledger.commit_delay, duration);
        reader.set("commit_bytes", &mut ledger.commit_bytes, bytes);
        reader.set("retention_days", &mut ledger.retention_days, number);
        reader.set("memory_bytes", &mut ledger.memory_bytes, bytes);
        reader
            .set("outbox_bytes", &mut ledger.outbox_bytes, |given| bytes(given).map(|n| n as u64));
        reader.set("outbox_age", &mut ledger.outbox_age, duration_or_off);
    });
}

pub(super) fn sink(layer: &Layer, problems: &mut Vec<Problem>) -> SinkConfig {
    let mut sink = SinkConfig::new("", "");
    let mut reader = Reader::new(layer.values.clone(), &layer.places, problems);
    reader.require("name", &mut sink.name, text);
    reader.require("type", &mut sink.kind, text);
    reader.set("streams", &mut sink.streams, texts);
    reader.set("types", &mut sink.types, texts);
    reader.table("retry", |reader| reader.set("attempts", &mut sink.attempts, values::attempts));
    sink.table = SinkTable::new(reader.into_rest());
    sink
}

fn existing_file(given: &Given, surroundings: &Surroundings) -> Result<PathBuf, String> {
    let file = surroundings.locate(&values::path(given)?);
    match std::fs::File::open(&file) {
        Ok(_) => Ok(file),
        Err(error) => Err(format!("cannot read {}: {error}", file.display())),
    }
}
