//! Pilcrow's protocol in numbers, ten times faster: when the next heartbeat is due is announced at the start, it
//! comes before that, and one that is not there in time is a network problem.

use serde_json::Value;
use streamkeeper_simulator::checker::{self, Expected};
use streamkeeper_simulator::resuming::{Config, Fault, Kind, ResumingSimulator, RunningResuming};

use super::support::{Keeper, run_to_end, status, stream_of, streamkeeper, wait_for};

/// Announced 4 s: sent after 3 s, as Pilcrow announces 20 s and sends after 15.
const DUE_MS: u64 = 4_000;

fn server(events_per_second: u64) -> RunningResuming {
    let heartbeat = std::time::Duration::from_millis(DUE_MS);
    let events_per_hour = events_per_second * 3_600;
    ResumingSimulator::start(Config { heartbeat, events_per_hour, ..Config::default() }).unwrap()
}

fn keeper(dialect: &str, url: &str, more: &str) -> Keeper {
    let file = stream_of(url, more).replace("\"sse\"", &format!("\"{dialect}\""));
    Keeper::start_with::<&str>(&file, &[])
}

fn stream(keeper: &Keeper) -> Value {
    status(keeper)["streams"][0].clone()
}

fn lines(keeper: &Keeper) -> Vec<Value> {
    let text = std::fs::read_to_string(keeper.output()).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_heartbeat_just_before_it_is_due_is_life_and_one_just_after_is_a_network_problem() {
    let server = server(20);
    let mut keeper =
        keeper("pilcrow", &server.pilcrow_url(), "[stream.sse]\nstale_floor = \"1s\"\n");
    wait_for("events", || (lines(&keeper).len() > 5).then_some(()));
    server.set_rate(0);
    // After 19 of the 20 seconds.
    let nearly = Fault { for_ms: Some(DUE_MS * 19 / 20), ..Fault::new(Kind::Heartbeats) };
    server.fault(&nearly);
    let frames = |keeper: &Keeper| stream(keeper)["frames"].as_u64().unwrap();
    let before = frames(&keeper);
    wait_for("heartbeats", || (frames(&keeper) >= before + 3).then_some(()));
    assert_eq!(stream(&keeper)["connects"], 1, "{}", stream(&keeper));
    // After 22.
    let late = Fault { for_ms: Some(DUE_MS * 22 / 20), ..Fault::new(Kind::Heartbeats) };
    server.fault(&late);
    wait_for("a network problem", || {
        let stream = stream(&keeper);
        stream["incident"]["cause"].as_str().map(|cause| assert_eq!(cause, "stale"))
    });
    server.fault(&Fault::new(Kind::Clear));
    wait_for("a heartbeat in time", || {
        stream(&keeper)["last_incident"]["cause"].as_str().map(drop)
    });
    let asked = server.state().asked;
    let newest = server.state().newest.to_string();
    assert!(asked[0].cursor.is_some(), "it begins at the resume point of the boot document");
    let again = asked.last().unwrap().cursor.clone();
    assert_eq!(again, Some(newest), "heartbeats have moved no cursor");
    let events = lines(&keeper);
    assert!(events.iter().all(|event| event["type"] == "sse.sent"), "no heartbeat is delivered");
    keeper.stop();
}

#[test]
fn a_probe_names_the_preset_and_shows_its_arithmetic() {
    let server = server(20);
    let probe = |url: &str, dialect: &str| {
        let mut command = streamkeeper();
        command.args(["probe", url, "--dialect", dialect, "--for", "2s", "--json"]);
        let ended = run_to_end(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let shown = probe(&server.pilcrow_url(), "sse");
    assert_eq!(shown["preset"], "pilcrow", "{shown}");
    assert!(shown["with_id"].as_u64().unwrap() > 0, "{shown}");
    let shown = probe(&server.url(), "axum");
    assert_eq!(shown["stale_after"], "37s 500ms = 2.5 × 15s (configured), at least 5s", "{shown}");
    assert_eq!(shown["announced"], "4", "{shown}");
}

#[test]
fn the_doctor_asks_a_server_for_its_stream() {
    let server = server(20);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("streamkeeper.toml");
    let found = |url: &str| {
        std::fs::write(&place, stream_of(url, "")).unwrap();
        let ended = run_to_end(streamkeeper().args(["doctor", "--json"]).current_dir(&folder));
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["about"] == "server of acme").unwrap().clone()
    };
    assert_eq!(found(&server.url())["level"], "good");
    let missing = found(&server.url().replace("/events", "/nothing"));
    assert_eq!((&missing["level"], &missing["advice"]), (&"serious".into(), &"check `url`".into()));
    let no_stream = found(&server.url().replace("/events", "/boot"));
    assert_eq!(no_stream["level"], "serious", "{no_stream}");
}

#[test]
fn whatever_the_simulated_server_does_each_event_comes_once() {
    let server = server(200);
    let more = "[stream.sse]\ninterval = { header = \"X-Heartbeat-Interval\" }\nstale_factor = 1.0\n\
                stale_floor = \"1s\"\nheartbeats = [\"heartbeat\"]\nfirst_cursor = \"0\"\n";
    let mut keeper = keeper("sse", &server.url(), more);
    wait_for("events", || (lines(&keeper).len() > 5).then_some(()));
    for kind in [Kind::Cut, Kind::End, Kind::Hang, Kind::Status, Kind::Cut] {
        let connects = stream(&keeper)["connects"].as_u64();
        server.fault(&Fault::new(kind));
        if kind != Kind::Status {
            wait_for("another connection", || {
                (stream(&keeper)["connects"].as_u64() > connects).then_some(())
            });
        }
    }
    let accepted = stream(&keeper)["accepted"].as_u64();
    wait_for("more events", || (stream(&keeper)["accepted"].as_u64() > accepted).then_some(()));
    server.set_rate(0);
    let truth = server.truth();
    wait_for("all of them", || (lines(&keeper).len() >= truth.len()).then_some(()));
    let output = std::fs::read(keeper.output()).unwrap();
    let report = checker::check(output.as_slice(), &truth, &Expected::default()).unwrap();
    assert!(report.is_clean(), "{report}");
    keeper.stop();
}
