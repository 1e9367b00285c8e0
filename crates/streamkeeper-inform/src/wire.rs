//! The stream resource and lists of it, as the service describes them.
//!
//! Sources: Inform API, "Stream resources". The answers are picked from leniently: any field but the
//! id may be missing or of another type, and what is not asked for (a colleague's stream may have
//! any name) cannot spoil the rest, as long as the whole is JSON. A list comes as `{"streams": […], "meta": …}`, under `data`, or bare; a single
//! stream bare or under `stream` or `data`.

use std::borrow::Cow;

use jiff::civil::Date;
use serde::de::IgnoredAny;

use crate::json;
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
        let text = parse(body)?;
        let answer = Json(&text);
        [answer.get("stream"), answer.get("data"), Some(answer)]
            .into_iter()
            .flatten()
            .find_map(Self::from_json)
            .ok_or(Malformed::missing("no stream object with an id"))
    }

    fn from_json(fields: Json<'_>) -> Option<Self> {
        let text = |key| fields.get(key)?.text();
        let members = fields.get("members");
        Some(Self {
            id: text("id")?.into_owned(),
            name: text("name").map(Cow::into_owned),
            start_date: text("start_date").as_deref().and_then(time::parse_date),
            resource_filter: fields.texts("resource_filter"),
            event_type_filter: fields.texts("event_type_filter"),
            members: members.and_then(|members| members.get("count").unwrap_or(members).number()),
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
        let text = parse(body)?;
        let answer = Json(&text);
        let list = [Some(answer), answer.get("streams"), answer.get("data")]
            .into_iter()
            .flatten()
            .find_map(Json::elements)
            .ok_or(Malformed::missing("no list of streams"))?;
        let streams = list
            .into_iter()
            .map(Stream::from_json)
            .collect::<Option<_>>()
            .ok_or(Malformed::missing("a stream in the list has no id"))?;
        let meta = |key| answer.get("meta")?.get(key)?.number();
        Ok(Self { streams, total: meta("total"), limit: meta("limit") })
    }
}

/// The text of an answer that is JSON. Bytes in its strings that are not UTF-8 are replaced.
pub(crate) fn parse(body: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| Malformed {
        missing: "not JSON",
        offset: Some(offset(body, error.line(), error.column())),
    })?;
    Ok(String::from_utf8_lossy(body))
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

/// One value of an answer, unread.
#[derive(Clone, Copy)]
pub(crate) struct Json<'a>(pub(crate) &'a str);

impl<'a> Json<'a> {
    /// The member of that name, if this is an object that has it.
    pub(crate) fn get(self, name: &str) -> Option<Self> {
        let mut found = None;
        self.each_member(|member, value| {
            if member == name {
                found = Some(value);
            }
        })?;
        found
    }

    /// Every member, if this is an object.
    pub(crate) fn each_member(self, mut each: impl FnMut(&str, Self)) -> Option<()> {
        json::members(self.0, |name, raw| each(name, Self(raw)))
    }

    /// The elements, if this is a list.
    pub(crate) fn elements(self) -> Option<Vec<Self>> {
        let mut elements = Vec::new();
        json::elements(self.0, |raw| elements.push(Self(raw)))?;
        Some(elements)
    }

    /// A string or a number as text, if it is one and not empty.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        json::text(self.0)
    }

    fn number<T: std::str::FromStr>(self) -> Option<T> {
        self.text()?.trim().parse().ok()
    }

    /// A list of texts, or a text with commas.
    fn texts(self, key: &str) -> Vec<String> {
        let Some(value) = self.get(key) else { return Vec::new() };
        if let Some(list) = value.elements() {
            return list.into_iter().filter_map(Json::text).map(Cow::into_owned).collect();
        }
        let list = value.text().filter(|_| value.0.starts_with('"')).unwrap_or_default();
        list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect()
    }
}

#[cfg(test)]
mod tests;
