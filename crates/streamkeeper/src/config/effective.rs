//! What is in effect: files, drop-ins, environment and defaults as one file would have it.
//!
//! Made of the merged layers and the table of keys, so that every value is spelled as it was
//! written. A secret is `***`; the file or variable that it comes from is named.

use serde_json::{Map, Value, json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table};

use super::document::{Document, Layer};
use super::families::{self, Family};
use super::keys::{COMMON, INFORM, Key, Kind, SERVICE, SINK, SSE, row};
use super::layers;
use super::sse::presets;
use crate::transport::is_web_socket;

/// A configuration as one file would have it, without its secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective(Value);

impl Effective {
    /// Of layers that were checked; `service` and `defaults` with the environment over them.
    pub(super) fn new(document: Document) -> Self {
        let Document { service, defaults, streams, sinks, dialects } = document;
        let service = filled(&service, SERVICE);
        let rows: Map<_, _> = dialects
            .into_iter()
            .map(|(name, layer)| (name, Value::Object(filled(&layer, &row().collect::<Vec<_>>()))))
            .collect();
        let stream = |stream: Layer| {
            let mut values = stream_values(layers::merge(defaults.clone(), &stream), &rows);
            let default = service.get("queue_bytes").cloned();
            if let (false, Some(default)) = (values.contains_key("queue_bytes"), default) {
                values.insert("queue_bytes".to_owned(), default);
            }
            Value::Object(values)
        };
        let streams: Value = streams.into_iter().map(stream).collect();
        let sinks: Value =
            sinks.into_iter().map(|sink| Value::Object(filled(&sink, SINK))).collect();
        let mut all = json!({ "service": service, "stream": streams, "sink": sinks });
        if let (false, Some(all)) = (rows.is_empty(), all.as_object_mut()) {
            all.insert("dialects".to_owned(), Value::Object(rows));
        }
        Self(all)
    }

    /// As JSON.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// As a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut document = DocumentMut::new();
        for name in ["service", "dialects", "stream", "sink"] {
            let item = match self.0.get(name) {
                Some(Value::Object(values)) => Item::Table(table(values)),
                Some(Value::Array(tables)) => Item::ArrayOfTables(
                    tables
                        .iter()
                        .filter_map(Value::as_object)
                        .map(table)
                        .collect::<ArrayOfTables>(),
                ),
                _ => continue,
            };
            document.insert(name, item);
        }
        document.to_string()
    }
}

/// A stream's values, of which those that only another family has are left aside.
/// Where a WebSocket has another default: as `Row::web_socket` says.
const WEB_SOCKET_DEFAULTS: [(&str, &str); 3] =
    [("interval", "20s"), ("cursor", "none"), ("identity", "none")];

fn stream_values(mut layer: Layer, rows: &Map<String, Value>) -> Map<String, Value> {
    let dialect =
        layer.values.get("dialect").and_then(Value::as_str).unwrap_or("inform").to_owned();
    if dialect == "inform" {
        families::leave_out(&mut layer, &Family::Inform, &mut Vec::new());
        let mut values = filled(&layer, &[COMMON, INFORM].concat());
        if let (false, Some(name)) =
            (values.contains_key("server_name"), values.get("name").cloned())
        {
            values.insert("server_name".to_owned(), name);
        }
        return values;
    }
    families::leave_out(&mut layer, &Family::Sse(&dialect), &mut Vec::new());
    let own = rows.get(&dialect).and_then(Value::as_object).cloned();
    let mut row = own.or_else(|| presets::values(&dialect)).unwrap_or_default();
    if let Some(Value::Object(over)) = layer.values.get("sse") {
        row.extend(over.clone());
    }
    if layer.values.get("url").and_then(Value::as_str).is_some_and(is_web_socket) {
        for (key, value) in WEB_SOCKET_DEFAULTS {
            row.entry(key).or_insert_with(|| value.into());
        }
    }
    layer.values.insert("sse".to_owned(), Value::Object(row));
    let mut values = filled(&layer, &[COMMON, SSE].concat());
    if let Some(Value::String(url)) = values.get_mut("url")
        && let Some((shown, _)) = url.split_once('?')
    {
        *url = format!("{shown}?{STARS}");
    }
    if let Some(Value::Object(headers)) = values.get_mut("headers") {
        headers.values_mut().for_each(|value| *value = Value::from(STARS));
    }
    values
}

/// A table's values, with the defaults of its rows, and stars for its secrets.
fn filled(layer: &Layer, rows: &[Key]) -> Map<String, Value> {
    let mut values = layer.values.clone();
    for key in rows {
        let is_variable = layer.places.is_variable(key.path);
        if key.default.is_none() && !has(&values, key.path) {
            continue;
        }
        let Some(place) = place(&mut values, key.path) else { continue };
        if key.kind == Kind::Secret && !place.is_null() {
            *place = Value::from(STARS);
        }
        if let (true, Value::String(text)) = (is_variable, &*place) {
            *place = key.of_variable(text);
        }
        if place.is_null() {
            *place = key.default_value().unwrap_or_default();
        }
    }
    values.retain(|_, value| !value.is_null());
    if rows.as_ptr() == SINK.as_ptr() {
        hide_foreign(&mut values);
    }
    values
}

fn has(values: &Map<String, Value>, path: &str) -> bool {
    match path.split_once('.') {
        None => values.contains_key(path),
        Some((table, below)) => {
            values.get(table).and_then(Value::as_object).is_some_and(|inner| has(inner, below))
        }
    }
}

/// The value at a path, made `null` if it is not there.
fn place<'a>(values: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => Some(values.entry(path).or_insert(Value::Null)),
        Some((table, below)) => {
            place(values.entry(table).or_insert_with(|| json!({})).as_object_mut()?, below)
        }
    }
}

/// A sink's own keys are not known here: what may be a secret by its name, or may hold one as an
/// address with a password does, is not shown.
fn hide_foreign(values: &mut Map<String, Value>) {
    for (key, value) in values {
        let named = ["token", "secret", "password", "key"].iter().any(|word| key.contains(word));
        let refers = key.ends_with("_file") || key.ends_with("_env");
        match value {
            Value::Object(values) => hide_foreign(values),
            Value::String(text) if text.contains('@') || (named && !refers) => {
                *value = Value::from(STARS);
            }
            _ => {}
        }
    }
}

fn table(values: &Map<String, Value>) -> Table {
    values.iter().filter_map(|(key, value)| Some((key, item(value)?))).collect()
}

fn item(value: &Value) -> Option<Item> {
    Some(match value {
        Value::Object(values) => Item::Table(table(values)),
        other => Item::Value(plain(other)?),
    })
}

fn plain(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::String(text) => text.into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        Value::Array(items) => items.iter().filter_map(plain).collect::<Array>().into(),
        Value::Object(_) | Value::Null => return None,
    })
}

const STARS: &str = "***";
