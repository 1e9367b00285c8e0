//! Whatever the network brings, nothing here panics, and identities stay what they promise.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Map, Value};
use streamkeeper_call::{Response, retry_after};
use streamkeeper_inform::wire::{Page, Stream};
use streamkeeper_inform::{ApiCall, CallErrorKind, InformEvent, classify, time};

/// The names that mean something, and some that do not.
const KEYS: [&str; 20] = [
    "id",
    "checksum",
    "type",
    "created_at",
    "deleted_at",
    "start_time",
    "event_time",
    "triggered_at",
    "user",
    "user_id",
    "source",
    "rule_id",
    "action",
    "event",
    "ts",
    "stream",
    "members",
    "count",
    "max",
    "x",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["create", "connected", "2026-04-19T16:48:10.059Z"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(KEYS.to_vec()), inner), 0..8).prop_map(
                |fields| {
                    Value::Object(
                        fields
                            .into_iter()
                            .map(|(key, value)| (key.into(), value))
                            .collect::<Map<_, _>>(),
                    )
                }
            ),
        ]
    })
}

fn name() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![
        None,
        Some("poke"),
        Some("data"),
        Some("rule"),
        Some("connection"),
        Some("other"),
    ])
}

fn everything(name: Option<&str>, data: &[u8]) {
    // A payload is what the decoder gives: text, whatever the bytes were.
    let text = String::from_utf8_lossy(data);
    let event = classify(name, &text);
    if name == Some("poke") {
        assert!(matches!(event, Ok(InformEvent::Poke(_))), "a poke is never refused");
    }
    if let Ok(event) = event {
        let is_poke = matches!(event, InformEvent::Poke(_));
        let again = event.clone().identity(&text);
        assert_eq!(again.is_none(), is_poke);
        if let Some(identity) = event.identity(&text) {
            assert!(!identity.key.is_empty() && !identity.checksum.is_empty());
            assert_eq!(again, Some(identity), "the same payload is the same version");
        }
    }
    let _page = Page::from_answer(data).is_ok();
    let _stream = Stream::from_answer(data).is_ok();
    for call in [ApiCall::Create, ApiCall::Connect] {
        let body = data.to_vec().into();
        assert!(
            CallErrorKind::of_response(call, &Response { status: 422, retry_after: None, body })
                .is_some()
        );
    }
}

proptest! {
    #[test]
    fn any_json(name in name(), value in json()) {
        everything(name, &serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn any_bytes(name in name(), data in prop::collection::vec(any::<u8>(), 0..200)) {
        everything(name, &data);
    }

    #[test]
    fn any_cut_of_a_record(name in name(), value in json(), cut in any::<prop::sample::Index>()) {
        let data = serde_json::to_vec(&value).unwrap();
        everything(name, &data[..cut.index(data.len())]);
    }

    #[test]
    fn any_text_as_a_time(text in ".{0,40}", digits in "[0-9T:.Z+-]{0,40}") {
        for text in [text, digits] {
            if let Some(micros) = time::parse_micros(&text) {
                prop_assert_eq!(time::format_micros(micros).as_deref().and_then(time::parse_micros), Some(micros));
            }
            let _wait = retry_after(&text, Some(&text), std::time::UNIX_EPOCH);
            let _day = time::parse_date(&text);
        }
    }
}
