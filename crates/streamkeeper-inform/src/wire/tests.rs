//! Every form in which the documents describe the stream resource.

use super::*;

const FULL: &str = r#"{"id":"5a1d","name":"acme","resource_filter":["summary"],"event_type_filter":["data"],
    "start_date":"2026-11-01","group":"stream_5a1d","members":2,
    "created_at":"2026-11-01T00:00:01.5Z","updated_at":"2026-11-01T00:00:02Z"}"#;

fn stream(body: &str) -> Stream {
    Stream::from_answer(body.as_bytes()).expect("a stream")
}

#[test]
fn a_stream_in_full() {
    let expected = Stream {
        id: "5a1d".into(),
        name: Some("acme".into()),
        start_date: "2026-11-01".parse().ok(),
        resource_filter: vec!["summary".into()],
        event_type_filter: vec!["data".into()],
        members: Some(2),
        created_at: time::parse_micros("2026-11-01T00:00:01.5Z"),
    };
    assert_eq!(stream(FULL), expected);
    assert_eq!(stream(&format!(r#"{{"stream":{FULL}}}"#)), expected);
    assert_eq!(stream(&format!(r#"{{"data":{FULL}}}"#)), expected);
}

#[test]
fn a_stream_with_next_to_nothing() {
    for body in [
        r#"{"id":"s"}"#,
        r#"{"id":"s","name":null,"start_date":null,"members":null,"resource_filter":null,"created_at":null}"#,
        r#"{"id":"s","name":{},"start_date":"soon","members":"many","resource_filter":{},"created_at":1}"#,
        r#"{"id":"s","members":{"count":-1}}"#,
    ] {
        let bare = Stream {
            id: "s".into(),
            name: None,
            start_date: None,
            resource_filter: vec![],
            event_type_filter: vec![],
            members: None,
            created_at: None,
        };
        assert_eq!(stream(body), bare, "{body}");
    }
}

#[test]
fn members_and_filters_in_every_form() {
    for (body, members) in [
        (r#"{"id":1,"members":3}"#, Some(3)),
        (r#"{"id":1,"members":"3"}"#, Some(3)),
        (r#"{"id":1,"members":{"count":3,"max":20}}"#, Some(3)),
        (r#"{"id":1,"members":{"count":"3"}}"#, Some(3)),
        (r#"{"id":1,"members":[]}"#, None),
        (r#"{"id":1}"#, None),
    ] {
        assert_eq!(stream(body).members, members, "{body}");
        assert_eq!(stream(body).id, "1");
    }
    let filtered =
        stream(r#"{"id":1,"resource_filter":"summary, unheard-of","event_type_filter":[1]}"#);
    assert_eq!(filtered.resource_filter, ["summary", "unheard-of"]);
    assert_eq!(filtered.event_type_filter, ["1"]);
}

#[test]
fn lists_in_every_form() {
    for (body, total, limit) in [
        (
            r#"{"streams":[{"id":"a"},{"id":"b"}],"meta":{"offset":0,"limit":25,"total":2}}"#,
            Some(2),
            Some(25),
        ),
        (r#"{"streams":[{"id":"a"},{"id":"b"}],"meta":{"total":"2"}}"#, Some(2), None),
        (r#"{"data":[{"id":"a"},{"id":"b"}]}"#, None, None),
        (r#"[{"id":"a"},{"id":"b"}]"#, None, None),
    ] {
        let page = Page::from_answer(body.as_bytes()).expect("a list");
        let ids: Vec<_> = page.streams.iter().map(|stream| stream.id.as_str()).collect();
        assert_eq!((ids.as_slice(), page.total, page.limit), (["a", "b"].as_slice(), total, limit));
    }
    let empty = Page::from_answer(br#"{"streams":[]}"#).expect("a list");
    assert_eq!(empty.streams, []);
}

#[test]
fn what_a_colleague_calls_a_stream_cannot_spoil_the_list() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for colleague in [
        r#"{"id":"b","name":"\ud83d"}"#,
        r#"{"id":"b","na\ud83dme":1,"x":1e999,"x":2}"#,
        &format!(r#"{{"id":"b","deep":{deep}}}"#),
        "{\"id\":\"b\",\"name\":\"\u{0}\"}".replace('\0', "\\u0000").as_str(),
    ] {
        let body = format!(r#"{{"streams":[{colleague},{{"id":"a"}}],"meta":{{"total":2}}}}"#);
        let page = Page::from_answer(body.as_bytes()).expect("a list");
        assert_eq!((page.streams.len(), page.total), (2, Some(2)), "{colleague}");
    }
    let latin_1 = b"[{\"id\":\"a\",\"name\":\"caf\xe9\"}]";
    assert_eq!(Page::from_answer(latin_1).expect("a list").streams.len(), 1);
}

#[test]
fn what_is_not_understood_says_what_was_missing() {
    let said = |body: &str| Page::from_answer(body.as_bytes()).expect_err("malformed").to_string();
    assert_eq!(said("<html>"), "not JSON (byte 0)");
    assert_eq!(said("[1,\n 2,\n x]"), "not JSON (byte 9)");
    assert_eq!(said(r#"{"error":"MARKER"}"#), "no list of streams");
    assert_eq!(said(r#"[{"name":"MARKER"}]"#), "a stream in the list has no id");
    for body in [r#"{"name":"MARKER"}"#, "[]", "17", r#"{"id":""}"#] {
        let error = Stream::from_answer(body.as_bytes()).expect_err("malformed");
        assert_eq!(error.to_string(), "no stream object with an id", "{body}");
    }
}
