//! What an operator does to a running process: reload, pause, change the log; and what systemd hears.
//! No event is lost by any of it, and no stream is disturbed by what is done to another.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use streamkeeper_simulator::checker::{self, Expected};
use streamkeeper_simulator::model::DAY;
use streamkeeper_simulator::record::rfc3339;
use streamkeeper_simulator::server::StateView;

use super::support::{
    Ended, Keeper, PATIENCE, Scenario, Service, Settings, command, run_to_end, wait_for,
};

/// What the log says after a reload.
const TAKEN_OVER: &str = "took the configuration over";
const REFUSED: &str = "the configuration was not taken over";

fn told(keeper: &Keeper, arguments: &[&str]) -> Ended {
    run_to_end(&mut command(keeper, arguments))
}

fn status(keeper: &Keeper, stream: &str) -> Value {
    let ended = told(keeper, &["status", "--json"]);
    let status: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let streams = status["process"]["streams"].as_array().expect("a running process");
    streams.iter().find(|one| one["name"] == stream).cloned().unwrap_or_default()
}

/// A second stream, with the file of its own sink beside the first's.
fn beta(service: &Service) -> String {
    Settings::scaled(&service.url).with("name", "beta").stream()
}

/// Two sinks: what the second stream will bring goes to a file of its own.
fn file(settings: &Settings, more: &str) -> String {
    let sinks = "[[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\nstreams = [\"acme\"]\n\
                 [[sink]]\nname = \"beta\"\ntype = \"file\"\npath = \"beta.ndjson\"\nstreams = [\"b*\"]\n";
    let service = "[service]\nlisten = \"off\"\nlog_format = \"json\"\n";
    format!("{service}{}{more}{sinks}", settings.stream())
}

fn write(keeper: &Keeper, text: &str) {
    fs::write(keeper.folder().join("streamkeeper.toml"), text).unwrap();
}

#[test]
fn a_reload_adds_changes_and_removes_streams_and_touches_no_other() {
    let (service, other) = (Service::process(&[]), Service::process(&[]));
    let settings = Settings::scaled(&service.url);
    let keeper = Keeper::start_with::<&str>(&file(&settings, ""), &[]);
    let scenario = Scenario { keeper, service }.live();
    let keeper = &scenario.keeper;
    let connects = status(keeper, "acme")["connects"].clone();

    write(keeper, &file(&settings, &beta(&other)));
    keeper.signal("HUP");
    keeper.wait_said(TAKEN_OVER, 1);
    keeper.wait_said("caught up with the stream's history", 2);
    assert_eq!(status(keeper, "acme")["connects"], connects, "the first one is not disturbed");

    // A changed stream ends its connections in order: nothing of it is suspect, no recovery.
    write(keeper, &file(&settings.with("connections", 2), &beta(&other)));
    let ended = told(keeper, &["reload", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(report, json!({"added": [], "removed": [], "changed": ["acme"], "renewed": []}));
    wait_for("two slots", || {
        let slots = status(keeper, "acme")["slots"].clone();
        (slots == json!(["live", "live"])).then_some(())
    });

    // A removed stream delivers what it has, and is gone; its ledger stays.
    other.generate(0.0);
    let truth = other.truth();
    wait_for("all of the other stream's events", || {
        let delivered = fs::read(keeper.folder().join("beta.ndjson")).unwrap_or_default();
        let report = checker::check(&delivered[..], &truth, &Expected::default()).unwrap();
        report.is_clean().then_some(())
    });
    write(keeper, &file(&Settings::scaled(&scenario.service.url).with("connections", 2), ""));
    let ended = told(keeper, &["reload"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "removed beta\n"), "{ended:?}");
    assert_eq!(status(keeper, "beta"), Value::Null);
    assert!(keeper.folder().join("data/streams/beta").is_dir());

    assert!(keeper.log().said("events may have been lost").is_empty());
    scenario.finish();
}

#[test]
fn requests_that_come_while_a_reload_runs_are_one_reload_that_follows() {
    let service = Service::process(&[]);
    let settings = Settings::scaled(&service.url);
    let keeper = Keeper::start_with::<&str>(&file(&settings, ""), &[]);
    let scenario = Scenario { keeper, service }.live();
    let Scenario { keeper, service } = &scenario;
    // Its connections do not end for a while.
    service.fault(json!({"kind": "half_close_ignored", "all": true}));
    let ask = |connections: u32| {
        write(keeper, &file(&settings.clone().with("connections", connections), ""));
        command(keeper, &["reload"]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut asked = vec![ask(2)];
    keeper.wait_said("the stream is stopping", 1);
    asked.extend([1, 3, 1].map(ask));
    let said = asked.into_iter().map(|asked| asked.wait_with_output().unwrap().stdout);
    let mut said: Vec<_> = said.map(|said| String::from_utf8(said).unwrap()).collect();
    assert_eq!(said.remove(0), "changed acme\n");
    // In whatever order they were heard.
    said.sort();
    let nothing = "no stream has changed\n";
    assert_eq!(said, ["changed acme\n", nothing, nothing], "the last one's configuration");
    scenario.finish();
}

#[test]
fn a_wrong_configuration_changes_nothing_and_says_why() {
    let scenario = Scenario::start();
    let keeper = &scenario.keeper;
    let right = fs::read_to_string(keeper.folder().join("streamkeeper.toml")).unwrap();
    write(keeper, &right.replace("connections = 3", "conections = 2"));
    let ended = told(keeper, &["reload"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("`connections`"), "the nearest known key: {}", ended.stderr);
    keeper.wait_said(REFUSED, 1);

    // What cannot change while it runs.
    write(keeper, &right.replace("events.ndjson", "elsewhere.ndjson"));
    let ended = told(keeper, &["reload"]);
    assert!(ended.stderr.contains("[[sink]] cannot change while it runs"), "{}", ended.stderr);
    let said = told(keeper, &["status", "--json"]);
    assert!(said.stdout.contains("\"last_reload_refused\": true"), "{}", said.stdout);

    write(keeper, &right);
    let ended = told(keeper, &["reload"]);
    assert_eq!(ended.stdout, "no stream has changed\n", "{ended:?}");
    scenario.finish();
}

#[test]
fn a_drop_in_file_that_comes_and_goes_is_noticed() {
    let (service, other) = (Service::process(&[]), Service::process(&[]));
    let settings = Settings::scaled(&service.url);
    let keeper = Keeper::start_with::<&str>(&file(&settings, ""), &[]);
    let folder = keeper.folder().join("streamkeeper.toml.d");
    let scenario = Scenario { keeper, service }.live();
    let keeper = &scenario.keeper;

    // As programs do: whole, under another name, then in its place.
    let put = || {
        fs::write(folder.join(".beta.toml.new"), beta(&other)).unwrap();
        fs::rename(folder.join(".beta.toml.new"), folder.join("beta.toml")).unwrap();
        wait_for("the new stream", || (status(keeper, "beta")["state"] == "live").then_some(()));
    };
    let gone = || wait_for("the stream to go", || status(keeper, "beta").is_null().then_some(()));
    // The folder was not there at the start.
    fs::create_dir(&folder).unwrap();
    put();
    fs::remove_file(folder.join("beta.toml")).unwrap();
    gone();
    put();
    // And it may be replaced.
    fs::remove_dir_all(&folder).unwrap();
    gone();
    fs::create_dir(&folder).unwrap();
    put();
    scenario.finish();
}

#[test]
fn a_configuration_that_is_replaced_is_taken_over_whatever_leads_to_it() {
    let service = Service::process(&[]);
    let settings = Settings::scaled(&service.url);
    let keeper = Keeper::start_with::<&str>(&file(&settings, ""), &[]);
    let scenario = Scenario { keeper, service }.live();
    let Scenario { keeper, service } = &scenario;
    let at = |name: &str| keeper.folder().join(name);
    let link = |to: &str, name: &str| {
        symlink(to, at("link")).unwrap();
        fs::rename(at("link"), at(name)).unwrap();
    };
    let folder = |name: &str, connections: u32| {
        let token = format!("token_file = {:?}", at("..data/token").to_str().unwrap());
        let text = file(&settings.clone().with("connections", connections), "");
        let text = text.replace("token = \"simulated\"", &token);
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("streamkeeper.toml"), text).unwrap();
        fs::write(at(name).join("token"), "simulated").unwrap();
    };
    let taken_over = |times: usize, connections: usize| {
        keeper.wait_said(TAKEN_OVER, times);
        let are_open = |state: &StateView| state.open.len() == connections;
        service.wait_state("another number of connections", are_open);
    };
    // As Kubernetes mounts a ConfigMap, and replaces it.
    folder("..first", 2);
    link("..first", "..data");
    link("..data/streamkeeper.toml", "streamkeeper.toml");
    taken_over(1, 2);
    folder("..second", 1);
    link("..second", "..data");
    fs::remove_dir_all(at("..first")).unwrap();
    taken_over(2, 1);
    // As editors and `sed -i` do, which puts a file in place of the link.
    let sed = ["-i", "s/connections = 1/connections = 3/", "streamkeeper.toml"];
    assert!(Command::new("sed").args(sed).current_dir(keeper.folder()).status().unwrap().success());
    taken_over(3, 3);
    // And what it names.
    fs::write(at("new"), "\"simulated\"").unwrap();
    fs::rename(at("new"), at("..data/token")).unwrap();
    let refused = keeper.wait_said(REFUSED, 1);
    assert!(refused.text("reason").contains("quotes"), "{refused:?}");
    scenario.finish();
}

#[test]
fn a_pause_ends_every_connection_and_loses_nothing() {
    let scenario = Scenario::start();
    let Scenario { keeper, service } = &scenario;
    let steer = |act: &str| {
        let answer = streamkeeper_control(keeper, &format!("{act} acme\n"));
        assert_eq!(answer, "{}\n");
    };
    steer("pause");
    keeper.wait_said("the stream is paused", 1);
    let open = |state: &StateView| state.open.len();
    service.wait_state("no connection", |state| open(state) == 0);
    service.wait_time(Duration::from_secs(3));
    assert_eq!(open(&service.state()), 0, "until it is resumed");
    steer("resume");
    service.wait_state("three connections", |state| open(state) == 3);
    steer("reconnect");
    keeper.wait_said("a connection ended", 6);
    service.wait_state("three connections", |state| open(state) == 3);
    assert!(keeper.log().said("events may have been lost").is_empty(), "no recovery");
    assert_eq!(keeper.log().said("an operator acts").len(), 3, "and each act is on record");
    let unknown = streamkeeper_control(keeper, "pause nobody\n");
    assert!(unknown.contains("no stream has that name"), "{unknown}");
    scenario.finish();
}

#[test]
fn a_pause_outlasts_a_reload_that_changes_the_stream() {
    let service = Service::process(&[]);
    let settings = Settings::scaled(&service.url);
    let keeper = Keeper::start_with::<&str>(&file(&settings, ""), &[]);
    let scenario = Scenario { keeper, service }.live();
    let Scenario { keeper, service } = &scenario;
    assert_eq!(told(keeper, &["pause", "acme"]).code, Some(0));
    service.wait_state("no connection", |state| state.open.is_empty());

    write(keeper, &file(&settings.with("connections", 2), ""));
    assert_eq!(told(keeper, &["reload"]).stdout, "changed acme\n");
    keeper.wait_said("the stream is paused", 2);
    service.wait_time(Duration::from_secs(3));
    assert!(service.state().open.is_empty(), "until it is resumed");
    assert_eq!(told(keeper, &["resume", "acme"]).code, Some(0));
    service.wait_state("two connections", |state| state.open.len() == 2);
    scenario.finish();
}

#[test]
fn a_replay_brings_what_the_stream_does_not_and_a_dry_run_only_counts() {
    let service = Service::process(&[]);
    let settings = Settings::scaled(&service.url);
    let only_summaries = "[[stream]]\nresource_filter = [\"summary\"]";
    let text = settings.file().replace("[[stream]]", only_summaries);
    let keeper = Keeper::start_with::<&str>(&text, &[]);
    let mut scenario = Scenario { keeper, service }.live();
    let Scenario { keeper, service } = &mut scenario;
    service.generate(0.0);
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    // The history of the service may have begun a few seconds before midnight.
    let yesterday =
        (Timestamp::now() - jiff::Span::new().hours(24)).strftime("%Y-%m-%d").to_string();
    let replay = |more: &[&str]| {
        let arguments = ["replay", "acme", "--json", "--from", &yesterday, "--only", "workout"];
        let ended = told(keeper, &[&arguments[..], more].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let count = |of: &str| report[of]["workout"].as_u64().unwrap_or(0);
        (count("new"), count("duplicate"))
    };
    let (missing, known) = replay(&["--dry-run"]);
    assert!(missing > 0 && known == 0, "{missing} new, {known} known");
    assert_eq!(replay(&["--dry-run"]), (missing, 0), "nothing was accepted");
    assert_eq!(replay(&[]), (missing, 0));
    assert_eq!(replay(&["--dry-run"]), (0, missing));
    let workouts = || {
        let delivered = fs::read_to_string(keeper.output()).unwrap();
        delivered.lines().filter(|line| line.contains("\"type\":\"workout\"")).count()
    };
    wait_for("the workouts to be delivered", || (workouts() as u64 == missing).then_some(()));
    let wrong = told(keeper, &["replay", "nobody", "--from", &today]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    keeper.stop();
}

#[test]
fn a_replay_that_is_cut_short_has_counted_all_that_it_brought() {
    let scenario = Scenario::with(Service::process(&["--history=60s"]), |settings| {
        settings.with("ledger.commit_delay", "3s")
    });
    let Scenario { keeper, service } = &scenario;
    service.generate(0.0);
    // The history may have begun a few seconds before midnight.
    let yesterday = &rfc3339(service.state().now_ms - DAY)[..10];
    let mut replay = command(keeper, &["replay", "acme", "--json", "--from", yesterday]);
    let before = service.state().connections.len();
    let replay = replay.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let state = service.wait_state("a part of the replay", |state| {
        state.connections.get(before).is_some_and(|replay| replay.events > 500)
    });
    service.fault(json!({"kind": "end", "which": [state.connections[before].number]}));
    let ended = replay.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!(report["ended"], "end", "{report}");
    let count = |of: &str| -> u64 {
        report[of].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    let sent = service.state().connections[before].events;
    assert_eq!(count("new") + count("duplicate"), sent, "{report}");
    scenario.finish();
}

/// One request to the control socket.
fn streamkeeper_control(keeper: &Keeper, request: &str) -> String {
    use std::io::{Read as _, Write as _};
    let socket = keeper.folder().join("data/control.sock");
    let mut socket = std::os::unix::net::UnixStream::connect(socket).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_log_can_be_turned_up_and_down() {
    let scenario = Scenario::start();
    let keeper = &scenario.keeper;
    let wrong = told(keeper, &["log", "streamkeeper=loud"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(told(keeper, &["log", "warn"]).stdout.contains("the log shows warn"));
    let before = keeper.raw_log().len();
    streamkeeper_control(keeper, "reconnect acme\n");
    assert_eq!(told(keeper, &["log", "streamkeeper=debug"]).code, Some(0));
    keeper.wait_said("the log is filtered anew", 1);
    let quiet = keeper.raw_log().len() - before;
    assert!(quiet <= 2, "an audit line is information, too: {quiet}");
    scenario.finish();
}

#[test]
fn systemd_hears_of_the_start_the_reload_the_end_and_that_we_live() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|_| panic!("never heard {wanted}"));
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    let service = Service::process(&[]);
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap().to_owned()),
        ("WATCHDOG_USEC", "400000".to_owned()),
    ];
    let keeper = Keeper::start_with(&Settings::scaled(&service.url).file(), &environment);
    heard("READY=1");
    heard("WATCHDOG=1");
    heard("STATUS=1 of 1 streams live");
    let mut scenario = Scenario { keeper, service }.live();
    scenario.keeper.signal("HUP");
    let reloading = heard("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    heard("READY=1");
    heard("WATCHDOG=1");
    scenario.keeper.signal("TERM");
    heard("STOPPING=1");
    assert_eq!(scenario.keeper.wait_end(), 0);
}
