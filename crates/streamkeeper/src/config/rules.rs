//! What has to hold between settings, checked once, however the configuration was made.
//!
//! A finding names the table and the key; whoever loaded the configuration knows where
//! they stand.

use std::collections::HashSet;
use std::time::Duration;

use awc::http::Uri;
use streamkeeper_sink::SinkFactory;

use super::secret::Surroundings;
use super::sink::matches;
use super::{Config, Dialect, InformTable, ServiceConfig, StreamConfig, collisions, sse};
use crate::transport::{PROXY_URL, Proxy, Route, SettingsError, read_authorities, read_identity};

/// What breaks a rule.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) table: Table,
    /// The key path inside of the table.
    pub(super) key: String,
    pub(super) message: String,
}

/// A table of the configuration; streams and sinks by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Root,
    Service,
    Stream(usize),
    Sink(usize),
}

pub(super) fn check(
    config: &Config,
    factories: &[Box<dyn SinkFactory>],
    surroundings: &Surroundings,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |table, key: &str, message: String| {
        findings.push(Finding { table, key: key.to_owned(), message });
    };
    service(&config.service, &mut |key, message| note(Table::Service, key, message));
    if config.streams.is_empty() {
        note(Table::Root, "stream", "is missing: at least one [[stream]] is needed".into());
    }
    let mut names = HashSet::new();
    for (index, config) in config.streams.iter().enumerate() {
        let mut note = |key: &str, message| note(Table::Stream(index), key, message);
        name(&config.name, &mut names, "stream", &mut note);
        stream(config, surroundings, &mut note);
        durations(config, &mut note);
    }
    for (index, message) in collisions::on_the_service(&config.streams) {
        note(Table::Stream(index), "server_name", message);
    }
    for (index, message) in collisions::on_the_disk(&config.streams) {
        note(Table::Stream(index), "name", message);
    }
    names.clear();
    // Without every stream's name, a pattern that matches none says nothing.
    let names_are_known =
        !config.streams.is_empty() && config.streams.iter().all(|stream| !stream.name.is_empty());
    for (index, sink) in config.sinks.iter().enumerate() {
        let mut note = |key: &str, message| note(Table::Sink(index), key, message);
        name(&sink.name, &mut names, "sink", &mut note);
        for pattern in &sink.streams {
            // A wildcard may wait for streams that come with a drop-in file.
            if names_are_known
                && !pattern.contains('*')
                && !config.streams.iter().any(|stream| matches(pattern, &stream.name))
            {
                note("streams", format!("has {pattern:?}, which matches no stream"));
            }
        }
        match factories.iter().find(|factory| factory.type_name() == sink.kind) {
            Some(factory) => {
                if let Err(error) = factory.check(&sink.name, sink.table.clone()) {
                    note(&error.key, error.message);
                }
            }
            None => note("type", no_such_type(&sink.kind, factories)),
        }
    }
    for (index, key, message) in collisions::of_outputs(config, factories) {
        note(Table::Sink(index), &key, message);
    }
    findings
}

type Note<'a> = dyn FnMut(&str, String) + 'a;

fn no_such_type(kind: &str, factories: &[Box<dyn SinkFactory>]) -> String {
    let names: Vec<_> =
        factories.iter().map(|factory| format!("\"{}\"", factory.type_name())).collect();
    format!("\"{kind}\" is not available in this version: use {}", names.join(" or "))
}

fn name<'a>(name: &'a str, names: &mut HashSet<&'a str>, what: &str, note: &mut Note<'_>) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_good = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_plain);
    if !is_good {
        note(
            "name",
            format!(
                "must be 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` or `-`, beginning \
                 with a letter or digit: it becomes a folder"
            ),
        );
    } else if !names.insert(name) {
        note("name", format!("\"{name}\" is the name of another {what}: choose a new one"));
    }
}

fn service(service: &ServiceConfig, note: &mut Note<'_>) {
    if service.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
        note("token", "must not be empty".into());
    }
    if service.steering && service.token.is_none() {
        note("steering", "needs a `token`".into());
    }
    let is_open = service.listen.is_some_and(|address| !address.ip().to_canonical().is_loopback());
    if is_open && service.token.is_none() {
        note(
            "listen",
            "is not a loopback address: give a `token` in [service], or listen on 127.0.0.1".into(),
        );
    }
    within("queue_bytes", service.queue_bytes, QUEUE_BYTES, note);
}

fn stream(stream: &StreamConfig, surroundings: &Surroundings, note: &mut Note<'_>) {
    match &stream.dialect {
        Dialect::Inform(table) => inform(stream, table, surroundings, note),
        Dialect::Sse(table) => sse::check(stream, table, note),
    }
    network(stream, surroundings, note);
    within("max_event_bytes", stream.max_event_bytes, EVENT_BYTES, note);
    within("queue_bytes", stream.queue_bytes, QUEUE_BYTES, note);
    if stream.queue_bytes < stream.max_event_bytes {
        note(
            "queue_bytes",
            "must not be below max_event_bytes: the largest event has to fit".into(),
        );
    }
    let hygiene = &stream.hygiene;
    within("hygiene.max_consecutive_pokes", hygiene.max_consecutive_pokes as usize, COUNT, note);
    let ledger = &stream.ledger;
    let outbox_bytes = usize::try_from(ledger.outbox_bytes).unwrap_or(usize::MAX);
    within("ledger.commit_bytes", ledger.commit_bytes, (1, QUEUE_BYTES.1), note);
    within("ledger.retention_days", ledger.retention_days as usize, (32, 3_650), note);
    within("ledger.memory_bytes", ledger.memory_bytes, (1 << 20, usize::MAX), note);
    within("ledger.outbox_bytes", outbox_bytes, (1 << 20, usize::MAX), note);
}

/// What only a stream of the Inform API has.
fn inform(
    stream: &StreamConfig,
    table: &InformTable,
    surroundings: &Surroundings,
    note: &mut Note<'_>,
) {
    url(stream.url.expose(), note);
    if table.token.expose().is_empty() {
        note("token", "must not be empty".into());
    }
    if table.server_name.is_empty() {
        note("server_name", "must not be empty".into());
    }
    within("connections", stream.connections as usize, (1, 20), note);
    let known = ["data", "rule", "connection"];
    let types = &table.event_types;
    if types.is_empty() || !types.iter().all(|kind| known.contains(&kind.as_str())) {
        note("event_types", "must be one or more of \"data\", \"rule\", \"connection\"".into());
    }
    if table.resource_filter.iter().any(String::is_empty) {
        note("resource_filter", "must not hold empty text".into());
    }
    if let (Some(date), Some(today)) = (table.start_date, surroundings.today)
        && date > today
    {
        note("start_date", format!("must not be after today, {today} in UTC"));
    }
    let recovery = &table.recovery;
    within("recovery.lookback_days", recovery.lookback_days as usize, (0, 30), note);
    within("recovery.max_recoveries", recovery.max_recoveries as usize, COUNT, note);
}

/// Why a token in the URL is refused: the URL is not kept as a secret.
fn url(url: &str, note: &mut Note<'_>) {
    let parsed = url.parse::<Uri>().ok();
    let is_http = parsed.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if url.contains(['?', '#', '@']) {
        note(
            "url",
            "must not hold a user, a query or a fragment: the token goes into `token`, \
             `token_file` or `token_env`"
                .into(),
        );
    } else if !is_http {
        note(
            "url",
            "must be an http or https URL, such as \"https://streams.v2.validic.com\"".into(),
        );
    }
}

/// What stands between, and who vouches for whom.
fn network(stream: &StreamConfig, surroundings: &Surroundings, note: &mut Note<'_>) {
    match &stream.proxy {
        Proxy::Off => {}
        Proxy::Url(url) if Route::parse(url).is_some() => {}
        Proxy::Url(_) => note("proxy", format!("must be \"off\" or {PROXY_URL}")),
        Proxy::Environment => {
            let variable = |name: &str| surroundings.variables.get(name).cloned();
            if let Err(error) = Route::of_environment(stream.url.expose(), variable) {
                note("proxy", format!("is not given, and the environment's is wrong: {error}"));
            }
        }
    }
    let (cert, key) = (stream.client_cert_file.as_deref(), stream.client_key_file.as_deref());
    let identity = read_identity(cert, key).err();
    // The system's are looked at when they are needed.
    let authorities = stream.ca_file.as_deref().and_then(|file| read_authorities(Some(file)).err());
    for error in identity.into_iter().chain(authorities) {
        match error {
            SettingsError::File { key, file, fault } => {
                note(key, format!("{} {fault}", file.display()));
            }
            SettingsError::Half { missing, given } => {
                note(missing, format!("is missing: {given} needs it"));
            }
            other => note("", other.to_string()),
        }
    }
}

fn durations(stream: &StreamConfig, note: &mut Note<'_>) {
    let StreamConfig { watchdog, hygiene, backoff, ledger, .. } = stream;
    let mut all = vec![
        ("call_timeout", Some(stream.call_timeout)),
        ("watchdog.late_after", watchdog.late_after),
        ("watchdog.stale_after", watchdog.stale_after),
        ("watchdog.frame_timeout", Some(watchdog.frame_timeout)),
        ("watchdog.connect_timeout", Some(watchdog.connect_timeout)),
        ("hygiene.rest_initial", Some(hygiene.rest_initial)),
        ("hygiene.rest_max", Some(hygiene.rest_max)),
        ("backoff.initial", Some(backoff.initial)),
        ("backoff.max", Some(backoff.max)),
        ("backoff.retry_after_max", Some(backoff.retry_after_max)),
        ("ledger.commit_delay", Some(ledger.commit_delay)),
        ("ledger.outbox_age", ledger.outbox_age),
    ];
    match &stream.dialect {
        Dialect::Inform(table) => {
            let recovery = &table.recovery;
            all.extend([
                ("max_age", table.max_age),
                ("recovery.margin", Some(recovery.margin)),
                ("recovery.settle", Some(recovery.settle)),
                ("recovery.walk", Some(recovery.walk)),
                ("recovery.verify_every", recovery.verify_every),
                ("recovery.hold_patience", Some(recovery.hold_patience)),
                ("recovery.within", Some(recovery.within)),
            ]);
        }
        Dialect::Sse(table) => all.extend([
            ("sse.interval", table.row.interval.fixed()),
            ("sse.stale_floor", Some(table.row.stale_floor)),
            ("sse.max_age", table.row.max_age),
        ]),
    }
    for (key, duration) in all {
        if duration.is_some_and(|duration| duration.is_zero() || duration > DURATION_MAX) {
            note(key, "must be longer than zero and at most a year".into());
        }
    }
    let show = humantime::format_duration;
    // What follows of another value gives way to it.
    if let (Some(late_after), Some(stale_after)) = (watchdog.late_after, watchdog.stale_after)
        && late_after >= stale_after
    {
        let stale_after = show(stale_after);
        note("watchdog.late_after", format!("must be below stale_after, which is {stale_after}"));
    }
    if hygiene.rest_initial > hygiene.rest_max {
        let rest_max = show(hygiene.rest_max);
        note("hygiene.rest_initial", format!("must not be above rest_max, which is {rest_max}"));
    }
    if backoff.initial > backoff.max {
        let max = show(backoff.max);
        note("backoff.initial", format!("must not be above max, which is {max}"));
    }
}

fn within(key: &str, value: usize, (min, max): (usize, usize), note: &mut Note<'_>) {
    if !(min..=max).contains(&value) {
        note(key, format!("must be {min} to {max}, not {value}"));
    }
}

/// A name is a folder, a metric label and a part of log lines.
const NAME_BYTES_MAX: usize = 64;
/// From a small record (600 bytes) to far more than an `intraday` day, and to what the ledger takes.
/// The ledger must be able to take every event: bytes that are not UTF-8 become three each, and an id,
/// which may be nearly all of an event, stands in its head once more.
const EVENT_BYTES: (usize, usize) = (1 << 10, streamkeeper_ledger::EVENT_BYTES_MAX / 8);
const QUEUE_BYTES: (usize, usize) = (1 << 10, 64 << 30);
const COUNT: (usize, usize) = (1, 1_000_000);
/// Far above every use, and far below where adding to a time overflows.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
