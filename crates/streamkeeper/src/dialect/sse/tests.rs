//! What the frames of real servers mean, preset by preset, and what each key of a row does.

use std::time::Duration;

use bytes::Bytes;
use streamkeeper_core::cursored::GapSign;
use streamkeeper_sse::{Decoder, Frame, Limits};

use super::*;
use crate::config::StreamConfig;
use crate::dialect::Reading;

fn sse(preset: &str, change: impl FnOnce(&mut Row)) -> Arc<Sse> {
    let mut table = SseTable::preset(preset).unwrap();
    change(&mut table.row);
    let config = StreamConfig::sse("a", "https://e.org/events", table);
    Sse::new(&config, config.as_sse().unwrap())
}

/// In words: a reading without what a test cannot know.
fn words(reading: &Reading) -> String {
    let cursor = |cursor: Option<&Cursor>| {
        cursor.map_or(String::new(), |cursor| format!(" @{}", cursor.as_str()))
    };
    match reading {
        Reading::Event(event) => {
            let key = if event.key().starts_with("own-") { "own" } else { event.key() };
            let form = if event.is_text() { "text" } else { "json" };
            format!("{} {key} {form}{}", event.type_name(), cursor(event.cursor()))
        }
        Reading::Cursor(at) => format!("cursor{}", cursor(Some(at))),
        Reading::Gap(sign) => format!("gap {sign:?}"),
        Reading::Interval(every) => format!("interval {every:?}"),
        Reading::Retry(wait) => format!("retry {wait:?}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn frames(text: &str) -> Vec<Frame> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from(text.to_owned()));
    std::iter::from_fn(|| decoder.next_frame()).map(Result::unwrap).collect()
}

fn readings(reader: &mut SseReader, text: &str) -> Vec<Reading> {
    let mut told = Vec::new();
    for frame in frames(text) {
        reader.read(frame, &mut |reading| told.push(reading));
    }
    told
}

fn read_as(sse: &Arc<Sse>, asked: &str, text: &str) -> Vec<String> {
    let asked = Cursor::new(asked).filter(|_| !asked.is_empty());
    let mut reader = sse.reader(asked.as_ref());
    readings(&mut reader, text).iter().map(words).collect()
}

/// What a preset makes of a stream.
fn read(preset: &str, text: &str) -> Vec<String> {
    read_as(&sse(preset, |_| {}), "", text)
}

#[test]
fn spring_and_axum() {
    assert_eq!(
        read("spring", ":hb\n\nid:1\nevent:price\ndata:{\"p\":1}\n\ndata:plain\n\n"),
        ["alive", "sse.price 1 json @1", "sse.message own text"]
    );
    assert_eq!(read("axum", ":\n\n: text\n\n"), ["alive", "alive"]);
}

#[test]
fn pilcrow_names_its_events_in_their_data() {
    let text = concat!(
        "id: 7\ndata: {\"type\":\"message\",\"event\":\"sent\",\"at\":1}\n\n",
        "data: {\"event\":\"heartbeat\"}\n\n",
        "event: other\ndata: {\"type\":\"user\"}\n\n",
    );
    assert_eq!(read("pilcrow", text), ["sse.sent 7 json @7", "heartbeat", "sse.other own json"]);
    let sse = sse("pilcrow", |_| {});
    let body = br#"{"resume_point": 12, "heartbeat": 20}"#;
    let interval = sse.interval_document().unwrap();
    assert_eq!(interval.url, "https://e.org/api/boot");
    assert_eq!(seconds(&interval.says(body).unwrap()), Some(Duration::from_secs(20)));
    assert_eq!(seconds("0.000001"), Some(INTERVAL_MIN), "no loop");
    let First::Document(first) = sse.first() else { panic!("it is in the boot document") };
    assert_eq!(first.says(body).as_deref(), Some("12"));
}

#[test]
fn couchdb_has_ids_behind_the_data_and_empty_heartbeats() {
    let text = concat!(
        "data: {\"seq\":\"1-g1A\",\"id\":\"doc\"}\nid: \"1-g1A\"\n\n",
        "event: heartbeat\ndata: \n\n",
    );
    assert_eq!(read("couchdb", text), ["sse.message \"1-g1A\" json @\"1-g1A\"", "heartbeat"]);
}

#[test]
fn wikimedia_knows_an_event_by_its_own_id() {
    let text = concat!(
        ":ok\n\nevent: message\nid: [{\"offset\":1},{\"offset\":-1}]\n",
        "data: {\"meta\":{\"id\":\"e1\"}}\n\n",
    );
    let at = "@[{\"offset\":1},{\"offset\":-1}]";
    assert_eq!(read("wikimedia", text), ["alive", &format!("sse.message e1 json {at}")]);
}

#[test]
fn mercure_says_in_a_header_where_it_goes_on() {
    let sse = sse("mercure", |_| {});
    let opened = |asked: &str, said: Option<&'static str>| {
        let asked = Cursor::new(asked).filter(|_| !asked.is_empty());
        let reader = sse.reader(asked.as_ref());
        reader.opened(|name| said.filter(|_| name.eq_ignore_ascii_case("last-event-id"))).gap
    };
    assert_eq!(opened("urn:1", Some("urn:1")), None);
    assert_eq!(opened("urn:1", Some("urn:0")), Some(GapSign::Header));
    assert_eq!(opened("urn:1", None), Some(GapSign::Header));
    assert_eq!(opened("", Some("urn:0")), None, "nothing was asked");
    assert_eq!(read("mercure", ":\n"), ["alive"]);
}

#[test]
fn mastodon_has_no_identity() {
    let text = ":thump\nevent: update\nid: 5\ndata: {\"id\":\"1\"}\n\n";
    assert_eq!(read("mastodon", text), ["alive", "sse.update own json"]);
}

#[test]
fn hue_has_a_colon_in_its_ids() {
    let text = ": hi\n\nid: 1718:0\ndata: [{\"a\":1}]\n\n";
    assert_eq!(read("hue", text), ["alive", "sse.message 1718:0 json @1718:0"]);
}

#[test]
fn horizon_says_goodbye() {
    let text = concat!(
        "retry: 1000\nevent: open\ndata: \"hello\"\n\n",
        "id: 42\ndata: {\"paging_token\":\"42\"}\n\n",
        "retry: 10\nevent: close\ndata: \"byebye\"\n\n",
    );
    assert_eq!(
        read("horizon", text),
        ["retry 1s", "ignored", "sse.message 42 json @42", "retry 10ms", "planned", "alive"]
    );
    let asked = sse("horizon", |_| {}).ask(Cursor::new("42").as_ref());
    assert_eq!(asked.place, "https://e.org/events?cursor=42");
}

#[test]
fn launchdarkly_mcp_and_nchan() {
    assert_eq!(read("launchdarkly", ":\nevent: put\ndata: {}\n\n"), ["alive", "sse.put own json"]);
    assert_eq!(read("mcp", "id: s_1\ndata:\n\n"), ["sse.message s_1 text @s_1"]);
    assert_eq!(read("mcp", "id: s_1\n\n"), ["alive", "cursor @s_1"]);
    assert_eq!(
        read("nchan", ": hi\n\nevent: ping\n\nid: 170:0\ndata: x\n\n"),
        ["alive", "heartbeat", "sse.message 170:0 text @170:0"]
    );
}

#[test]
fn the_journal_has_its_cursor_in_the_data() {
    let sse = sse("journald", |_| {});
    let text = "data: { \"__CURSOR\" : \"s=a;i=2\", \"MESSAGE\" : [1,2] }\n\n";
    assert_eq!(read_as(&sse, "", text), ["sse.message s=a;i=2 json @s=a;i=2"]);
    let asked = sse.ask(Cursor::new("s=a;i=2").as_ref());
    assert_eq!(asked.headers, [("Range".to_owned(), "entries=s=a;i=2".to_owned())]);
}

#[test]
fn what_proves_life_is_the_rows_to_say() {
    use crate::config::AliveOn;
    let text = ": c\nevent: a\n\nid: 1\nevent: b\n\nevent: c\ndata: x\n\nevent: hb\ndata: y\n\n";
    let expected = [
        (AliveOn::Bytes, ["alive", "alive", "alive"]),
        (AliveOn::Comments, ["alive", "ignored", "ignored"]),
        (AliveOn::Events, ["ignored", "alive", "alive"]),
        (AliveOn::Named(vec!["a".into()]), ["ignored", "alive", "ignored"]),
    ];
    for (alive_on, [comment, a, b]) in expected {
        let sse = sse("sse", |row| {
            row.alive_on = alive_on;
            row.heartbeats = vec!["hb".into()];
        });
        let rest = ["cursor @1", "sse.c own text", "heartbeat"];
        assert_eq!(read_as(&sse, "", text), [&[comment, a, b][..], &rest].concat());
    }
}

#[test]
fn an_id_on_a_heartbeat_or_an_ignored_event_moves_the_cursor_and_none_does_not() {
    let sse = sse("sse", |row| {
        row.heartbeats = vec!["hb".into()];
        row.ignore = vec!["hello".into()];
    });
    let text = concat!(
        "event: hb\ndata: x\nid: 1\n\nevent: hb\ndata: x\n\nevent: hello\nid: 2\ndata: x\n\n",
        "event: hello\ndata: x\n\nid: 3\n\nid:\n\nid\ndata: x\n\n",
    );
    assert_eq!(
        read_as(&sse, "", text),
        [
            "heartbeat",
            "cursor @1",
            "heartbeat",
            "ignored",
            "cursor @2",
            "ignored",
            "alive",
            "cursor @3",
            "alive",
            "sse.message own text",
        ]
    );
}

#[test]
fn what_an_event_says_is_read_also_where_it_is_ignored() {
    use crate::config::{GapCheck, Interval};
    let sse = sse("sse", |row| {
        row.interval = Interval::Event { event: "hello".into(), pointer: "/heartbeat".into() };
        row.gap_check = GapCheck::Event("reset".into());
        row.end = vec!["close".into()];
        row.ignore = vec!["hello".into(), "reset".into()];
    });
    let text = concat!(
        "event: hello\ndata: {\"heartbeat\": 2.5}\n\nevent: hello\ndata: {\"heartbeat\": -1}\n\n",
        "event: reset\nid: 9\ndata: {}\n\nevent: close\ndata: {}\n\n",
    );
    assert_eq!(
        read_as(&sse, "", text),
        [
            "interval 2.5s",
            "ignored",
            "ignored",
            "gap Event",
            "ignored",
            "cursor @9",
            "planned",
            "alive"
        ]
    );
}

#[test]
fn ids_that_count_up_show_what_is_missing() {
    let sse = sse("sse", |row| row.gap_check = crate::config::GapCheck::Sequence);
    let text = |ids: &[&str]| -> String {
        ids.iter().map(|id| format!("id: {id}\ndata: x\n\n")).collect()
    };
    let gaps = |asked: &str, ids: &[&str]| {
        let told = read_as(&sse, asked, &text(ids));
        told.iter().filter(|word| *word == "gap Sequence").count()
    };
    assert_eq!(gaps("a-3", &["a-4", "a-5"]), 0);
    assert_eq!(gaps("a-3", &["a-5", "a-6", "a-9"]), 2);
    assert_eq!(gaps("a-3", &["a-3", "a-4", "a-3", "a-4", "a-5"]), 0, "again, not lost");
    assert_eq!(gaps("a-57", &["a-1", "a-2", "a-3"]), 1, "it counts from 1 again");
    assert_eq!(gaps("a-57", &["a-1", "a-2", "a-4"]), 2, "and is held to the new count");
    assert_eq!(gaps("", &["8", "9", "8", "9", "10", "1", "2"]), 1, "also while it is read");
    assert_eq!(gaps("", &["70", "71", "x", "72"]), 0, "where we come in is no gap");
    assert_eq!(gaps("18446744073709551615", &["18446744073709551615", "99999999999999999999"]), 0);
    let told = read_as(&sse, "3", &text(&["5"]));
    assert_eq!(told, ["gap Sequence", "sse.message 5 text @5"], "its events are taken");
}

#[test]
fn a_header_may_announce_the_interval() {
    let sse =
        sse("sse", |row| row.interval = crate::config::Interval::Header("X-Heartbeat".into()));
    let reader = sse.reader(None);
    let interval = |said| reader.opened(|name| (name == "X-Heartbeat").then_some(said)).interval;
    assert_eq!(interval("1.5"), Some(Duration::from_millis(1_500)));
    for said in ["", "soon", "0", "-3", "inf", "NaN", "1e300"] {
        assert_eq!(interval(said), None, "{said}");
    }
}

#[test]
fn an_identity_may_be_a_pointer_and_what_has_none_is_new() {
    use crate::config::IdentityAt;
    let sse = sse("sse", |row| row.identity = IdentityAt::Pointer("/id".into()));
    let text = concat!(
        "id: 1\ndata: {\"id\": 12345678901234567890}\n\nid: 2\ndata: {\"id\": null}\n\n",
        "id: 3\ndata: no json\n\nid: 4\ndata: {\"id\": \"a\\u00e9\"}\n\n",
    );
    assert_eq!(
        read_as(&sse, "", text),
        [
            "sse.message 12345678901234567890 json @1",
            "sse.message own json @2",
            "sse.message own text @3",
            "sse.message aé json @4",
        ]
    );
}

#[test]
fn the_same_content_is_the_same_version() {
    let sse = sse("sse", |_| {});
    let version = |text: &str| {
        let mut reader = sse.reader(None);
        let [Reading::Event(event)] = &readings(&mut reader, text)[..] else { panic!("an event") };
        (event.key().to_owned(), event.version)
    };
    let one = version("id: 1\nevent: a\ndata: x\n\n");
    assert_eq!(one, version("event: a\ndata: x\nid: 1\n\n"));
    for other in ["id: 1\nevent: a\ndata: y\n\n", "id: 1\nevent: b\ndata: x\n\n"] {
        assert!(version(other).0 == one.0 && version(other).1 != one.1, "{other}");
    }
    let without = "data: x\n\n";
    assert_ne!(version(without).0, version(without).0, "every one is new");
}

#[test]
fn an_id_that_nobody_can_ask_with_is_an_identity_and_no_cursor() {
    let sse = sse("sse", |_| {});
    let mut reader = sse.reader(None);
    let long = "x".repeat(5_000);
    let told = readings(&mut reader, &format!("id: {long}\ndata: 1\n\n"));
    let [Reading::Event(event)] = &told[..] else { panic!("an event") };
    assert!(event.key() == long && event.cursor().is_none());
    assert_eq!(reader.unusable(), 1);
}

#[test]
fn the_first_cursor_may_be_written_down() {
    let first = sse("sse", |row| row.first_cursor = FirstCursorFrom::Literal("0".into()));
    assert!(matches!(first.first(), First::Literal(cursor) if cursor.as_str() == "0"));
    assert!(matches!(sse("sse", |_| {}).first(), First::Nothing));
}

#[test]
fn a_snapshot_is_an_event_of_its_own() {
    let sse = sse("sse", |row| row.resync = Some("/all".into()));
    assert_eq!(sse.resync(), Some("https://e.org/all"));
    let body = Bytes::from_static(b"[1]");
    let (one, two) = (sse.snapshot(&body), sse.snapshot(&body));
    assert_eq!(
        (&*one.type_name(), one.data.as_str(), one.is_text()),
        ("sse.snapshot", "[1]", false)
    );
    assert_ne!(one.key(), two.key());
}

#[test]
fn nothing_of_an_event_is_shown() {
    let sse = sse("sse", |_| {});
    let mut reader = sse.reader(Cursor::new("MARKER").as_ref());
    let told = readings(&mut reader, "event: MARKER\nid: MARKER\ndata: MARKER\n\nid: MARKER\n\n");
    assert!(!format!("{told:?} {reader:?}").contains("MARKER"));
}

#[test]
fn a_refusal_says_what_to_do_and_nothing_of_the_server() {
    let body = Bytes::from_static(b"MARKER");
    for status in [204, 301, 401, 403, 404, 410, 418, 429, 503] {
        let said = refusal(&Response { status, retry_after: None, body: body.clone() });
        assert!(said.starts_with(&format!("the server answered {status}: ")), "{said}");
        assert!(!said.contains("MARKER"));
    }
}

proptest::proptest! {
    /// Whatever comes, each frame is told as one thing that proves life or does not, and the cursor that is told
    /// last is the newest that came.
    #[test]
    fn each_frame_is_told_once(
        preset in proptest::sample::select(vec!["sse", "pilcrow", "horizon", "journald", "mastodon"]),
        lines in proptest::collection::vec(
            "(id|data|event|retry|:|x)?(: ?)?(heartbeat|close|open|7|\\{\"event\": ?\"a\", ?\"__CURSOR\":1\\})?", 0..20
        ),
    ) {
        let sse = sse(preset, |row| row.gap_check = crate::config::GapCheck::Sequence);
        let mut reader = sse.reader(None);
        for frame in frames(&format!("{}\n\n", lines.join("\n"))) {
            let id = match &frame {
                Frame::Event(block) => block.id.clone().filter(|id| !id.is_empty()),
                Frame::Comment(_) => None,
            };
            let mut told = Vec::new();
            reader.read(frame, &mut |reading| told.push(reading));
            let is_one = |reading: &&Reading| {
                matches!(
                    reading,
                    Reading::Alive | Reading::Ignored | Reading::Heartbeat | Reading::Event(_)
                )
            };
            proptest::prop_assert_eq!(told.iter().filter(is_one).count(), 1);
            let at = told.iter().rev().find_map(|reading| match reading {
                Reading::Event(event) => event.cursor(),
                Reading::Cursor(cursor) => Some(cursor),
                _ => None,
            });
            if sse.row.cursor == crate::config::CursorAt::Id {
                proptest::prop_assert_eq!(at.map(Cursor::as_str), id.as_ref().map(Label::as_str));
            }
        }
    }
}

#[test]
fn a_cursor_that_no_request_can_have_moves_nothing() {
    let read = read("sse", "id: a\ndata: 1\n\nid:  b \ndata: 2\n\n");
    assert_eq!(read, ["sse.message a json @a", "sse.message  b  json"]);
}
