//! How a server is asked for its stream, and for what is beside it.

use streamkeeper_call::encode;
use streamkeeper_core::id::Cursor;

use crate::config::sse::values::CURSOR;
use crate::config::{CursorVia, FirstCursorFrom, Interval, Row};
use crate::transport::{header_value, resolve};

use super::pointer::Pointer;

/// A request for the stream; whoever connects adds what is secret.
#[derive(PartialEq, Eq)]
pub(crate) struct Ask {
    /// Empty: the stream's own URL; or a URL.
    pub(crate) place: String,
    pub(crate) headers: Vec<(String, String)>,
    /// There is a cursor, and no request can have it: it is asked without.
    pub(crate) is_unusable: bool,
}

impl Ask {
    /// Of that place, with nothing else.
    pub(crate) const fn place(place: String) -> Self {
        Self { place, headers: Vec::new(), is_unusable: false }
    }
}

/// Neither place nor headers: a cursor stands in one of them.
impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("is_unusable", &self.is_unusable).finish_non_exhaustive()
    }
}

/// A document beside the stream: it says something at a place in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) url: String,
    pointer: Pointer,
}

/// Not the URL.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    fn new(base: &str, url: &str, pointer: &str) -> Option<Self> {
        Some(Self { url: resolve(base, url)?, pointer: Pointer::new(pointer) })
    }

    /// The text or number that it says, if it is not empty.
    pub(crate) fn says(&self, body: &[u8]) -> Option<String> {
        let text = str::from_utf8(body).ok()?;
        let said = self.pointer.find(text.trim_start_matches('\u{feff}'))?;
        Some(said.into_owned()).filter(|said| !said.is_empty())
    }
}

/// Where things are asked for.
#[derive(Clone)]
pub(super) struct Places {
    url: Box<str>,
    via: CursorVia,
    pub(super) interval: Option<Document>,
    pub(super) first_cursor: Option<Document>,
    pub(super) resync: Option<Box<str>>,
    pub(super) session: Option<Box<str>>,
}

/// Not the URLs: one may be a secret.
impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").finish_non_exhaustive()
    }
}

impl Places {
    pub(super) fn new(url: &str, row: &Row) -> Self {
        let interval = match &row.interval {
            Interval::Document { url: document, pointer } => Document::new(url, document, pointer),
            _ => None,
        };
        let first_cursor = match &row.first_cursor {
            FirstCursorFrom::Document { url: document, pointer } => {
                Document::new(url, document, pointer)
            }
            FirstCursorFrom::None | FirstCursorFrom::Literal(_) => None,
        };
        let resync = row.resync.as_ref().and_then(|document| resolve(url, document));
        let session = row.session.as_ref();
        let session =
            session.and_then(|session| resolve(url, session.url.as_deref().unwrap_or_default()));
        Self {
            url: url.into(),
            via: row.cursor_via.clone(),
            interval,
            first_cursor,
            resync: resync.map(Into::into),
            session: session.map(Into::into),
        }
    }

    /// Whether a request can have that cursor.
    pub(super) fn can_ask(&self, cursor: &Cursor) -> bool {
        let cursor = cursor.as_str();
        match &self.via {
            CursorVia::LastEventId => arrives(cursor),
            CursorVia::Header { template, .. } => arrives(&template.replace(CURSOR, cursor)),
            // It is encoded.
            CursorVia::Query(_) | CursorVia::Url(_) => true,
        }
    }

    /// What is asked to go on behind a cursor; without one, nothing is added.
    pub(super) fn ask(&self, cursor: Option<&Cursor>) -> Ask {
        let plain = |is_unusable| Ask { place: String::new(), headers: Vec::new(), is_unusable };
        let Some(cursor) = cursor.map(Cursor::as_str) else { return plain(false) };
        let header = |name: &str, value: String| {
            if arrives(&value) {
                Ask { headers: vec![(name.to_owned(), value)], ..plain(false) }
            } else {
                plain(true)
            }
        };
        let place = |place: Option<String>| match place {
            Some(place) => Ask { place, ..plain(false) },
            None => plain(true),
        };
        match &self.via {
            CursorVia::LastEventId => header("Last-Event-ID", cursor.to_owned()),
            CursorVia::Header { name, template } => header(name, template.replace(CURSOR, cursor)),
            CursorVia::Query(name) => place(Some(with_parameter(&self.url, name, cursor))),
            CursorVia::Url(template) => {
                place(resolve(&self.url, &template.replace(CURSOR, &encode(cursor))))
            }
        }
    }
}

/// Whether a header can have that value; white space at its ends would not arrive.
fn arrives(value: &str) -> bool {
    value.trim() == value && header_value(value).is_some()
}

/// A URL with a parameter in its query, in the place of one of the same name.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let name = encode(name);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(&*name);
    let own = format!("{name}={}", encode(value));
    let pairs: Vec<&str> = query.split('&').filter(is_other).chain([&*own]).collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://e.org/a/events?x=1";

    fn ask(via: CursorVia, cursor: &str) -> Ask {
        let row = Row { cursor_via: via, ..Row::default() };
        Places::new(URL, &row).ask(Cursor::new(cursor).as_ref())
    }

    fn can_ask(via: CursorVia, cursor: &str) -> bool {
        let row = Row { cursor_via: via, ..Row::default() };
        Places::new(URL, &row).can_ask(&Cursor::new(cursor).unwrap())
    }

    fn headers(ask: &Ask) -> Vec<(&str, &str)> {
        ask.headers.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn without_a_cursor_nothing_is_added() {
        let row = Row { cursor_via: CursorVia::Query("since".into()), ..Row::default() };
        let ask = Places::new(URL, &row).ask(None);
        assert_eq!(ask, Ask { place: String::new(), headers: Vec::new(), is_unusable: false });
    }

    #[test]
    fn each_kind_has_the_cursor_as_its_place_takes_it() {
        let cursor = "12-\"g1 é&/";
        let asked = ask(CursorVia::LastEventId, cursor);
        assert_eq!((&*asked.place, headers(&asked)), ("", vec![("Last-Event-ID", cursor)]));
        let range = CursorVia::Header { name: "Range".into(), template: "entries={cursor}".into() };
        assert_eq!(headers(&ask(range, "s=1;i=2")), [("Range", "entries=s=1;i=2")]);
        let encoded = "12-%22g1%20%C3%A9%26%2F";
        let asked = ask(CursorVia::Query("since".into()), cursor);
        assert_eq!(asked.place, format!("https://e.org/a/events?x=1&since={encoded}"));
        assert_eq!(ask(CursorVia::Query("x".into()), "2").place, "https://e.org/a/events?x=2");
        for (template, place) in [
            ("from/{cursor}", "https://e.org/a/from/"),
            ("/{cursor}", "https://e.org/"),
            ("http://f.org/?c={cursor}", "http://f.org/?c="),
        ] {
            let asked = ask(CursorVia::Url(template.into()), cursor);
            assert_eq!(asked.place, format!("{place}{encoded}"));
            assert!(asked.headers.is_empty() && !asked.is_unusable);
        }
    }

    #[test]
    fn a_cursor_that_no_header_holds_is_said_and_left_out() {
        for cursor in ["a\nb", "a\0", " a", "a\u{7f}"] {
            let asked = ask(CursorVia::LastEventId, cursor);
            assert!(asked.is_unusable && asked.headers.is_empty(), "{cursor:?}");
            assert!(!can_ask(CursorVia::LastEventId, cursor), "{cursor:?}");
            assert!(!ask(CursorVia::Query("since".into()), cursor).is_unusable);
            assert!(can_ask(CursorVia::Query("since".into()), cursor));
        }
        let range = CursorVia::Header { name: "Range".into(), template: "a={cursor};".into() };
        assert!(can_ask(range, " b "), "the ends are others");
    }

    #[test]
    fn documents_are_beside_the_stream() {
        let row = Row {
            interval: Interval::Document { url: "/api/boot".into(), pointer: "/heartbeat".into() },
            first_cursor: FirstCursorFrom::Document { url: "boot".into(), pointer: "/at".into() },
            resync: Some("https://f.org/all".into()),
            ..Row::default()
        };
        let Places { interval, first_cursor, resync, .. } = Places::new(URL, &row);
        let (interval, first_cursor) = (interval.unwrap(), first_cursor.unwrap());
        assert_eq!(interval.url, "https://e.org/api/boot");
        assert_eq!(first_cursor.url, "https://e.org/a/boot");
        assert_eq!(resync.as_deref(), Some("https://f.org/all"));
        assert_eq!(interval.says(b"\xef\xbb\xbf{\"heartbeat\": 20.5}").as_deref(), Some("20.5"));
        for body in [&b"{\"at\":null}"[..], b"{\"at\":\"\"}", b"{}", b"nonsense", b"\xff"] {
            assert_eq!(first_cursor.says(body), None);
        }
        assert_eq!(first_cursor.says(b"{\"at\": 17}").as_deref(), Some("17"));
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let row = Row { cursor_via: CursorVia::Query("since".into()), ..Row::default() };
        let places = Places::new("https://e.org/marker", &row);
        let asked = places.ask(Cursor::new("marker").as_ref());
        assert!(asked.place.contains("marker"));
        assert!(!format!("{asked:?} {places:?}").contains("marker"));
    }
}
