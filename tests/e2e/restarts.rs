//! What is on disk when the process starts: nothing, a clean end, a crash, damage, another process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use streamkeeper_simulator::checker::Expected;
use streamkeeper_simulator::fault::Call;

use super::support::{
    Keeper, RECOVERED, RECOVERING, STREAM, Scenario, Service, Settings, calls, command, request,
    run_to_end, streamkeeper, wait_for,
};

const OPENED: &str = "opened the ledger";

#[test]
fn a_clean_restart_goes_on_where_it_was() {
    let mut scenario = Scenario::start();
    let before = scenario.service.state();
    scenario.keeper.stop();
    // What comes meanwhile waits at the service.
    scenario.service.wait_time(Duration::from_secs(2));
    scenario.keeper.restart();
    let finished = scenario.finish();
    let starts: Vec<_> = finished.log.said(OPENED);
    let starts: Vec<_> = starts.iter().map(|line| line.text("start")).collect();
    assert_eq!(starts, ["first", "clean"]);
    assert_eq!(finished.log.said(RECOVERING).len(), 0, "a clean restart is no incident");
    for call in [Call::Create, Call::Delete] {
        assert_eq!(calls(&finished.state, call), calls(&before, call), "no {call:?} more");
    }
}

#[test]
fn streams_of_others_with_our_name_and_a_number_outlive_start_recovery_and_restart() {
    let service = Service::process(&["--hold-for=8s"]);
    let made = ["2", "2024"].map(|number| made_by_others(&service, &format!("{STREAM}~{number}")));
    let mut scenario = Scenario::with(service, |settings| settings);
    let outlived = |scenario: &Scenario, when: &str| {
        let streams = scenario.service.streams();
        for id in &made {
            assert!(streams.iter().any(|stream| stream["id"] == *id), "{id} {when}: {streams:?}");
        }
    };
    outlived(&scenario, "after the first start");
    // The service does not let go of the old one: the next goes alongside, past the names of others.
    scenario.service.fault(json!({"kind": "hang", "deaf": true}));
    scenario.wait_recovered(1);
    outlived(&scenario, "after a recovery");
    let alongside = format!("{STREAM}~3");
    let state = scenario.service.wait_state("what was left behind to go", |state| {
        state.streams.iter().all(|stream| stream.name != STREAM)
    });
    assert!(state.streams.iter().any(|stream| stream.name == alongside));

    let listed = run_to_end(&mut command(&scenario.keeper, &["streams", "list", "--json"]));
    let listed: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    for stream in &listed {
        let ours = (stream["name"] == alongside).then_some(STREAM);
        assert_eq!(stream["ours"].as_str(), ours, "{stream}");
    }

    scenario.keeper.stop();
    scenario.keeper.restart();
    // It looks for what was left behind, and finds theirs: each process says each once.
    scenario.keeper.wait_said("is not known to be ours", 4);
    outlived(&scenario, "after a restart");
    scenario.keeper.restart();
    scenario.wait_recovered(2);
    outlived(&scenario, "after a kill");
    scenario.finish();
}

/// A stream that somebody else makes; its id.
fn made_by_others(service: &Service, name: &str) -> Value {
    let wanted = json!({"name": name, "start_date": "2026-11-01"}).to_string();
    let (status, _) = request(&service.url, "POST", "/streams?token=simulated", &wanted);
    assert_eq!(status, 201);
    let streams = service.streams();
    streams.iter().find(|stream| stream["name"] == name).unwrap()["id"].clone()
}

#[test]
fn after_a_kill_everything_from_the_mark_is_read_again() {
    let mut scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.keeper.restart();
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("reason"), "unclean_start");
    let finished = scenario.finish();
    assert_eq!(finished.log.said(OPENED).last().unwrap().text("start"), "unclean");
    assert_eq!(calls(&finished.state, Call::Create), 2);
}

#[test]
fn a_kill_before_the_history_has_been_read() {
    let service = Service::process(&[]);
    let mut scenario = Scenario::begin(service, |settings| settings);
    wait_for("the first events", || (scenario.keeper.delivered() > 0).then_some(()));
    scenario.keeper.restart();
    scenario.wait_recovered(1);
    scenario.finish();
}

#[test]
fn a_kill_in_a_recovery_is_one_incident() {
    let mut scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "hang"}));
    let begun = scenario.keeper.wait_said(RECOVERING, 1);
    scenario.keeper.restart();
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("incident"), begun.text("incident"));
    scenario.finish();
}

#[test]
fn a_torn_tail_is_cut_off_with_one_line() {
    let mut scenario = Scenario::start();
    scenario.keeper.kill();
    let segment = segments(&scenario.keeper.ledger()).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"half a frame");
    fs::write(&segment, bytes).unwrap();
    scenario.keeper.restart();
    scenario.wait_recovered(1);
    let finished = scenario.finish();
    assert_eq!(finished.log.said("cut off a torn tail").len(), 1);
    assert_eq!(finished.log.said(RECOVERED).len(), 1);
}

#[test]
fn damage_elsewhere_is_refused_by_file_and_byte() {
    let mut scenario = Scenario::start();
    scenario.keeper.stop();
    let segment = segments(&scenario.keeper.ledger()).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    scenario.keeper.restart();
    assert_eq!(scenario.keeper.wait_end(), 1);
    let log = scenario.keeper.raw_log();
    let said = log.iter().find(|line| line.contains("is damaged at byte")).expect("it says so");
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(name) && said.contains("Restore the directory"), "{said}");
}

#[test]
fn a_damaged_last_frame_that_the_sink_already_has_is_refused_and_nothing_comes_twice() {
    let mut scenario = Scenario::start();
    let state = scenario.keeper.ledger().join("state");
    let early = fs::read(&state).unwrap();
    scenario.drain(&Expected::default());
    // A line is in the file before it is counted in.
    let url = scenario.keeper.endpoint();
    wait_for("the sink to have everything by its own account", || {
        let (_, status) = request(&url, "GET", "/status", "");
        let status: Value = serde_json::from_slice(&status).unwrap();
        (status["streams"][0]["consumers"][0]["backlog"] == 0).then_some(())
    });
    scenario.keeper.kill();
    // As after a power cut that came before the state was written again.
    fs::write(&state, early).unwrap();
    let segment = segments(&scenario.keeper.ledger()).pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let delivered = scenario.keeper.delivered();
    scenario.keeper.restart();
    assert_eq!(scenario.keeper.wait_end(), 1);
    let log = scenario.keeper.raw_log();
    let said = log.iter().find(|line| line.contains("is damaged at byte")).expect("it says so");
    for part in ["a sink already has events", "Restore the directory", "`<path>.cursor`"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fs::read(&segment).unwrap(), damaged, "nothing is cut off");
    assert_eq!(scenario.keeper.delivered(), delivered);
    // From a copy, as the message says.
    fs::write(&segment, whole).unwrap();
    scenario.keeper.restart();
    scenario.wait_recovered(1);
    scenario.finish();
}

/// A backup of the sink's file, without one of the ledger.
#[test]
fn what_an_output_lacks_that_is_older_than_the_ledger_is_said_with_the_command_that_brings_it_back()
{
    let mut scenario = Scenario::start();
    scenario.keeper.stop();
    let output = scenario.keeper.output();
    let cursor = output.with_added_extension("cursor");
    let copies = [&output, &cursor].map(|file| (file, fs::read(file).unwrap()));
    scenario.keeper.restart();
    scenario.drain(&Expected::default());
    scenario.keeper.stop();
    let whole = fs::read_to_string(&output).unwrap();
    for (file, copy) in &copies {
        fs::write(file, copy).unwrap();
    }
    scenario.keeper.restart();
    let said = scenario.keeper.wait_said("is older than the ledger", 1);
    scenario.keeper.stop();
    let (_, rest) = said.message.split_once("'streamkeeper ").unwrap();
    let (advised, _) = rest.split_once('\'').unwrap();
    let advised: Vec<_> = advised.split(' ').collect();
    let missing = run_to_end(&mut command(&scenario.keeper, &advised)).stdout;
    let kept = String::from_utf8(copies[0].1.clone()).unwrap();
    assert_eq!(kept.clone() + &missing, whole, "{advised:?}");
    let now = fs::read_to_string(&output).unwrap();
    assert!(now.starts_with(&kept) && !now.contains(&missing), "nothing is given twice");
}

/// `data_dir` was deleted while another sink was configured, and the first one came back later.
#[test]
fn a_new_ledger_that_has_grown_past_the_place_of_a_deleted_one_gives_everything() {
    let mut scenario = Scenario::start();
    scenario.keeper.stop();
    let output = scenario.keeper.output();
    let cursor = output.with_added_extension("cursor");
    let old = [&output, &cursor].map(|file| (file, fs::read(file).unwrap()));
    for (file, _) in &old {
        fs::remove_file(file).unwrap();
    }
    fs::remove_dir_all(scenario.keeper.ledger()).unwrap();
    scenario.keeper.restart();
    scenario.drain(&Expected::default());
    scenario.keeper.stop();
    for (file, content) in &old {
        fs::write(file, content).unwrap();
    }
    let configuration = scenario.keeper.folder().join("streamkeeper.toml");
    let file = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, file.replace("name = \"archive\"", "name = \"another\"")).unwrap();
    scenario.keeper.restart();
    scenario.keeper.wait_said("is of another ledger", 1);
    scenario.keeper.stop();
    let given = run_to_end(&mut command(&scenario.keeper, &["ledger", "export"])).stdout;
    let [(_, before), _] = old;
    let written = fs::read_to_string(&output).unwrap();
    assert!(given.len() >= before.len(), "it has grown past the place");
    assert!(written == String::from_utf8(before).unwrap() + &given, "nothing is taken for known");
}

#[test]
fn a_ledger_that_another_process_holds_is_left_alone() {
    let scenario = Scenario::start();
    let folder = tempfile::tempdir().unwrap();
    let data = fs::canonicalize(scenario.keeper.ledger().join("../..")).unwrap();
    let file = Settings::scaled(&scenario.service.url)
        .file()
        .replace("[service]\n", &format!("[service]\ndata_dir = {data:?}\n"));
    fs::write(folder.path().join("second.toml"), file).unwrap();
    let mut command = streamkeeper();
    let ended = run_to_end(command.args(["run", "second.toml"]).current_dir(folder.path()));
    assert_eq!(ended.code, Some(75), "{ended:?}");
    let holder = format!("{}", scenario.keeper.process());
    assert!(ended.stderr.contains(&holder), "it names the process: {}", ended.stderr);
    scenario.finish();
}

#[test]
fn a_data_dir_that_cannot_be_made_is_said_by_name() {
    let settings = Settings::scaled("http://127.0.0.1:1");
    // Its folder is a file.
    let file = settings
        .file()
        .replace("[service]\n", "[service]\ndata_dir = \"streamkeeper.toml/data\"\n");
    let mut keeper = Keeper::start_with::<&str>(&file, &[]);
    assert_eq!(keeper.wait_end(), 73);
    let log = keeper.raw_log();
    assert!(log.iter().any(|line| line.contains("streamkeeper.toml/data")), "{log:?}");
}

/// The segments of an outbox, the oldest first.
fn segments(ledger: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(ledger).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    segments.sort();
    segments
}
