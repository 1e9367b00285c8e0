//! The stream resource and lists of it, as the service describes them.
//!
//! Sources: Inform API, "Stream resources". The answers are small and rare, so they are read into
//! a JSON value first and picked from it leniently: any field but the id may be missing or of
//! another type. A list comes as `{"streams": […], "meta": …}`, under `data`, or bare; a single
//! stream bare or under `stream` or `data`.

use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::time;

/// Streams on one page of a list, when the answer does not say (Inform API, "Stream resources").
pub const PAGE_LIMIT: usize = 25;

/// A stream on the server (Inform API, "Stream resources").
///
/// ```
/// let answer = br#"{"id":"5a1d9c0e9a6f4b0001a2b3c4","name":"acme","members":2}"#;
/// let stream = streamkeeper_inform::wire::Stream::from_answer(answer)?;
/// assert_eq!(stream.name.as_deref(), Some("acme"));
/// assert_eq!(stream.members, Some(2));
/// assert_eq!(stream.start_date, None);
/// # Ok::<(), streamkeeper_inform::wire::Malformed>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The server's identifier; never empty.
    pub id: String,
    /// The name given at creation; unique within the organization.
    pub name: Option<String>,
    /// The UTC day the stream begins with; `None`: the last 30 days.
    pub start_date: Option<Date>,
    /// Resource types delivered; empty: all. Fixed at creation.
    pub resource_filter: Vec<String>,
    /// Event types delivered; empty: the default (`data`). Fixed at creation.
    pub event_type_filter: Vec<String>,
    /// Clients connected now, as far as the server has noticed.
    pub members: Option<u32>,
    /// When the stream was created, in microseconds since the Unix epoch.
    pub created_at: Option<i64>,
}

/// One page of a list of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The streams in the server's order.
    pub streams: Vec<Stream>,
    /// How many streams there are on all pages, if the answer says.
    pub total: Option<usize>,
    /// The page size, if the answer says.
    pub limit: Option<usize>,
}

/// An answer that was not understood. Says what was missing, never what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{missing}{}", offset.map(|at| format!(" (byte {at})")).unwrap_or_default())]
pub struct Malformed {
    /// What was expected.
    pub missing: &'static str,
    /// Where in the body reading stopped, if it was not JSON.
    pub offset: Option<usize>,
}

impl Malformed {
    pub(crate) const fn missing(missing: &'static str) -> Self {
        Self { missing, offset: None }
    }
}

impl Stream {
    /// Reads the answer to a call on one stream.
    ///
    /// # Errors
    /// If the body is not JSON or holds no object with an id.
    pub fn from_answer(body: &[u8]) -> Result<Self, Malformed> {
        let value = parse(body)?;
        [value.get("stream"), value.get("data"), Some(&value)]
            .into_iter()
            .flatten()
            .find_map(Self::from_value)
            .ok_or(Malformed::missing("no stream object with an id"))
    }

    fn from_value(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let text = |key| fields.get(key).and_then(text);
        Some(Self {
            id: text("id").filter(|id| !id.is_empty())?,
            name: text("name"),
            start_date: text("start_date").as_deref().and_then(time::parse_date),
            resource_filter: texts(fields, "resource_filter"),
            event_type_filter: texts(fields, "event_type_filter"),
            members: fields.get("members").and_then(|members| match members {
                Value::Object(members) => members.get("count").and_then(number),
                other => number(other),
            }),
            created_at: text("created_at").as_deref().and_then(time::parse_micros),
        })
    }
}

impl Page {
    /// Reads the answer to a list call, in any of its forms.
    ///
    /// # Errors
    /// If the body is not JSON, holds no list, or a stream in it has no id.
    pub fn from_answer(body: &[u8]) -> Result<Self, Malformed> {
        let value = parse(body)?;
        let list = [Some(&value), value.get("streams"), value.get("data")]
            .into_iter()
            .flatten()
            .find_map(Value::as_array)
            .ok_or(Malformed::missing("no list of streams"))?;
        let streams = list
            .iter()
            .map(Stream::from_value)
            .collect::<Option<_>>()
            .ok_or(Malformed::missing("a stream in the list has no id"))?;
        let meta = |key| value.get("meta")?.get(key).and_then(number::<usize>);
        Ok(Self { streams, total: meta("total"), limit: meta("limit") })
    }
}

pub(crate) fn parse(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed {
        missing: "not JSON",
        offset: Some(offset(body, error.line(), error.column())),
    })
}

/// The library tells line and column; a byte offset says the same without quoting anything.
fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let before: usize = body
        .split_inclusive(|byte| *byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    before + column.saturating_sub(1)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn texts(fields: &Map<String, Value>, key: &str) -> Vec<String> {
    match fields.get(key) {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(Value::String(list)) => {
            list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect()
        }
        _ => Vec::new(),
    }
}

fn number<T: std::str::FromStr>(value: &Value) -> Option<T> {
    text(value)?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
