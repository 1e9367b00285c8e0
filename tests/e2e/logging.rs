//! What must never be in the log is not there, at any level, whatever goes wrong; nor in anything else
//! that a running process says: metrics, status, page and feed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use streamkeeper_simulator::record::{self, user_id};
use streamkeeper_simulator::server::Token;

use super::support::{
    Keeper, RECOVERED, Service, Settings, command, request_with, run_to_end, signal, streamkeeper,
    wait_for,
};

const TOKEN: &str = "token-marker-4b1d";
const SEED: u64 = 77;

#[test]
fn no_token_no_user_and_no_payload_in_the_log() {
    let mut config = Service::scaled();
    config.token = Token::new(TOKEN);
    config.seed = SEED;
    config.model.events_per_hour = 100 * 3_600;
    let users = config.model.users;
    let service = Service::inside(config);
    let settings = Settings::scaled(&service.url).with("token", TOKEN);
    for format in ["json", "text"] {
        let file = settings.file().replace("\"json\"", &format!("{format:?}"));
        let mut keeper = Keeper::start_with(&file, &[("RUST_LOG", "trace")]);
        provoke(&service, &keeper);
        let told = told(&keeper);
        keeper.signal("TERM");
        assert_eq!(keeper.wait_end(), 0);

        let log = keeper.raw_log();
        let traced = log.iter().filter(|line| line.contains("TRACE")).count();
        assert!(traced > 100, "the log is at its most talkative: {traced} lines");
        assert!(keeper.delivered() > 0 && written(&keeper, PAYLOAD[0]), "the markers are real");
        let mut ids: HashSet<_> = (0..users).map(|user| user_id(SEED, user)).collect();
        ids.extend(service.truth().iter().map(|row| record::record_id(SEED, row.record)));
        for line in log.iter().chain(&told) {
            let texts = [TOKEN, "token%2Dmarker", "?token="].into_iter().chain(PAYLOAD);
            for text in texts {
                assert!(!line.contains(text), "{text}: {line}");
            }
            for word in line.split(|c: char| !c.is_ascii_alphanumeric()) {
                assert!(!ids.contains(word), "an id: {line}");
            }
        }
    }
}

#[test]
fn a_log_that_lies_where_drop_ins_are_watched_is_no_change_of_them() {
    let service = Service::inside(Service::scaled());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name| folder.path().join(name);
    fs::create_dir(path("streamkeeper.toml.d")).unwrap();
    fs::write(path("streamkeeper.toml"), Settings::scaled(&service.url).file()).unwrap();
    let mut keeper = streamkeeper()
        .args(["run", "--config", "streamkeeper.toml"])
        .env("RUST_LOG", "trace")
        .current_dir(folder.path())
        .stderr(File::create(path("streamkeeper.toml.d/log")).unwrap())
        .spawn()
        .expect("the binary starts");
    let log = || fs::read_to_string(path("streamkeeper.toml.d/log")).unwrap();
    wait_for("events", || path("events.ndjson").exists().then_some(()));
    // The watch is at work meanwhile: it finds this one.
    fs::write(path("streamkeeper.toml.d/wrong.toml"), "[service]").unwrap();
    wait_for("the watch", || log().contains("was not taken over").then_some(()));
    signal(keeper.id(), "TERM");
    assert_eq!(keeper.wait().unwrap().code(), Some(0));
    assert_eq!(log().matches("taken over").count(), 1, "each line is no change");
}

/// All that the process says when it is asked, line by line.
fn told(keeper: &Keeper) -> Vec<String> {
    let status = run_to_end(&mut command(keeper, &["status", "--json"])).stdout;
    let listen = serde_json::from_str::<Value>(&status).expect("JSON")["process"]["listen"].clone();
    let address = listen.as_str().expect("it listens").to_owned();
    let mut told = status;
    for path in ["/", "/page.js", "/metrics", "/status", "/readyz?verbose", "/version"] {
        let (status, body) = request_with(&format!("http://{address}"), "GET", path, &[], "");
        assert_eq!(status, 200, "{path}");
        told.push_str(&String::from_utf8(body).expect("UTF-8"));
    }
    // It never ends: the snapshot is enough, it has the incidents and their stories.
    let mut feed = TcpStream::connect(address).unwrap();
    write!(feed, "GET /api/feed HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(feed).lines();
    let snapshot = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("data:")));
    told.push_str(&snapshot.expect("a snapshot").unwrap());
    assert!(told.contains("stale"), "the incident is told of");
    told.lines().map(ToOwned::to_owned).collect()
}

/// Fixed texts of the records' payloads.
const PAYLOAD: [&str; 6] =
    ["customer-", "after lunch", "imported", "x_future_field", "offset_origin", "oops"];

fn written(keeper: &Keeper, text: &str) -> bool {
    fs::read_to_string(keeper.output()).unwrap().contains(text)
}

/// Makes every part of the program say what it has to say.
fn provoke(service: &Service, keeper: &Keeper) {
    keeper.wait_text("caught up with the stream's history");
    service.fault(json!({"kind": "garbage"}));
    keeper.wait_text("is not an event of this service");
    service.fault(json!({"kind": "truncated"}));
    service.fault(json!({"kind": "rst"}));
    keeper.wait_text("verified: ");
    for call in ["create", "delete", "list"] {
        service.fault(json!({"kind": "status", "status": 422, "call": call}));
        service.fault(json!({"kind": "lost_answer", "call": call}));
    }
    service.fault(json!({"kind": "status", "status": 401, "call": "connect"}));
    service.fault(json!({"kind": "silence", "call": "connect"}));
    service.fault(json!({"kind": "hang"}));
    keeper.wait_text(RECOVERED);
    wait_for("delivered events", || (keeper.delivered() > 100).then_some(()));
}

#[test]
fn a_filter_that_cannot_be_read_is_not_passed_over_in_silence() {
    let file = Settings::scaled("http://127.0.0.1:9").file();
    let keeper = Keeper::start_with(&file, &[("RUST_LOG", "streamkeeper=loud")]);
    keeper.wait_said("RUST_LOG cannot be read", 1);
}
