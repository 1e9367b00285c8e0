//! Over real TCP, with a client that sees bytes.

mod connections;
mod control;
mod faults;
mod organizations;
mod stream_resources;
mod volume;

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    fault::{Fault, FaultRequest},
    model::{Config, Resource, Span},
    truth::Sha,
};

/// A service with short intervals on which nothing takes longer than it must.
fn quick() -> SimulatorConfig {
    let model = Config { users: 4, poke_every: 50, members_max: 3, ..Config::default() };
    SimulatorConfig { model, ..SimulatorConfig::default() }
}

fn start(config: SimulatorConfig) -> RunningSimulator {
    Simulator::start(config).unwrap()
}

/// Polls until it is so.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::park_timeout(Duration::from_millis(2)); // leave the cores to the simulator
    }
}

const DEADLINE: Duration = Duration::from_secs(20);

/// What a call was answered.
struct Called {
    status: u16,
    head: String,
    body: Value,
}

/// Does a call with the right token on a connection of its own; `None` if it is closed unanswered.
fn try_call(addr: SocketAddr, method: &str, path: &str, body: &str) -> Option<Called> {
    let mut socket = TcpStream::connect(addr).ok()?;
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mark = if path.contains('?') { '&' } else { '?' };
    let token = if path.contains("token=") { "" } else { "token=simulated" };
    let length = body.len();
    let request = format!(
        "{method} {path}{mark}{token} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Some(Called { status, head: head.to_ascii_lowercase(), body })
}

#[track_caller]
fn call(simulator: &RunningSimulator, method: &str, path: &str, body: Value) -> Called {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    try_call(simulator.addr(), method, path, &body).expect("an answer")
}

/// Creates a stream and gives its id.
#[track_caller]
fn create(simulator: &RunningSimulator, name: &str) -> String {
    let created = call(simulator, "POST", "/streams", json!({"name": name}));
    assert_eq!(created.status, 201, "{}", created.body);
    created.body["id"].as_str().unwrap().to_owned()
}

/// A fault as over HTTP.
fn fault(json: Value) -> Fault {
    Fault::try_from(serde_json::from_value::<FaultRequest>(json).unwrap()).unwrap()
}

/// A raw SSE client.
struct Client {
    socket: TcpStream,
    /// Bytes read and not yet decoded.
    raw: Vec<u8>,
    /// The decoded body, as far as it is read.
    body: Vec<u8>,
    head: String,
    chunked: bool,
    /// How it ended, once it did.
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// With the terminator.
    Proper,
    /// FIN without it.
    Cut,
    Reset,
}

struct Got {
    name: String,
    data: String,
}

impl Client {
    #[track_caller]
    fn connect(simulator: &RunningSimulator, stream: &str) -> Self {
        let client = Self::open(simulator, &format!("/streams/{stream}/connect?"));
        assert!(client.head.starts_with("http/1.1 200"), "{}", client.head);
        client
    }

    fn open(simulator: &RunningSimulator, path: &str) -> Self {
        let mut socket = TcpStream::connect(simulator.addr()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!("GET {path}&token=simulated HTTP/1.1\r\nhost: x\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut client = Self {
            socket,
            raw: Vec::new(),
            body: Vec::new(),
            head: String::new(),
            chunked: false,
            ended: None,
        };
        let head = loop {
            if let Some(end) = client.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break client.raw.drain(..end + 4).collect();
            }
            client.read();
            assert_eq!(client.ended, None, "no head");
        };
        client.head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        client.chunked = client.head.contains("transfer-encoding: chunked");
        client
    }

    /// Reads once, decodes what is whole.
    fn read(&mut self) {
        let mut bytes = [0; 65_536];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.ended = self.ended.or(Some(Ended::Cut)),
            Ok(count) => self.raw.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.ended = Some(Ended::Reset);
            }
            Err(error) => panic!("nothing came: {error}"),
        }
        if self.head.is_empty() {
            return;
        }
        if !self.chunked {
            return self.body.append(&mut self.raw);
        }
        while let Some(line) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if self.raw.len() < line + 2 + size + 2 {
                return;
            }
            if size == 0 {
                self.ended = Some(Ended::Proper);
            }
            self.body.extend_from_slice(&self.raw[line + 2..line + 2 + size]);
            self.raw.drain(..line + 2 + size + 2);
        }
    }

    /// The next frame; `None` at the end.
    #[track_caller]
    fn next(&mut self) -> Option<Got> {
        loop {
            if let Some(end) = self.body.windows(2).position(|two| two == b"\n\n") {
                let frame: Vec<u8> = self.body.drain(..end + 2).collect();
                let frame = String::from_utf8(frame).unwrap();
                let mut lines = frame.lines();
                let name = lines.next().unwrap().strip_prefix("event: ").unwrap().to_owned();
                let data = lines.next().unwrap().strip_prefix("data: ").unwrap().to_owned();
                return Some(Got { name, data });
            }
            if self.ended.is_some() {
                return None;
            }
            self.read();
        }
    }

    /// The next frame that is not a poke.
    #[track_caller]
    fn next_event(&mut self) -> Option<Got> {
        loop {
            let got = self.next()?;
            if got.name != "poke" {
                return Some(got);
            }
        }
    }

    /// The next poke, as JSON.
    #[track_caller]
    fn next_poke(&mut self) -> Value {
        loop {
            let got = self.next().expect("a poke");
            if got.name == "poke" {
                return serde_json::from_str(&got.data).unwrap();
            }
        }
    }

    /// Reads to the end, whatever comes, and gives the hashes of the events.
    #[track_caller]
    fn read_to_end(&mut self) -> Vec<Sha> {
        let mut events = Vec::new();
        while let Some(got) = self.next_event() {
            events.push(Sha::of(got.data.as_bytes()));
        }
        events
    }

    fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether nothing comes for so long.
    fn is_silent_for(&mut self, span: Duration) -> bool {
        self.socket.set_read_timeout(Some(span)).unwrap();
        let mut bytes = [0; 1];
        let read = self.socket.read(&mut bytes);
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let waits = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        read.is_err_and(|error| waits.contains(&error.kind()))
    }
}

#[track_caller]
fn publish(simulator: &RunningSimulator, user: u32) -> Sha {
    simulator.publish(user, What::New(Resource::Sleep)).unwrap().sha256
}
