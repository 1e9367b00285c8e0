//! The environment over the file.

use super::{STREAM, Setting};
use crate::config::LogFormat;

#[test]
fn the_environment_sets_service_and_defaults() {
    let config = Setting::new(&format!(
        "[service]\nlisten = \"127.0.0.1:1\"\nlog_format = \"json\"\n{STREAM}"
    ))
    .variable("STREAMKEEPER__SERVICE__LISTEN", "127.0.0.1:2")
    .variable("STREAMKEEPER__SERVICE__DATA_DIR", "/data")
    .variable("STREAMKEEPER__DEFAULTS__WATCHDOG__STALE_AFTER", "45s")
    .variable("STREAMKEEPER__DEFAULTS__CONNECTIONS", "3")
    .variable("STREAMKEEPER__DEFAULTS__HYGIENE__ENABLED", "false")
    .variable("STREAMKEEPER__DEFAULTS__EVENT_TYPES", "data, rule")
    .variable("STREAMKEEPER__DEFAULTS__MAX_EVENT_BYTES", "65536")
    .variable("STREAMKEEPER_LOG", "not ours")
    .load()
    .unwrap();
    assert_eq!(config.service.listen, "127.0.0.1:2".parse().ok());
    assert_eq!(config.service.log_format, LogFormat::Json);
    assert_eq!(config.service.data_dir, std::path::Path::new("/data"));
    let stream = &config.streams[0];
    assert_eq!(stream.stale_after().unwrap().as_secs(), 45);
    assert_eq!((stream.connections, stream.max_event_bytes), (3, 65536));
    assert!(!stream.hygiene.enabled);
    assert_eq!(stream.as_inform().unwrap().event_types, ["data", "rule"]);
}

#[test]
fn the_data_dir_is_found_without_secrets_and_whatever_else_is_wrong() {
    let text = "[service]\ndata_dir = \"there\"\ntoken_file = \"/nowhere\"\n\
                [[stream]]\nname = 5\ntoken_env = \"NOT_SET\"\n";
    let setting = Setting::new(text);
    assert_eq!(setting.data_dir().unwrap(), std::path::Path::new("there"));
    let setting = setting.variable("STREAMKEEPER__SERVICE__DATA_DIR", "/data");
    assert_eq!(setting.data_dir().unwrap(), std::path::Path::new("/data"));
    assert_eq!(Setting::new(STREAM).data_dir().unwrap(), std::path::Path::new("./data"));
    Setting::new("[service").data_dir().unwrap_err();
    let error = Setting::new("[service]\ndata_dir = 5\n").data_dir().unwrap_err();
    assert!(error.to_string().contains("service.data_dir"), "{error}");
}

#[test]
fn a_stream_lies_over_the_environment_and_that_over_the_defaults() {
    let text = format!(
        "[defaults]\nconnections = 2\nwatchdog.stale_after = \"50s\"\n{STREAM}connections = 4\n"
    );
    let config = Setting::new(&text)
        .variable("STREAMKEEPER__DEFAULTS__CONNECTIONS", "3")
        .variable("STREAMKEEPER__DEFAULTS__WATCHDOG__STALE_AFTER", "60s")
        .load()
        .unwrap();
    assert_eq!(config.streams[0].connections, 4);
    assert_eq!(config.streams[0].stale_after().unwrap().as_secs(), 60);
}

#[test]
fn a_secret_of_the_environment_replaces_the_whole_secret_of_the_file() {
    let text =
        "[defaults]\ntoken_file = \"/nowhere\"\nurl = \"http://h\"\n[[stream]]\nname = \"acme\"\n";
    let config =
        Setting::new(text).variable("STREAMKEEPER__DEFAULTS__TOKEN", "12345").load().unwrap();
    assert_eq!(config.streams[0].as_inform().unwrap().token.expose(), "12345");
}

#[test]
fn problems_name_the_variable() {
    let problems = Setting::new(STREAM)
        .variable("STREAMKEEPER__SERVICE__LISTEN", "marker")
        .variable("STREAMKEEPER__DEFAULTS__WATCHDOG__LATE_AFTER", "31s")
        .variable("STREAMKEEPER__DEFAULTS__WATCHDOG__STALE", "marker")
        .variable("STREAMKEEPER__DEFAULTS__CONNECTIONS", "marker")
        .variable("STREAMKEEPER__DEFAULTS__RECOVERY", "marker")
        .problems();
    let variable = "environment variable STREAMKEEPER__";
    assert_eq!(
        problems,
        format!(
            "{variable}SERVICE__LISTEN: service.listen: \
             must be an address and a port, such as \"127.0.0.1:9464\", or \"off\"\n\
             {variable}DEFAULTS__CONNECTIONS: defaults.connections: \
             must be a whole number, 0 or more\n\
             {variable}DEFAULTS__WATCHDOG__STALE: defaults.watchdog.stale: \
             is not a known key; known are late_after, stale_after, frame_timeout, connect_timeout\n\
             {variable}DEFAULTS__RECOVERY: defaults.recovery: must be a table"
        )
    );
    assert_eq!(
        Setting::new(STREAM)
            .variable("STREAMKEEPER__DEFAULTS__WATCHDOG__LATE_AFTER", "31s")
            .problems(),
        format!(
            "{variable}DEFAULTS__WATCHDOG__LATE_AFTER: defaults.watchdog.late_after: \
             must be below stale_after, which is 30s"
        )
    );
}

#[test]
fn a_variable_that_sets_nothing_is_a_problem() {
    for name in [
        "STREAM__NAME",
        "SERVICE",
        "SERVICE__",
        "",
        "service__listen",
        "DEFAULTS__A[9999999999999]",
        "DEFAULTS____CONNECTIONS",
        "DEFAULTS__CONNECTIONS__",
        "DEFAULTS____",
    ] {
        let name = format!("STREAMKEEPER__{name}");
        assert_eq!(
            Setting::new(STREAM).variable(&name, "marker").problems(),
            format!(
                "environment variable {name}: sets nothing: the environment sets keys of [service] \
                 and [defaults], such as STREAMKEEPER__SERVICE__LISTEN"
            )
        );
    }
}
