//! What has to hold in a stream of the sse family.

use awc::http::Uri;

use super::values::{is_header, is_value};
use super::{CursorAt, CursorVia, FirstCursorFrom, GapCheck, Interval, Row, SseTable};
use crate::config::StreamConfig;
use crate::transport::Auth;

type Note<'a> = dyn FnMut(&str, String) + 'a;

/// Checks what only this family has.
pub(in crate::config) fn check(stream: &StreamConfig, table: &SseTable, note: &mut Note<'_>) {
    url(stream.url.expose(), note);
    auth(&table.auth, note);
    for (name, value) in &table.headers {
        if let Some(message) = header_doubt(name, value.expose()) {
            note(&format!("headers.{name}"), message);
        }
    }
    if stream.connections != 1 {
        note(
            "connections",
            "must be 1: a stream of this dialect is read over one connection".into(),
        );
    }
    row(&table.row, note);
    if stream.is_web_socket() {
        web_socket(&table.row, note);
    }
}

/// A message has no fields, and nothing but its text.
fn web_socket(row: &Row, note: &mut Note<'_>) {
    if row.cursor == CursorAt::Id {
        let message = "must be \"none\" or a JSON pointer such as \"/id\": the messages of a WebSocket have no id";
        note("sse.cursor", message.into());
    }
}

fn url(url: &str, note: &mut Note<'_>) {
    let parsed = url.parse::<Uri>().ok();
    let is_http = parsed.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https" | "ws" | "wss"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    let authority = parsed.as_ref().and_then(Uri::authority).map_or("", |found| found.as_str());
    if !is_http {
        note(
            "url",
            "must be an http, https, ws or wss URL, such as \"https://example.org/events\"".into(),
        );
    } else if authority.contains('@') || url.contains('#') {
        note(
            "url",
            "must not hold a user or a fragment: a password goes into [stream.auth], \
             such as basic = { user = \"u\", password_file = \"p\" }"
                .into(),
        );
    }
}

fn auth(auth: &Auth, note: &mut Note<'_>) {
    let empty = match auth {
        Auth::None => return,
        Auth::Bearer(token) => token.expose().is_empty().then_some("auth.bearer"),
        Auth::Basic { user, .. } if user.expose().contains(':') => {
            return note("auth.basic.user", "must not hold a colon".into());
        }
        Auth::Basic { .. } => None,
        Auth::Header { value, .. } => value.expose().is_empty().then_some("auth.header.value"),
        Auth::Query { name, .. } => name.is_empty().then_some("auth.query.name"),
        Auth::Cookie { name, .. } => name.is_empty().then_some("auth.cookie.name"),
    };
    if let Some(key) = empty {
        note(key, "must not be empty".into());
    }
    match auth {
        Auth::Header { name, .. } if !is_header(name) => {
            note("auth.header.name", "must be the name of a header, such as \"X-Api-Key\"".into());
        }
        Auth::Header { name, .. } if is_ours(name) => {
            note("auth.header.name", "is set by Streamkeeper itself".into());
        }
        Auth::Cookie { name, .. } if name.contains(['=', ';', ' ', ',', '"']) => {
            note("auth.cookie.name", "must be the name of a cookie, such as \"session\"".into());
        }
        auth if !auth.is_usable() => {
            note("auth", "holds what no header can hold, such as a line's end".into());
        }
        _ => {}
    }
}

/// Headers that the request has by itself.
fn is_ours(name: &str) -> bool {
    const OURS: [&str; 7] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "last-event-id",
        "proxy-authorization",
    ];
    OURS.contains(&&*name.to_ascii_lowercase())
}

/// What is wrong with a header of `headers`; the value may be secret.
fn header_doubt(name: &str, value: &str) -> Option<String> {
    let secret = ["authorization", "cookie"].contains(&&*name.to_ascii_lowercase());
    if !is_header(name) {
        Some("is not the name of a header".into())
    } else if secret {
        Some("belongs into [stream.auth]: it may be secret".into())
    } else if is_ours(name) {
        Some("is set by Streamkeeper itself".into())
    } else if !is_value(value) {
        Some("must be text that a header can hold, without a line's end".into())
    } else {
        None
    }
}

fn row(row: &Row, note: &mut Note<'_>) {
    if row.session.is_some() && row.first_cursor != FirstCursorFrom::None {
        note("sse.first_cursor", "must be \"none\": a session begins without a cursor".into());
    }
    let without_cursor = row.cursor == CursorAt::None;
    if without_cursor && matches!(row.gap_check, GapCheck::Sequence | GapCheck::Header(_)) {
        note("sse.gap_check", "needs a cursor, and cursor is \"none\"".into());
    }
    if let CursorVia::Header { name, .. } = &row.cursor_via
        && is_ours(name)
        && !name.eq_ignore_ascii_case("last-event-id")
    {
        note("sse.cursor_via", "names a header that Streamkeeper sets itself".into());
    }
    if let Interval::Event { event, .. } = &row.interval
        && row.end.contains(event)
    {
        note("sse.interval", format!("names \"{event}\", which is in end, too"));
    }
    for name in &row.end {
        if row.heartbeats.contains(name) {
            note("sse.heartbeats", format!("has \"{name}\", which is in end, too"));
        }
    }
}
