//! Whatever stands in a file or the environment: an answer, no panic, no secret.

use proptest::prelude::*;

use super::{STREAM, Setting};

/// Lines that are nearly right, to be mixed.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("token".to_owned()),
        Just("name".to_owned()),
        Just("url".to_owned()),
        Just("connections".to_owned()),
        Just("start_date".to_owned()),
        Just("max_event_bytes".to_owned()),
        Just("watchdog".to_owned()),
        Just("watchdog.late_after".to_owned()),
        Just("recovery.verify_every".to_owned()),
        Just("recovery.strategy".to_owned()),
        Just("dialect".to_owned()),
        Just("headers".to_owned()),
        Just("auth".to_owned()),
        Just("auth.basic".to_owned()),
        Just("sse".to_owned()),
        Just("sse.interval".to_owned()),
        Just("sse.stale_factor".to_owned()),
        Just("\"a[99999999999999]\"".to_owned()),
        Just("\"a.b\"".to_owned()),
        "[a-z]{0,3}",
    ];
    let value = prop_oneof![
        Just("\"584542046090y\"".to_owned()),
        Just("\"18446744073709551615GiB\"".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("nan".to_owned()),
        Just("[[], {}]".to_owned()),
        Just("{ late_after = 1 }".to_owned()),
        Just("\"sse\"".to_owned()),
        Just("\"own\"".to_owned()),
        Just("{ url = \"5550123\", pointer = \"5550123\" }".to_owned()),
        Just("{ name = \"5550123\", value = \"5550123\" }".to_owned()),
        Just("{ a = \"5550123\" }".to_owned()),
        Just("9999-12-31".to_owned()),
        "\"[^\"]{0,8}\"",
        ".{0,8}",
    ];
    let header = prop_oneof![
        Just("[[stream]]"),
        Just("[[sink]]"),
        Just("[service]"),
        Just("[defaults]"),
        Just("[stream.watchdog]"),
        Just("[stream]"),
        Just("[[service]]"),
        Just("[dialects.own]"),
        Just("[dialects]"),
        Just("[stream.auth]"),
        Just("stream = [{}, 1]"),
    ];
    prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => prop_oneof![Just("token = \"5550123\""), Just("token = 5550123")]
            .prop_map(str::to_owned),
        1 => header.prop_map(str::to_owned),
    ]
}

const VARIABLE: &str = "(SERVICE|DEFAULTS)?(__|_|[A-Z\\[\\].0-9]|TOKEN){0,8}";

proptest! {
    #[test]
    fn any_lines_get_an_answer(lines in prop::collection::vec(line(), 0..12)) {
        let setting = Setting::new(&format!("{STREAM}{}", lines.join("\n")));
        if let Err(errors) = setting.load() {
            prop_assert!(!errors.0.is_empty());
            prop_assert!(!errors.to_string().contains("5550123"), "{errors}");
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Setting::new("").file("main.toml", bytes).load().is_err());
    }

    #[test]
    fn any_environment_gets_an_answer(
        variables in prop::collection::vec((VARIABLE, ".{0,8}"), 0..4),
    ) {
        let mut setting = Setting::new(STREAM);
        for (name, value) in variables {
            setting = setting.variable(&format!("STREAMKEEPER__{name}"), &value);
        }
        drop(setting.load());
    }
}

#[test]
fn deep_nesting_is_refused() {
    for deep in [
        format!("x = {}", "[".repeat(10_000)),
        format!("{} = 1", vec!["a"; 10_000].join(".")),
        format!("[{}]", vec!["a"; 10_000].join(".")),
        format!("x = {}1{}", "{a = ".repeat(200), "}".repeat(200)),
    ] {
        assert!(Setting::new(&deep).load().is_err());
    }
}
