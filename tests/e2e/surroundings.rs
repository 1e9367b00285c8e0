//! What a process finds where it is started: limits, blocked signals, variables for others. It works.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::support::{Keeper, Scenario, Service, Settings, signal, wait_for};

#[test]
fn a_limit_to_the_size_of_files_is_a_full_disk() {
    let scenario = Scenario::start();
    let process = Pid::from_raw(scenario.keeper.process().cast_signed());
    let limit = |bytes| {
        let before = prlimit(process, Resource::Fsize, Rlimit { current: bytes, maximum: None });
        before.expect("it runs");
    };
    limit(Some(4_096));
    scenario.keeper.wait_degraded("disk_full");
    limit(None);
    scenario.keeper.wait_said("the ledger takes events again", 1);
    scenario.finish();
}

#[test]
fn a_variable_for_another_program_is_nothing_to_us() {
    for value in ["0", "many"] {
        let service = Service::process(&[]);
        let file = Settings::scaled(&service.url).file();
        let keeper = Keeper::start_with(&file, &[("TOKIO_WORKER_THREADS", value)]);
        Scenario { keeper, service }.live().finish();
    }
}

#[test]
fn signals_that_a_parent_has_blocked_are_heard() {
    let service = Service::process(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("streamkeeper.toml"), Settings::scaled(&service.url).file())
        .unwrap();
    for name in ["TERM", "INT"] {
        let mut blocked = Command::new("env");
        for signal in ["TERM", "INT", "HUP"] {
            blocked.arg(format!("--block-signal={signal}"));
        }
        blocked.args([env!("CARGO_BIN_EXE_streamkeeper"), "run", "streamkeeper.toml"]);
        blocked.current_dir(folder.path()).stdout(Stdio::null());
        let log = folder.path().join(name);
        let mut process = blocked.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let said = |what: &str| {
            wait_for(what, || fs::read_to_string(&log).unwrap().contains(what).then_some(()));
        };
        said("listening: ");
        signal(process.id(), "HUP");
        said("took the configuration over");
        signal(process.id(), name);
        let code = wait_for("the process to end", || process.try_wait().unwrap()).code();
        assert_eq!(code, Some(0), "SIG{name}");
    }
}
