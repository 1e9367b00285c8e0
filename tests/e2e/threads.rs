//! A system that gives no thread: for a moment, or from the start. The limit is that of a user who has no
//! other process; root, who has none, runs the binary as that user.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, getrlimit, getuid};
use tempfile::TempDir;

use super::support::{Service, Settings, signal, wait_for};

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A user who has no other process, so that a limit to the number of their threads is one to ours.
const NOBODY: u32 = 60_123;

/// The binary as that user, in a folder of theirs; root is not limited.
fn as_nobody(folder: &Path, arguments: &[&str]) -> Command {
    let binary = folder.join("streamkeeper");
    if !binary.exists() {
        let ours = env!("CARGO_BIN_EXE_streamkeeper");
        // Nobody may look into the folder that it was built in.
        fs::hard_link(ours, &binary).or_else(|_| fs::copy(ours, &binary).map(drop)).unwrap();
    }
    let user = NOBODY.to_string();
    for file in [folder, &folder.join("streamkeeper.toml")] {
        std::os::unix::fs::chown(file, Some(NOBODY), None).unwrap();
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &user, "--clear-groups", "--inh-caps=-all"])
        .arg(binary)
        .args(arguments);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn nobodys_folder(service: &Service) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("streamkeeper.toml"), Settings::scaled(&service.url).file())
        .unwrap();
    folder
}

/// One at a time: all of them are the same user's.
static NOBODYS: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn a_moment_without_threads_ends_nothing() {
    if !getuid().is_root() {
        eprintln!("only root can run it as another user");
        return;
    }
    let _alone = NOBODYS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let service = Service::process(&[]);
    let folder = nobodys_folder(&service);
    let log = folder.path().join("log");
    let mut run = as_nobody(folder.path(), &["run", "streamkeeper.toml"]);
    let mut process = Killed(run.stderr(fs::File::create(&log).unwrap()).spawn().unwrap());
    let lines = || {
        fs::read_to_string(folder.path().join("events.ndjson")).unwrap_or_default().lines().count()
    };
    let said = |what: &str| fs::read_to_string(&log).unwrap().matches(what).count();
    wait_for("the log to be read", || (said("caught up with") > 0 && lines() > 0).then_some(()));
    let limit = |threads: Option<u64>| {
        let most = getrlimit(Resource::Nproc).maximum;
        let limit = threads.or(most).map_or("unlimited".to_owned(), |limit| limit.to_string());
        let mut prlimit = Command::new("setpriv");
        prlimit.args(["--reuid", &NOBODY.to_string(), "--clear-groups", "prlimit"]);
        prlimit.args([format!("--nproc={limit}:"), format!("--pid={}", process.0.id())]);
        assert!(prlimit.status().unwrap().success());
    };
    limit(Some(1));
    // Everything that could want a thread.
    let before = lines();
    let changed = fs::read_to_string(folder.path().join("streamkeeper.toml")).unwrap();
    let second = changed.replacen("[[stream]]", "[[stream]]\nname = \"second\"\nserver_name = \"second\"\nurl = \"http://127.0.0.1:9\"\ntoken = \"x\"\n\n[[stream]]", 1);
    fs::write(folder.path().join("streamkeeper.toml"), &second).unwrap();
    signal(process.0.id(), "HUP");
    wait_for("the reload to be refused", || (said("was not taken over") == 1).then_some(()));
    wait_for("events all the same", || (lines() > before).then_some(()));
    limit(None);
    signal(process.0.id(), "HUP");
    wait_for("the reload", || (said("took the configuration over") == 1).then_some(()));
    let before = lines();
    wait_for("more events", || (lines() > before).then_some(()));
    signal(process.0.id(), "TERM");
    let code = wait_for("the process to end", || process.0.try_wait().unwrap()).code();
    assert_eq!(code, Some(0), "{}", fs::read_to_string(&log).unwrap());
    assert_eq!(said("panicked"), 0, "{}", fs::read_to_string(&log).unwrap());
    assert_eq!(said("\"delivered\":true"), 1);
}

#[test]
fn too_few_threads_at_the_start_are_one_sentence_and_a_code() {
    if !getuid().is_root() {
        eprintln!("only root can run it as another user");
        return;
    }
    let _alone = NOBODYS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let service = Service::process(&[]);
    let folder = nobodys_folder(&service);
    let mut started = 0;
    for threads in 1..=20 {
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nproc={threads}"));
        let run = as_nobody(folder.path(), &["run", "streamkeeper.toml"]);
        limited.arg(run.get_program()).args(run.get_args()).env_clear();
        limited.env("PATH", std::env::var_os("PATH").unwrap()).current_dir(folder.path());
        let log = folder.path().join(format!("log-{threads}"));
        let mut process = Killed(limited.stderr(fs::File::create(&log).unwrap()).spawn().unwrap());
        let said = || fs::read_to_string(&log).unwrap();
        let ended = wait_for("an end, or a start", || {
            let ended = process.0.try_wait().unwrap();
            (ended.is_some() || said().contains("the stream is live")).then_some(ended)
        });
        if let Some(ended) = ended {
            assert_eq!(ended.code(), Some(70), "{threads}: {}", said());
            let words: Vec<_> =
                said().lines().filter(|line| !line.starts_with('{')).map(String::from).collect();
            assert!(
                matches!(&*words, [one] if one.contains("cannot start a thread")),
                "{threads}: {words:?}"
            );
        } else {
            started += 1;
            signal(process.0.id(), "TERM");
            let code = wait_for("the process to end", || process.0.try_wait().unwrap()).code();
            assert_eq!(code, Some(0), "{threads}: {}", said());
            assert!(!said().contains("panicked"), "{threads}: {}", said());
        }
    }
    assert!(started > 0, "twenty are enough");
}
