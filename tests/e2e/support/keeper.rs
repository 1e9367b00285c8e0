//! The process under test: `streamkeeper run` in a folder of its own, with its log at hand.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{STREAM, Settings, wait_for};

/// The binary.
pub(crate) fn streamkeeper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamkeeper"));
    // What the person who runs the tests has set is none of theirs.
    for (name, _) in std::env::vars() {
        let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
        if name.starts_with("STREAMKEEPER") || name == "RUST_LOG" || is_proxy {
            command.env_remove(name);
        }
    }
    command
}

/// The wall clock of a process, and nothing else of its time. It can be set while the process runs.
pub(crate) struct WallClock(TempDir);

impl WallClock {
    /// A clock that is ahead of ours by so many seconds.
    pub(crate) fn ahead_by(seconds: i64) -> Self {
        let clock = Self(tempfile::tempdir().expect("a temporary folder"));
        clock.set(seconds);
        clock
    }

    /// From now on it is ahead of ours by so many seconds.
    pub(crate) fn set(&self, seconds: i64) {
        // Whole, or not at all: the process may look at any time.
        let half_written = self.0.path().join("new");
        std::fs::write(&half_written, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(half_written, self.file()).unwrap();
    }

    /// The environment of a process that goes by it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library("libfaketime", "MT.so.1")),
            ("FAKETIME_TIMESTAMP_FILE", self.file().to_str().expect("UTF-8").to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ahead")
    }
}

/// The file of a Debian package whose name ends so; the package is installed if it is not there.
pub(crate) fn library(package: &str, end: &str) -> String {
    need(package);
    let files = Command::new("dpkg").args(["-L", package]).output().expect("this is Debian");
    let files = String::from_utf8(files.stdout).expect("UTF-8");
    files.lines().find(|file| file.ends_with(end)).expect("it has a library").to_owned()
}

/// Sees to it that a Debian package is installed.
pub(crate) fn need(package: &str) {
    let need = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/need");
    let installed = Command::new(need).arg(package).status().expect("the script is there");
    assert!(installed.success(), "{package} is not there and could not be installed");
}

/// Runs a command to its end.
pub(crate) fn run_to_end(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().expect("the binary starts");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Sends a signal, by its name without `SIG`.
pub(crate) fn signal(process: u32, name: &str) {
    let kill = format!("kill -s {name} {process}");
    let sent = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
    assert!(sent.success(), "{kill}");
}

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) message: String,
    fields: Map<String, Value>,
}

impl Line {
    fn read(text: &str) -> Self {
        let value = serde_json::from_str(text);
        let mut fields: Map<String, Value> = value.unwrap_or_else(|_| {
            // Panics and last words are plain text.
            Map::from_iter([("msg".to_owned(), Value::from(text))])
        });
        let message = match fields.remove("msg") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        Self { message, fields }
    }

    /// A field that is text.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{field}: {self:?}"))
    }

    /// A field that is a number.
    #[track_caller]
    pub(crate) fn number(&self, field: &str) -> u64 {
        self.fields
            .get(field)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("{field}: {self:?}"))
    }
}

/// All that a process wrote to its log.
#[derive(Clone, Debug)]
pub(crate) struct Log(Vec<Line>);

impl Log {
    /// The lines whose message contains this.
    pub(crate) fn said(&self, fragment: &str) -> Vec<Line> {
        self.0.iter().filter(|line| line.message.contains(fragment)).cloned().collect()
    }
}

/// Another command of the binary, in the keeper's folder and with its configuration file.
pub(crate) fn command(keeper: &Keeper, arguments: &[&str]) -> Command {
    let mut command = streamkeeper();
    command.args(arguments).args(["--config", "streamkeeper.toml"]);
    command.current_dir(keeper.folder());
    command
}

/// A running `streamkeeper run`. It is killed when this is dropped; if the test failed, its log is
/// shown.
pub(crate) struct Keeper {
    process: Child,
    folder: TempDir,
    environment: Vec<(OsString, OsString)>,
    /// What all its lives wrote to the log.
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it with these settings.
    pub(crate) fn start(settings: &Settings) -> Self {
        Self::start_with::<&str>(&settings.file(), &[])
    }

    /// Starts it with this configuration file and environment.
    pub(crate) fn start_with<V: AsRef<OsStr>>(file: &str, environment: &[(&str, V)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("streamkeeper.toml"), file).unwrap();
        let own = |(name, value): &(&str, V)| (OsString::from(name), value.as_ref().to_owned());
        let environment: Vec<_> = environment.iter().map(own).collect();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (process, reader) = spawn(folder.path(), &environment, &lines);
        Self { process, folder, environment, lines, reader: Some(reader) }
    }

    /// Starts it again in the same folder. It is killed, if it has not ended.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let (process, reader) = spawn(self.folder.path(), &self.environment, &self.lines);
        self.process = process;
        self.reader = Some(reader);
    }

    /// Kills it, so that it can do nothing any more.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        self.wait_end();
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Where its endpoint is, as a base URL; waits until it listens.
    #[track_caller]
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.wait_said("listening: ", 1).text("address"))
    }

    /// The folder that it runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of its stream's ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("data/streams").join(STREAM)
    }

    /// The file of its sink.
    pub(crate) fn output(&self) -> PathBuf {
        self.folder.path().join("events.ndjson")
    }

    /// How many events it has delivered.
    pub(crate) fn delivered(&self) -> usize {
        let written = std::fs::read(self.output()).unwrap_or_default();
        written.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Its log as it was written.
    pub(crate) fn raw_log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Its log.
    pub(crate) fn log(&self) -> Log {
        Log(self.lines.lock().unwrap().iter().map(|line| Line::read(line)).collect())
    }

    /// Waits until its log has said this so many times, and gives the last one.
    #[track_caller]
    pub(crate) fn wait_said(&self, fragment: &str, times: usize) -> Line {
        wait_for(&format!("the log to say “{fragment}”, {times} times"), || {
            self.log().said(fragment).into_iter().nth(times - 1)
        })
    }

    /// Waits until its log contains this text, in whatever format.
    #[track_caller]
    pub(crate) fn wait_text(&self, text: &str) {
        let mut seen = 0;
        wait_for(&format!("the log to contain “{text}”"), || {
            let lines = self.lines.lock().unwrap();
            let before = std::mem::replace(&mut seen, lines.len());
            lines[before..].iter().any(|line| line.contains(text)).then_some(())
        });
    }

    /// Waits until its stream is degraded, for this reason.
    #[track_caller]
    pub(crate) fn wait_degraded(&self, reason: &str) -> Line {
        wait_for(&format!("the stream to be degraded: {reason}"), || {
            let said = self.log().said("the stream is degraded");
            said.into_iter().find(|line| line.text("reason") == reason)
        })
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }

    /// Waits until it ends; gives its exit code, or 1000 and the signal that killed it.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> i32 {
        let status = wait_for("the process to end", || self.process.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log was read to its end");
        }
        status.code().unwrap_or_else(|| 1_000 + status.signal().unwrap_or(0))
    }

    /// Sends a signal again and again until it ends; gives its exit code.
    #[track_caller]
    pub(crate) fn insist(&mut self, name: &str) -> i32 {
        let process = self.process.id();
        wait_for("the process to end", || {
            signal(process, name);
            self.process.try_wait().unwrap()
        });
        self.wait_end()
    }

    /// Stops it gracefully, and gives its whole log.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Log {
        self.signal("TERM");
        assert_eq!(self.wait_end(), 0, "a graceful stop");
        self.log()
    }
}

/// Starts the process in `folder`, its log appended to `lines`.
fn spawn(
    folder: &Path,
    environment: &[(OsString, OsString)],
    lines: &Arc<Mutex<Vec<String>>>,
) -> (Child, JoinHandle<()>) {
    let mut process = streamkeeper()
        .args(["run", "streamkeeper.toml"])
        .current_dir(folder)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stderr = BufReader::new(process.stderr.take().expect("it is piped"));
    let written = Arc::clone(lines);
    let reader = std::thread::spawn(move || {
        for line in stderr.split(b'\n').map_while(Result::ok) {
            written.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    });
    (process, reader)
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("── the log of {name}\n{}", self.raw_log().join("\n"));
        }
    }
}
