//! What is read: metrics, health, version, status.

use std::path::Path;

use super::client::{Running, TOKEN, talk};
use serde_json::Value;
use streamkeeper::config::Config;
use streamkeeper::{Secret, StartError, Streamkeeper, http};

#[test]
fn everything_is_there_for_whoever_is_on_the_machine() {
    let running = Running::start(|_| {});
    let ready = running.wait("/readyz?verbose", |answer| answer.status == 200);
    assert_eq!(ready.body, "[+]acme/state ok\n[+]acme/sink/deliveries ok\nok\n");
    assert_eq!(running.get("/readyz").body, "ok\n");

    let metrics = running.get("/metrics");
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!((metrics.status, &*metrics.headers["content-type"]), (200, content_type));
    assert!(!metrics.body.contains("# EOF"), "{}", metrics.body);
    let openly = running.send("GET", "/metrics", &[("accept", "application/openmetrics-text")]);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((openly.status, &*openly.headers["content-type"]), (200, content_type));
    assert!(openly.body.ends_with("# EOF\n"), "{}", openly.body);
    // One that nobody can read is none.
    let odd = [("accept", "\u{fc}, ;;q=, application/openmetrics-text;q=0.5;q=\"")];
    assert_eq!(running.send("GET", "/metrics", &odd).status, 200);
    let live = r#"streamkeeper_stream_state{stream="acme",state="live"} 1"#;
    assert!(metrics.body.contains(live), "{}", metrics.body);
    let opened = r#"streamkeeper_connects_total{stream="acme",outcome="opened"} 1"#;
    assert!(metrics.body.contains(opened), "{}", metrics.body);

    let alive = running.get("/livez");
    assert_eq!((alive.status, &*alive.body), (200, "ok\n"));
    assert_eq!(running.get("/version").json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(running.get("/nothing").status, 404);
    let (read, act) = ("GET, HEAD", "/api/streams/acme/pause");
    for (path, allowed) in [("/status", read), ("/", read), ("/api/feed", "GET"), (act, "POST")] {
        let refused = running.send("DELETE", path, &[]);
        assert_eq!((refused.status, &*refused.headers["allow"]), (405, allowed), "{path}");
    }
}

#[test]
fn a_monitor_may_ask_for_the_head_alone() {
    let running = Running::start(|_| {});
    running.wait("/readyz", |answer| answer.status == 200);
    for path in ["/livez", "/readyz", "/metrics", "/version", "/status", "/", "/page.css"] {
        let (whole, head) = (running.get(path), running.send("HEAD", path, &[]));
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        assert_eq!(head.headers["content-type"], whole.headers["content-type"], "{path}");
    }
}

#[test]
fn the_status_is_what_its_published_schema_says() {
    let running = Running::start(|_| {});
    running.wait("/readyz", |answer| answer.status == 200);
    let status = running.get("/status").json();
    let served = running.get("/status/schema").json();
    let validator = jsonschema::validator_for(&served).unwrap();
    let errors: Vec<_> = validator.iter_errors(&status).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{status}");
    assert_eq!(status["streams"][0]["name"], "acme");
    assert_eq!(status["listen"], running.keeper.listen().unwrap().to_string());
    assert!(!validator.is_valid(&serde_json::json!({ "version": 1 })), "it says something");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/status.schema.json");
    if std::env::var_os("WRITE_DOCS").is_some() {
        let text = serde_json::to_string_pretty(&http::status_schema()).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let published = std::fs::read(path).unwrap_or_default();
    let published: Value = serde_json::from_slice(&published).unwrap_or_default();
    let write = "WRITE_DOCS=1 cargo test -p streamkeeper --test http";
    assert!(published == served && served == http::status_schema(), "{write}");
}

#[test]
fn health_answers_whoever_asks_and_however() {
    let running = Running::start(|_| {});
    running.wait("/readyz", |answer| answer.status == 200);
    let address = running.keeper.listen().unwrap();
    let ask = |method: &str, path: &str, rest: &[u8]| {
        talk(address, &[format!("{method} {path} ").as_bytes(), rest, b"\r\n\r\n"].concat())
    };
    let heads: [&[u8]; 8] = [
        b"HTTP/1.0",
        b"HTTP/1.0\r\nHost: lb.example",
        b"HTTP/1.0\r\nHost:",
        b"HTTP/1.1\r\nConnection: close\r\nHost:",
        b"HTTP/1.1\r\nConnection: close\r\nHost: lb.example:80",
        b"HTTP/1.1\r\nConnection: close\r\nHost: [::2",
        b"HTTP/1.1\r\nConnection: close\r\nHost: not a name at all, \xff",
        b"HTTP/1.1\r\nConnection: close\r\nHost: localhost",
    ];
    for head in heads {
        let shown = String::from_utf8_lossy(head);
        for path in ["/livez", "/readyz"] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                let answer = ask(method, path, head);
                assert_eq!(answer.status, 200, "{method} {path} {shown}: {answer:?}");
            }
        }
        // Whoever is not of this machine hears nothing else.
        let expected = if shown.ends_with("localhost") { 200 } else { 421 };
        for path in
            ["/readyz?verbose", "/readyz?a&verbose=1", "/metrics", "/status", "/", "/version"]
        {
            let answer = ask("GET", path, head);
            assert_eq!(answer.status, expected, "{path} {shown}");
            assert!(expected == 200 || !answer.body.contains("acme"), "{path} {shown}");
        }
    }
    let allowed = running.send("OPTIONS", "/livez", &[]);
    assert_eq!(allowed.headers["allow"], "GET, HEAD, OPTIONS");
    assert_eq!(running.send("POST", "/livez", &[]).headers["allow"], "GET, HEAD, OPTIONS");
}

#[test]
fn every_answer_tells_browsers_to_be_careful() {
    let running = Running::start(|_| {});
    let rebound = running.send("GET", "/status", &[("host", "evil.example")]);
    assert_eq!(rebound.status, 421, "{rebound:?}");
    assert_eq!(running.send("GET", "/livez", &[("host", "localhost:8080")]).status, 200);
    let answers = [running.get("/status"), running.get("/nothing"), rebound];
    for answer in answers {
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{answer:?}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
        assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'"));
    }
}

#[test]
fn with_a_token_it_is_needed_for_all_but_health() {
    let running = Running::with_token();
    for path in ["/metrics", "/status", "/status/schema", "/version", "/", "/nothing"] {
        let refused = running.get(path);
        assert_eq!(refused.status, 401, "{path}");
        let challenges = &refused.headers["www-authenticate"];
        assert!(challenges.contains("Bearer ") && challenges.contains("Basic "), "{challenges}");
        assert!(!refused.headers.is_empty() && !refused.body.contains("acme"));
    }
    assert_eq!(running.get("/livez").status, 200);
    let ready = running.wait("/readyz?verbose", |answer| answer.status == 200);
    assert_eq!(ready.body, "ok\n", "the lines name streams");

    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("me:{TOKEN}"));
    for value in [format!("Bearer {TOKEN}"), format!("Basic {basic}")] {
        let given = [("authorization", value.as_str())];
        assert_eq!(running.send("GET", "/status", &given).status, 200);
        let ready = running.send("GET", "/readyz?verbose", &given);
        assert!(ready.body.contains("acme/state"), "{ready:?}");
    }
}

#[test]
fn a_reload_takes_another_token_over() {
    let running = Running::with_token();
    let status = |token: &str| {
        let value = format!("Bearer {token}");
        running.send("GET", "/status", &[("authorization", &value)]).status
    };
    assert_eq!((status(TOKEN), status("renewed")), (200, 401));
    let mut config = running.config.clone();
    config.service.token = Some(Secret::new("renewed"));
    let runtime = actix_rt::Runtime::new().unwrap();
    let report = runtime.block_on(running.keeper.reload(config)).unwrap();
    assert!(report.changed.is_empty(), "no stream is touched: {report:?}");
    assert_eq!((status(TOKEN), status("renewed")), (401, 200));
}

#[test]
fn wrong_tokens_have_to_wait_and_health_is_still_told() {
    let running = Running::with_token();
    let wrong = [("authorization", "Bearer wrong")];
    let mut statuses: Vec<_> =
        (0..6).map(|_| running.send("GET", "/status", &wrong).status).collect();
    assert_eq!(statuses.pop(), Some(429));
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    let right = format!("Bearer {TOKEN}");
    let right = [("authorization", right.as_str())];
    let waiting = running.send("GET", "/status", &right);
    assert_eq!(waiting.status, 429, "the same address");
    let seconds: u64 = waiting.headers["retry-after"].parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert_eq!(running.send("GET", "/livez", &wrong).status, 200);
}

#[test]
fn an_address_that_is_taken_is_named_and_code_listens_only_if_it_says_so() {
    let running = Running::start(|_| {});
    let address = running.keeper.listen().unwrap();
    let data = tempfile::tempdir().unwrap();
    let stream = "[[stream]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\ntoken = \"t\"\n";
    let mut config = Config::from_toml_str(stream, &[]).unwrap();
    config.service.data_dir = data.path().to_owned();
    let silent = Streamkeeper::start(config.clone()).unwrap();
    assert_eq!(silent.listen(), None);
    silent.stop_blocking(std::time::Duration::from_secs(10));

    config.service.listen = Some(address);
    let error = Streamkeeper::start(config).unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("service.listen") && said.contains(&address.to_string()), "{said}");
}
