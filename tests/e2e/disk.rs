//! A disk that misbehaves while events flow: full, broken, or slow to take more than a little.
//!
//! The failures are those of `libfiu`, which is loaded before the C library and told over a pipe what
//! is to fail. The ledger alone writes at places (`pwrite`), so the sink is left out where a test
//! wants that.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::support::{Keeper, RECOVERING, Scenario, Service, Settings, library, wait_for};

/// `ENOSPC` and `EIO`.
const FULL: i32 = 28;
const BROKEN: i32 = 5;

#[test]
fn a_full_disk_stops_accepting_and_loses_nothing() {
    misbehaves("posix/io/rw/pwrite", FULL, "disk_full");
}

#[test]
fn a_broken_disk_stops_accepting_and_loses_nothing() {
    misbehaves("posix/io/rw/pwrite", BROKEN, "disk_failed");
}

#[test]
fn a_failed_sync_is_not_forgotten() {
    misbehaves("posix/io/sync/fdatasync", BROKEN, "disk_failed");
}

#[test]
fn writes_that_take_a_part_only_are_finished() {
    let scenario = start();
    tell(&scenario, "enable_random name=posix/io/rw/pwrite/reduce,probability=0.3");
    scenario.service.wait_time(Duration::from_secs(3));
    let finished = scenario.finish();
    assert_eq!(finished.log.said("nothing can be accepted").len(), 0);
}

/// The call fails for longer than `stale_after`, and then does not.
fn misbehaves(call: &str, error: i32, reason: &str) {
    let scenario = start();
    tell(&scenario, &format!("enable name={call},failinfo={error}"));
    scenario.keeper.wait_degraded(reason);
    let delivered = scenario.keeper.delivered();
    scenario.service.wait_time(Duration::from_secs(4));
    assert!(scenario.keeper.delivered() >= delivered);
    tell(&scenario, &format!("disable name={call}"));
    scenario.keeper.wait_said("the ledger takes events again", 1);
    wait_for("the stream to be live again", || {
        let states = scenario.keeper.log().said("the stream is ");
        states.last().filter(|line| line.text("state") == "live").map(drop)
    });
    let finished = scenario.finish();
    assert_eq!(finished.log.said("nothing can be accepted").len(), 1, "once, not at every attempt");
    let recoveries = finished.log.said(RECOVERING).len();
    assert!(recoveries <= 1, "{recoveries} recoveries: a full queue is one reason at most");
}

/// A scenario whose keeper's calls can be made to fail.
fn start() -> Scenario {
    let service = Service::process(&[]);
    let run = library("libfiu0", "fiu_run_preload.so");
    let calls = library("libfiu0", "fiu_posix_preload.so");
    let preload = format!("{run} {calls}");
    let environment = [("LD_PRELOAD", preload.as_str()), ("FIU_CTRL_FIFO", "fiu")];
    let keeper = Keeper::start_with(&Settings::scaled(&service.url).file(), &environment);
    Scenario { keeper, service }.live()
}

/// Tells the library in the keeper's process what is to fail from now on.
fn tell(scenario: &Scenario, command: &str) {
    let pipe = |end: &str| {
        let process = scenario.keeper.process();
        scenario.keeper.folder().join(format!("fiu-{process}.{end}"))
    };
    // It opens both before it reads a command.
    let mut commands = OpenOptions::new().write(true).open(pipe("in")).expect("its pipe");
    let mut answers = File::open(pipe("out")).expect("its other pipe");
    commands.write_all(format!("{command}\n").as_bytes()).expect("it reads its pipe");
    drop(commands);
    let mut answer = String::new();
    answers.read_to_string(&mut answer).expect("it answers");
    assert_eq!(answer.trim(), "0", "{command}");
}
