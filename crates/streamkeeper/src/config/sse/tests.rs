//! The table of a stream of the sse family: what is read, what is refused, with the whole text of what is said.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::config::tests::Setting;
use crate::config::{Config, StreamConfig, load};

const STREAM: &str =
    "[[stream]]\nname = \"a\"\ndialect = \"sse\"\nurl = \"https://e.org/events\"\n";

fn setting(text: &str) -> Setting {
    Setting::new(&format!("{STREAM}{text}"))
}

fn stream(text: &str) -> StreamConfig {
    setting(text).load().unwrap().streams.remove(0)
}

fn row(text: &str) -> Row {
    stream(text).as_sse().unwrap().row.clone()
}

/// What is said of a stream that goes on so, from line 5 on.
fn said(text: &str) -> String {
    setting(text).problems()
}

#[test]
fn no_preset_has_a_problem() {
    for name in presets::NAMES {
        let mut problems = Vec::new();
        row::read(Row::default(), &presets::layer(name).expect(name), &mut problems);
        assert_eq!(problems, [], "{name}");
        let config = format!("[[stream]]\nname = \"a\"\nurl = \"http://h/\"\ndialect = {name:?}\n");
        let config = Setting::new(&config).load().unwrap();
        assert_eq!(config.streams[0].as_sse().unwrap().dialect, name);
    }
    assert_eq!(SseTable::preset("sse").unwrap().row, Row::default());
    assert!(SseTable::preset("soap").is_none());
}

#[test]
fn a_preset_is_data_and_every_key_may_be_set_over_it() {
    let text = STREAM.replace("\"sse\"", "\"pilcrow\"");
    let pilcrow = Setting::new(&text).load().unwrap().streams.remove(0);
    let row = &pilcrow.as_sse().unwrap().row;
    assert_eq!(row.stale_after(Duration::from_secs(20)), Duration::from_secs(20));
    assert_eq!(row.name, NameAt::Pointer("/event".to_owned()));
    assert_eq!(pilcrow.stale_after(), None, "it is announced");
    assert_eq!(pilcrow.bounds(Some(Duration::from_secs(30))).0, Duration::from_secs(27));
    let over = "[stream.sse]\ninterval = \"40s\"\nheartbeats = [\"hb\"]\nstale_factor = 3\n";
    let pilcrow = Setting::new(&format!("{text}{over}")).load().unwrap().streams.remove(0);
    let row = &pilcrow.as_sse().unwrap().row;
    assert_eq!(
        (&row.heartbeats[..], &row.name),
        (&["hb".to_owned()][..], &NameAt::Pointer("/event".into()))
    );
    assert_eq!(pilcrow.stale_after(), Some(Duration::from_secs(120)));
}

#[test]
fn every_form_of_every_key_is_read() {
    let text = r#"[stream.sse]
        alive_on = ["a", "b"]
        interval = { event = "hello", pointer = "/heartbeat" }
        stale_factor = 1.5
        cursor = "/__CURSOR"
        cursor_via = { header = "Range", template = "entries={cursor}" }
        identity = "none"
        name = "/event"
        first_cursor = "0"
        gap_check = { header = "Last-Event-ID" }
        resync = { url = "/all" }
        group = "all"
        max_age = "1h"
        redirects = true
        full_state = true
    "#;
    let read = row(text);
    let expected = Row {
        alive_on: AliveOn::Named(vec!["a".into(), "b".into()]),
        interval: Interval::Event { event: "hello".into(), pointer: "/heartbeat".into() },
        stale_factor: Factor::new(1.5).unwrap(),
        cursor: CursorAt::Pointer("/__CURSOR".into()),
        cursor_via: CursorVia::Header { name: "Range".into(), template: "entries={cursor}".into() },
        identity: IdentityAt::None,
        name: NameAt::Pointer("/event".into()),
        first_cursor: FirstCursorFrom::Literal("0".into()),
        gap_check: GapCheck::Header("Last-Event-ID".into()),
        resync: Some("/all".into()),
        group: Group::All,
        max_age: Some(Duration::from_secs(3600)),
        redirects: true,
        full_state: true,
        ..Row::default()
    };
    assert_eq!(read, expected);
    let read = row(
        "sse.interval = { header = \"X-Heartbeat\" }\nsse.cursor_via = { url = \"/x/{cursor}\" }\n\
                    sse.gap_check = { event = \"reset\" }\nsse.alive_on = \"comments\"\n",
    );
    assert_eq!(read.interval, Interval::Header("X-Heartbeat".into()));
    assert_eq!(read.cursor_via, CursorVia::Url("/x/{cursor}".into()));
    assert_eq!(
        (read.gap_check, read.alive_on),
        (GapCheck::Event("reset".into()), AliveOn::Comments)
    );
}

#[test]
fn bad_values_say_what_to_write() {
    for (value, message) in [
        (
            "alive_on = \"pings\"",
            "must be \"bytes\", \"comments\", \"events\" or a list of event names",
        ),
        ("stale_factor = 0.9", "must be a number, 1.0 to 1000"),
        ("cursor = \"id/x\"", "must be \"id\", \"none\" or a JSON pointer such as \"/id\""),
        ("identity = \"/a~2\"", "must be \"cursor\", \"none\" or a JSON pointer such as \"/id\""),
        ("name = \"none\"", "must be \"event\" or a JSON pointer such as \"/event\""),
        ("group = \"both\"", "must be \"solo\" or \"all\""),
        ("heartbeats = [\"\"]", "must not hold empty text"),
        (
            "max_age = \"never\"",
            "must be a duration such as \"30s\", \"500ms\" or \"1h 30m\", or \"off\"",
        ),
        ("resync = \"/all\"", "must be \"none\" or { url = \"/snapshot\" }"),
    ] {
        let key = value.split(' ').next().unwrap();
        let text = format!("[stream.sse]\n{value}\n");
        assert_eq!(said(&text), format!("main.toml:6:1: stream.sse.{key}: {message}"));
    }
    for value in [
        "interval = 20",
        "interval = { url = \"/boot\" }",
        "interval = { url = \"/boot\", pointer = \"heartbeat\" }",
        "interval = { url = \"/boot\", pointer = \"/x\", more = \"y\" }",
        "cursor_via = { header = \"Range\", template = \"entries=\" }",
        "cursor_via = { header = \"a b\", template = \"{cursor}\" }",
        "cursor_via = { url = \"/x\" }",
        "gap_check = { header = \"a b\" }",
        "first_cursor = \"\"",
    ] {
        let key = value.split(' ').next().unwrap();
        let said = said(&format!("[stream.sse]\n{value}\n"));
        assert!(said.starts_with(&format!("main.toml:6:1: stream.sse.{key}: must be ")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(
        said("[stream.sse]\nheartbeat = []\n"),
        "main.toml:6:1: stream.sse.heartbeat: is not a known key; did you mean `heartbeats`?"
    );
}

#[test]
fn what_one_row_says_in_two_places_is_refused() {
    for (text, problem) in [
        (
            "sse.cursor = \"none\"\nsse.gap_check = \"sequence\"\n",
            "6:5: stream.sse.gap_check: needs a cursor, and cursor is \"none\"",
        ),
        (
            "sse.end = [\"x\"]\nsse.heartbeats = [\"x\"]\n",
            "6:5: stream.sse.heartbeats: has \"x\", which is in end, too",
        ),
        (
            "sse.stale_floor = \"0s\"\n",
            "5:5: stream.sse.stale_floor: must be longer than zero and at most a year",
        ),
        (
            "sse.cursor_via = { header = \"Host\", template = \"{cursor}\" }\n",
            "5:5: stream.sse.cursor_via: names a header that Streamkeeper sets itself",
        ),
        (
            "connections = 2\n",
            "5:1: stream.connections: must be 1: a stream of this dialect is read over one connection",
        ),
        (
            "watchdog.late_after = \"30s\"\nwatchdog.stale_after = \"30s\"\n",
            "5:10: stream.watchdog.late_after: must be below stale_after, which is 30s",
        ),
    ] {
        assert_eq!(said(text), format!("main.toml:{problem}"));
    }
}

#[test]
fn defaults_of_the_family_are_its_own() {
    let stream = stream("");
    assert!(!stream.hygiene.enabled && stream.backoff.max == Duration::from_secs(60));
    assert_eq!((stream.watchdog.late_after, stream.watchdog.stale_after), (None, None));
    let (late_after, stale_after) = stream.bounds(Some(Duration::from_secs(12)));
    assert_eq!((late_after, stale_after), (Duration::from_secs(20), Duration::from_secs(30)));
    let given = self::stream("watchdog.late_after = \"50s\"\n");
    assert_eq!(given.bounds(Some(Duration::from_secs(12))).0, Duration::from_secs(20));
    assert_eq!(given.bounds(Some(Duration::from_secs(40))).0, Duration::from_secs(50));
    let stale = self::stream("watchdog.stale_after = \"9s\"\n");
    assert_eq!(stale.bounds(None), (Duration::from_secs(6), Duration::from_secs(9)));
}

#[test]
fn who_we_are_has_five_forms_of_which_one_is_given() {
    let auth = |text: &str| stream(text).as_sse().unwrap().auth.clone();
    let secret = || Secret::new("s3cret");
    assert_eq!(auth(""), Auth::None);
    assert_eq!(auth("[stream.auth]\nbearer = \"s3cret\"\n"), Auth::Bearer(secret()));
    let basic = Auth::Basic { user: Secret::new("u"), password: secret() };
    assert_eq!(auth("auth.basic = { user = \"u\", password = \"s3cret\" }\n"), basic);
    type Kind = fn(String, Secret) -> Auth;
    let kinds: [(_, Kind); 3] = [
        ("header", |name, value| Auth::Header { name, value }),
        ("query", |name, value| Auth::Query { name, value }),
        ("cookie", |name, value| Auth::Cookie { name, value }),
    ];
    for (form, kind) in kinds {
        for key in ["value = \"s3cret\"", "value_env = \"V\"", "value_file = \"credential\""] {
            let text = format!("auth.{form} = {{ name = \"n\", {key} }}\n");
            let setting =
                setting(&text).variable("V", "s3cret").file("creds/credential", "s3cret\n");
            let folder = setting.path("creds");
            let setting = setting.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
            let config = setting.load().unwrap();
            assert_eq!(config.streams[0].as_sse().unwrap().auth, kind("n".into(), secret()));
            assert!(!format!("{config:?}").contains("s3cret"));
        }
    }
}

#[test]
fn a_wrong_form_names_its_key_and_never_the_secret() {
    for (text, problem) in [
        (
            "[stream.auth]\nbearer = \"s3cret\"\ncookie = { name = \"n\", value = \"s3cret\" }\n",
            "7:1: stream.auth.cookie: stands beside `bearer`: give at most one of `bearer`, `basic`, \
             `header`, `query` and `cookie`",
        ),
        (
            "[stream.auth.header]\nname = \"n\"\n",
            "5:14: stream.auth.header.value: is missing: give one of `value`, `value_file` and `value_env`",
        ),
        ("auth.query = { value = \"s3cret\" }\n", "5:6: stream.auth.query.name: is missing"),
        (
            "auth.basic = { user = \"a:s3cret\", password = \"s3cret\" }\n",
            "5:16: stream.auth.basic.user: must not hold a colon",
        ),
        (
            "auth.header = { name = \"n n\", value = \"s3cret\" }\n",
            "5:17: stream.auth.header.name: must be the name of a header, such as \"X-Api-Key\"",
        ),
        (
            "auth.bearer = \"Bearer s3cret\"\n",
            "5:6: stream.auth.bearer: holds a word such as `Bearer` before the value: write the token alone",
        ),
        (
            "auth.bearer_env = \"s3cret\"\n",
            "5:6: stream.auth.bearer_env: names a variable that is not set, or empty",
        ),
        (
            "auth.berer = \"s3cret\"\n",
            "5:6: stream.auth.berer: is not a known key; did you mean `bearer`?",
        ),
        (
            "headers = { Cookie = \"s3cret\" }\n",
            "5:13: stream.headers.Cookie: belongs into [stream.auth]: it may be secret",
        ),
        (
            "headers = { Host = \"s3cret\" }\n",
            "5:13: stream.headers.Host: is set by Streamkeeper itself",
        ),
    ] {
        let said = said(text);
        assert_eq!(said, format!("main.toml:{problem}"));
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn the_url_may_be_a_secret() {
    let text = STREAM.replace("url = \"https://e.org/events\"", "url_env = \"U\"");
    let url = "https://e.org/s3cret?key=s3cret";
    let config = Setting::new(&text).variable("U", url).load().unwrap();
    assert_eq!(config.streams[0].url.expose(), url);
    assert_eq!(config.streams[0].shown_url(), "https://e.org");
    assert!(!format!("{config:?}").contains("s3cret"));
    for (url, message) in [
        ("s3cret", "must be an http, https, ws or wss URL, such as \"https://example.org/events\""),
        (
            "ftp://s3cret",
            "must be an http, https, ws or wss URL, such as \"https://example.org/events\"",
        ),
        (
            "https://u:s3cret@e.org/",
            "must not hold a user or a fragment: a password goes into [stream.auth], such as \
             basic = { user = \"u\", password_file = \"p\" }",
        ),
    ] {
        let text = STREAM.replace("https://e.org/events", url);
        assert_eq!(Setting::new(&text).problems(), format!("main.toml:4:1: stream.url: {message}"));
    }
    assert_eq!(
        Setting::new("[[stream]]\nname = \"a\"\ndialect = \"sse\"\n").problems(),
        "main.toml:1:1: stream.url: is missing: give one of `url`, `url_file` and `url_env`"
    );
}

#[test]
fn keys_of_the_other_family_are_named() {
    for (text, key, column) in [
        ("token = \"t\"\n", "token", 1),
        ("server_name = \"x\"\n", "server_name", 1),
        ("start_date = \"2026-11-01\"\n", "start_date", 1),
        ("recovery.margin = \"5m\"\n", "recovery.margin", 10),
    ] {
        assert_eq!(
            said(text),
            format!(
                "main.toml:5:{column}: stream.{key}: belongs to the Inform API: a stream of the dialect \
                 \"sse\" has no such key"
            )
        );
    }
    for (text, key, column) in [
        ("headers = {}\n", "headers", 1),
        ("auth = { bearer = \"t\" }\n", "auth", 1),
        ("sse.cursor = \"id\"\n", "sse", 1),
        ("url_env = \"t\"\n", "url_env", 1),
    ] {
        assert_eq!(
            crate::config::tests::after_stream(text),
            format!(
                "main.toml:5:{column}: stream.{key}: belongs to the sse family, and the dialect is \
                 \"inform\": set `dialect` to \"sse\", or to a preset"
            )
        );
    }
    assert_eq!(
        said("recovery.strategy = \"recreate\"\n"),
        "main.toml:5:10: stream.recovery.strategy: must be \"resume\" or \"reconnect\""
    );
}

#[test]
fn what_stands_in_defaults_is_for_whom_it_concerns() {
    let text = format!(
        "[defaults]\ntoken = \"t\"\nconnections = 3\nrecovery.margin = \"1m\"\nauth.bearer = \"b\"\n\
         sse.interval = {{ url = \"/boot\", pointer = \"/x\" }}\n{STREAM}auth.cookie = {{ name = \"n\", \
         value = \"v\" }}\nsse.interval = {{ header = \"X\" }}\n\
         [[stream]]\nname = \"b\"\nurl = \"http://h\"\n\
         [[stream]]\nname = \"c\"\nurl = \"http://h\"\ndialect = \"axum\"\n"
    );
    let Config { streams, .. } = Setting::new(&text).load().unwrap();
    let [sse, inform, axum] = &streams[..] else { panic!("three streams") };
    assert_eq!(sse.connections, 1);
    let table = sse.as_sse().unwrap();
    assert_eq!(table.row.interval, Interval::Header("X".into()), "a value as a whole");
    assert!(matches!(table.auth, Auth::Cookie { .. }), "a form as a whole");
    assert_eq!((inform.connections, inform.as_inform().unwrap().token.expose()), (3, "t"));
    assert_eq!(inform.as_inform().unwrap().recovery.margin, Duration::from_secs(60));
    assert!(matches!(axum.as_sse().unwrap().auth, Auth::Bearer(_)));
    assert!(matches!(axum.as_sse().unwrap().row.interval, Interval::Document { .. }));
}

#[test]
fn a_row_of_ones_own_is_one_more_dialect() {
    let text = format!(
        "{}[dialects.own]\ncursor = \"/id\"\ninterval = \"7s\"\n",
        STREAM.replace("\"sse\"", "\"own\"")
    );
    let config = Setting::new(&text).load().unwrap();
    let table = config.streams[0].as_sse().unwrap();
    assert_eq!((&*table.dialect, &table.row.cursor), ("own", &CursorAt::Pointer("/id".into())));
    for (text, problem) in [
        (
            "[dialects.own]\ncursor = 5\n",
            "6:1: dialects.own.cursor: must be \"id\", \"none\" or a JSON pointer such as \"/id\"",
        ),
        (
            "[dialects.own]\ncurser = \"id\"\n",
            "6:1: dialects.own.curser: is not a known key; did you mean `cursor`?",
        ),
        (
            "[dialects.axum]\n",
            "5:11: dialects.axum: is the name of a preset: choose another, and set `dialect` to it",
        ),
        ("[dialects]\nown = 5\n", "6:1: dialects.own: must be a table"),
    ] {
        assert_eq!(said(text), format!("main.toml:{problem}"));
    }
}

#[test]
fn what_is_in_effect_has_the_presets_values_and_no_secret() {
    let setting = Setting::new(
        "[defaults]\nconnections = 2\ntoken = \"MARKER\"\n[[stream]]\nname = \"a\"\ndialect = \"pilcrow\"\n\
         url = \"https://e.org/x?key=MARKER\"\nauth.basic = { user = \"u\", password = \"MARKER\" }\n\
         headers = { X-Extra = \"MARKER\" }\nsse.stale_floor = \"1s\"\n\
         [[stream]]\nname = \"b\"\ndialect = \"own\"\nurl_file = \"u\"\n[dialects.own]\nend = [\"bye\"]\n",
    )
    .file("creds/u", "https://e.org/MARKER");
    let folder = setting.path("creds");
    let setting = setting.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let path = setting.path("main.toml");
    let effective = load::effective(&path, None, &[], &setting.surroundings).unwrap();
    let value = effective.as_value();
    for (pointer, expected) in [
        ("/stream/0/sse/interval/url", json!("/api/boot")),
        ("/stream/0/sse/stale_factor", json!(1.0)),
        ("/stream/0/sse/stale_floor", json!("1s")),
        ("/stream/0/sse/cursor", json!("id")),
        ("/stream/0/auth/basic/password", json!("***")),
        ("/stream/0/auth/basic/user", json!("u")),
        ("/stream/0/recovery", json!({ "strategy": "resume" })),
        ("/stream/0/url", json!("https://e.org/x?***")),
        ("/stream/0/hygiene/enabled", json!(false)),
        ("/stream/1/sse/end", json!(["bye"])),
        ("/dialects/own/end", json!(["bye"])),
    ] {
        assert_eq!(value.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(value.pointer("/stream/1/auth"), None);
    assert_eq!(value.pointer("/stream/0/token"), None);
    let toml = effective.to_toml();
    assert!(!toml.contains("MARKER"), "{toml}");
    // It is a configuration, once its secrets are in it.
    let again = toml.replace("x?***", "x").replace("***", "t");
    let again = Setting::new(&again).file("creds/u", "https://e.org/MARKER");
    let folder = again.path("creds");
    let again = again.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let (here, there) = (setting.load().unwrap(), again.load().unwrap());
    for (here, there) in here.streams.iter().zip(&there.streams) {
        assert_eq!(here.as_sse().unwrap().row, there.as_sse().unwrap().row);
    }
}

#[test]
fn files_of_secrets_are_named_wherever_they_stand() {
    let setting = Setting::new(&format!(
        "{STREAM}auth.basic = {{ user = \"u\", password_file = \"p\" }}\n[[stream]]\nname = \"b\"\n\
         dialect = \"axum\"\nurl_file = \"u\"\n"
    ));
    let path = setting.path("main.toml");
    let files = load::named_files(&path, None, &setting.surroundings);
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["p", "u"].map(std::path::PathBuf::from));
}
