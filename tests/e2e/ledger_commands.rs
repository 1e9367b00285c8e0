//! `status` and `ledger`: what they say while a process runs, after it has stopped, and after a crash.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use streamkeeper_simulator::fault::Call;

use super::support::{
    Ended, Keeper, STREAM, Scenario, Service, calls, command, run_to_end, streamkeeper, wait_for,
};

/// The answer of a command that ended well, as JSON.
#[track_caller]
fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// The same, run to its end.
fn told(keeper: &Keeper, arguments: &[&str]) -> Ended {
    run_to_end(&mut command(keeper, arguments))
}

/// The folder of the keeper's data.
fn data(keeper: &Keeper) -> PathBuf {
    keeper.folder().join("data")
}

/// A keeper that has read for a while and was stopped; and what its sink has got.
fn stopped() -> (Keeper, String) {
    let Scenario { mut keeper, service } = Scenario::start();
    keeper.stop();
    drop(service);
    let written = fs::read_to_string(keeper.output()).unwrap();
    assert!(written.lines().count() > 1_000, "there is something to look at");
    (keeper, written)
}

#[test]
fn a_running_process_tells_its_state() {
    let mut scenario = Scenario::start();
    let Scenario { keeper, .. } = &mut scenario;
    let socket = data(keeper).join("control.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may ask");

    let said = told(keeper, &["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("stream acme: live\n"), "{}", said.stdout);
    assert!(said.stdout.contains("slots     live live live"), "{}", said.stdout);
    assert!(said.stdout.contains("archive: delivered "), "{}", said.stdout);

    let answer = told(keeper, &["status", STREAM, "--output=json"]);
    assert!(!answer.stdout.contains("simulated"), "no token: {}", answer.stdout);
    let found = json(&answer);
    assert_eq!(found["running"], true);
    assert_eq!(found["process"]["pid"], keeper.process());
    let stream = &found["process"]["streams"][0];
    assert_eq!((&stream["name"], &stream["state"]), (&"acme".into(), &"live".into()));
    assert!(stream["accepted"].as_u64().unwrap() > 1_000, "{stream}");
    assert_eq!(stream["consumers"][0]["name"], "archive");

    let unknown = told(keeper, &["status", "other"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("keeps no stream `other`; it keeps: acme"), "{unknown:?}");

    keeper.stop();
    assert!(!socket.exists(), "it is removed at a stop");
    let found = json(&told(keeper, &["status", "--json"]));
    assert_eq!((&found["running"], &found["process"]), (&false.into(), &Value::Null));
    let ledger = &found["ledgers"][0];
    assert_eq!((&ledger["stream"], &ledger["phase"]), (&"acme".into(), &"running".into()));
    assert_eq!(ledger["clean"], true, "{ledger}");
    let said = told(keeper, &["status"]);
    let (note, _) = said.stdout.split_once('\n').unwrap();
    assert!(note.starts_with("nothing answers at ./data/control.sock: start `streamkeeper run`"));
    assert!(note.ends_with("; this is what the ledgers hold on disk"), "{note}");
    assert!(
        said.stdout.contains("clean     yes: the next start goes on from here\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn who_watches_sees_a_stop_and_a_restart() {
    let mut scenario = Scenario::start();
    let Scenario { keeper, .. } = &mut scenario;
    let ended = told(keeper, &["status", "--watch=0s"]);
    assert_eq!(ended.code, Some(2), "not without a pause: {ended:?}");
    let mut watch = command(keeper, &["status", "--watch=100ms", "--json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut wait_seen = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
        wait_for(what, || {
            let look: Value = serde_json::from_str(&lines.next()?.unwrap()).unwrap();
            is_it(&look).then_some(())
        });
    };
    let process = keeper.process();
    wait_seen("the process", &|look| look["process"]["pid"] == process);
    keeper.stop();
    wait_seen("what is on disk", &|look| look["running"] == false);
    keeper.restart();
    let process = keeper.process();
    wait_seen("the next process", &|look| look["process"]["pid"] == process);
    // Nobody reads any more: it ends, and that is no failure.
    drop(lines);
    assert!(wait_for("the watch to end", || watch.try_wait().unwrap()).success());
}

#[test]
fn an_incident_under_way_is_in_the_status() {
    let mut scenario = Scenario::start();
    // The new stream does not come to life, so that the incident lasts.
    scenario.service.fault(serde_json::json!({"kind": "silence", "for_ms": 60_000}));
    scenario.service.fault(serde_json::json!({"kind": "hang"}));
    let keeper = &mut scenario.keeper;
    let incident = wait_for("an incident", || {
        let found = json(&told(keeper, &["status", "--json"]));
        let incident = found["process"]["streams"][0]["incident"].clone();
        (!incident.is_null()).then_some(incident)
    });
    assert_eq!((&incident["id"], &incident["cause"]), (&1.into(), &"stale".into()));
    let said = told(keeper, &["status"]);
    assert!(said.stdout.contains("incident  1 under way: stale, "), "{}", said.stdout);

    // The process tells of an incident before it is on disk; its calls come after that.
    scenario
        .service
        .wait_state("the end of the old stream", |state| calls(state, Call::Delete) > 0);
    keeper.signal("KILL");
    keeper.wait_end();
    assert!(data(keeper).join("control.sock").exists(), "a crash leaves its socket");
    let found = json(&told(keeper, &["status", "--json"]));
    let ledger = &found["ledgers"][0];
    assert_eq!((&found["running"], &ledger["clean"]), (&false.into(), &false.into()));
    assert_eq!(ledger["incident"]["cause"], "stale", "{ledger}");

    keeper.restart();
    wait_for("the next process to answer in its place", || {
        let found = json(&told(keeper, &["status", "--json"]));
        (found["process"]["pid"] == keeper.process()).then_some(())
    });
}

#[test]
fn a_ledger_in_use_is_counted_but_neither_checked_nor_exported() {
    let Scenario { keeper, service } = Scenario::start();
    let stats = json(&told(&keeper, &["ledger", "stats", "--json"]));
    assert!(stats[0]["events_accepted"].as_u64().unwrap() > 1_000, "{stats}");
    for command in ["verify", "export"] {
        let ended = told(&keeper, &["ledger", command]);
        assert_eq!(ended.code, Some(75), "{ended:?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let holder = format!("streams/acme/lock is held by process {}", keeper.process());
        assert!(said.contains(&holder) && said.contains("stop that first"), "{said}");
    }
    keeper.signal("STOP");
    let suspended = told(&keeper, &["status"]);
    keeper.signal("CONT");
    assert_eq!(suspended.code, Some(75), "{suspended:?}");
    assert!(suspended.stderr.contains("does not answer: it is suspended"), "{suspended:?}");
    // It was not disturbed.
    Scenario { keeper, service }.finish();
}

#[test]
fn what_was_accepted_is_counted_checked_and_exported() {
    let (keeper, written) = stopped();
    let events = written.lines().count();

    let sound = told(&keeper, &["ledger", "verify"]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.stdout.starts_with("acme: sound; read "), "{}", sound.stdout);
    assert_eq!(sound.stdout.lines().count(), 1, "{}", sound.stdout);

    let stats = json(&told(&keeper, &["ledger", "stats", "--json", STREAM]));
    let ledger = &stats[0];
    assert_eq!(
        (&ledger["events_accepted"], &ledger["events_on_disk"]),
        (&events.into(), &events.into())
    );
    assert_eq!(
        (&ledger["sinks"][0]["name"], &ledger["sinks"][0]["backlog"]),
        (&"archive".into(), &0.into())
    );
    let identity = ledger["identity"].as_str().unwrap();
    assert_eq!(identity.len(), 32);
    let side_file = fs::read_to_string(keeper.output().with_added_extension("cursor")).unwrap();
    assert!(
        side_file.contains(&format!(r#""acme":{{"ledger":"{identity}","next""#)),
        "{side_file}"
    );
    let on_disk = fs::metadata(segment(&data(&keeper))).unwrap().len();
    assert_eq!(ledger["segment_bytes"], on_disk);
    let per_million = on_disk * 1_000_000 / events as u64;
    assert_eq!(ledger["segment_bytes_per_million_events"], per_million);
    let table = told(&keeper, &["ledger", "stats"]).stdout;
    assert!(table.contains("archive: backlog 0, next is event "), "{table}");

    let exported = told(&keeper, &["ledger", "export"]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    assert!(exported.stdout == written, "what the sink has got, to the byte");
    let some = told(&keeper, &["ledger", "export", "--from=101", "--limit=7"]).stdout;
    let expected: Vec<_> = written.lines().skip(100).take(7).collect();
    assert_eq!(some.lines().collect::<Vec<_>>(), expected);
    let raw = told(&keeper, &["ledger", "export", "--format=raw", "--limit=7"]).stdout;
    assert_eq!(raw.lines().count(), 7);
    for (record, line) in raw.lines().zip(written.lines()) {
        assert!(line.ends_with(&format!("\"data\":{record}}}")), "{record}: {line}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (keeper, written) = stopped();
    let mut export = command(&keeper, &["ledger", "export"]);
    let mut export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(export.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), written.lines().next().unwrap());
    drop(lines);
    let ended = export.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[test]
fn damage_is_found_and_told_with_file_and_offset() {
    let (keeper, written) = stopped();
    let segment = segment(&data(&keeper));
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&segment, bytes).unwrap();

    let found = told(&keeper, &["ledger", "verify"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let finding = found.stdout.lines().next().unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(finding.contains(name) && finding.contains("Restore the directory"), "{finding}");
    let offset = finding.split("is damaged at byte ").nth(1).unwrap().split(':').next().unwrap();
    let offset: usize = offset.parse().unwrap();
    assert!((32..=middle).contains(&offset), "the frame that holds byte {middle}: {finding}");
    assert!(found.stdout.lines().last().unwrap().starts_with("acme: not sound, 1 finding"));

    let exported = told(&keeper, &["ledger", "export"]);
    assert_eq!(exported.code, Some(1));
    assert!(exported.stderr.contains(&format!("at byte {offset}")), "{}", exported.stderr);
    assert!(written.starts_with(&exported.stdout), "what comes before the damage is given");
    assert!(exported.stdout.lines().count() > 0);
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        |arguments: &[&str]| run_to_end(streamkeeper().args(arguments).current_dir(folder.path()));
    let commands: [&[&str]; 4] =
        [&["status"], &["ledger", "verify"], &["ledger", "stats"], &["ledger", "export"]];
    for command in commands {
        let unconfigured = run(command);
        assert_eq!(unconfigured.code, Some(78), "{unconfigured:?}");
        assert!(unconfigured.stderr.contains("no configuration"), "{unconfigured:?}");
        let empty = run(&[command, &["--data-dir=nowhere"]].concat());
        assert_eq!(empty.code, Some(1), "{empty:?}");
        assert!(empty.stderr.contains("there is no ledger below nowhere"), "{empty:?}");
        assert!(!folder.path().join("nowhere").exists(), "looking makes nothing");
    }
    fs::create_dir_all(folder.path().join("data/streams/acme")).unwrap();
    let unknown = run(&["ledger", "verify", "other", "--data-dir=data"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("stream `other` below data; there is: acme"), "{unknown:?}");
}

#[test]
fn a_path_too_long_for_a_socket_costs_the_socket_alone() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(120));
    let data = long.to_str().unwrap();
    let service = Service::process(&[]);
    let settings = super::support::Settings::scaled(&service.url).file();
    let mut keeper = Keeper::start_with(&settings, &[("STREAMKEEPER__SERVICE__DATA_DIR", data)]);
    let warning = keeper.wait_said("no control socket", 1);
    assert!(warning.text("why").contains("too long for a Unix socket"), "{warning:?}");
    wait_for("an event", || (keeper.delivered() > 0).then_some(()));
    let found = json(&run_to_end(streamkeeper().args(["status", "--json", "--data-dir", data])));
    assert_eq!(
        (&found["running"], &found["ledgers"][0]["stream"]),
        (&false.into(), &"acme".into())
    );
    assert_eq!(keeper.stop().said("no control socket").len(), 1, "it is said once");
}

/// The one segment of the stream.
fn segment(data: &Path) -> PathBuf {
    let entries = fs::read_dir(data.join("streams").join(STREAM)).unwrap();
    let mut segments = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let segment = segments.next().expect("there is a segment");
    assert_eq!(segments.next(), None, "there is one only");
    segment
}
