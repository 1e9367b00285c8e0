//! `GET /api/feed?open=NAME&open=…`: what the page draws from, as server-sent events.
//!
//! First everything, then each second what has changed: a line for each stream, and the time lines
//! of those that are asked for by name. A line's numbers go out every few seconds only, so that
//! hundreds of streams are a few kilobytes a second. If nothing has changed, a comment says that we
//! live.
//!
//! Nothing is buffered for a client: a message is made when the socket has room for it, and says
//! what has changed since the last one. So a slow client gets fewer messages, and one that takes
//! none loses its [place](super::places).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ContentType, RETRY_AFTER};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{Error, HttpResponse};
use bytes::BytesMut;
use futures_util::stream;
use serde::Serialize;
use streamkeeper_sse::{Event, encode_comment, encode_event};
use tokio::time::MissedTickBehavior;

use crate::api::status::{Status, StreamStatus};
use crate::base::clock::wall;
use crate::observe::history::{Cursor, View};
use crate::observe::registry::{Registry, StreamEntry};

use super::Page;
use super::places::{PLACES, Place};
use super::words::{Line, Sentence};

/// Time lines that one client may ask for.
const OPEN_MAX: usize = 8;

/// How often something is sent.
const TURN: Duration = Duration::from_secs(1);

/// Every so many turns the numbers of all lines are sent, and a message even without news.
const NUMBERS_EVERY: u64 = 5;

/// How long an overview serves all clients.
const OVERVIEW_AGE: Duration = Duration::from_millis(500);

/// Answers a request for a feed.
pub(super) async fn serve(page: Data<Page>, asked: Query<Vec<(String, String)>>) -> HttpResponse {
    let Some(place) = page.places.take(Instant::now()) else {
        let why =
            format!("{PLACES} pages are open already, which is all there can be; close one\n");
        return HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, "15"))
            .insert_header(ContentType::plaintext())
            .body(why);
    };
    let open = asked.into_inner().into_iter().filter(|(key, _)| key == "open");
    let open = open.map(|(_, name)| name).take(OPEN_MAX);
    let feed = Feed::new(Arc::clone(&page.overviews), open);
    let mut interval = tokio::time::interval(TURN);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let turns = stream::unfold((feed, place, interval), |(mut feed, place, mut interval)| async {
        interval.tick().await;
        let message = next(&mut feed, &place)?;
        Some((Ok::<_, Error>(message), (feed, place, interval)))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // For a proxy in front of us that would wait for more.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(turns))
}

/// The next message; `None`: the client has lost its place.
fn next(feed: &mut Feed, place: &Place) -> Option<Bytes> {
    place.turn(Instant::now()).then(|| feed.turn())
}

/// What one client has been told.
pub(super) struct Feed {
    overviews: Arc<Overviews>,
    open: Vec<Asked>,
    told: HashMap<String, Line>,
    sentence: Option<Sentence>,
    turn: u64,
}

/// A stream that is asked for in full.
struct Asked {
    name: String,
    /// Whose time line has been told, and how far. A reload may put another stream in its place.
    entry: Weak<StreamEntry>,
    cursor: Cursor,
}

/// An event of the feed.
#[derive(Serialize)]
struct Message<'a> {
    /// Everything: what is not in it is gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    whole: bool,
    /// Our own clock, milliseconds since the epoch.
    wall: i64,
    /// Absent: as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a Sentence>,
    /// The lines that have changed.
    streams: Vec<&'a Line>,
    /// Streams that have been removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<Open<'a>>,
}

/// A stream that is shown in full.
#[derive(Serialize)]
struct Open<'a> {
    status: &'a StreamStatus,
    /// The whole time line, and not what is new of it.
    whole: bool,
    history: View,
}

impl Feed {
    pub(super) fn new(overviews: Arc<Overviews>, open: impl IntoIterator<Item = String>) -> Self {
        let asked = |name| Asked { name, entry: Weak::new(), cursor: Cursor::default() };
        let open = open.into_iter().map(asked).collect();
        Self { overviews, open, told: HashMap::new(), sentence: None, turn: 0 }
    }

    /// What has changed since the last turn.
    pub(super) fn turn(&mut self) -> Bytes {
        let whole = self.turn == 0;
        let numbers = self.turn.is_multiple_of(NUMBERS_EVERY);
        self.turn += 1;
        let overview = self.overviews.get();
        let Overview { status, lines, sentence, .. } = &*overview;
        let is_open = |name: &str| self.open.iter().any(|open| open.name == name);
        let is_news = |line: &&Line| match self.told.get(&line.name) {
            Some(told) if numbers || is_open(&line.name) => told != *line,
            Some(told) => line.differs(told),
            None => true,
        };
        let streams: Vec<&Line> = lines.iter().filter(is_news).collect();
        for line in &streams {
            self.told.insert(line.name.clone(), (*line).clone());
        }
        let gone = self.forget(lines);
        let new_sentence = self.sentence.as_ref() != Some(sentence);
        if new_sentence {
            self.sentence = Some(sentence.clone());
        }
        let open = self.opened(status);
        let mut out = BytesMut::new();
        let silent = streams.is_empty() && gone.is_empty() && open.is_empty() && !new_sentence;
        if silent && !numbers {
            // One line without a line end in it: there is nothing that could go wrong.
            if encode_comment("nothing new", &mut out).is_ok() {
                return out.freeze();
            }
        }
        let message = Message {
            whole,
            wall: wall().as_micros() / 1_000,
            sentence: new_sentence.then_some(sentence),
            streams,
            gone,
            open,
        };
        match serde_json::to_string(&message).map(|json| encode_event(&Event::new(json), &mut out))
        {
            Ok(Ok(())) => {}
            _ => tracing::debug!("a message of the page's feed could not be written"),
        }
        out.freeze()
    }

    /// Forgets the streams that are no more; gives their names.
    fn forget(&mut self, lines: &[Line]) -> Vec<String> {
        if self.told.len() == lines.len() {
            return Vec::new();
        }
        let is_gone = |name: &String| !lines.iter().any(|line| line.name == *name);
        let gone: Vec<String> = self.told.keys().filter(|name| is_gone(name)).cloned().collect();
        for name in &gone {
            self.told.remove(name);
        }
        gone
    }

    /// The time lines that are asked for.
    fn opened<'a>(&mut self, status: &'a Status) -> Vec<Open<'a>> {
        let registry = &self.overviews.registry;
        let open = self.open.iter_mut().filter_map(|asked| {
            let status = status.streams.iter().find(|stream| stream.name == asked.name)?;
            let entry = registry.get(&asked.name)?;
            let whole = !std::ptr::eq(asked.entry.as_ptr(), Arc::as_ptr(&entry));
            if whole {
                asked.entry = Arc::downgrade(&entry);
                asked.cursor = Cursor::default();
            }
            Some(Open { status, whole, history: entry.history.view(&mut asked.cursor) })
        });
        open.collect()
    }
}

/// Looks at all streams, once for all clients.
#[derive(Debug)]
pub(super) struct Overviews {
    registry: Registry,
    last: Mutex<Option<Arc<Overview>>>,
}

#[derive(Debug)]
struct Overview {
    at: Instant,
    status: Status,
    lines: Vec<Line>,
    sentence: Sentence,
}

impl Overviews {
    pub(super) const fn new(registry: Registry) -> Self {
        Self { registry, last: Mutex::new(None) }
    }

    fn get(&self) -> Arc<Overview> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(overview) = last.as_ref().filter(|last| last.at.elapsed() < OVERVIEW_AGE) {
            return Arc::clone(overview);
        }
        let status = self.registry.status();
        let line = |stream: &StreamStatus| {
            let entry = self.registry.get(&stream.name)?;
            Some(Line::new(stream, &entry.history.brief()))
        };
        let lines: Vec<_> = status.streams.iter().filter_map(line).collect();
        let sentence = Sentence::new(&lines);
        let overview = Arc::new(Overview { at: Instant::now(), status, lines, sentence });
        *last = Some(Arc::clone(&overview));
        overview
    }
}

#[cfg(test)]
impl Feed {
    /// Looks anew at the next turn, as after a second.
    pub(super) fn age(&self) {
        self.overviews.last.lock().unwrap().take();
    }
}
