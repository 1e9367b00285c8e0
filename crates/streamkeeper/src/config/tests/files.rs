//! Files that are right: the contract, the default file, drop-ins, defaults.

use std::time::Duration;

use super::{STREAM, Setting, factories};
use crate::config::load;
use crate::config::{Config, LogFormat, ServiceConfig, SinkConfig, StreamConfig};
use crate::transport::Proxy;
use streamkeeper_sink::Secret;

const CONTRACT: &str = include_str!("contract.toml");
const DEFAULT_FILE: &str = include_str!("../../../../../config/streamkeeper.toml");
const TOKEN_FILE: &str = "/run/secrets/inform-token";

/// Loads a file whose token lies where the tests can write.
fn load_with_token(text: &str) -> Config {
    let setting = Setting::new("").file("token", "  s3cret\n");
    let token_file = setting.path("token");
    assert!(text.contains(TOKEN_FILE));
    let text = text.replace(TOKEN_FILE, token_file.to_str().unwrap());
    setting.file("main.toml", text).load().unwrap_or_else(|errors| panic!("{errors}"))
}

/// Code listens nowhere, a file does.
fn service_of_files() -> ServiceConfig {
    ServiceConfig { listen: "127.0.0.1:9464".parse().ok(), ..ServiceConfig::default() }
}

#[test]
fn a_file_listens_unless_it_says_otherwise_and_a_text_only_if_it_says_so() {
    let file = |text: &str| Setting::new(text).load().unwrap().service.listen;
    assert_eq!(file(STREAM), service_of_files().listen);
    assert_eq!(file(&format!("[service]\nlisten = \"off\"\n{STREAM}")), None);
    let text = Config::from_toml_str(STREAM, &[]).unwrap();
    assert_eq!(text.service.listen, None);
}

#[test]
fn only_a_token_from_a_file_steers() {
    let steering = |key: &str| {
        let text = format!("[service]\n{key}\n{STREAM}");
        let setting = Setting::new(&text).variable("TOKEN", "s3cret");
        setting.load().unwrap().service.steering
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    assert!(steering(&format!("token_file = {:?}", file.path())));
    assert!(!steering("token = \"s3cret\"") && !steering("token_env = \"TOKEN\""));
}

#[test]
fn the_contract_is_understood() {
    let config = load_with_token(CONTRACT);
    let url = "https://streams.v2.validic.com";
    let mut stream = StreamConfig::inform("acme", url, Secret::new("s3cret"));
    stream.connections = 3;
    let table = stream.as_inform_mut().unwrap();
    table.resource_filter = vec!["summary".into(), "measurement".into()];
    table.start_date = Some(jiff::civil::date(2026, 11, 1));
    assert_eq!(config.streams, [stream]);
    assert_eq!(config.service, service_of_files());
    let sink = &config.sinks[0];
    assert_eq!((sink.name.as_str(), sink.kind.as_str()), ("archive", "file"));
    assert_eq!(format!("{:?}", sink.table), r#"{"format", "path"}"#);
}

#[test]
fn the_default_file_holds_the_defaults() {
    let config = load_with_token(DEFAULT_FILE);
    let url = "https://streams.v2.validic.com";
    assert_eq!(config.streams, [StreamConfig::inform("acme", url, Secret::new("s3cret"))]);
    assert_eq!(config.service, service_of_files());
    assert_eq!(config.sinks.len(), 1);
}

#[test]
fn the_default_file_shows_every_key_of_the_contract() {
    let key = |line: &str| {
        let line = line.trim_start_matches(['#', ' ']);
        let (key, _) = line.split_once(" = ")?;
        key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_').then(|| key.to_owned())
    };
    for wanted in CONTRACT.lines().filter_map(key) {
        assert!(DEFAULT_FILE.lines().filter_map(key).any(|key| key == wanted), "{wanted}");
    }
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [service]
        data_dir = "/var/lib/streamkeeper"
        listen = "[::1]:1"
        log_format = "json"
        queue_bytes = "8 MiB"
        [[stream]]
        name = "a.b_c-1"
        server_name = "other name"
        dialect = "inform"
        url = "http://127.0.0.1:8080/base"
        token = "t"
        connections = 20
        resource_filter = []
        event_types = ["data", "rule", "connection"]
        start_date = 2026-11-20
        proxy = "https://user:password@proxy.example"
        max_event_bytes = 65536
        call_timeout = "1m 1s"
        [stream.watchdog]
        late_after = "500ms"
        stale_after = "1s"
        connect_timeout = "3s"
        [stream.hygiene]
        enabled = false
        max_consecutive_pokes = 1
        rest_initial = "1s"
        rest_max = "1s"
        [stream.recovery]
        strategy = "recreate"
        margin = "1s"
        settle = "2s"
        walk = "3s"
        verify_every = "off"
        hold_patience = "4s"
        lookback_days = 30
        max_recoveries = 1
        within = "5s"
        [stream.backoff]
        initial = "10ms"
        max = "20ms"
        [[sink]]
        name = "archive"
        type = "file"
        streams = ["a*1", "*"]
        path = "x"
    "#;
    let config = Setting::new(text).load().unwrap();
    assert_eq!(config.service.log_format, LogFormat::Json);
    assert_eq!(config.service.listen, "[::1]:1".parse().ok());
    let stream = &config.streams[0];
    assert_eq!((stream.queue_bytes, stream.max_event_bytes), (8 << 20, 65536));
    let table = stream.as_inform().unwrap();
    assert_eq!(table.server_name, "other name");
    assert_eq!(table.start_date, Some(jiff::civil::date(2026, 11, 20)));
    let proxy = Secret::new("https://user:password@proxy.example");
    assert_eq!(stream.proxy, Proxy::Url(proxy));
    assert_eq!(stream.call_timeout, Duration::from_secs(61));
    assert_eq!(stream.watchdog.late_after, Some(Duration::from_millis(500)));
    assert!(!stream.hygiene.enabled);
    assert_eq!(table.recovery.verify_every, None);
    assert_eq!(table.recovery.within, Duration::from_secs(5));
    assert_eq!(stream.backoff.max, Duration::from_millis(20));
    assert_eq!(config.sinks[0].streams, ["a*1", "*"]);
}

#[test]
fn defaults_lie_below_every_stream() {
    let text = r#"
        [defaults]
        url = "https://streams.example.com"
        token = "shared"
        connections = 2
        watchdog.late_after = "2s"
        watchdog.stale_after = "50s"
        [[stream]]
        name = "one"
        [stream.watchdog]
        stale_after = "40s"
        [[stream]]
        name = "two"
        connections = 3
        token_env = "TWO"
    "#;
    let config = Setting::new(text).variable("TWO", "own").load().unwrap();
    let [one, two] = config.streams.as_slice() else { panic!("{config:?}") };
    assert_eq!((one.connections, two.connections), (2, 3));
    assert_eq!(
        (one.as_inform().unwrap().token.expose(), two.as_inform().unwrap().token.expose()),
        ("shared", "own")
    );
    let seconds = |stream: &StreamConfig| {
        let (late_after, stale_after) = stream.bounds(None);
        (late_after.as_secs(), stale_after.as_secs())
    };
    assert_eq!((seconds(one), seconds(two)), ((2, 40), (2, 50)));
}

#[test]
fn drop_ins_append_in_the_order_of_their_names() {
    let stream = |name: &str| STREAM.replace("acme", name);
    let setting = Setting::new(&stream("main"))
        .file("main.toml.d/20.toml", stream("late"))
        .file("main.toml.d/10.toml", "[[sink]]\nname = \"s\"\ntype = \"file\"\npath = \"x\"\n")
        .file("main.toml.d/05.toml", stream("early"))
        .file("main.toml.d/.hidden.toml", "not TOML")
        .file("main.toml.d/readme.txt", "not TOML");
    let config = setting.load().unwrap();
    let names: Vec<_> = config.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["main", "early", "late"]);
    assert_eq!(config.sinks.len(), 1);

    let given = setting.file("conf.d/a.toml", stream("given"));
    let path = given.path("main.toml");
    let config = Config::load(&path, Some(&given.path("conf.d")), &factories()).unwrap();
    assert_eq!(config.streams[1].name, "given");
    assert_eq!(config.streams.len(), 2);
}

#[test]
fn a_configuration_made_in_code_has_the_same_rules() {
    let url = "https://streams.example.com";
    let mut config = Config::default();
    assert_eq!(
        config.check(&factories()).unwrap_err().to_string(),
        "configuration: stream: is missing: at least one [[stream]] is needed"
    );
    config.streams.push(StreamConfig::inform("acme", url, Secret::new("t")));
    config.sinks.push(SinkConfig::new("archive", "file"));
    config.streams[0].watchdog.late_after = Some(Duration::from_secs(30));
    assert_eq!(
        config.check(&factories()).unwrap_err().to_string(),
        "configuration: stream.acme.watchdog.late_after: \
         must be below stale_after, which is 30s\n\
         configuration: sink.archive.path: is missing: give a path"
    );
}

#[test]
fn a_star_stands_for_any_text() {
    let wants = |pattern: &str, name: &str| {
        SinkConfig { streams: vec![pattern.into()], ..SinkConfig::new("s", "file") }.wants(name)
    };
    for (pattern, name) in
        [("*", "x"), ("a", "a"), ("a*", "a"), ("*b", "ab"), ("a*b*c", "a-bb-b-c"), ("**", "")]
    {
        assert!(wants(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in
        [("", "x"), ("a", "ab"), ("a*", "ba"), ("*b", "ba"), ("ab*b", "ab"), ("a*b*c", "a-c-b")]
    {
        assert!(!wants(pattern, name), "{pattern} {name}");
    }
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let setting = Setting::new(&format!("\u{feff}{STREAM}"));
    let setting = setting.file(
        "main.toml.d/b.toml",
        "\u{feff}[[sink]]\r\nname = \"a\"\r\ntype = \"file\"\r\npath = \"x\"\r\n",
    );
    let config = setting.load().unwrap();
    assert_eq!((config.streams.len(), config.sinks.len()), (1, 1));
}

#[test]
fn the_files_that_are_named_are_known_whatever_is_wrong() {
    let text = format!("[defaults]\nca_file = \"ca\"\nwrong = 1\n{STREAM}token_file = \"t\"\n");
    let setting = Setting::new(&text)
        .file("creds/t", "s3cret")
        .file("main.toml.d/b.toml", "[[stream]]\nclient_key_file = \"/k\"\nname_file = 1")
        .variable("STREAMKEEPER__SERVICE__TOKEN_FILE", "ours");
    let folder = setting.path("creds");
    let setting = setting.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let named = load::named_files(&setting.path("main.toml"), None, &setting.surroundings);
    let expected = [setting.path("creds/t"), "/k".into(), "ca".into(), "ours".into()];
    assert_eq!(named, expected.into());
    assert_eq!(load::named_files(&setting.path("none"), None, &setting.surroundings), [].into());
}
