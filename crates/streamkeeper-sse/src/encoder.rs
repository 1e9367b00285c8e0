//! Frames in, bytes out.
//!
//! Every value goes on a line of its own as `name: value`, and LF ends every line, so what is
//! decoded again is what was encoded, with one exception: the standard has no way to carry a CR in
//! data, so CR and CRLF arrive as LF. What could not arrive at all is refused, rather than sent to
//! mean something else.

use bytes::{BufMut, BytesMut};

use crate::{Event, Field};

/// Why a frame cannot be written. Nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// An event name, a field's value or a comment has a CR or LF, which would end its line.
    #[error("a line end within a {0}")]
    LineEnd(&'static str),
    /// An id with a CR or LF would end its line, and one with NUL is ignored by every reader.
    #[error("a line end or NUL within an id")]
    Id,
    /// The name of an additional field is empty, is one that the standard knows, begins with a
    /// byte order mark, or has a colon, CR or LF.
    #[error("a field name that would be read as something else")]
    FieldName,
    /// The event has neither data nor any field: no reader would see it.
    #[error("an event without any field")]
    Empty,
}

/// Appends an event and the blank line that ends it.
///
/// The name is left out if it is empty, which means the same.
///
/// # Errors
///
/// See [`EncodeError`]; `out` is unchanged then.
///
/// ```
/// use bytes::BytesMut;
/// use streamkeeper_sse::{Event, encode_event};
///
/// let mut out = BytesMut::new();
/// encode_event(&Event::new("one\ntwo").with_name("poke"), &mut out).unwrap();
/// assert_eq!(out, "event: poke\ndata: one\ndata: two\n\n");
/// ```
pub fn encode_event(event: &Event, out: &mut BytesMut) -> Result<(), EncodeError> {
    let name = event.name.as_ref().filter(|name| !name.is_empty());
    check(event)?;
    let before = out.len();
    if let Some(name) = name {
        put(out, "event", name.as_str());
    }
    if let Some(id) = &event.id {
        put(out, "id", id.as_str());
    }
    if let Some(retry) = event.retry {
        let milliseconds = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
        put(out, "retry", &milliseconds.to_string());
    }
    for field in &event.fields {
        put(out, field.name.as_str(), field.value.as_str());
    }
    if event.has_data() {
        put_data(out, event.data.as_str());
    }
    if out.len() == before {
        return Err(EncodeError::Empty);
    }
    out.put_u8(b'\n');
    Ok(())
}

/// Appends a comment line, with no blank line after it: inside a block it would end the event.
///
/// # Errors
///
/// [`EncodeError::LineEnd`] if the text has a CR or LF; `out` is unchanged then.
pub fn encode_comment(text: &str, out: &mut BytesMut) -> Result<(), EncodeError> {
    one_line(text, "comment")?;
    put(out, "", text);
    Ok(())
}

fn check(event: &Event) -> Result<(), EncodeError> {
    if let Some(name) = &event.name {
        one_line(name.as_str(), "name")?;
    }
    if event.id.as_ref().is_some_and(|id| id.as_str().contains(['\r', '\n', '\0'])) {
        return Err(EncodeError::Id);
    }
    for Field { name, value } in &event.fields {
        let name = name.as_str();
        let known = matches!(name, "" | "data" | "event" | "id" | "retry");
        if known || name.starts_with('\u{FEFF}') || name.contains([':', '\r', '\n']) {
            return Err(EncodeError::FieldName);
        }
        one_line(value.as_str(), "field")?;
    }
    Ok(())
}

fn one_line(text: &str, what: &'static str) -> Result<(), EncodeError> {
    if text.contains(['\r', '\n']) { Err(EncodeError::LineEnd(what)) } else { Ok(()) }
}

fn put_data(out: &mut BytesMut, mut data: &str) {
    while let Some((line, rest)) = data.split_once(['\r', '\n']) {
        put(out, "data", line);
        let is_crlf = data.as_bytes().get(line.len()) == Some(&b'\r');
        data = rest.strip_prefix('\n').filter(|_| is_crlf).unwrap_or(rest);
    }
    put(out, "data", data);
}

/// The space is always there, so that a value which begins with one keeps it.
fn put(out: &mut BytesMut, name: &str, value: &str) {
    out.reserve(name.len() + value.len() + 3);
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_u8(b'\n');
}
