//! Files that are wrong, with the whole text of what is said.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::{STREAM, Setting, after_stream};
use crate::config::{Config, StreamConfig};
use streamkeeper_sink::Secret;

#[test]
fn syntax() {
    assert_eq!(
        after_stream("connections = = 3\n"),
        "main.toml:5:15: is not valid TOML: extra `=`, expected nothing"
    );
    assert_eq!(
        after_stream("name = \"again\"\n"),
        "main.toml:5:1: is not valid TOML: duplicate key"
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (text, problem) in [
        (
            "conections = 3",
            "5:1: stream.conections: is not a known key; did you mean `connections`?",
        ),
        (
            "[stream.watchdog]\nstall_after = \"1s\"",
            "6:1: stream.watchdog.stall_after: is not a known key; did you mean `stale_after`?",
        ),
        (
            "[stream.watchdoog]\nlate_after = \"1s\"",
            "5:9: stream.watchdoog: is not a known key; did you mean `watchdog`?",
        ),
        (
            "backoff.x = 1",
            "5:9: stream.backoff.x: is not a known key; known are initial, max, retry_after_max",
        ),
        ("[[sinks]]\nname = \"x\"", "5:3: sinks: is not a known key; did you mean `sink`?"),
        (
            "[[sink]]\nname = \"x\"\ntype = \"file\"\npath = \"x\"\n  fromat = \"raw\"",
            "9:3: sink.fromat: is not a known key; did you mean `format`?",
        ),
    ] {
        assert_eq!(after_stream(text), format!("main.toml:{problem}"));
    }
}

#[test]
fn values_of_the_wrong_kind() {
    let duration = "must be a duration such as \"30s\", \"500ms\" or \"1h 30m\"";
    let bytes = "must be a number of bytes such as 65536 or \"4MiB\"";
    let number = "must be a whole number, 0 or more";
    let names = "must be text in quotes";
    for (text, key, message) in [
        ("connections = \"3\"", "connections", number),
        ("connections = -1", "connections", number),
        ("connections = 4294967297", "connections", number),
        ("call_timeout = 30", "call_timeout", duration),
        ("call_timeout = \"30\"", "call_timeout", duration),
        ("call_timeout = \"soon\"", "call_timeout", duration),
        ("max_event_bytes = \"4 potatoes\"", "max_event_bytes", bytes),
        ("max_event_bytes = 1.5", "max_event_bytes", bytes),
        ("max_event_bytes = \"99999999999999999999GiB\"", "max_event_bytes", bytes),
        ("server_name = 5", "server_name", names),
        ("server_name = \"\"", "server_name", "must not be empty"),
        (
            "event_types = \"data\"",
            "event_types",
            "must be a list of texts, such as [\"a\", \"b\"]",
        ),
        (
            "resource_filter = [1]",
            "resource_filter",
            "must be a list of texts, such as [\"a\", \"b\"]",
        ),
        ("start_date = \"2026-02-30\"", "start_date", "must be a day, written \"2026-11-01\""),
        (
            "start_date = 2026-11-01T00:00:00Z",
            "start_date",
            "must be a day, written \"2026-11-01\"",
        ),
        ("hygiene = true", "hygiene", "must be a table"),
        ("hygiene.enabled = \"yes\"", "hygiene.enabled", "must be true or false"),
        (
            "recovery.verify_every = \"never\"",
            "recovery.verify_every",
            &format!("{duration}, or \"off\""),
        ),
        (
            "ca_file = \"/nowhere/ca.pem\"",
            "ca_file",
            "cannot read /nowhere/ca.pem: No such file or directory (os error 2)",
        ),
    ] {
        let column = key.find('.').map_or(1, |dot| dot + 2);
        assert_eq!(after_stream(text), format!("main.toml:5:{column}: stream.{key}: {message}"));
    }
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (text, problem) in [
        (
            "dialect = \"soap\"",
            "5:1: stream.dialect: must be \"inform\", \"sse\" or a preset (sse, spring, axum, pilcrow, \
             couchdb, wikimedia, mercure, mastodon, hue, horizon, launchdarkly, mcp, nchan, journald), or \
             have a row of its own: [dialects.soap]",
        ),
        (
            "recovery.strategy = \"resume\"",
            "5:10: stream.recovery.strategy: must be \"recreate\" or \"replay\"",
        ),
        (
            "[[sink]]\nname = \"hook\"\ntype = \"webhook\"",
            "7:1: sink.type: \"webhook\" is not available in this version: use \"file\"",
        ),
    ] {
        assert_eq!(after_stream(text), format!("main.toml:{problem}"));
    }
}

#[test]
fn rules_within_a_stream() {
    let year = "must be longer than zero and at most a year";
    for (text, key, message) in [
        (
            "watchdog.late_after = \"30s\"",
            "watchdog.late_after",
            "must be below stale_after, which is 30s",
        ),
        (
            "hygiene.rest_initial = \"6m\"",
            "hygiene.rest_initial",
            "must not be above rest_max, which is 5m",
        ),
        ("backoff.initial = \"31s\"", "backoff.initial", "must not be above max, which is 30s"),
        (
            "hygiene.max_consecutive_pokes = 0",
            "hygiene.max_consecutive_pokes",
            "must be 1 to 1000000, not 0",
        ),
        ("recovery.settle = \"0s\"", "recovery.settle", year),
        ("recovery.verify_every = \"2years\"", "recovery.verify_every", year),
        ("recovery.max_recoveries = 0", "recovery.max_recoveries", "must be 1 to 1000000, not 0"),
        ("recovery.lookback_days = 31", "recovery.lookback_days", "must be 0 to 30, not 31"),
        ("connections = 0", "connections", "must be 1 to 20, not 0"),
        ("connections = 21", "connections", "must be 1 to 20, not 21"),
        ("max_event_bytes = 1023", "max_event_bytes", "must be 1024 to 33554432, not 1023"),
        (
            "queue_bytes = \"2MiB\"",
            "queue_bytes",
            "must not be below max_event_bytes: the largest event has to fit",
        ),
        (
            "event_types = []",
            "event_types",
            "must be one or more of \"data\", \"rule\", \"connection\"",
        ),
        (
            "event_types = [\"dota\"]",
            "event_types",
            "must be one or more of \"data\", \"rule\", \"connection\"",
        ),
        ("resource_filter = [\"\"]", "resource_filter", "must not hold empty text"),
        ("start_date = \"2026-11-21\"", "start_date", "must not be after today, 2026-11-20 in UTC"),
    ] {
        let problem = after_stream(text);
        // A key that is not in the file is reported at its table.
        let (place, rest) = problem.split_once(": ").unwrap();
        assert!(
            ["main.toml:1:1", "main.toml:5:1", "main.toml:5:9", "main.toml:5:10"].contains(&place),
            "{problem}"
        );
        assert_eq!(rest, format!("stream.{key}: {message}"));
    }
}

#[test]
fn names_and_urls() {
    let name = "main.toml:2:1: stream.name: must be 1 to 64 letters, digits, `.`, `_` or `-`, \
                beginning with a letter or digit: it becomes a folder";
    for bad in ["..", "a/b", "-a", "a b", "é", &"x".repeat(65)] {
        assert_eq!(Setting::new(&STREAM.replace("acme", bad)).problems(), name);
    }
    let url = "must be an http or https URL, such as \"https://streams.v2.validic.com\"";
    let secret = "must not hold a user, a query or a fragment: the token goes into `token`, \
                  `token_file` or `token_env`";
    for (bad, message) in [
        ("ftp://host", url),
        ("streams.example.com", url),
        ("https://", url),
        ("https:// host", url),
        ("https://host/?token=x", secret),
        ("https://user:pass@host", secret),
        ("https://host/#x", secret),
    ] {
        let text = STREAM.replace("https://streams.example.com", bad);
        assert_eq!(Setting::new(&text).problems(), format!("main.toml:3:1: stream.url: {message}"));
    }
}

#[test]
fn what_stands_between() {
    let proxy = "must be \"off\" or http://host:port or https://host:port, with user:password@ \
                 before the host if the proxy asks for them, percent-encoded";
    for bad in ["on", "proxy:3128", "socks5://proxy:1080", "http://u:marker%20p:w@", "http://"] {
        let problem = after_stream(&format!("proxy = {bad:?}"));
        assert_eq!(problem, format!("main.toml:5:1: stream.proxy: {proxy}"));
    }
    assert_eq!(after_stream("proxy = \"\""), "main.toml:5:1: stream.proxy: must not be empty");
    for (line, problem) in [
        ("ca_file = \"{}\"", "5:1: stream.ca_file: some.pem holds no certificate in PEM form"),
        (
            "client_cert_file = \"{}\"",
            "1:1: stream.client_key_file: is missing: client_cert_file needs it",
        ),
        (
            "client_key_file = \"{}\"",
            "1:1: stream.client_cert_file: is missing: client_key_file needs it",
        ),
        (
            "client_key_file = \"{}\"\nclient_cert_file = \"{}\"",
            "6:1: stream.client_cert_file: some.pem holds no certificate in PEM form",
        ),
    ] {
        let setting = Setting::new("").file("some.pem", "marker");
        let path = setting.path("some.pem");
        let line = line.replace("{}", path.to_str().unwrap());
        let setting = setting.file("main.toml", format!("{STREAM}{line}"));
        assert_eq!(setting.problems(), format!("main.toml:{problem}"));
    }
}

#[test]
fn a_proxy_of_the_environment_that_cannot_be_used_is_refused_before_the_start() {
    let broken = OsString::from_vec(b"http://\xff:1".into());
    for (name, value, said) in [
        ("https_proxy", broken.clone(), "is not UTF-8 text"),
        ("ALL_PROXY", broken.clone(), "is not UTF-8 text"),
        ("HTTPS_PROXY", "socks5://p:1".into(), "expected http://host:port"),
    ] {
        let mut setting = Setting::new(STREAM);
        setting.surroundings.variables.insert(name.into(), value);
        let problems = setting.problems();
        let start = format!(
            "main.toml:1:1: stream.proxy: is not given, and the environment's is wrong: {name}: {said}"
        );
        assert!(problems.starts_with(&start), "{problems}");
    }
    let mut setting = Setting::new(&format!("{STREAM}proxy = \"off\""));
    setting.surroundings.variables.insert("https_proxy".into(), broken);
    assert!(setting.load().is_ok());
}

#[test]
fn a_day_is_judged_by_a_clock_that_can_be_right() {
    let mut setting = Setting::new(&format!("{STREAM}start_date = \"2026-11-21\""));
    assert!(setting.load().is_err());
    // 1970, say.
    setting.surroundings.today = None;
    assert!(setting.load().is_ok());
}

#[test]
fn missing_keys_are_reported_at_their_table() {
    assert_eq!(
        Setting::new("\n[[stream]]\n[[sink]]\n").problems(),
        "main.toml:2:1: stream.name: is missing\n\
         main.toml:2:1: stream.url: is missing\n\
         main.toml:2:1: stream.token: is missing: \
         give one of `token`, `token_file` and `token_env`\n\
         main.toml:3:1: sink.name: is missing\n\
         main.toml:3:1: sink.type: is missing"
    );
    assert_eq!(
        Setting::new("").problems(),
        "main.toml: stream: is missing: at least one [[stream]] is needed"
    );
}

#[test]
fn tables_of_the_wrong_shape() {
    assert_eq!(
        Setting::new("service = 1\n[stream]\nname = \"acme\"\n").problems(),
        "main.toml:1:1: service: must be a table: write [service]\n\
         main.toml:2:2: stream: must be tables: write [[stream]]\n\
         main.toml: stream: is missing: at least one [[stream]] is needed"
    );
}

#[test]
fn everything_is_reported_together() {
    let text = format!(
        "[service]\nlisten = \"9464\"\n{STREAM}connections = true\nqueue = 1\n\
         [[sink]]\nname = \"a\"\ntype = \"file\"\npath = \"x\"\nstreams = [\"ac*\", \"other\"]\n"
    );
    assert_eq!(
        Setting::new(&text).problems(),
        "main.toml:2:1: service.listen: \
         must be an address and a port, such as \"127.0.0.1:9464\", or \"off\"\n\
         main.toml:7:1: stream.connections: must be a whole number, 0 or more\n\
         main.toml:8:1: stream.queue: is not a known key; known are name, dialect, connections, \
         ca_file, client_cert_file, client_key_file, proxy, proxy_file, proxy_env, max_event_bytes, \
         queue_bytes, call_timeout, watchdog, url, server_name, token, token_file, token_env, \
         resource_filter, event_types, start_date, max_age, recovery, hygiene, backoff, ledger\n\
         main.toml:13:1: sink.streams: has \"other\", which matches no stream"
    );
}

#[test]
fn a_problem_in_the_defaults_is_reported_once_and_there() {
    let two = format!("{STREAM}{}", STREAM.replace("acme", "two"));
    let text = format!("[defaults.watchdog]\nlate_after = 1\n{two}");
    assert_eq!(
        Setting::new(&text).problems(),
        "main.toml:2:1: defaults.watchdog.late_after: \
         must be a duration such as \"30s\", \"500ms\" or \"1h 30m\""
    );
    let text = format!("[defaults]\nwatchdog = {{ late_after = \"40s\" }}\nname = \"x\"\n{two}");
    assert_eq!(
        Setting::new(&text).problems(),
        "main.toml:3:1: defaults.name: belongs to one stream: write it into its [[stream]]\n\
         main.toml:2:14: defaults.watchdog.late_after: must be below stale_after, which is 30s"
    );
}

#[test]
fn what_could_not_be_read_breaks_no_rule() {
    let stale = "watchdog.stale_after = \"5s\"\n";
    let two = format!("{STREAM}{stale}{}{stale}", STREAM.replace("acme", "two"));
    assert_eq!(
        Setting::new(&format!("[defaults.watchdog]\nlate_after = 1\n{two}")).problems(),
        "main.toml:2:1: defaults.watchdog.late_after: \
         must be a duration such as \"30s\", \"500ms\" or \"1h 30m\""
    );
    let sink = "[[sink]]\nname = \"s\"\ntype = \"file\"\npath = \"x\"\nstreams = [\"acme\"]\n";
    assert_eq!(
        Setting::new(&format!("{}{sink}", STREAM.replace("\"acme\"", "5"))).problems(),
        "main.toml:2:1: stream.name: must be text in quotes"
    );
}

#[test]
fn a_name_may_occur_once() {
    let sink = "[[sink]]\nname = \"s\"\ntype = \"file\"\npath = \"x\"\n";
    let setting = Setting::new(&format!("{STREAM}{sink}{sink}"));
    assert_eq!(
        setting.file("main.toml.d/a.toml", STREAM).problems(),
        "main.toml.d/a.toml:2:1: stream.name: \
         \"acme\" is the name of another stream: choose a new one\n\
         main.toml:10:1: sink.name: \"s\" is the name of another sink: choose a new one"
    );
}

#[test]
fn streams_that_are_one_to_the_service_are_refused() {
    let stream = |name: &str, server_name: &str, url: &str, token: &str| {
        format!(
            "[[stream]]\nname = \"{name}\"\nserver_name = \"{server_name}\"\nurl = \"{url}\"\n\
             token = \"{token}\"\n"
        )
    };
    let url = "https://streams.example.com";
    let first = stream("a", "acme", url, "marker");
    for (server_name, other_url, token, is_refused) in [
        ("acme", url, "marker", true),
        ("ACME", url, "marker", true),
        ("acme~1", url, "marker", true),
        ("Acme~2024", url, "marker", true),
        ("acme", "HTTPS://Streams.Example.com:443/", "marker", true),
        ("acme", "https://streams.example.com.", "marker", true),
        ("acme~x", url, "marker", false),
        ("acme-1", url, "marker", false),
        ("acm", url, "marker", false),
        ("acme", url, "other", false),
        ("acme", "https://streams.example.com:8443", "marker", false),
        ("acme", "https://streams.example.com/eu", "marker", false),
        ("acme", "https://eu.example.com", "marker", false),
    ] {
        let other = stream("b", server_name, other_url, token);
        for [one, two] in [[&first, &other], [&other, &first]] {
            let setting = Setting::new(one).file("main.toml.d/two.toml", two);
            match setting.load() {
                Ok(_) => assert!(!is_refused, "{server_name} {other_url}"),
                Err(_) => {
                    let problems = setting.problems();
                    let start = "main.toml.d/two.toml:3:1: stream.server_name: ";
                    assert!(is_refused && problems.starts_with(start), "{problems}");
                    assert!(problems.contains("each would delete the other's"), "{problems}");
                    assert!(!problems.contains("marker") && !problems.contains('\n'), "{problems}");
                }
            }
        }
    }
    let names = ["acme~1", "acme~2"].map(|name| stream(&name.replace('~', "-"), name, url, "t"));
    assert!(Setting::new(&names.concat()).load().is_ok(), "neither is made beside the other");
    let names = ["acme", "Acme"].map(|name| stream(name, &name.repeat(2), url, name));
    assert_eq!(
        Setting::new(&names.concat()).problems(),
        "main.toml:7:1: stream.name: \"Acme\" and \"acme\", of another stream, are the same folder \
         where case counts for nothing: choose a new one"
    );
}

#[test]
fn two_sinks_write_to_two_files() {
    let sink = |name: &str, path: &str| {
        format!("[[sink]]\nname = \"{name}\"\ntype = \"file\"\npath = \"{path}\"\n")
    };
    assert_eq!(
        after_stream(&(sink("one", "x") + &sink("two", "x") + &sink("three", "y"))),
        "main.toml:12:1: sink.path: is also that of sink \"one\": give each its own"
    );
}

#[test]
fn drop_ins_only_add_streams_and_sinks() {
    let setting = Setting::new(STREAM)
        .file("main.toml.d/a.toml", "[service]\n")
        .file("main.toml.d/b.toml", "[defaults]\n")
        .file("main.toml.d/c.toml", "= 1\n");
    assert_eq!(
        setting.problems(),
        "main.toml.d/a.toml:1:2: service: belongs into the main file: \
         a drop-in file only adds [[stream]] and [[sink]]\n\
         main.toml.d/b.toml:1:2: defaults: belongs into the main file: \
         a drop-in file only adds [[stream]] and [[sink]]\n\
         main.toml.d/c.toml:1:1: is not valid TOML: \
         unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"
    );
}

#[test]
fn files_that_cannot_be_read() {
    let setting = Setting::new(STREAM).file("main.toml", [b'#', 0xff]);
    assert_eq!(setting.problems(), "main.toml: is not UTF-8 text");
    std::fs::remove_file(setting.path("main.toml")).unwrap();
    assert_eq!(
        setting.problems(),
        "main.toml: cannot be read: No such file or directory (os error 2)"
    );
}

fn config_of_code() -> Config {
    let stream = StreamConfig::inform("acme", "http://127.0.0.1:1", Secret::new("t"));
    Config { streams: vec![stream], ..Config::default() }
}

#[test]
fn an_open_port_needs_a_token() {
    let listen = "[service]\nlisten = \"0.0.0.0:9464\"\n";
    assert_eq!(
        Setting::new(&format!("{listen}{STREAM}")).problems(),
        "main.toml:2:1: service.listen: is not a loopback address: \
         give a `token` in [service], or listen on 127.0.0.1"
    );
    let config = Setting::new(&format!("{listen}token = \"t\"\n{STREAM}")).load().unwrap();
    assert_eq!(config.service.token.unwrap().expose(), "t");
    let mut config = config_of_code();
    config.service.steering = true;
    assert!(config.check(&[]).unwrap_err().to_string().contains("service.steering"));
    config.service.token = Some(Secret::new(""));
    assert!(config.check(&[]).unwrap_err().to_string().contains("service.token"));
    config.service.token = Some(Secret::new("t"));
    config.check(&[]).unwrap();
}
