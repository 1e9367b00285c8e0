//! Every form of every event, and what must not show in any output.

use super::*;

const RECORD: &str = r#"{"id":"7db3","checksum":"5150","type":"summary","created_at":"2026-04-19T16:48:10.059Z","start_time":"2026-04-19T05:00:00Z","deleted_at":null,"metrics":[{"type":"steps","id":9}],"user":{"user_id":"u1","uid":"x"}}"#;
const AT: i64 = 1_776_617_290_059_000;

fn record(data: &str) -> Record<'_> {
    match classify(None, data) {
        Ok(InformEvent::Record(record)) => record,
        other => panic!("not a record: {other:?}"),
    }
}

fn identity<'a>(name: Option<&str>, data: &'a str) -> Identity<'a> {
    let event = classify(name, data).expect("an event");
    event.identity(data).expect("an identity")
}

fn kind(name: Option<&str>, data: &str) -> &'static str {
    match classify(name, data) {
        Ok(InformEvent::Poke(_)) => "poke",
        Ok(InformEvent::Record(_)) => "record",
        Ok(InformEvent::Rule(_)) => "rule",
        Ok(InformEvent::Connection(_)) => "connection",
        Err(EventError::NotAnObject) => "not an object",
    }
}

#[test]
fn classified_by_name_and_by_content() {
    let poke = r#"{"ts":"2017-11-28T15:49:35.700Z","stream":"s","members":{"count":1,"max":20}}"#;
    let rule = r#"{"rule_id":"r","user_id":"u","triggered_at":"2026-04-19T16:48:10Z"}"#;
    let create =
        r#"{"action":"create","id":"c","source":{"type":"fitbit"},"user":{"user_id":"u"}}"#;
    let older = r#"{"user_id":"u","source":"fitbit","event":"connected"}"#;
    for (name, data, expected) in [
        (Some("poke"), poke, "poke"),
        (Some("poke"), "garbage", "poke"),
        (Some("poke"), "", "poke"),
        (Some("poke"), RECORD, "poke"),
        (None, poke, "poke"),
        (Some("message"), poke, "poke"),
        (Some("data"), RECORD, "record"),
        (Some("message"), RECORD, "record"),
        (Some("unheard-of"), RECORD, "record"),
        (Some("rule"), rule, "rule"),
        (Some("rule"), "{}", "rule"),
        (Some("data"), rule, "rule"),
        (Some("connection"), create, "connection"),
        (Some("connection"), "{}", "connection"),
        (None, create, "connection"),
        (None, older, "connection"),
        (None, r#"{"event":"disconnected","user_id":"u"}"#, "connection"),
        // A record that happens to have an action is still a record.
        (None, r#"{"id":"1","checksum":"c","action":"create","user":{}}"#, "record"),
        (None, r#"{"id":"1","action":"create"}"#, "record"),
        (None, r#"{"id":"1","ts":"x","stream":"s"}"#, "record"),
        (None, "{}", "record"),
        (None, r#"{"id":null}"#, "record"),
        (None, r#"{"id":""}"#, "record"),
        (None, r#"{"id":true}"#, "record"),
        (None, r#"{"id":{"id":"1"}}"#, "record"),
        (None, "", "not an object"),
        (None, "[]", "not an object"),
        (None, "null", "not an object"),
        (None, "\"text\"", "not an object"),
        (None, r#"{"id":"1""#, "not an object"),
        (None, r#"{"id":"1"} trailing"#, "not an object"),
        (Some("rule"), "17", "not an object"),
        (Some("connection"), "garbage", "not an object"),
    ] {
        assert_eq!(kind(name, data), expected, "{name:?} {data}");
    }
}

#[test]
fn pokes_in_every_form() {
    for (data, ts, stream, members, members_max) in [
        (
            r#"{"ts":"1970-01-01T00:00:01Z","stream":"s","members":{"count":1,"max":20}}"#,
            Some(1_000_000),
            Some("s"),
            Some(1),
            Some(20),
        ),
        (r#"{"members":{"max":"3","count":"2"},"stream":7}"#, None, Some("7"), Some(2), Some(3)),
        (r#"{"members":3}"#, None, None, Some(3), None),
        (r#"{"members":"3"}"#, None, None, Some(3), None),
        (r#"{"members":{"count":null,"max":-1}}"#, None, None, None, None),
        (r#"{"members":true,"ts":17,"stream":{}}"#, None, None, None, None),
        ("{}", None, None, None, None),
        ("not JSON", None, None, None, None),
    ] {
        let stream = stream.map(Cow::Borrowed);
        let expected = Poke { ts, stream, members, members_max };
        assert_eq!(classify(Some("poke"), data), Ok(InformEvent::Poke(expected)), "{data}");
    }
}

#[test]
fn a_record_in_full_borrows() {
    let record = record(RECORD);
    assert!(matches!(record.id, Some(Cow::Borrowed("7db3"))));
    assert_eq!(record.checksum.as_deref(), Some("5150"));
    assert_eq!(record.record_type.as_deref(), Some("summary"));
    assert_eq!(record.created_at, Some(AT));
    assert_eq!(record.start_time, Some(1_776_574_800_000_000));
    assert!(!record.withdrawn);
    assert_eq!(record.user_id.as_deref(), Some("u1"));
}

#[test]
fn records_are_read_leniently() {
    assert_eq!(record(r#"{"id":17}"#).id.as_deref(), Some("17"));
    assert_eq!(
        record(r#"{"id":123456789012345678901234567890}"#).id.as_deref(),
        Some("123456789012345678901234567890")
    );
    assert_eq!(record(r#"{"id":"a\u00e9\"b"}"#).id.as_deref(), Some("aé\"b"));
    assert_eq!(record(r#"{"id":"a\ud800"}"#).id.as_deref(), Some(r"a\ud800"));
    assert_eq!(record(r#"{"id":"1","id":"2"}"#).id.as_deref(), Some("2"));
    assert_eq!(record(r#"{"x":{"id":"no"},"id":"yes"}"#).id.as_deref(), Some("yes"));
    assert_eq!(record(r#"{"id":"1","checksum":5}"#).checksum.as_deref(), Some("5"));
    assert_eq!(record(r#"{"id":"1","checksum":""}"#).checksum, None);
    assert_eq!(record(r#"{"id":"1","user":"u"}"#).user_id, None);
    assert_eq!(record(r#"{"id":"1","user":{"user_id":5}}"#).user_id.as_deref(), Some("5"));
    assert_eq!(record(r#"{"id":"1","user_id":"u"}"#).user_id.as_deref(), Some("u"));
    assert_eq!(record(r#"{"id":"1","created_at":17}"#).created_at, None);
    assert_eq!(
        record(r#"{"id":"1","created_at":"2026-04-19T18:48:10.059+02:00"}"#).created_at,
        Some(AT)
    );
    assert!(record(r#"{"id":"1","deleted_at":"2026-04-19T16:48:10Z"}"#).withdrawn);
    assert!(!record(r#"{"id":"1","deleted_at":null}"#).withdrawn);
    let deep = format!(r#"{{"id":"1","x":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(record(&deep).id.as_deref(), Some("1"));
}

#[test]
fn what_nobody_asks_for_cannot_spoil_a_record() {
    let deep = format!("{}1{}", r#"{"a":["#.repeat(5_000), "]}".repeat(5_000));
    for ignored in [
        r#""k\ud83dy":1"#,
        r#""\ude00":{"\ud83d":"\udc00\ud800"}"#,
        r#""\ud83d\ud83d\ude00":"\ud83d""#,
        r#""id\ud83d":"no","\u0069\ud83d":"no""#,
        r#""n":1e999,"m":-1E+999,"o":[123456789012345678901234567890,0.1e-99999]"#,
        r#""k":1,"k":2,"k":{"k":3,"k":4}"#,
        r#""":0,"\u0000":"\u0000""#,
        &format!(r#""deep":{deep}"#),
    ] {
        let plain = r#"{"id":"x","checksum":"c","created_at":"2026-04-19T16:48:10.059Z","user":{"user_id":"u"}}"#;
        let expected = identity(None, plain);
        for spoilt in [
            plain.replacen('{', &format!("{{{ignored},"), 1),
            plain.replace("}}", &format!("}},{ignored}}}")),
            plain.replace("}}", &format!(",{ignored}}}}}")),
        ] {
            for name in [None, Some("data"), Some("message")] {
                assert_eq!(identity(name, &spoilt), expected, "{ignored}");
            }
        }
        let poke = format!(
            r#"{{{ignored},"ts":"1970-01-01T00:00:01Z","stream":"s","members":{{{ignored},"count":1,"max":20}}}}"#
        );
        let Ok(InformEvent::Poke(poke)) = classify(None, &poke) else { panic!("{ignored}") };
        assert_eq!((poke.ts, poke.members, poke.members_max), (Some(1_000_000), Some(1), Some(20)));
    }
}

#[test]
fn names_and_values_that_matter_may_be_written_with_escapes() {
    let escaped = r#"{"\u0069d":"\u0078","check\u0073um":"c\u00e9","created\u005fat":"2026-04-19T16:48:10.059\u005A","\u0075ser":{"user\u005Fid":"u"}}"#;
    let plain = r#"{"id":"x","checksum":"cé","created_at":"2026-04-19T16:48:10.059Z","user":{"user_id":"u"}}"#;
    assert_eq!(identity(None, escaped), identity(None, plain));
    let record = record(r#"{"id":"\ud83d\"","checksum":"\"\ud83d"}"#);
    assert_eq!(
        (record.id.as_deref(), record.checksum.as_deref()),
        (Some(r#"\ud83d\""#), Some(r#"\"\ud83d"#))
    );
}

#[test]
fn identities() {
    let plain = identity(None, RECORD);
    assert_eq!(plain.event_type, EventType::Data);
    assert_eq!((&*plain.key, &*plain.checksum), ("7db3", "5150"));
    assert_eq!(plain.created_at, Some(1_776_617_290_059_000));
    assert_eq!(plain.user_id.as_deref(), Some("u1"));
    assert_eq!(plain.record_type.as_deref(), Some("summary"));

    let withdrawn = identity(None, r#"{"id":"7db3","checksum":"c","deleted_at":"x"}"#);
    assert_eq!((withdrawn.created_at, withdrawn.withdrawn), (None, true));

    let bare = identity(None, r#"{"id":"1"}"#);
    assert_eq!(bare.checksum, "5811967f540d300d249ab30ae681359a7815fdb5d3dc71a94be1d491006a6b27");
    assert_ne!(identity(None, r#"{"id":"1","v":2}"#).checksum, bare.checksum);
}

#[test]
fn a_record_without_an_id_goes_by_content() {
    let data = r#"{"type":"summary","checksum":"c","created_at":"2026-04-19T16:48:10.059Z"}"#;
    let record = identity(None, data);
    assert_eq!((record.event_type, &*record.checksum), (EventType::Data, "c"));
    assert_eq!(record, identity(Some("data"), data), "sent again it is the same");
    assert_ne!(record.key, identity(None, &data.replace("summary", "workout")).key);
    for no_id in [r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":true}"#, "{}"] {
        assert_eq!(identity(None, no_id).key.len(), 64, "{no_id}");
    }
}

#[test]
fn rules_go_by_content() {
    let data = r#"{"rule_id":"r","user_id":"u","triggered_at":"2026-04-19T16:48:10.059Z"}"#;
    let rule = identity(None, data);
    assert_eq!(rule, identity(Some("rule"), data));
    assert_eq!((rule.event_type, rule.created_at), (EventType::Rule, Some(AT)));
    assert_eq!(rule.key.len(), 64);
    assert_ne!(rule.key, identity(Some("rule"), r#"{"rule_id":"r"}"#).key);
}

#[test]
fn connections_go_by_id_else_by_content() {
    let data = r#"{"action":"delete","id":"c1","source":{"type":"fitbit"},"user":{"user_id":"u"},
        "created_at":"2020-01-01T00:00:00Z","event_time":"2026-04-19T16:48:10.059Z","deleted_at":"2026-04-19T16:48:09Z"}"#;
    let deleted = identity(Some("connection"), data);
    assert_eq!((deleted.key.as_ref(), deleted.created_at), ("c1", Some(AT)));
    assert!(!deleted.withdrawn, "the event itself is not withdrawn");

    let without_event_time = data.replace("event_time", "x");
    let at = identity(Some("connection"), &without_event_time).created_at;
    assert_eq!(at, crate::time::parse_micros("2026-04-19T16:48:09Z"));

    let older = identity(None, r#"{"user_id":"u","source":"fitbit","event":"connected"}"#);
    assert_eq!(older.key, older.checksum);
    assert_eq!((older.key.len(), older.user_id.as_deref()), (64, Some("u")));
}

#[test]
fn neither_errors_nor_debug_show_content() {
    let data = r#"{"id":"MARKER","checksum":"MARKER","type":"MARKER","user":{"user_id":"MARKER"},
        "rule_id":"MARKER","action":"MARKER","event":"MARKER","x":"MARKER"}"#;
    for name in [None, Some("rule"), Some("connection")] {
        let event = classify(name, data).expect("an event");
        let shown = format!("{event:?} {:?}", event.clone().identity(data));
        assert!(!shown.contains("MARKER"), "{shown}");
    }
    for data in ["MARKER", r#"["MARKER"]"#, r#"{"id":"MARKER"#] {
        let error = classify(None, data).expect_err("no event");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("MARKER"), "{shown}");
    }
}
