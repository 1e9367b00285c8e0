//! A running Streamkeeper with an endpoint, and a client that sends exactly what a test says.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::{Secret, Streamkeeper};
use streamkeeper_simulator::model;
use streamkeeper_simulator::server::{RunningSimulator, Simulator, SimulatorConfig};

/// The token of the endpoint, where there is one.
pub(super) const TOKEN: &str = "operator-s3cret";

/// A stream named `acme`, and what keeps it.
pub(super) struct Running {
    pub(super) keeper: Streamkeeper,
    /// What it runs with.
    pub(super) config: Config,
    _service: RunningSimulator,
    _data: tempfile::TempDir,
}

impl Running {
    pub(super) fn start(change: impl FnOnce(&mut Config)) -> Self {
        let model = model::Config {
            events_per_hour: 50 * 3_600,
            history_for: 1_000,
            poke_every: 200,
            walk: model::Span::exactly(200),
            ..model::Config::default()
        };
        let service =
            Simulator::start(SimulatorConfig { model, ..SimulatorConfig::default() }).unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.service.data_dir = data.path().to_owned();
        config.service.listen = Some("127.0.0.1:0".parse().unwrap());
        let mut stream = StreamConfig::inform("acme", service.url(), Secret::new("simulated"));
        let recovery = &mut stream.as_inform_mut().unwrap().recovery;
        recovery.settle = Duration::from_millis(500);
        recovery.walk = Duration::from_millis(500);
        recovery.margin = Duration::from_millis(500);
        config.streams.push(stream);
        change(&mut config);
        let keeper = Streamkeeper::start(config.clone()).unwrap();
        Self { keeper, config, _service: service, _data: data }
    }

    /// With a token that came from a file.
    pub(super) fn with_token() -> Self {
        Self::start(|config| {
            config.service.token = Some(Secret::new(TOKEN));
            config.service.steering = true;
        })
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[])
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        send(self.keeper.listen().expect("it listens"), method, path, headers)
    }

    /// Waits until this path is answered so.
    #[track_caller]
    pub(super) fn wait(&self, path: &str, so: impl Fn(&Answer) -> bool) -> Answer {
        let ends = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.get(path);
            if so(&answer) {
                return answer;
            }
            assert!(Instant::now() < ends, "{path}: {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.keeper.stop_blocking(Duration::from_secs(10));
    }
}

/// An answer; header names in lower case, the values of a repeated one joined by a line feed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Sends a request; `host` is the address unless `headers` has one.
pub(super) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let own = address.to_string();
    let host = [("host", own.as_str())];
    let has_host = headers.iter().any(|(name, _)| *name == "host");
    let all = headers.iter().chain(host.iter().filter(|_| !has_host));
    let all: String = all.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n");
    talk(address, format!("{head}{all}\r\n").as_bytes())
}

/// Sends exactly this, and reads the answer to its end.
pub(super) fn talk(address: SocketAddr, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.write_all(request).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let joined = headers.entry(name.to_ascii_lowercase()).or_default();
        if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(value);
    }
    assert!(!headers.contains_key("transfer-encoding"), "answers have a length");
    Answer { status: status.parse().unwrap(), headers, body: body.to_owned() }
}
