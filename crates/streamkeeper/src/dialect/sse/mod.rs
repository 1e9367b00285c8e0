//! Servers of server-sent events that resume from a cursor: what their frames mean, by a row of values.
//!
//! - `reader`: what the frames of one connection mean; `pointer`: what stands in their data;
//! - `ask`: how a server is asked, for its stream and for the documents beside it;
//! - `identity`: keys for events that have none; `content`: when two say the same.
//!
//! A new server is a new row (config, `[dialects.NAME]`), not new code. docs/dialects.md says what each key means.

mod ask;
mod content;
mod identity;
mod pointer;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streamkeeper_call::Response;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::version::Version;
use streamkeeper_sse::{Label, Text};

use crate::config::{FirstCursorFrom, NameAt, Row, Session, SseTable, StreamConfig};

use super::event::{Event, EventKind, Named};
use super::part::Part;

use self::ask::Places;
use self::content::digest;
use self::identity::OwnKeys;
use self::pointer::{Pointer, is_json};

pub(crate) use self::ask::{Ask, Document};
pub(crate) use self::reader::{Opened, SseReader};

/// How one such server is spoken to.
#[derive(Debug)]
pub(crate) struct Sse {
    row: Row,
    /// Those of `cursor`, `identity`, `name` and `interval`.
    pointers: Pointers,
    places: Places,
    is_web_socket: bool,
    keys: OwnKeys,
}

#[derive(Debug)]
struct Pointers {
    cursor: Option<Pointer>,
    identity: Option<Pointer>,
    name: Option<Pointer>,
    interval: Option<Pointer>,
}

/// What is asked with before there is a cursor.
#[derive(Debug)]
pub(crate) enum First<'a> {
    Nothing,
    Literal(Cursor),
    Document(&'a Document),
}

impl Sse {
    pub(crate) fn new(config: &StreamConfig, table: &SseTable) -> Arc<Self> {
        use crate::config::{CursorAt, IdentityAt, Interval};
        let row = table.row.clone();
        let pointer = |text: &str| Some(Pointer::new(text));
        let pointers = Pointers {
            cursor: match &row.cursor {
                CursorAt::Pointer(text) => pointer(text),
                CursorAt::Id | CursorAt::None => None,
            },
            identity: match &row.identity {
                IdentityAt::Pointer(text) => pointer(text),
                IdentityAt::Cursor | IdentityAt::None => None,
            },
            name: match &row.name {
                NameAt::Pointer(text) => pointer(text),
                NameAt::Event => None,
            },
            interval: match &row.interval {
                Interval::Event { pointer: text, .. } => pointer(text),
                _ => None,
            },
        };
        let places = Places::new(config.url.expose(), &row);
        let is_web_socket = config.is_web_socket();
        Arc::new(Self { row, pointers, places, is_web_socket, keys: OwnKeys::new() })
    }

    /// Whether its events are the messages of a WebSocket.
    pub(crate) const fn is_web_socket(&self) -> bool {
        self.is_web_socket
    }

    /// What the server is asked to go on behind a cursor.
    pub(crate) fn ask(&self, cursor: Option<&Cursor>) -> Ask {
        self.places.ask(cursor)
    }

    /// Whether a request can have that cursor.
    fn can_ask(&self, cursor: &Cursor) -> bool {
        self.places.can_ask(cursor)
    }

    /// Whether how often the server says something is learned until it says so itself.
    pub(crate) const fn learns(&self) -> bool {
        !matches!(self.row.interval, crate::config::Interval::Fixed(_))
    }

    /// The document that says how often the server says something.
    pub(crate) const fn interval_document(&self) -> Option<&Document> {
        self.places.interval.as_ref()
    }

    /// What to ask with before there is a cursor.
    pub(crate) fn first(&self) -> First<'_> {
        match (&self.row.first_cursor, &self.places.first_cursor) {
            (FirstCursorFrom::Literal(text), _) => {
                Cursor::new(text).map_or(First::Nothing, First::Literal)
            }
            (FirstCursorFrom::Document { .. }, Some(document)) => First::Document(document),
            _ => First::Nothing,
        }
    }

    /// The document that is delivered when a resume point was lost.
    pub(crate) fn resync(&self) -> Option<&str> {
        self.places.resync.as_deref()
    }

    /// Where a session is begun, and how, if the stream is read within one.
    pub(crate) fn session(&self) -> Option<(&str, &Session)> {
        Some((self.places.session.as_deref()?, self.row.session.as_ref()?))
    }

    /// That document, as an event. It is none of the stream's, and new whatever it says.
    pub(crate) fn snapshot(&self, body: &Bytes) -> Event {
        let data = Text::from(String::from_utf8_lossy(body).into_owned());
        named(Some("snapshot".into()), Part::Beside(self.keys.draw()), None, data)
    }

    /// What a connection's frames mean; what it was asked with.
    pub(crate) fn reader(self: &Arc<Self>, asked: Option<&Cursor>) -> SseReader {
        SseReader::new(Arc::clone(self), asked.cloned())
    }
}

/// What a refusal means, in words that name nothing the server said.
pub(crate) fn refusal(answer: &Response) -> String {
    let status = answer.status;
    let words = match status {
        204 => "there is nothing more to come",
        401 => "it does not know who we are: check [stream.auth]",
        403 => "it does not allow us this stream: check [stream.auth]",
        404 => "there is no such stream, or it has forgotten where we were",
        410 => "the stream is gone, or where we were in it",
        429 => "we ask too often",
        300..=399 => "the stream is elsewhere: change the url, or allow redirects",
        500..=599 => "the server has a trouble of its own",
        _ => "it does not say why in a way that is known",
    };
    format!("the server answered {status}: {words}")
}

/// Seconds, fractions allowed, as servers announce an interval, and at least [`INTERVAL_MIN`]; `None` if it is none.
pub(crate) fn seconds(number: &str) -> Option<Duration> {
    let seconds = number.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
    let interval = Duration::try_from_secs_f64(seconds).ok()?;
    (interval <= INTERVAL_MAX).then_some(interval.max(INTERVAL_MIN))
}

/// A server that says to be heard more often than that would have us ask a WebSocket whether it is there in a loop.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// A server that says something less often than once a day says nothing of its life.
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// An event of a server's own name.
fn named(name: Option<Label>, key: Part, cursor: Option<Cursor>, data: Text) -> Event {
    let checksum = digest(name.as_ref().map_or("", Label::as_str), data.as_str());
    Event {
        kind: EventKind::Named,
        version: Version { created_at: None, checksum, withdrawn: false },
        start_day: None,
        key,
        checksum: Part::Beside("".into()),
        user_id: None,
        record_type: None,
        named: Some(Box::new(Named { name, is_text: !is_json(data.as_str()), cursor })),
        data,
    }
}

#[cfg(test)]
mod tests;
