//! What is in effect: files, drop-ins, environment and defaults as one file would have it.
//!
//! Made of the merged layers and the table of keys, so that every value is spelled as it was
//! written. A secret is `***`; the file or variable that it comes from is named.

use serde_json::{Map, Value, json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table};

use super::document::{Document, Layer};
use super::keys::{Key, Kind, SERVICE, SINK, STREAM};
use super::layers;

/// A configuration as one file would have it, without its secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective(Value);

impl Effective {
    /// Of layers that were checked; `service` and `defaults` with the environment over them.
    pub(super) fn new(document: Document) -> Self {
        let Document { service, defaults, streams, sinks } = document;
        let service = filled(&service, SERVICE);
        let stream = |stream: Layer| {
            let mut values = filled(&layers::merge(defaults.clone(), &stream), STREAM);
            for (key, default) in [("server_name", "name"), ("queue_bytes", "")] {
                let default = match default {
                    "" => service.get(key),
                    name => values.get(name),
                };
                if let (false, Some(default)) = (values.contains_key(key), default.cloned()) {
                    values.insert(key.to_owned(), default);
                }
            }
            Value::Object(values)
        };
        let streams: Value = streams.into_iter().map(stream).collect();
        let sinks: Value =
            sinks.into_iter().map(|sink| Value::Object(filled(&sink, SINK))).collect();
        Self(json!({ "service": service, "stream": streams, "sink": sinks }))
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
        for name in ["service", "stream", "sink"] {
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

/// A table's values, with the defaults of its rows, and stars for its secrets.
fn filled(layer: &Layer, rows: &[Key]) -> Map<String, Value> {
    let mut values = layer.values.clone();
    for key in rows {
        let is_variable = layer.places.is_variable(key.path);
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
