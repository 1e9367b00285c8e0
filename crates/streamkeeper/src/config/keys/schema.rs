//! The rows as a JSON Schema.

use serde_json::{Map, Value, json};

use super::{COMMON, Form, INFORM, Key, Kind, SERVICE, SINK, SSE, row};

pub(super) fn schema() -> Value {
    let stream: Vec<_> = [COMMON, INFORM, SSE].concat();
    let is_common = |key: &&Key| !matches!(key.path, "name" | "server_name");
    let defaults: Vec<_> = stream.iter().filter(is_common).copied().collect();
    let list = |rows: &[Key], closed: bool, required: &[&str]| {
        let mut item = table(rows, closed);
        item.insert("required".into(), json!(required));
        json!({ "type": "array", "items": item })
    };
    let row: Vec<_> = row().collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Streamkeeper configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "service": table(SERVICE, true),
            "defaults": table(&defaults, true),
            "stream": list(&stream, true, &["name"]),
            "sink": list(SINK, false, &["name", "type"]),
            "dialects": { "type": "object", "additionalProperties": table(&row, true) },
        },
    })
}

/// A table; its own tables are those of dotted paths. A closed one has no other keys.
fn table(rows: &[Key], closed: bool) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in rows {
        match key.path.split_once('.') {
            None if properties.contains_key(key.path) => {}
            None => drop(properties.insert(key.path.to_owned(), property(&all(rows, key.path)))),
            Some((inner, _)) if properties.contains_key(inner) => {}
            Some((inner, _)) => {
                let below = |key: &Key| {
                    let (table, path) = key.path.split_once('.')?;
                    (table == inner).then_some(Key { path, ..*key })
                };
                let rows: Vec<_> = rows.iter().filter_map(below).collect();
                properties.insert(inner.to_owned(), table(&rows, closed).into());
            }
        }
    }
    let mut schema = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), properties.into()),
    ]);
    if closed {
        schema.insert("additionalProperties".into(), json!(false));
    }
    schema
}

/// What the rows of one key say together: the families may differ in words and in the default.
fn all(rows: &[Key], path: &str) -> (Key, Vec<&'static str>) {
    let mut same = rows.iter().filter(|key| key.path == path).copied();
    let words = |key: &Key| match key.kind {
        Kind::OneOf(words) => words,
        _ => &[],
    };
    // Asked for a path that it is in.
    let mut key =
        same.next().unwrap_or(Key { path: "", kind: Kind::Text, default: None, help: "" });
    let mut known = words(&key).to_vec();
    for other in same {
        known.extend(words(&other));
        key.default = key.default.filter(|_| key.default == other.default);
    }
    (key, known)
}

fn property((key, words): &(Key, Vec<&'static str>)) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let duration = json!({ "type": "string", "pattern": DURATION });
    let mut schema = match key.kind {
        Kind::Text | Kind::Secret | Kind::Path => text,
        Kind::AddressOrOff => json!({ "type": "string", "pattern": ADDRESS }),
        Kind::OneOf(_) => json!({ "enum": words }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::NumberOr(least, most, word) => json!({
            "anyOf": [{ "const": word }, { "type": "integer", "minimum": least, "maximum": most }]
        }),
        // Of a size in text the limits cannot be said.
        Kind::Bytes(least, most) => {
            let mut number = json!({ "type": "integer", "minimum": least });
            if let (Some(number), true) = (number.as_object_mut(), most < u64::MAX) {
                number.insert("maximum".into(), json!(most));
            }
            json!({ "anyOf": [number, { "type": "string", "pattern": BYTES }] })
        }
        Kind::Duration => duration,
        Kind::DurationOrOff => json!({ "anyOf": [{ "const": "off" }, duration] }),
        Kind::Date => json!({ "type": "string", "pattern": DATE }),
        Kind::Factor => json!({ "type": "number", "minimum": 1, "maximum": 1000 }),
        Kind::TextTable => {
            json!({ "type": "object", "additionalProperties": { "type": "string", "minLength": 1 } })
        }
        Kind::Shape(form) => forms(form),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".into(), json!(key.help));
        if let Some(default) = key.default_value() {
            schema.insert("default".into(), default);
        }
    }
    schema
}

/// A value of several forms.
fn forms(Form { words, text, tables, list }: &Form) -> Value {
    let mut forms = vec![json!({ "enum": words })];
    if text.is_some() {
        forms.push(json!({ "type": "string", "minLength": 1 }));
    }
    if *list {
        forms.push(json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }));
    }
    for keys in *tables {
        let text = json!({ "type": "string", "minLength": 1 });
        let properties: Map<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
        forms.push(json!({
            "type": "object",
            "properties": properties,
            "required": keys,
            "additionalProperties": false,
        }));
    }
    json!({ "anyOf": forms })
}

const DURATION: &str = "^\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+$";
const BYTES: &str = "^\\s*[0-9]+\\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?\\s*$";
const DATE: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const ADDRESS: &str = "^(off|.+:[0-9]{1,5})$";
