//! Standard input, output and error as a process finds them: read by nobody, full, closed, or gone in the
//! middle. Nothing of this ends the process or holds it up; what is lost of the log is counted.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::support::{Service, Settings, request, signal, streamkeeper, wait_for};

/// A process in a folder of its own, whose standard streams are the test's affair.
struct Bare {
    process: Child,
    folder: TempDir,
}

impl Bare {
    /// `run` against a service, given its standard error.
    fn run(service: &Service, stderr: impl Into<Stdio>) -> Self {
        let mut run = streamkeeper();
        run.args(["run", "streamkeeper.toml"]).stdout(Stdio::null());
        Self::start(run, service, stderr)
    }

    fn start(mut command: Command, service: &Service, stderr: impl Into<Stdio>) -> Self {
        let folder = folder(service);
        command.current_dir(folder.path()).stdin(Stdio::null()).stderr(stderr);
        let process = command.spawn().expect("the binary starts");
        Self { process, folder }
    }

    fn has_delivered(&self) -> bool {
        fs::metadata(self.folder.path().join("events.ndjson")).is_ok_and(|file| file.len() > 0)
    }

    #[track_caller]
    fn wait_delivered(&mut self) {
        wait_for("events", || {
            assert_eq!(self.process.try_wait().unwrap(), None, "it has ended");
            self.has_delivered().then_some(())
        });
    }

    #[track_caller]
    fn stop(&mut self) {
        signal(self.process.id(), "TERM");
        assert_eq!(self.end(), Some(0));
    }

    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        wait_for("the process to end", || self.process.try_wait().unwrap()).code()
    }

    fn endpoint(&self) -> String {
        let status = wait_for("the control socket", || {
            let mut status = streamkeeper();
            status.args(["status", "--json", "--config", "streamkeeper.toml"]);
            let asked = status.current_dir(self.folder.path()).output().unwrap();
            let found: serde_json::Value = serde_json::from_slice(&asked.stdout).ok()?;
            found["process"]["listen"].as_str().map(ToOwned::to_owned)
        });
        format!("http://{status}")
    }

    fn lost_lines(&self) -> u64 {
        let (status, body) = request(&self.endpoint(), "GET", "/metrics", "");
        assert_eq!(status, 200);
        let text = String::from_utf8(body).unwrap();
        let line = text.lines().find(|line| line.starts_with("streamkeeper_log_lines_lost_total "));
        let value = line.and_then(|line| line.split(' ').nth(1)).expect("the metric");
        value.parse::<f64>().expect("a number") as u64
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn folder(service: &Service) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("streamkeeper.toml"), Settings::scaled(&service.url).file())
        .unwrap();
    folder
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("this is Linux")
}

/// A pipe that is full; whoever holds its reading end does not read.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'.'; 4_096]).is_ok() {}
    while rustix::io::write(&writer, b".").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_reader_of_the_log_that_goes_away_ends_nothing() {
    let service = Service::process(&[]);
    let mut bare = Bare::run(&service, Stdio::piped());
    let mut log = BufReader::new(bare.process.stderr.take().unwrap());
    log.read_line(&mut String::new()).unwrap();
    drop(log);
    bare.wait_delivered();
    wait_for("lines to be lost", || (bare.lost_lines() > 0).then_some(()));
    bare.stop();
}

#[test]
fn a_log_on_a_full_disk_ends_nothing() {
    let service = Service::process(&[]);
    let mut bare = Bare::run(&service, full());
    bare.wait_delivered();
    wait_for("lines to be lost", || (bare.lost_lines() > 0).then_some(()));
    bare.stop();
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let service = Service::process(&[]);
    let (_reader, writer) = full_pipe();
    let mut bare = Bare::run(&service, writer);
    bare.wait_delivered();
    bare.stop();
}

#[test]
fn a_process_that_cannot_start_ends_though_nobody_reads_why() {
    let (_reader, writer) = full_pipe();
    for arguments in [
        &["run", "nowhere.toml"][..],
        &["run", "--no-such-switch"],
        &["status", "--data-dir", "nowhere"],
    ] {
        let mut process =
            streamkeeper().args(arguments).stderr(writer.try_clone().unwrap()).spawn().unwrap();
        let code = wait_for("the process to end", || process.try_wait().unwrap()).code();
        assert!(matches!(code, Some(1..=2 | 64..=78)), "{arguments:?}: {code:?}");
    }
}

#[test]
fn a_reader_of_an_answer_that_goes_away_or_a_full_disk_is_no_panic() {
    let service = Service::process(&[]);
    let folder = folder(&service);
    let simulate = ["simulate", "--listen=127.0.0.1:0", "--control=127.0.0.1:0"];
    let commands: [&[&str]; 7] = [
        &["--help"],
        &["version"],
        &["config", "default"],
        &["completion", "bash"],
        &["check", "streamkeeper.toml"],
        &["no-such-command"],
        &simulate,
    ];
    for arguments in commands {
        for (stdout, stderr) in [(gone(), gone()), (full().into(), full().into())] {
            let mut command = streamkeeper();
            command.args(arguments).current_dir(folder.path()).stdout(stdout).stderr(stderr);
            let mut process = command.spawn().unwrap();
            if arguments.len() == simulate.len() {
                // It may serve on, or end because it cannot say where it is.
                wait_for("a handler of signals, or an end", || {
                    let ended = process.try_wait().unwrap().is_some();
                    (ended || catches_term(process.id())).then_some(())
                });
                signal_if_alive(&mut process);
            }
            let code = wait_for("the process to end", || process.try_wait().unwrap()).code();
            assert!(matches!(code, Some(0..=2)), "{arguments:?}: {code:?}");
        }
    }
}

/// Whether a process has a handler for SIGTERM.
fn catches_term(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << 14) != 0)
}

fn signal_if_alive(process: &mut Child) {
    if process.try_wait().unwrap().is_none() {
        signal(process.id(), "TERM");
    }
}

/// A pipe whose reader is gone.
fn gone() -> Stdio {
    let (_, writer) = rustix::pipe::pipe().unwrap();
    writer.into()
}

#[test]
fn no_file_lands_where_the_standard_streams_were_closed() {
    let service = Service::process(&[]);
    let folder = folder(&service);
    for closed in ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&- 2>/dev/full"] {
        let binary = env!("CARGO_BIN_EXE_streamkeeper");
        let script = format!("exec {binary} run streamkeeper.toml {closed}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("RUST_LOG", "trace").current_dir(folder.path());
        let mut process = shell.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let output = folder.path().join("events.ndjson");
        let before = fs::metadata(&output).map_or(0, |file| file.len());
        wait_for("more events", || {
            let now = fs::metadata(&output).map_or(0, |file| file.len());
            (now > before).then_some(())
        });
        for fd in 0..=2 {
            let file = fs::read_link(format!("/proc/{}/fd/{fd}", process.id())).unwrap();
            assert!(file.starts_with("/dev"), "{closed}: {fd} is {file:?}");
        }
        signal(process.id(), "TERM");
        let code = wait_for("the process to end", || process.try_wait().unwrap()).code();
        assert_eq!(code, Some(0), "{closed}");
        all_lines_are_json(&output);
    }
}

fn all_lines_are_json(path: &Path) {
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.lines().all(|line| line.starts_with('{')), "a line of the log among the events");
}
