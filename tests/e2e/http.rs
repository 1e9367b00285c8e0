//! The HTTP endpoint of the binary: what it says during a hang, and who may steer over it.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::support::{
    Keeper, STREAM, Scenario, Service, Settings, request_with, run_to_end, streamkeeper, wait_for,
};

/// The token of the endpoint.
const TOKEN: &str = "an-operators-s3cret";

/// A keeper's endpoint, and the token that it is asked with.
struct Endpoint {
    url: String,
    token: Option<&'static str>,
}

impl Endpoint {
    fn of(keeper: &Keeper) -> Self {
        let line = keeper.wait_said("listening: ", 1);
        Self { url: format!("http://{}", line.text("address")), token: None }
    }

    fn send(&self, method: &str, path: &str) -> (u16, String) {
        let value = format!("Bearer {}", self.token.unwrap_or_default());
        let header = [("authorization", value.as_str())];
        let headers = if self.token.is_some() { &header[..] } else { &[] };
        let (status, body) = request_with(&self.url, method, path, headers, "");
        (status, String::from_utf8(body).expect("UTF-8"))
    }

    /// The value of a sample, by its name with its labels.
    fn sample(&self, sample: &str) -> Option<f64> {
        let (status, body) = self.send("GET", "/metrics");
        assert_eq!(status, 200);
        let line = body.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a number"))
    }

    #[track_caller]
    fn wait(&self, path: &str, expected: u16) -> String {
        wait_for(&format!("{path} to be answered with {expected}"), || {
            let (status, body) = self.send("GET", path);
            (status == expected).then_some(body)
        })
    }

    #[track_caller]
    fn wait_stream_state(&self, state: &str) {
        wait_for(&format!("the stream to be {state}"), || {
            let (_, body) = self.send("GET", "/status");
            let status: Value = serde_json::from_str(&body).expect("JSON");
            (status["streams"][0]["state"] == state).then_some(())
        });
    }
}

#[test]
fn a_hang_is_seen_in_metrics_and_readiness_until_it_has_healed() {
    let scenario = Scenario::start();
    let endpoint = Endpoint::of(&scenario.keeper);
    endpoint.wait("/readyz", 200);
    let labels =
        |name: &str, more: &str| format!("streamkeeper_{name}{{stream=\"{STREAM}\"{more}}}");
    let stale = labels("incidents_total", ",cause=\"stale\"");
    assert_eq!(endpoint.sample(&stale), Some(0.0), "it is there before it happens");
    let mark = labels("low_water_timestamp_seconds", "");
    let before = endpoint.sample(&mark).expect("the history has been read");

    scenario.service.fault(json!({"kind": "hang"}));
    let told = endpoint.wait("/readyz?verbose", 503);
    assert!(told.contains("[-]acme/state failed: recovering"), "{told}");
    assert_eq!(endpoint.send("GET", "/livez").0, 200, "no restart heals it");
    scenario.wait_recovered(1);
    endpoint.wait("/readyz", 200);

    assert_eq!(endpoint.sample(&stale), Some(1.0));
    assert_eq!(endpoint.sample(&labels("incident_duration_seconds_count", "")), Some(1.0));
    let brought_back = labels("replay_events_total", ",outcome=\"new\"");
    assert!(endpoint.sample(&brought_back).is_some_and(|count| count > 0.0));
    wait_for("the mark to go on", || endpoint.sample(&mark).filter(|mark| *mark > before));
    let sink = labels("sink_delivered_total", ",sink=\"archive\"");
    assert!(endpoint.sample(&sink).is_some_and(|count| count > 0.0));
    assert!(endpoint.sample(&labels("ledger_commit_seconds_count", "")).is_some_and(|n| n > 0.0));
    scenario.finish();
}

#[test]
fn whoever_has_the_token_of_the_file_steers_and_each_act_is_in_the_log() {
    let service = Service::process(&[]);
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), format!("{TOKEN}\n")).unwrap();
    let token_file = format!("[service]\ntoken_file = {:?}\n", secret.path());
    let file = Settings::scaled(&service.url).file().replace("[service]\n", &token_file);
    let mut keeper = Keeper::start_with(&file, &[("RUST_LOG", "trace")]);
    let nobody = Endpoint::of(&keeper);
    let operator = Endpoint { url: nobody.url.clone(), token: Some(TOKEN) };
    let stranger = Endpoint { url: nobody.url.clone(), token: Some("of-a-stranger") };
    operator.wait_stream_state("live");

    let pause = "/api/streams/acme/pause";
    assert_eq!(nobody.send("POST", pause).0, 401);
    assert_eq!(stranger.send("POST", pause).0, 401);
    assert_eq!(operator.send("POST", "/api/streams/no-such-stream/pause").0, 404);
    assert_eq!(operator.send("POST", pause).0, 202);
    operator.wait_stream_state("paused");
    service.wait_state("the connections to end", |state| state.open.is_empty());
    assert_eq!(operator.send("POST", "/api/streams/acme/resume").0, 202);
    operator.wait_stream_state("live");

    let log = keeper.stop();
    let audit = log.said("audit: ");
    let outcomes: Vec<_> =
        audit.iter().map(|line| (line.text("act"), line.text("outcome"))).collect();
    let expected = [("pause", "unknown_stream"), ("pause", "accepted"), ("resume", "accepted")];
    assert_eq!(outcomes, expected);
    assert!(audit.iter().all(|line| line.text("peer") == "127.0.0.1"));
    assert_eq!(audit[1].text("stream"), STREAM);
    for secret in [TOKEN, "of-a-stranger", "no-such-stream"] {
        let line = keeper.raw_log().into_iter().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[test]
fn an_address_that_somebody_else_has_is_named_and_the_exit_code_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = Settings::scaled("http://127.0.0.1:1").file().replace("127.0.0.1:0", &address);
    std::fs::write(folder.path().join("streamkeeper.toml"), file).unwrap();
    let ended =
        run_to_end(streamkeeper().args(["run", "streamkeeper.toml"]).current_dir(folder.path()));
    assert_eq!(ended.code, Some(73), "{ended:?}");
    assert!(
        ended.stderr.contains("service.listen") && ended.stderr.contains(&address),
        "{ended:?}"
    );
}
