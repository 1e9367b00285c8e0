//! What a real server is to the trial: how it is installed, started and published to, and what it owes.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::super::support::{need, run_to_end, try_request};
use super::process::Place;

/// What comes of events that the server forgot while nobody listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgotten {
    /// It cannot be made to forget here.
    Never,
    /// They are missing, and reported as a gap.
    Reported,
    /// They are missing, and nothing shows it: the documentation of its row says so.
    Unnoticed,
}

/// When a server ends connections by itself, every few seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Never,
    UnderLoad,
    /// While nothing is published.
    Idle,
    /// It does not; Streamkeeper replaces them for their age.
    Replaced,
}

/// A kind of server.
pub(super) trait Kind: Send + Sync {
    /// As the page names it.
    fn name(&self) -> &'static str;

    /// The dialect that it is read with.
    fn preset(&self) -> &'static str;

    /// Sees to it that it is installed, and gives its version.
    fn install(&self) -> String;

    /// Before its first life.
    fn prepare(&self, _place: &Place) {}

    fn command(&self, place: &Place) -> Command;

    /// `http` or `ws`.
    fn scheme(&self) -> &'static str {
        "http"
    }

    /// Where the stream is.
    fn path(&self) -> &'static str {
        "/events"
    }

    /// Keys of `[stream.sse]`, over what the preset says: its times, scaled down.
    fn scaled(&self) -> &'static str;

    /// Publishes a number; `Ok`: the server has taken it.
    fn publish(&self, place: &Place, number: u64) -> io::Result<()> {
        post(place, "/publish", &number.to_string())
    }

    /// The number that an envelope carries.
    fn number(&self, envelope: &Value) -> Option<u64> {
        envelope["data"]["n"].as_u64()
    }

    /// Whether it goes on from a cursor after its own end, and after one of the keeper's. If not, each of these is a
    /// gap that is told.
    fn remembers(&self) -> bool {
        true
    }

    fn ends(&self) -> Ends {
        Ends::Never
    }

    /// Has it forget everything, while it is down; and what comes of that.
    fn forget(&self, place: &Place) -> Forgotten;
}

/// Sends what is to be published.
pub(super) fn post(place: &Place, path: &str, body: &str) -> io::Result<()> {
    // A form by default, and Spring reads the body of one away.
    let headers = [("content-type", "text/plain")];
    match try_request(&place.url(), "POST", path, &headers, body)? {
        (200..300, _) => Ok(()),
        (status, _) => Err(io::Error::other(format!("answered {status}"))),
    }
}

/// The programs of this folder: of their history, nothing but the last event is left, and so ids go on.
pub(super) fn forget_history(place: &Place) -> Forgotten {
    let history = std::fs::read_to_string(place.history()).unwrap();
    let last = history.lines().last().expect("something was published");
    std::fs::write(place.history(), format!("{last}\n")).unwrap();
    Forgotten::Reported
}

/// The folder of this file's programs.
pub(super) fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/servers")
}

/// Node.js, about to run something that finds the packages of `servers/package.json`.
pub(super) fn node(place: &Place) -> Command {
    let mut node = place.program("node");
    node.env("NODE_PATH", need_packages("node").join("node_modules"));
    node
}

/// Sees to it that a package of npm is installed, and gives its version and that of Node.js.
pub(super) fn need_npm(package: &str) -> String {
    let folder = need_packages("node").join("node_modules").join(package);
    let about = std::fs::read(folder.join("package.json")).unwrap();
    let about: Value = serde_json::from_slice(&about).unwrap();
    let node = output("node", ["--version"]);
    format!("{}, {}", about["version"].as_str().unwrap(), node.trim_start_matches('v'))
}

/// Sees to it that the packages of a language are installed; gives their folder.
pub(super) fn need_packages(language: &str) -> PathBuf {
    let need = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/need-packages");
    let installed = run_to_end(Command::new(need).arg(language));
    assert_eq!(installed.code, Some(0), "{installed:?}");
    PathBuf::from(installed.stdout.trim())
}

/// Sees to it that a Debian package is installed; gives the version without what Debian adds to it.
pub(super) fn need_debian(package: &str) -> String {
    need(package);
    let shown = output("dpkg-query", ["--show", "--showformat=${Version}", package]);
    let version = shown.rsplit(':').next().unwrap_or_default();
    version.split(['-', '+']).next().unwrap_or_default().to_owned()
}

/// What a command prints.
pub(super) fn output<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    let ended = run_to_end(Command::new(program).args(arguments));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.trim().to_owned()
}
