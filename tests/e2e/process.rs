//! The processes: how they stop, what they survive, and the demo.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use serde_json::json;
use streamkeeper_simulator::fault::Call;
use tempfile::TempDir;

use super::support::{
    Keeper, RECOVERING, Scenario, Service, Settings, calls, run_to_end, signal, streamkeeper,
    wait_for,
};

#[test]
fn a_process_that_was_suspended_does_not_recover() {
    let scenario = Scenario::start();
    let before = scenario.service.state();
    scenario.keeper.signal("STOP");
    // Longer than `stale_after`.
    scenario.service.wait_time(Duration::from_secs(5));
    scenario.keeper.signal("CONT");
    scenario.service.wait_time(Duration::from_secs(4));
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0, "our silence is not the service's");
    for call in [Call::Create, Call::Delete] {
        assert_eq!(calls(&finished.state, call), calls(&before, call), "no {call:?} more");
    }
}

#[test]
fn sigterm_and_sigint_stop_gracefully() {
    for name in ["TERM", "INT"] {
        let mut scenario = Scenario::start();
        scenario.keeper.signal(name);
        assert_eq!(scenario.keeper.wait_end(), 0, "SIG{name}");
        let log = scenario.keeper.log();
        assert_eq!(log.said("the stream is stopped").len(), 1);
        let state = scenario.service.wait_state("no connection", |state| state.open.is_empty());
        let closed = |by: &str| {
            state.connections.iter().filter(|c| format!("{:?}", c.closed_by) == by).count()
        };
        assert_eq!(
            closed("Some(ClientFin)"),
            state.connections.iter().filter(|c| c.stream.is_some()).count(),
            "half-closed and read to the end: {:?}",
            state.connections
        );
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let service = Service::process(&[]);
    let mut scenario = Scenario::with(service, |settings| {
        settings.with("watchdog.late_after", "10s").with("watchdog.stale_after", "30s")
    });
    // The first stop waits for connections that do not end.
    scenario.service.fault(json!({"kind": "half_close_ignored", "all": true}));
    scenario.keeper.signal("TERM");
    scenario.keeper.wait_said("stopping: ending every connection", 1);
    // At first it is taken for an echo of the first, as wrappers send.
    assert_eq!(scenario.keeper.insist("TERM"), 128 + 15);
}

/// A named pipe in place of a keeper's token: a start waits there.
struct Pipe {
    path: PathBuf,
    _folder: TempDir,
}

impl Pipe {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = Command::new("mkfifo").arg(&path).status().expect("there is mkfifo");
        assert!(made.success());
        Self { path, _folder: folder }
    }

    /// A keeper that begins to start.
    fn keeper(&self, service: &Service) -> Keeper {
        let token_file = format!("token_file = {:?}", self.path);
        let file = Settings::scaled(&service.url).file();
        Keeper::start_with::<&str>(&file.replace("token = \"simulated\"", &token_file), &[])
    }

    /// Its other end, once somebody reads from it. Without a reader it cannot be opened like this.
    fn wait_reader(&self) -> File {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = File::options();
        options.write(true).custom_flags(nonblocking);
        wait_for("somebody to read", || options.open(&self.path).ok())
    }

    /// Puts a file with the token in place of the pipe.
    fn replace(&self) {
        let file = self.path.with_extension("file");
        fs::write(&file, TOKEN).unwrap();
        fs::rename(file, &self.path).unwrap();
    }
}

const TOKEN: &str = "simulated";

#[test]
fn a_reload_that_is_asked_for_during_the_start_follows_it() {
    let (service, pipe) = (Service::process(&[]), Pipe::new());
    let keeper = pipe.keeper(&service);
    let mut reader = pipe.wait_reader();
    keeper.signal("HUP");
    keeper.signal("HUP");
    pipe.replace();
    reader.write_all(TOKEN.as_bytes()).unwrap();
    drop(reader);
    let scenario = Scenario { keeper, service }.live();
    scenario.keeper.wait_said("took the configuration over", 1);
    let finished = scenario.finish();
    let taken = finished.log.said("took the configuration over");
    let signals = taken.iter().filter(|line| line.text("asked_by") == "SIGHUP").count();
    assert_eq!(signals, 1, "one for both");
}

#[test]
fn a_signal_during_the_start_ends_it_and_costs_nothing() {
    let (service, pipe) = (Service::process(&[]), Pipe::new());
    let keeper = pipe.keeper(&service);
    pipe.wait_reader().write_all(TOKEN.as_bytes()).unwrap();
    let mut scenario = Scenario { keeper, service }.live();
    scenario.keeper.stop();

    scenario.keeper.restart();
    let _reader = pipe.wait_reader();
    scenario.keeper.signal("TERM");
    assert_eq!(scenario.keeper.wait_end(), 0);

    pipe.replace();
    scenario.keeper.restart();
    let finished = scenario.finish();
    assert!(finished.log.said(RECOVERING).is_empty());
}

#[test]
fn a_signal_during_a_recovery_stops_it() {
    let mut scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "silence", "for_ms": 60_000}));
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.keeper.wait_said(RECOVERING, 1);
    scenario.keeper.signal("TERM");
    assert_eq!(scenario.keeper.wait_end(), 0);
}

#[test]
fn a_signal_while_the_service_is_away_stops_it() {
    let mut scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "refused", "for_ms": 60_000}));
    scenario.service.fault(json!({"kind": "rst", "all": true}));
    scenario.keeper.wait_degraded("unreachable");
    scenario.keeper.signal("TERM");
    assert_eq!(scenario.keeper.wait_end(), 0, "never an exit code for the service's sake");
}

#[test]
fn the_simulator_ends_on_a_signal_and_on_request() {
    let mut ended = Vec::new();
    for name in ["TERM", "INT"] {
        let mut process = streamkeeper()
            .args(["simulate", "--listen=127.0.0.1:0", "--control=127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = std::io::BufReader::new(process.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut String::new()).unwrap();
        signal(process.id(), name);
        ended.push(wait_for("it to end", || process.try_wait().unwrap()).code());
    }
    assert_eq!(ended, [Some(0), Some(0)]);
}

#[test]
fn the_demo_ends_well_and_in_plain_lines() {
    let ended = run_to_end(streamkeeper().arg("demo"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap();
    assert_eq!(last.trim(), "lost: 0");
    for row in ["doubled: 0", "altered: 0", "streams deleted: 1", "streams created: 2"] {
        assert!(ended.stdout.lines().any(|line| line.trim() == row), "{row}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no terminal, no control sequences");
    assert!(ended.stdout.contains("one connection hangs"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}
