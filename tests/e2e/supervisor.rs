//! A supervisor (systemd, or whoever gives a `NOTIFY_SOCKET`) that does not listen.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::support::{Keeper, Service, Settings, command, run_to_end, wait_for};

/// A socket for notifications whose reader sleeps.
struct Sleeper {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Sleeper {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"X=1", &path).is_ok() {}
        socket.set_nonblocking(true).unwrap();
        Self { socket, path, _folder: folder }
    }

    fn environment(&self) -> [(&'static str, &Path); 1] {
        [("NOTIFY_SOCKET", &self.path)]
    }

    /// What has come, message by message.
    fn read(&self) -> Vec<String> {
        let mut buffer = [0; 4_096];
        let next = || {
            self.socket
                .recv(&mut buffer)
                .ok()
                .map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }
}

#[test]
fn a_supervisor_that_does_not_listen_holds_up_neither_a_reload_nor_a_stop() {
    let service = Service::process(&[]);
    let sleeper = Sleeper::new();
    let file = Settings::scaled(&service.url).file();
    let mut keeper = Keeper::start_with(&file, &sleeper.environment());
    wait_for("events", || (keeper.delivered() > 0).then_some(()));
    for _ in 0..3 {
        let reloaded = run_to_end(&mut command(&keeper, &["reload"]));
        assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    }
    keeper.signal("HUP");
    keeper.wait_said("took the configuration over", 4);
    keeper.stop();
}

#[test]
fn what_a_supervisor_did_not_hear_it_hears_when_it_wakes() {
    let service = Service::process(&[]);
    let sleeper = Sleeper::new();
    let file = Settings::scaled(&service.url).file();
    let mut keeper = Keeper::start_with(&file, &sleeper.environment());
    wait_for("events", || (keeper.delivered() > 0).then_some(()));
    let mut heard = Vec::new();
    wait_for("it to hear that we are ready", || {
        heard.extend(sleeper.read());
        heard.iter().any(|message| message == "READY=1\n").then_some(())
    });
    keeper.signal("HUP");
    wait_for("it to hear of the reload, and of its end", || {
        heard.extend(sleeper.read());
        let reload =
            heard.iter().position(|message| message.starts_with("RELOADING=1\nMONOTONIC_USEC="))?;
        heard[reload..].iter().any(|message| message == "READY=1\n").then_some(())
    });
    keeper.stop();
    heard.extend(sleeper.read());
    assert!(heard.iter().any(|message| message == "STOPPING=1\n"), "{heard:?}");
}
