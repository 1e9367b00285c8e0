//! Where secrets come from, and that they are never shown.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::{STREAM, Setting};
use crate::transport::Proxy;
use streamkeeper_sink::Secret;

/// A stream whose secret is given by `line`, on line 4.
fn with_secret(line: &str) -> Setting {
    Setting::new(&STREAM.replace("token = \"marker\"", line))
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable() {
    let setting = with_secret("token_env = \"ACME_TOKEN\"").variable("ACME_TOKEN", " s3cret\n");
    assert_eq!(setting.load().unwrap().streams[0].as_inform().unwrap().token.expose(), "s3cret");

    let setting =
        with_secret("token_file = \"credential\"").file("creds/credential", "\ts3cret \r\n");
    let folder = setting.path("creds");
    let setting = setting.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    assert_eq!(setting.load().unwrap().streams[0].as_inform().unwrap().token.expose(), "s3cret");
}

#[test]
fn a_file_beside_the_credentials_is_found_too() {
    let setting = Setting::new("").file("token", "s3cret").file("creds/other", "");
    let (file, folder) = (setting.path("token"), setting.path("creds"));
    let line = format!("token_file = {:?}", file.to_str().unwrap());
    let config = setting
        .file("main.toml", STREAM.replace("token = \"marker\"", &line))
        .variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())
        .load()
        .unwrap();
    assert_eq!(config.streams[0].as_inform().unwrap().token.expose(), "s3cret");
}

#[test]
fn exactly_one_form_is_given() {
    assert_eq!(
        with_secret("token = \"marker\"\ntoken_env = \"MARKER\"")
            .variable("MARKER", "x")
            .problems(),
        "main.toml:5:1: stream.token_env: stands beside `token`: \
         give exactly one of `token`, `token_file` and `token_env`"
    );
}

#[test]
fn a_secret_that_cannot_be_had_names_its_source_only() {
    assert_eq!(
        with_secret("token_file = \"/nowhere/token\"").problems(),
        "main.toml:4:1: stream.token_file: cannot read /nowhere/token: \
         No such file or directory (os error 2)"
    );
    assert_eq!(
        with_secret("token_env = \"marker\"").problems(),
        "main.toml:4:1: stream.token_env: names a variable that is not set, or empty"
    );
    let setting = with_secret("token_file = \"credential\"").file("creds/credential", " \n");
    let folder = setting.path("creds");
    let setting = setting.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    assert_eq!(
        setting.problems(),
        "main.toml:4:1: stream.token_file: creds/credential is empty: write the token into it"
    );
    let setting = setting.file("creds/credential", "marker\nmarker\n");
    assert_eq!(
        setting.problems(),
        "main.toml:4:1: stream.token_file: \
         creds/credential must hold one token, without white space"
    );
}

#[test]
fn a_secret_is_taken_as_people_write_it_or_refused_with_a_sentence() {
    let folder = |setting: Setting, name: &str| {
        let folder = setting.path("creds");
        setting.variable(name, folder.to_str().unwrap())
    };
    for form in ["token = \"MARKER\"", "token_file = \"credential\"", "token_env = \"ACME\""] {
        let with = |text: &str| {
            let line = form.replace("\"MARKER\"", &format!("'{text}'"));
            let setting = with_secret(&line).file("creds/credential", format!("{text}\n"));
            folder(setting.variable("ACME", text), "CREDENTIALS_DIRECTORY")
        };
        for text in ["\u{feff}s3cret", "s3\u{200b}cret\u{200b}"] {
            assert_eq!(
                with(text).load().unwrap().streams[0].as_inform().unwrap().token.expose(),
                "s3cret",
                "{form}"
            );
        }
        for text in ["\"s3cret\"", "ACME_TOKEN=s3cret", "Bearer s3cret"] {
            let said = with(text).problems();
            assert!(said.ends_with("write the token alone"), "{form}: {said}");
            assert!(said.starts_with("main.toml:4:1: stream.token"), "{form}: {said}");
            assert!(!said.contains("s3cret"), "{form}: {said}");
        }
    }
    // So is that of the endpoint, and a proxy.
    let text = format!("[service]\ntoken_env = \"OURS\"\n{STREAM}proxy_env = \"PROXY\"\n");
    let with = |[ours, proxy]: [&str; 2]| {
        Setting::new(&text).variable("OURS", ours).variable("PROXY", proxy)
    };
    let config = with(["\u{feff}s3cret", "\u{feff}http://p:1\u{200b}"]).load().unwrap();
    assert_eq!(config.service.token, Some(Secret::new("s3cret")));
    assert_eq!(config.streams[0].proxy, Proxy::Url(Secret::new("http://p:1")));
    assert_eq!(
        with(["'s3cret'", "HTTPS_PROXY=http://p:1"]).problems(),
        "main.toml:2:1: service.token_env: names a variable that holds quotes or brackets around \
         the value: write the token alone\n\
         main.toml:7:1: stream.proxy_env: names a variable that holds a name before the value: \
         write the proxy URL alone"
    );
}

#[test]
fn a_variable_that_is_no_text_is_not_taken_for_one_that_is_not_set() {
    let mut setting = with_secret("token_env = \"ACME_TOKEN\"");
    for name in ["ACME_TOKEN", "STREAMKEEPER__SERVICE__LISTEN"] {
        setting
            .surroundings
            .variables
            .insert(name.into(), OsString::from_vec(b"marker\xff".into()));
    }
    assert_eq!(
        setting.problems(),
        "environment variable STREAMKEEPER__SERVICE__LISTEN: is not UTF-8 text\n\
         main.toml:4:1: stream.token_env: names a variable that is not UTF-8 text"
    );
}

#[test]
fn a_proxy_is_a_secret_too() {
    let proxy = |setting: &Setting| setting.load().unwrap().streams[0].proxy.clone();
    let url = "http://u:s3cret@proxy:3128";
    let given = Proxy::Url(Secret::new(url));
    let setting = Setting::new(STREAM);
    assert_eq!(proxy(&setting), Proxy::Environment);
    let setting = with_secret(&format!("token = \"t\"\nproxy = {url:?}"));
    assert_eq!(proxy(&setting), given);
    assert!(!format!("{:?}", setting.load()).contains("s3cret"));
    let setting = with_secret("token = \"t\"\nproxy_env = \"P\"").variable("P", url);
    assert_eq!(proxy(&setting), given);
    let setting = with_secret("token = \"t\"\nproxy_file = \"proxy\"").file("creds/proxy", url);
    let folder = setting.path("creds");
    let setting = setting.variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    assert_eq!(proxy(&setting), given);
    assert_eq!(
        with_secret("token = \"t\"\nproxy = \"off\"\nproxy_env = \"P\"").problems(),
        "main.toml:6:1: stream.proxy_env: stands beside `proxy`: \
         give exactly one of `proxy`, `proxy_file` and `proxy_env`\n\
         main.toml:6:1: stream.proxy_env: names a variable that is not set, or empty"
    );
}

#[test]
fn a_stream_may_go_another_way_than_the_defaults() {
    let text = format!("[defaults]\nproxy_env = \"P\"\n{STREAM}proxy = \"off\"\n");
    let config = Setting::new(&text).variable("P", "http://proxy:1").load().unwrap();
    assert_eq!(config.streams[0].proxy, Proxy::Off);
    let text = format!("[defaults]\nproxy = \"http://a:1\"\n{STREAM}");
    let setting = Setting::new(&text).variable("STREAMKEEPER__DEFAULTS__PROXY", "http://b:2");
    let expected = Proxy::Url(Secret::new("http://b:2"));
    assert_eq!(setting.load().unwrap().streams[0].proxy, expected);
}

#[test]
fn no_problem_shows_a_secret() {
    for line in [
        "token = 5550123",
        "token = [\"5550123\"]",
        "token = { value = \"5550123\" }",
        "token = \"5550123",
        "token = 5550123marker",
        "token = \"5550123\" x",
        "token = \"5550123\"\ntoken = \"5550123\"",
        "token = \"5550123\\q\"",
        "token = 5550123\u{1}",
        "token = \"\"\"5550123",
        "token: \"5550123\"",
        "token \"5550123\"",
        "\"5550123\"",
        "token = \"5550 123\"\nx = \"5550123\"",
        "token_file = 5550123",
        "token_env = \"5550123\"",
        "token = 5550-12-3 5550123",
        "token.x.y = \"5550123\"",
    ] {
        let error = with_secret(line).load().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("5550123"), "{line}: {shown}");
        assert!(shown.contains("main.toml"), "{line}: {shown}");
    }
}

#[test]
fn no_configuration_shows_a_secret() {
    let sink = "[[sink]]\nname = \"s\"\ntype = \"file\"\npath = \"marker\"\n";
    let text = format!("[service]\ntoken = \"marker\"\n{STREAM}{sink}");
    let config = Setting::new(&text).load().unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("marker"));
}
