//! The three embedding examples, run as programs against the simulated service.
//!
//! `cargo test` builds a package's examples before its tests, into the folder beside them. With
//! `--test examples` it does not: then `cargo build --examples` comes first.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use streamkeeper_simulator::model;
use streamkeeper_simulator::server::{RunningSimulator, Simulator, SimulatorConfig};

/// How many events each example is asked for.
const COUNT: u64 = 500;

fn service() -> RunningSimulator {
    let model = model::Config {
        events_per_hour: 200 * 3_600,
        history_for: 10_000,
        poke_every: 500,
        ..model::Config::default()
    };
    Simulator::start(SimulatorConfig { model, ..SimulatorConfig::default() }).unwrap()
}

/// `target/<profile>/examples/<name>`; this test is in `target/<profile>/deps`.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile =
        test.parent().and_then(|deps| deps.parent()).expect("it is in target/<profile>/deps");
    profile.join("examples").join(name)
}

/// Runs an example; gives the number of events that it says it has taken.
fn run(name: &str) -> u64 {
    let service = service();
    let path = example(name);
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    let mut process = Command::new(path);
    // Its ledger goes into the folder it is started in.
    let folder = tempfile::tempdir().unwrap();
    process.current_dir(&folder).stdin(Stdio::null());
    process.args([&service.url(), "simulated", &COUNT.to_string()]);
    let output = process.output().expect("the example starts");
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{name}: {said} {errors}");
    assert_eq!(said.lines().count(), 1, "{name} says one line: {said}");
    let (count, rest) = said.trim().split_once(' ').expect("a number and words");
    assert!(rest.starts_with("events, stopped with"), "{said}");
    let ends = Instant::now() + Duration::from_secs(10);
    while !service.state().open.is_empty() {
        assert!(Instant::now() < ends, "{name} has ended its connection");
        std::thread::sleep(Duration::from_millis(10));
    }
    count.parse().expect("a number")
}

#[test]
fn in_a_plain_program() {
    assert_eq!(run("embed_plain"), COUNT);
}

#[test]
fn in_a_tokio_program() {
    assert_eq!(run("embed_tokio"), COUNT);
}

#[test]
fn in_an_actix_program() {
    // It takes whole batches.
    assert!(run("embed_actix") >= COUNT);
}
