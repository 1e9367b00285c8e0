//! Through a forward proxy as companies run it: a real squid that asks for user and password and
//! allows tunnels to one port alone. It runs in the foreground, in a folder of the test's own.

use std::fs::Permissions;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::support::{
    Keeper, Scenario, Service, Settings, need, run_to_end, streamkeeper, wait_for,
};

/// A running squid. It is killed when this is dropped.
struct Squid {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Squid {
    /// Lets the user `keeper` with the password `s3cret` through to this service.
    fn before(service: &Service) -> Self {
        need("squid");
        need("openssl");
        let folder = tempfile::tempdir().unwrap();
        // As root, squid becomes a user of its own, who has to write here.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let hashed = run_to_end(Command::new("openssl").args(["passwd", "-apr1", "s3cret"])).stdout;
        std::fs::write(folder.path().join("users"), format!("keeper:{hashed}")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (_, allowed) = service.url.rsplit_once(':').unwrap();
        let at = folder.path().display();
        let settings = format!(
            "http_port 127.0.0.1:{port}\n\
             pid_filename {at}/squid.pid\n\
             coredump_dir {at}\n\
             cache_log {at}/cache.log\n\
             access_log stdio:{at}/access.log\n\
             logfile_rotate 0\n\
             netdb_filename none\n\
             pinger_enable off\n\
             visible_hostname proxy.test\n\
             shutdown_lifetime 0 seconds\n\
             auth_param basic program /usr/lib/squid/basic_ncsa_auth {at}/users\n\
             auth_param basic children 1\n\
             acl tunnels method CONNECT\n\
             acl allowed port {allowed}\n\
             acl users proxy_auth REQUIRED\n\
             http_access deny !tunnels\n\
             http_access deny !allowed\n\
             http_access deny !users\n\
             http_access allow all\n\
             cache deny all\n"
        );
        let file = folder.path().join("squid.conf");
        std::fs::write(&file, settings).unwrap();
        let process = Command::new("squid")
            .args(["-N", "-n", &format!("keeper{port}"), "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("squid is installed");
        let mut squid = Self { process, folder, port };
        wait_for("squid to listen", || {
            let ended = squid.process.try_wait().unwrap();
            assert!(ended.is_none(), "squid has ended: {}", squid.read("cache.log"));
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        squid
    }

    fn url(&self, password: &str) -> String {
        format!("http://keeper:{password}@127.0.0.1:{}", self.port)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// What it was asked for, and how it answered: the lines with this result.
    fn asked(&self, result: &str) -> Vec<String> {
        let log = self.read("access.log");
        log.lines().filter(|line| line.contains(result)).map(ToOwned::to_owned).collect()
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("── squid\n{}\n{}", self.read("cache.log"), self.read("access.log"));
        }
    }
}

#[test]
fn a_hang_is_recovered_through_squid() {
    let service = Service::process(&[]);
    let squid = Squid::before(&service);
    let url = squid.url("s3cret");
    let scenario = Scenario::with(service, |settings| settings.with("proxy", url.as_str()));
    scenario.service.fault(json!({"kind": "hang", "all": true}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    let place = scenario.service.url.strip_prefix("http://").unwrap().to_owned();
    // Nothing lost, nothing doubled.
    let finished = scenario.finish();
    assert_eq!(finished.report.lost.count, 0);

    // Everything went through tunnels; what was in them, squid has not seen.
    let tunnels = wait_for("squid to write down the last tunnel", || {
        let tunnels = squid.asked("TCP_TUNNEL/200");
        (tunnels.len() >= 8).then_some(tunnels)
    });
    let to_service = format!("CONNECT {place} keeper ");
    assert!(tunnels.iter().all(|line| line.contains(&to_service)), "{tunnels:?}");
    let mut others = squid.asked("");
    // The second is our own look whether it listens.
    let known = ["TCP_TUNNEL/200", "error:transaction-end-before-headers"];
    others.retain(|line| !known.iter().any(|known| line.contains(known)));
    assert!(others.is_empty(), "{others:?}");
    assert!(!squid.read("access.log").contains("token"), "a URL would show the token");
}

#[test]
fn rests_and_planned_ends_lose_nothing_through_squid() {
    let service = Service::process(&["--rate=0"]);
    let squid = Squid::before(&service);
    let url = squid.url("s3cret");
    let scenario = Scenario::with(service, |settings| {
        settings.with("proxy", url.as_str()).with("hygiene.max_consecutive_pokes", 2)
    });
    scenario.keeper.wait_said("resting", 2);
    scenario.service.generate(500.0);
    scenario.service.fault(json!({"kind": "end", "all": true}));
    scenario.service.wait_state("events", |state| state.open.len() >= 3);
    scenario.finish();
}

#[test]
fn a_wrong_password_is_said_once_and_tried_ever_more_slowly() {
    let service = Service::process(&[]);
    let squid = Squid::before(&service);
    // The pauses are those of production.
    let settings = Settings::unscaled(&service.url).with("connections", 20);
    let url = squid.url("wr0ng");
    let started = Instant::now();
    let mut keeper = Keeper::start(&settings.with("proxy", url.as_str()));
    keeper.wait_degraded("service_unavailable");
    wait_for("ten seconds to pass", || (started.elapsed() > Duration::from_secs(10)).then_some(()));
    let said = keeper.log().said("trying again");
    assert_eq!(said.len(), 1, "said once: {said:?}");
    let reason = said[0].text("reason");
    let clear = "the proxy answered 407: check the user and password of the key proxy";
    assert!(reason.contains(clear), "{reason}");
    let refused = squid.asked("TCP_DENIED/407").len();
    assert!((2..=8).contains(&refused), "{refused} attempts in ten seconds");
    assert!(service.state().call_counts.is_empty(), "the service has heard nothing");
    keeper.stop();
    assert!(!keeper.raw_log().join("\n").contains("wr0ng"), "the password is in no log");
}

#[test]
fn the_environment_names_the_proxy_and_exempts_from_it() {
    let service = Service::process(&[]);
    let squid = Squid::before(&service);
    let file = Settings::scaled(&service.url).file();
    let mut environment = vec![("HTTP_PROXY", squid.url("s3cret"))];
    for exempt in [false, true] {
        if exempt {
            environment.push(("NO_PROXY", "127.0.0.0/8".to_owned()));
        }
        let before = squid.asked("TCP_TUNNEL/200").len();
        let mut keeper = Keeper::start_with(&file, &environment);
        keeper.wait_said("caught up with the stream's history", 1);
        keeper.stop();
        if !exempt {
            wait_for("a tunnel", || (squid.asked("TCP_TUNNEL/200").len() > before).then_some(()));
        } else {
            assert_eq!(squid.asked("TCP_TUNNEL/200").len(), before);
        }
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::unscaled("http://127.0.0.1:1");
    let file = settings.with("proxy", "socks5://keeper:s3cret@proxy:1080").file();
    std::fs::write(folder.path().join("streamkeeper.toml"), file).unwrap();
    for command in ["run", "check"] {
        let ended = run_to_end(
            streamkeeper().args([command, "streamkeeper.toml"]).current_dir(folder.path()),
        );
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains("stream.proxy: must be \"off\" or http://"), "{ended:?}");
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    }
}
