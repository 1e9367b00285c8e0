//! A PostgreSQL of Debian's, in a temporary folder: killed, started again, asked with `psql`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(super) struct Server {
    folder: TempDir,
    pub(super) port: u16,
    process: Child,
    settings: Vec<String>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// With settings that may name files, which `settings` puts into the server's folder.
    pub(super) fn start_with(settings: impl Fn(&Path) -> Vec<String>) -> Self {
        let need = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/need");
        assert!(Command::new(need).arg("postgresql").status().unwrap().success(), "no PostgreSQL");
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let path = folder.path();
        fs::write(path.join("password"), "s3cret").unwrap();
        let settings = settings(path);
        own(path);
        let initialized = program("initdb", path)
            .args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=keeper"])
            .args(["--auth=scram-sha-256", "--pwfile=password", "--pgdata=data"])
            .stdout(Stdio::null())
            .status();
        assert!(initialized.unwrap().success(), "initdb failed");
        let process = spawn(path, port, &settings);
        let mut server = Self { folder, port, process, settings };
        server.until_ready();
        server
    }

    /// It can do nothing any more.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// The next life.
    pub(super) fn start_again(&mut self) {
        self.process = spawn(self.folder.path(), self.port, &self.settings);
        self.until_ready();
    }

    pub(super) fn url(&self) -> String {
        url(self.port)
    }

    /// What the statements say, a line for each row.
    pub(super) fn ask(&self, sql: &str) -> String {
        let asked = Command::new(bin().join("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", sql])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim_end().to_owned()
    }

    fn until_ready(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let ready = Command::new(bin().join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if ready.unwrap().success() {
                return;
            }
            assert!(Instant::now() < end, "the server does not start");
            // The processes of a life that was killed still hold its memory.
            if self.process.try_wait().unwrap().is_some() {
                self.process = spawn(self.folder.path(), self.port, &self.settings);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("── what the server said\n{}", String::from_utf8_lossy(&log));
        }
    }
}

/// The URL of a server's superuser, through this port.
pub(super) fn url(port: u16) -> String {
    format!("postgres://keeper:s3cret@127.0.0.1:{port}/postgres")
}

/// Gives the folder to the user that the server runs as, which cannot be root.
pub(super) fn own(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("-R").arg("postgres:postgres").arg(path).status();
        assert!(owned.unwrap().success(), "chown failed");
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("a PostgreSQL of Debian's");
    let newest = versions.map(|version| version.unwrap().path()).max();
    newest.expect("a version of PostgreSQL").join("bin")
}

/// A program of the server's; it ends with the thread that started it.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).current_dir(folder).stdin(Stdio::null());
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(bin().join(name));
    command
}

fn spawn(folder: &Path, port: u16, settings: &[String]) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let socket = format!("unix_socket_directories={}", folder.display());
    program("postgres", folder)
        // A kill of the processes, not of the machine: that loses nothing which was written.
        .args(["-D", "data", "-p", &port.to_string(), "-c", &socket, "-c", "fsync=off"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
