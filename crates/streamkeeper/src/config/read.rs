//! Layers into settings: which keys each table has.
//!
//! Types and single values only; what has to hold between values is in `rules`, which
//! also sees a configuration made in code.

use std::path::PathBuf;

use streamkeeper_sink::SinkTable;

use super::document::Layer;
use super::error::Problem;
use super::reader::Reader;
use super::secret::{self, Surroundings};
use super::values::{
    self, Given, bytes, date, duration, duration_or_off, flag, number, one_of, text, texts,
};
use super::{Dialect, LogFormat, ServiceConfig, SinkConfig, Strategy, StreamConfig};
use crate::base::secret::Secret;
use crate::transport::Proxy;

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
    reader.set("log_format", &mut service.log_format, |given| one_of(given, &formats, &[]));
    reader.set("queue_bytes", &mut service.queue_bytes, bytes);
    let is_file = reader.has("token_file");
    service.token = secret::take(&mut reader, secret::TOKEN, surroundings);
    service.steering = is_file && service.token.is_some();
    reader.finish();
    service
}

pub(super) fn stream(
    layer: &Layer,
    service: &ServiceConfig,
    surroundings: &Surroundings,
    problems: &mut Vec<Problem>,
) -> StreamConfig {
    let mut stream = StreamConfig::inform("", "", Secret::new(""));
    stream.queue_bytes = service.queue_bytes;
    let mut reader = Reader::new(layer.values.clone(), &layer.places, problems);
    let dialects = [("inform", Dialect::Inform)];
    reader.require("name", &mut stream.name, text);
    stream.server_name = stream.name.clone();
    reader.set("server_name", &mut stream.server_name, text);
    reader.set("dialect", &mut stream.dialect, |given| {
        one_of(given, &dialects, &["sse", "heartbeat"])
    });
    reader.require("url", &mut stream.url, text);
    if !secret::TOKEN.keys.iter().any(|key| reader.has(key)) {
        reader.problem("token", secret::TOKEN.missing());
    }
    stream.token = secret::take(&mut reader, secret::TOKEN, surroundings).unwrap_or(stream.token);
    reader.set("connections", &mut stream.connections, number);
    reader.set("resource_filter", &mut stream.resource_filter, texts);
    reader.set("event_types", &mut stream.event_types, texts);
    reader.set("start_date", &mut stream.start_date, |given| date(given).map(Some));
    let file = |given: &Given| existing_file(given, surroundings).map(Some);
    reader.set("ca_file", &mut stream.ca_file, file);
    reader.set("client_cert_file", &mut stream.client_cert_file, file);
    reader.set("client_key_file", &mut stream.client_key_file, file);
    if let Some(proxy) = secret::take(&mut reader, secret::PROXY, surroundings) {
        stream.proxy = if proxy.expose() == "off" { Proxy::Off } else { Proxy::Url(proxy) };
    }
    reader.set("max_event_bytes", &mut stream.max_event_bytes, bytes);
    reader.set("queue_bytes", &mut stream.queue_bytes, bytes);
    reader.set("call_timeout", &mut stream.call_timeout, duration);
    policies(&mut reader, &mut stream);
    reader.finish();
    stream
}

fn policies(reader: &mut Reader<'_>, stream: &mut StreamConfig) {
    let (watchdog, hygiene) = (&mut stream.watchdog, &mut stream.hygiene);
    let (recovery, backoff) = (&mut stream.recovery, &mut stream.backoff);
    let ledger = &mut stream.ledger;
    reader.table("watchdog", |reader| {
        reader.set("late_after", &mut watchdog.late_after, duration);
        reader.set("stale_after", &mut watchdog.stale_after, duration);
        reader.set("frame_timeout", &mut watchdog.frame_timeout, duration);
        reader.set("connect_timeout", &mut watchdog.connect_timeout, duration);
    });
    reader.table("hygiene", |reader| {
        reader.set("enabled", &mut hygiene.enabled, flag);
        reader.set("max_consecutive_pokes", &mut hygiene.max_consecutive_pokes, number);
        reader.set("rest_initial", &mut hygiene.rest_initial, duration);
        reader.set("rest_max", &mut hygiene.rest_max, duration);
    });
    reader.table("recovery", |reader| {
        reader.set("strategy", &mut recovery.strategy, |given| {
            let planned = ["replay", "resume", "reconnect"];
            one_of(given, &[("recreate", Strategy::Recreate)], &planned)
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
