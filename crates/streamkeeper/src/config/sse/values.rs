//! The values of a row: what each may look like, and what to say if it does not.

use serde_json::Value;

use super::{
    AliveOn, CursorAt, CursorVia, Factor, FirstCursorFrom, GapCheck, Group, IdentityAt, Interval,
    NameAt, Session,
};
use crate::config::values::{Given, duration, texts};

pub(super) fn alive_on(given: &Given) -> Result<AliveOn, String> {
    match &given.value {
        Value::Array(_) => names(given).map(AliveOn::Named),
        Value::String(word) if word == "bytes" => Ok(AliveOn::Bytes),
        Value::String(word) if word == "comments" => Ok(AliveOn::Comments),
        Value::String(word) if word == "events" => Ok(AliveOn::Events),
        _ => Err("must be \"bytes\", \"comments\", \"events\" or a list of event names".into()),
    }
}

pub(super) fn interval(given: &Given) -> Result<Interval, String> {
    let value = &given.value;
    let parsed = if value == "learn" {
        Some(Interval::Learn)
    } else if let Some([url, pointer]) = table(value, ["url", "pointer"]) {
        is_pointer(&pointer).then_some(Interval::Document { url, pointer })
    } else if let Some([header]) = table(value, ["header"]) {
        is_header(&header).then_some(Interval::Header(header))
    } else if let Some([event, pointer]) = table(value, ["event", "pointer"]) {
        is_pointer(&pointer).then_some(Interval::Event { event, pointer })
    } else {
        duration(given).ok().map(Interval::Fixed)
    };
    parsed.ok_or_else(|| {
        "must be a duration such as \"20s\", \"learn\", { url = \"/boot\", pointer = \"/heartbeat\" }, \
         { header = \"X-Heartbeat\" } or { event = \"hello\", pointer = \"/heartbeat\" }"
            .into()
    })
}

pub(super) fn factor(given: &Given) -> Result<Factor, String> {
    let number = match &given.value {
        Value::String(text) if given.is_variable => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    number.and_then(Factor::new).ok_or_else(|| "must be a number, 1.0 to 1000".into())
}

pub(super) fn cursor(given: &Given) -> Result<CursorAt, String> {
    Ok(match place(given, "id")? {
        Place::Word => CursorAt::Id,
        Place::Pointer(pointer) => CursorAt::Pointer(pointer),
        Place::None => CursorAt::None,
    })
}

pub(super) fn identity(given: &Given) -> Result<IdentityAt, String> {
    Ok(match place(given, "cursor")? {
        Place::Word => IdentityAt::Cursor,
        Place::Pointer(pointer) => IdentityAt::Pointer(pointer),
        Place::None => IdentityAt::None,
    })
}

pub(super) fn name(given: &Given) -> Result<NameAt, String> {
    match given.value.as_str() {
        Some("event") => Ok(NameAt::Event),
        Some(pointer) if is_pointer(pointer) => Ok(NameAt::Pointer(pointer.to_owned())),
        _ => Err("must be \"event\" or a JSON pointer such as \"/event\"".into()),
    }
}

enum Place {
    Word,
    Pointer(String),
    None,
}

fn place(given: &Given, word: &str) -> Result<Place, String> {
    match given.value.as_str() {
        Some("none") => Ok(Place::None),
        Some(text) if text == word => Ok(Place::Word),
        Some(text) if is_pointer(text) => Ok(Place::Pointer(text.to_owned())),
        _ => Err(format!("must be \"{word}\", \"none\" or a JSON pointer such as \"/id\"")),
    }
}

pub(super) fn cursor_via(given: &Given) -> Result<CursorVia, String> {
    let value = &given.value;
    let has_place = |text: &String| text.contains(CURSOR);
    let parsed = if value == "last-event-id" {
        Some(CursorVia::LastEventId)
    } else if let Some([query]) = table(value, ["query"]) {
        Some(CursorVia::Query(query))
    } else if let Some([name, template]) = table(value, ["header", "template"]) {
        let is_good = is_header(&name) && has_place(&template) && is_value(&template);
        is_good.then_some(CursorVia::Header { name, template })
    } else {
        table(value, ["url"]).and_then(|[url]| has_place(&url).then_some(CursorVia::Url(url)))
    };
    parsed.ok_or_else(|| {
        "must be \"last-event-id\", { query = \"since\" }, \
         { header = \"Range\", template = \"entries={cursor}\" } or \
         { url = \"/from/{cursor}\" }, with {cursor} where the cursor stands"
            .into()
    })
}

/// What stands for a cursor in a template.
pub(crate) const CURSOR: &str = "{cursor}";

pub(super) fn first_cursor(given: &Given) -> Result<FirstCursorFrom, String> {
    if let Some([url, pointer]) = table(&given.value, ["url", "pointer"])
        && is_pointer(&pointer)
    {
        return Ok(FirstCursorFrom::Document { url, pointer });
    }
    match given.value.as_str() {
        Some("none") => Ok(FirstCursorFrom::None),
        Some(literal) if !literal.is_empty() => Ok(FirstCursorFrom::Literal(literal.to_owned())),
        _ => Err("must be \"none\", the cursor itself in quotes, or \
                  { url = \"/boot\", pointer = \"/resume_point\" }"
            .into()),
    }
}

pub(super) fn session(given: &Given) -> Result<Option<Session>, String> {
    if given.value == "none" {
        return Ok(None);
    }
    let text = |key: &str| given.value.get(key)?.as_str().filter(|text| !text.is_empty());
    let owned = |key: &str| text(key).map(str::to_owned);
    let keys = ["url", "body", "header", "then"];
    let is_known = given.value.as_object().is_some_and(|table| {
        table.keys().all(|key| keys.contains(&key.as_str()) && text(key).is_some())
    });
    match (owned("body"), owned("header")) {
        (Some(body), Some(header)) if is_known && is_header(&header) => {
            Ok(Some(Session { url: owned("url"), body, header, then: owned("then") }))
        }
        _ => Err("must be \"none\" or { body = \"…\", header = \"Mcp-Session-Id\" }, with url and then if \
                  they are wanted"
            .into()),
    }
}

pub(super) fn gap_check(given: &Given) -> Result<GapCheck, String> {
    let value = &given.value;
    let parsed = match value.as_str() {
        Some("none") => Some(GapCheck::None),
        Some("sequence") => Some(GapCheck::Sequence),
        Some(_) => None,
        None => match (table(value, ["header"]), table(value, ["event"])) {
            (Some([header]), _) => is_header(&header).then_some(GapCheck::Header(header)),
            (_, Some([event])) => Some(GapCheck::Event(event)),
            (None, None) => None,
        },
    };
    parsed.ok_or_else(|| {
        "must be \"none\", \"sequence\", { header = \"Last-Event-ID\" } or { event = \"reset\" }".into()
    })
}

pub(super) fn resync(given: &Given) -> Result<Option<String>, String> {
    match table(&given.value, ["url"]) {
        Some([url]) => Ok(Some(url)),
        None if given.value == "none" => Ok(None),
        None => Err("must be \"none\" or { url = \"/snapshot\" }".into()),
    }
}

pub(super) fn group(given: &Given) -> Result<Group, String> {
    match given.value.as_str() {
        Some("solo") => Ok(Group::Solo),
        Some("all") => Ok(Group::All),
        _ => Err("must be \"solo\" or \"all\"".into()),
    }
}

/// A list of event names.
pub(super) fn names(given: &Given) -> Result<Vec<String>, String> {
    let names = texts(given)?;
    if names.iter().any(String::is_empty) {
        return Err("must not hold empty text".into());
    }
    Ok(names)
}

/// The texts of a table that has these keys and no others.
fn table<const N: usize>(value: &Value, keys: [&str; N]) -> Option<[String; N]> {
    let table = value.as_object().filter(|table| table.len() == N)?;
    let text = |key: &str| table.get(key)?.as_str().filter(|text| !text.is_empty());
    if keys.iter().any(|key| text(key).is_none()) {
        return None;
    }
    Some(keys.map(|key| text(key).unwrap_or_default().to_owned()))
}

/// Whether it is a JSON pointer (RFC 6901), to a part of the document.
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes_are_known = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    text.starts_with('/') && escapes_are_known
}

pub(crate) fn is_header(text: &str) -> bool {
    text.parse::<awc::http::header::HeaderName>().is_ok()
}

/// Whether a header can have it as its value.
pub(super) fn is_value(text: &str) -> bool {
    awc::http::header::HeaderValue::from_bytes(text.as_bytes()).is_ok()
}
