//! The table says what the reader and the rules do.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::config::document::{Document, Layer, Places};
use crate::config::secret::Surroundings;
use crate::config::{Config, Row, ServiceConfig, read, reader};

/// A table with an empty table for every one that the rows know, so that the reader looks inside.
fn layer(rows: &[Key]) -> Layer {
    let mut values = Map::new();
    for key in rows {
        let (mut table, mut path) = (&mut values, key.path);
        while let Some((name, below)) = path.split_once('.') {
            let inner = table.entry(name).or_insert_with(|| json!({}));
            (table, path) = (inner.as_object_mut().unwrap(), below);
        }
    }
    Layer { values, places: Places::default() }
}

/// What the reader asks for, without the names of tables that the rows know.
fn asked(rows: &[Key], read: impl FnOnce(&Layer, &Surroundings)) -> BTreeSet<String> {
    let surroundings =
        Surroundings { variables: [].into(), today: Some(jiff::civil::date(2026, 11, 20)) };
    let layer = layer(rows);
    let mut asked = reader::asked_for(|| read(&layer, &surroundings));
    let tables = Value::Object(layer.values);
    let is_table = |key: &str| tables.pointer(&format!("/{}", key.replace('.', "/"))).is_some();
    asked.retain(|key| !is_table(key));
    asked
}

/// What the reader asks for of a stream of this dialect.
fn asked_of_stream(dialect: &str, rows: &[Key]) -> BTreeSet<String> {
    asked(rows, |layer, surroundings| {
        let mut layer = layer.clone();
        layer.values.insert("dialect".to_owned(), json!(dialect));
        let service = ServiceConfig::default();
        // What a preset is read from has the same keys, and is no stream.
        let own = read::OwnRow { sse: Row::default(), web_socket: Row::web_socket() };
        let rows = [("own".to_owned(), own)].into();
        let around = read::Around { service: &service, rows: &rows, surroundings };
        read::stream(&layer, around, &mut Vec::new());
    })
}

#[test]
fn every_key_of_the_reader_has_a_row_and_every_row_a_key() {
    let paths = |rows: &[Key]| {
        let paths: BTreeSet<_> = rows.iter().map(|key| key.path.to_owned()).collect();
        assert_eq!(paths.len(), rows.len(), "one row for each key");
        paths
    };
    let service = asked(SERVICE, |layer, around| {
        read::service(layer, around, &mut Vec::new());
    });
    assert_eq!(service, paths(SERVICE), "[service]: rows.rs");
    for (dialect, own) in [("inform", INFORM), ("own", SSE)] {
        let rows = [COMMON, own].concat();
        assert_eq!(asked_of_stream(dialect, &rows), paths(&rows), "[[stream]]: rows.rs");
    }
    let own = asked(&row().collect::<Vec<_>>(), |layer, _| {
        crate::config::sse::row::read(Row::default(), layer, &mut Vec::new());
    });
    assert_eq!(own, paths(&row().collect::<Vec<_>>()), "[dialects.NAME]: rows.rs");
    let sink = asked(SINK, |layer, _| {
        read::sink(layer, &mut Vec::new());
    });
    assert_eq!(sink, paths(SINK), "[[sink]]: rows.rs");
}

/// A file with these settings, besides what is required.
fn load(service: &str, stream: &str) -> Result<Config, String> {
    load_as("token = \"t\"", service, stream)
}

fn load_as(needed: &str, service: &str, stream: &str) -> Result<Config, String> {
    let text = format!(
        "[service]\n{service}\n[[stream]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n\
         {needed}\n{stream}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("main.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path, None, &[]).map_err(|errors| errors.to_string())
}

fn setting(key: &Key, value: &str) -> String {
    let plain = matches!(
        key.kind,
        Kind::Number(..) | Kind::Flag | Kind::Texts | Kind::Bytes(..) | Kind::Factor
    );
    let number = value.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && (number || !matches!(key.kind, Kind::Bytes(..)));
    if plain { format!("{} = {value}\n", key.path) } else { format!("{} = {value:?}\n", key.path) }
}

#[test]
fn every_default_is_what_the_reader_takes_without_the_key() {
    let set = |rows: &[Key]| -> String {
        rows.iter().filter_map(|key| Some(setting(key, key.default?))).collect()
    };
    let with = load(&set(SERVICE), &set(&[COMMON, INFORM].concat())).unwrap();
    assert_eq!(with, load("", "").unwrap());
    let of_any: Vec<_> = COMMON.iter().filter(|key| key.path != "dialect").copied().collect();
    let with = load_as("dialect = \"sse\"", "", &set(&[&of_any, SSE].concat())).unwrap();
    assert_eq!(with, load_as("dialect = \"sse\"", "", "").unwrap());
}

#[test]
fn every_limit_is_where_the_rules_refuse() {
    for (rows, is_stream) in [(SERVICE, false), (COMMON, true), (INFORM, true)] {
        for key in rows {
            let (Kind::Number(least, most) | Kind::Bytes(least, most)) = key.kind else { continue };
            let refused = |value: u64| {
                let text = setting(key, &value.to_string());
                let loaded = if is_stream { load("", &text) } else { load(&text, "") };
                let says = format!("{}: must be {least} to ", key.path);
                loaded.is_err_and(|message| message.contains(&says))
            };
            assert!(!refused(least) && (least == 0 || refused(least - 1)), "{}", key.path);
            if most < u64::MAX {
                assert!(!refused(most) && refused(most + 1), "{}", key.path);
            }
        }
    }
}

fn commented_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A commented file with every key that it has in comments.
fn uncommented(file: &str) -> toml_edit::DocumentMut {
    let is_key = |line: &str| {
        let name = line.split_once(" = ").map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(key) if is_key(key) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = commented_file(file).lines().map(line).collect();
    text.parse().unwrap()
}

/// The commented file as the reader sees it.
fn as_value(text: &str) -> Value {
    let document = Document::parse(Path::new("streamkeeper.toml"), text, &mut Vec::new()).unwrap();
    let tables = |layers: Vec<Layer>| layers.into_iter().map(|layer| layer.values).collect();
    let Document { service, defaults, streams, sinks, .. } = document;
    let (streams, sinks): (Vec<_>, Vec<_>) = (tables(streams), tables(sinks));
    json!({
        "service": service.values, "defaults": defaults.values,
        "stream": streams, "sink": sinks,
    })
}

#[test]
fn the_commented_file_has_every_key_and_is_what_the_schema_describes() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let all = as_value(&uncommented("streamkeeper.toml").to_string());
    let sse = as_value(&uncommented("sse.toml").to_string());
    let as_they_are = ["streamkeeper.toml", "sse.toml"].map(|name| as_value(&commented_file(name)));
    for file in [&all, &sse].into_iter().chain(&as_they_are) {
        let errors: Vec<_> = validator.iter_errors(file).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let inform = [COMMON, INFORM].concat();
    let files =
        [(&all, "stream", &*inform), (&sse, "stream", SSE), (&all, "sink", SINK)].into_iter();
    let files = files.map(|(file, table, rows)| (&file[table][0], rows));
    for (table, rows) in files.chain([(&all["service"], SERVICE)]) {
        for key in rows {
            let pointer = format!("/{}", key.path.replace('.', "/"));
            // A secret stands in one of its three forms.
            let name = key.path.trim_end_matches("_file").trim_end_matches("_env");
            let is_secret = |row: &Key| row.path == name && row.kind == Kind::Secret;
            let is_url = key.path.starts_with("url_");
            let secret = rows.iter().any(is_secret) || is_url;
            assert!(secret || table.pointer(&pointer).is_some(), "{} is not in it", key.path);
        }
    }
}

#[test]
fn the_commented_stream_of_the_sse_family_is_at_its_defaults() {
    let text = commented_file("sse.toml");
    let written = Config::from_toml_str(&text, &[]).unwrap().streams.remove(0);
    let (name, url) = (written.name.clone(), written.url.expose().to_owned());
    let table = crate::config::SseTable::preset("sse").unwrap();
    assert_eq!(written, crate::config::StreamConfig::sse(name, url, table));
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let stream = |more: Value| {
        let mut table = json!({ "name": "a" });
        table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "stream": [table] })
    };
    for (good, value) in [
        (true, stream(json!({ "connections": 3, "watchdog": { "late_after": "1h 30m" } }))),
        (true, stream(json!({ "queue_bytes": "4 MiB", "ledger": { "outbox_age": "off" } }))),
        (false, stream(json!({ "conections": 3 }))),
        (false, stream(json!({ "connections": 0 }))),
        (false, stream(json!({ "connections": "3" }))),
        (false, stream(json!({ "watchdog": { "late_after": 10 } }))),
        (false, stream(json!({ "watchdog": { "late": "10s" } }))),
        (false, stream(json!({ "start_date": "yesterday" }))),
        (false, json!({ "stream": [{}] })),
        (false, json!({ "defaults": { "name": "a" } })),
        (false, json!({ "servic": {} })),
        (true, stream(json!({ "dialect": "mercure", "auth": { "basic": { "user": "u" } } }))),
        (true, stream(json!({ "dialect": "own", "recovery": { "strategy": "reconnect" } }))),
        (true, stream(json!({ "sse": { "interval": "learn", "alive_on": ["a"] } }))),
        (true, stream(json!({ "sse": { "interval": { "url": "/b", "pointer": "/c" } } }))),
        (false, stream(json!({ "sse": { "interval": { "url": "/b" } } }))),
        (false, stream(json!({ "sse": { "stale_factor": 0.5 } }))),
        (false, stream(json!({ "recovery": { "strategy": "again" } }))),
        (true, json!({ "dialects": { "own": { "cursor": "/id", "max_age": "1h" } } })),
        (false, json!({ "dialects": { "own": { "curser": "/id" } } })),
        (true, json!({ "sink": [{ "name": "a", "type": "file", "path": "x" }] })),
    ] {
        assert_eq!(validator.is_valid(&value), good, "{value}");
    }
}

#[test]
fn the_documentation_lists_the_table() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let path = docs.join("configuration-reference.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "WRITE_DOCS=1 cargo test -p streamkeeper --lib config::keys");
}
