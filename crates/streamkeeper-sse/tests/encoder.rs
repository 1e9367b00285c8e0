//! What the encoder writes, and what it refuses to.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bytes::BytesMut;
use streamkeeper_sse::{EncodeError, Event, encode_comment, encode_event};

fn encode(event: &Event) -> Result<String, EncodeError> {
    let mut out = BytesMut::from("before\n");
    let encoded = encode_event(event, &mut out);
    let text = std::str::from_utf8(&out).unwrap().strip_prefix("before\n").unwrap().to_owned();
    assert!(encoded.is_ok() || text.is_empty(), "an error writes nothing");
    encoded.map(|()| text)
}

#[test]
fn every_part_has_its_line() {
    let event = Event::new("a\nb\r\nc\rd\n")
        .with_name("add")
        .with_id("1:2")
        .with_retry(Duration::from_millis(1500))
        .with_field("foo", "bar");
    let expected = "event: add\nid: 1:2\nretry: 1500\nfoo: bar\n\
                    data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n";
    assert_eq!(encode(&event).unwrap(), expected);
}

#[test]
fn an_event_may_have_no_data() {
    assert_eq!(encode(&Event::default().with_id("7")).unwrap(), "id: 7\n\n");
    assert_eq!(encode(&Event::new("")).unwrap(), "data: \n\n");
}

#[test]
fn what_no_reader_would_see_is_refused() {
    assert_eq!(encode(&Event::default()), Err(EncodeError::Empty));
    assert_eq!(encode(&Event::default().with_name("")), Err(EncodeError::Empty));
}

#[test]
fn what_would_end_its_line_is_refused() {
    for end in ["\n", "\r", "\r\n", "a\nb"] {
        let event = Event::new("x");
        assert_eq!(encode(&event.clone().with_name(end)), Err(EncodeError::LineEnd("name")));
        assert_eq!(encode(&event.clone().with_id(end)), Err(EncodeError::Id));
        assert_eq!(encode(&event.clone().with_field(end, "")), Err(EncodeError::FieldName));
        assert_eq!(encode(&event.with_field("a", end)), Err(EncodeError::LineEnd("field")));
        let mut out = BytesMut::new();
        assert_eq!(encode_comment(end, &mut out), Err(EncodeError::LineEnd("comment")));
        assert!(out.is_empty());
    }
}

#[test]
fn what_would_be_read_as_something_else_is_refused() {
    assert_eq!(encode(&Event::new("x").with_id("a\0")), Err(EncodeError::Id));
    for name in ["", "data", "event", "id", "retry", "a:b", "\u{FEFF}a"] {
        assert_eq!(encode(&Event::new("x").with_field(name, "")), Err(EncodeError::FieldName));
    }
}

#[test]
fn nothing_prints_what_it_holds() {
    let event =
        Event::new("secret").with_name("secret").with_id("secret").with_field("secret", "secret");
    let printed = format!("{event:?}");
    assert!(!printed.contains("secret"), "{printed}");
    assert!(printed.contains("Text(6 bytes)"));
}
