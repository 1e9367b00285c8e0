//! What a running process costs, as the system counts it: CPU time by kind of thread, memory, syncs.
//!
//! Threads are told apart by their names. What a thread did before it ended is not counted; those of the
//! sinks do not end before the process does.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::support::{Service, need, signal};

/// What the system says of a process.
pub(crate) struct Proc {
    pub(crate) resident_kib: usize,
    pub(crate) threads: usize,
    pub(crate) files: usize,
}

impl Proc {
    pub(crate) fn read(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        Self { resident_kib: number("VmRSS:"), threads: number("Threads:"), files }
    }
}

/// The CPU time of a process so far, by the names of its threads without their numbers.
pub(crate) struct Cpu(BTreeMap<String, Duration>);

impl Cpu {
    pub(crate) fn read(process: u32) -> Self {
        let mut cpu: BTreeMap<String, Duration> = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
            let folder = task.unwrap().path();
            // A thread may have ended since it was listed.
            let (Ok(name), Ok(times)) = (
                fs::read_to_string(folder.join("comm")),
                fs::read_to_string(folder.join("schedstat")),
            ) else {
                continue;
            };
            let name = name.trim().trim_end_matches(|end: char| end.is_ascii_digit() || end == '-');
            let ran = times.split(' ').next().unwrap().parse().unwrap();
            *cpu.entry(name.to_owned()).or_default() += Duration::from_nanos(ran);
        }
        Self(cpu)
    }

    /// What all threads have taken.
    pub(crate) fn all(&self) -> Duration {
        self.0.values().sum()
    }

    /// What the threads of that name have taken.
    pub(crate) fn of(&self, name: &str) -> Duration {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// How many `fdatasync` and `fsync` a process makes while the service's time passes. Slows it down.
pub(crate) fn syncs(process: u32, service: &Service, span: Duration) -> u64 {
    need("strace");
    let mut watch = Command::new("strace")
        .args(["-f", "-c", "-e", "trace=fdatasync,fsync", "-p", &process.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    service.wait_time(span);
    signal(watch.id(), "INT");
    let mut table = String::new();
    std::io::Read::read_to_string(&mut watch.stderr.take().unwrap(), &mut table).unwrap();
    drop(watch.wait());
    let calls = |line: &str| -> Option<u64> {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_sync = matches!(fields.last(), Some(&("fdatasync" | "fsync")));
        is_sync.then(|| fields[3].parse().unwrap())
    };
    table.lines().filter_map(calls).sum()
}
