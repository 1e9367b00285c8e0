//! The page's answers over HTTP, and its feed with one stream and with five hundred.

use crate::api::condition::{SlotCondition, StreamCondition};
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, IF_NONE_MATCH};
use actix_web::test as web_test;
use actix_web::{App, body::MessageBody as _};
use feed::Feed;
use serde_json::Value;

use crate::base::budget::Budget;
use crate::observe::history::{Bounds, Sight};
use crate::observe::registry::{Consumer, StreamEntry};

use super::*;

/// A registry of streams with a full hour each.
fn registry(streams: usize) -> Registry {
    let registry = Registry::default();
    let folder = tempfile::tempdir().unwrap();
    let config = streamkeeper_ledger::LedgerConfig {
        sinks: vec!["archive".into()],
        ..streamkeeper_ledger::LedgerConfig::default()
    };
    let fs = Arc::new(streamkeeper_ledger::fs::RealFs);
    let (ledger, _) = streamkeeper_ledger::Ledger::open(fs, folder.path(), config).unwrap();
    for number in 0..streams {
        let name: Arc<str> = format!("stream-{number:03}").into();
        let consumers = vec![Arc::new(Consumer::new("archive"))];
        let entry = StreamEntry::new(name, ledger.outbox(), Budget::new(1 << 20), consumers);
        entry.history.set_bounds(Bounds::default());
        entry.update(|view| {
            view.state = StreamCondition::Live;
            view.slots = vec![SlotCondition::Live, SlotCondition::Resting];
        });
        look(&entry, 0);
        registry.insert(Arc::new(entry));
    }
    registry
}

fn look(entry: &StreamEntry, events: u64) {
    let slots = [SlotCondition::Live, SlotCondition::Resting];
    entry.history.observe(Sight { slots: &slots, replaying: false, events, bytes: 0, lag: None });
}

fn feed(registry: &Registry, open: &[&str]) -> Feed {
    let open = open.iter().map(|name| (*name).to_owned());
    Feed::new(Arc::new(Overviews::new(registry.clone())), open)
}

fn json(message: &[u8]) -> Value {
    let text = std::str::from_utf8(message).unwrap();
    serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap()
}

#[actix_web::test]
async fn every_file_is_served_with_the_policy_and_a_tag() {
    let page = Page::new(registry(1));
    let app = web_test::init_service(App::new().configure(|routes| page.configure(routes))).await;
    for file in &FILES {
        let request = web_test::TestRequest::get().uri(file.path).to_request();
        let response = web_test::call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", file.path);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), file.kind);
        assert_eq!(response.headers().get(CONTENT_SECURITY_POLICY).unwrap(), POLICY);
        let tag = response.headers().get("etag").unwrap().clone();
        let request = web_test::TestRequest::get()
            .uri(file.path)
            .insert_header((IF_NONE_MATCH, tag))
            .to_request();
        let response = web_test::call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(web_test::read_body(response).await.is_empty());
    }
}

#[test]
fn nothing_is_inline_and_nothing_is_from_elsewhere() {
    for File { path, text, .. } in &FILES {
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("//cdn") && !foreign.contains("http"), "{path}");
        assert!(!text.contains("style=") && !text.contains("innerHTML"), "{path}");
        assert!(!text.contains(" onclick") && !text.contains(" onload"), "{path}");
    }
    let page = FILES[0].text;
    for part in page.split("<script").skip(1) {
        assert!(part.starts_with(r#" type="module" src=""#));
    }
}

#[actix_web::test]
async fn a_feed_is_server_sent_events_and_their_number_is_bounded() {
    let page = Page::new(registry(1));
    let app = web_test::init_service(App::new().configure(|routes| page.configure(routes))).await;
    let ask = || web_test::TestRequest::get().uri("/api/feed?open=stream-000").to_request();
    let mut open = Vec::new();
    for _ in 0..places::PLACES {
        let response = web_test::call_service(&app, ask()).await;
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/event-stream");
        open.push(response);
    }
    let refused = web_test::call_service(&app, ask()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    // The page shows it as it is.
    assert!(
        refused.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap().starts_with("text/plain")
    );
    let why = web_test::read_body(refused).await;
    assert_eq!(why, "16 pages are open already, which is all there can be; close one\n");
    let mut body = Box::pin(open.pop().unwrap().into_body());
    let first = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await.unwrap().unwrap();
    let message = json(&first);
    assert_eq!(message["whole"], true);
    assert_eq!(message["open"][0]["status"]["name"], "stream-000");
    drop(body);
    assert_eq!(web_test::call_service(&app, ask()).await.status(), StatusCode::OK);
}

#[test]
fn only_changes_follow_the_whole() {
    let registry = registry(3);
    let mut feed = feed(&registry, &[]);
    let whole = json(&feed.turn());
    assert_eq!(whole["streams"].as_array().unwrap().len(), 3);
    assert_eq!(whole["sentence"]["mood"], "well");
    assert_eq!(feed.turn(), ": nothing new\n".as_bytes());
    registry.get("stream-001").unwrap().update(|view| {
        view.state = StreamCondition::Degraded;
        view.detail = Some("disk_full");
    });
    feed.age();
    let change = json(&feed.turn());
    assert_eq!(change["streams"].as_array().unwrap().len(), 1);
    assert_eq!(change["streams"][0]["name"], "stream-001");
    assert_eq!(change["sentence"]["mood"], "trouble");
    assert!(change.get("whole").is_none());
}

#[test]
fn a_stream_that_was_replaced_is_told_anew() {
    let registry = registry(1);
    let mut feed = feed(&registry, &["stream-000"]);
    assert_eq!(json(&feed.turn())["open"][0]["whole"], true);
    assert_eq!(json(&feed.turn())["open"][0]["whole"], false);
    registry.insert(self::registry(1).get("stream-000").unwrap());
    assert_eq!(json(&feed.turn())["open"][0]["whole"], true);
    registry.remove("stream-000");
    feed.age();
    assert_eq!(json(&feed.turn())["gone"][0], "stream-000");
}

#[test]
fn five_hundred_streams_are_told_in_a_tenth_of_a_second() {
    let registry = registry(500);
    let mut feed = feed(&registry, &["stream-000", "stream-250"]);
    let start = Instant::now();
    let whole = feed.turn();
    let took = start.elapsed();
    println!("500 streams, 2 of them open: {} bytes in {took:?}", whole.len());
    assert!(took.as_millis() < 100, "{took:?}");
    assert!(whole.len() < 250_000, "{}", whole.len());
    feed.age();
    let start = Instant::now();
    let next = feed.turn();
    println!("a turn without news: {} bytes in {:?}", next.len(), start.elapsed());
    assert!(next.len() < 10_000, "{}", next.len());
}
