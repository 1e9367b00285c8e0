//! Axum's `Sse` with its keep-alive, in a process that is this test program again.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::axum::Router;
use ::axum::extract::State;
use ::axum::http::{HeaderMap, StatusCode};
use ::axum::response::Sse;
use ::axum::response::sse::{Event, KeepAlive};
use ::axum::routing::{get, post};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::kind::{Forgotten, Kind, forget_history};
use super::process::Place;

pub(super) struct Axum;

impl Kind for Axum {
    fn name(&self) -> &'static str {
        "Axum keep-alive"
    }

    fn preset(&self) -> &'static str {
        "axum"
    }

    fn install(&self) -> String {
        let lock = include_str!("../../Cargo.lock");
        let (_, rest) = lock.split_once("name = \"axum\"\nversion = \"").expect("it is built in");
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    fn command(&self, place: &Place) -> Command {
        let mut this = place.program(std::env::current_exe().unwrap());
        this.args(["--exact", "interop::axum::the_server", "--ignored", "--nocapture"]);
        this
    }

    fn scaled(&self) -> &'static str {
        "interval = \"1s\"\ngap_check = \"sequence\""
    }

    fn forget(&self, place: &Place) -> Forgotten {
        forget_history(place)
    }
}

/// The program: a history in a file of lines "id number", appended to before anybody hears of an event.
#[derive(Clone)]
struct History {
    file: Arc<Mutex<File>>,
    events: Arc<Mutex<Vec<(u64, u64)>>>,
    last: watch::Sender<u64>,
}

#[tokio::test]
#[ignore = "a process that the other tests start"]
async fn the_server() {
    let port = std::env::var("PORT").expect("a test starts this").parse::<u16>().unwrap();
    let path = PathBuf::from(std::env::var_os("HISTORY").expect("a test starts this"));
    let history = History::open(&path);
    let app = Router::new()
        .route("/publish", post(publish))
        .route("/events", get(events))
        .with_state(history);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    ::axum::serve(listener, app).await.unwrap();
}

impl History {
    fn open(path: &PathBuf) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let event = |line: &str| {
            let (id, number) = line.split_once(' ')?;
            Some((id.parse().ok()?, number.parse().ok()?))
        };
        let events: Vec<(u64, u64)> = text.lines().filter_map(event).collect();
        let file = File::options().create(true).append(true).open(path).unwrap();
        Self {
            last: watch::Sender::new(events.last().map_or(0, |(id, _)| *id)),
            file: Arc::new(Mutex::new(file)),
            events: Arc::new(Mutex::new(events)),
        }
    }

    fn add(&self, number: u64) {
        let mut events = self.events.lock().unwrap();
        let id = events.last().map_or(1, |(id, _)| id + 1);
        self.file.lock().unwrap().write_all(format!("{id} {number}\n").as_bytes()).unwrap();
        events.push((id, number));
        self.last.send_replace(id);
    }

    fn behind(&self, id: u64) -> Vec<(u64, u64)> {
        let events = self.events.lock().unwrap();
        events[events.partition_point(|(known, _)| *known <= id)..].to_vec()
    }
}

async fn publish(State(history): State<History>, body: String) -> StatusCode {
    history.add(body.parse().unwrap());
    StatusCode::CREATED
}

async fn events(
    State(history): State<History>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let asked = headers.get("last-event-id").map_or(0, |id| id.to_str().unwrap().parse().unwrap());
    let news = history.last.subscribe();
    let rounds = stream::unfold((history, news, asked), |(history, mut news, last)| async move {
        news.wait_for(|newest| *newest > last).await.ok()?;
        let there = history.behind(last);
        let last = there.last()?.0;
        Some((there, (history, news, last)))
    });
    let event = |(id, number): (u64, u64)| {
        Ok(Event::default().id(id.to_string()).event("number").data(format!("{{\"n\":{number}}}")))
    };
    Sse::new(rounds.flat_map(stream::iter).map(event))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(1)))
}
