//! A real server as a process of its own: killed, suspended and started again at one address.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::super::support::{signal, wait_for};
use super::kind::Kind;

/// Where a server is, over all its lives.
pub(super) struct Place {
    folder: TempDir,
    pub(super) port: u16,
}

impl Place {
    fn new() -> Self {
        // Free a moment ago: not every server can say which port it was given.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        Self { folder: tempfile::tempdir().expect("a temporary folder"), port }
    }

    /// Its base URL.
    pub(super) fn url(&self) -> String {
        self.url_of("http")
    }

    pub(super) fn url_of(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the programs of this folder keep what they published.
    pub(super) fn history(&self) -> PathBuf {
        self.folder().join("history")
    }

    /// What the server has said, in all its lives.
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder().join("server.log")
    }

    /// A program of this folder: it is told its port and its history.
    pub(super) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("PORT", self.port.to_string()).env("HISTORY", self.history());
        command
    }
}

/// A server's process. It is killed when this is dropped; if the test failed, what it said is shown.
pub(super) struct Server {
    pub(super) place: Arc<Place>,
    process: Child,
}

impl Server {
    /// Starts it; it listens.
    pub(super) fn start(kind: &dyn Kind) -> Self {
        let place = Arc::new(Place::new());
        kind.prepare(&place);
        let process = spawn(kind, &place);
        Self { place, process }
    }

    /// It can do nothing any more.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it as an operator would.
    pub(super) fn stop(&mut self) {
        self.signal("TERM");
        wait_for("the server to end", || self.process.try_wait().unwrap());
    }

    /// The next life; it listens.
    pub(super) fn start_again(&mut self, kind: &dyn Kind) {
        self.process = spawn(kind, &self.place);
    }

    /// Sends a signal, by its name without `SIG`.
    pub(super) fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }
}

fn spawn(kind: &dyn Kind, place: &Place) -> Child {
    let log = File::options().create(true).append(true).open(place.log()).unwrap();
    let mut process = kind
        .command(place)
        .current_dir(place.folder())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("the server is installed");
    wait_for("the server to listen", || {
        assert!(process.try_wait().unwrap().is_none(), "{}", place.said());
        TcpStream::connect(("127.0.0.1", place.port)).ok()
    });
    process
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("── what the server said\n{}", self.place.said());
        }
    }
}
