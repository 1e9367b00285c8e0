//! The simulated service, as a process of its own or inside of the test, behind its control port.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::model;
use streamkeeper_simulator::record::{Size, Style};
use streamkeeper_simulator::server::{
    RunningSimulator, Simulator, SimulatorConfig, StateView, TruthSummary,
};
use streamkeeper_simulator::truth::TruthRow;

use super::{PATIENCE, STREAM, streamkeeper, wait_for};

/// A running service. It ends when this is dropped.
pub(crate) struct Service {
    /// Where the service listens.
    pub(crate) url: String,
    control: String,
    holder: Holder,
}

enum Holder {
    Process(Child),
    Inside(RunningSimulator),
}

/// What `simulate` is given: 500 events a second, everything else scaled down like the settings.
const SCALED: [&str; 13] = [
    "--listen=127.0.0.1:0",
    "--control=127.0.0.1:0",
    "--rate=500",
    "--users=150",
    "--history=5s",
    "--history-rate=5000",
    "--poke-every=400ms",
    "--walk=500ms",
    "--replay-walk=700ms",
    "--queueing-delay=200ms",
    "--rebalance=150ms",
    "--release-after=200ms",
    "--redeliver=2",
];

impl Service {
    /// `streamkeeper simulate`, scaled down, with these switches after (and over) the others.
    pub(crate) fn process(switches: &[&str]) -> Self {
        let given = |switch: &&str| {
            let name = switch.split('=').next();
            !switches.iter().any(|other| other.split('=').next() == name)
        };
        let mut process = streamkeeper()
            .arg("simulate")
            .args(SCALED.iter().copied().filter(given))
            .args(switches)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the simulator says where it listens");
        let places: Value = serde_json::from_str(&line).expect("and says so in JSON");
        let place = |name: &str| places[name].as_str().expect("a URL").to_owned();
        Self { url: place("url"), control: place("control_url"), holder: Holder::Process(process) }
    }

    /// A simulator in this process.
    pub(crate) fn inside(config: SimulatorConfig) -> Self {
        let simulator = Simulator::start(config).expect("the simulator starts");
        Self {
            url: simulator.url(),
            control: simulator.control_url(),
            holder: Holder::Inside(simulator),
        }
    }

    /// A configuration for [`Service::inside`] that resembles [`Service::process`], with what the
    /// command line has no switch for: a service that takes a while to notice a closed connection.
    pub(crate) fn scaled() -> SimulatorConfig {
        let model = model::Config {
            users: 150,
            events_per_hour: 500 * 3_600,
            history_for: 5_000,
            history_rate: 5_000,
            poke_every: 400,
            walk: model::Span::between(300, 700),
            replay_walk: model::Span::exactly(700),
            queueing_delay_max: 200,
            rebalance_takes: model::Span::between(50, 200),
            notice_after: model::Span::between(100, 300),
            release_after: model::Span::between(100, 300),
            redeliver: model::Span::between(0, 3),
            ..model::Config::default()
        };
        let style = Style { size: Size::Small, ..Style::default() };
        SimulatorConfig { model, style, ..SimulatorConfig::default() }
    }

    /// The simulator, if it runs in this process.
    pub(crate) fn simulator(&self) -> &RunningSimulator {
        match &self.holder {
            Holder::Inside(simulator) => simulator,
            Holder::Process(_) => panic!("the simulator runs in a process of its own"),
        }
    }

    /// Does a fault; gives the numbers of the connections it is done to.
    #[track_caller]
    pub(crate) fn fault(&self, fault: Value) -> Vec<u64> {
        let (status, body) = request(&self.control, "POST", "/fault", &fault.to_string());
        assert_eq!(status, 200, "{fault}: {}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body).unwrap();
        serde_json::from_value(answer["affected"].clone()).unwrap()
    }

    /// The generator's rate from now on, events per second.
    pub(crate) fn generate(&self, rate: f64) {
        let (status, _) =
            request(&self.control, "POST", "/generate", &json!({ "rate": rate }).to_string());
        assert_eq!(status, 200);
    }

    /// The generator's rate of one organization, numbered from 1.
    pub(crate) fn generate_for(&self, organization: usize, rate: f64) {
        let path = format!("/generate?organization={organization}");
        let (status, _) =
            request(&self.control, "POST", &path, &json!({ "rate": rate }).to_string());
        assert_eq!(status, 200);
    }

    /// Everything the service has published so far for one organization, numbered from 1.
    pub(crate) fn truth_of(&self, organization: usize) -> Vec<TruthRow> {
        let body = self.get(&format!("/truth?organization={organization}"));
        serde_json::Deserializer::from_slice(&body).into_iter().map(Result::unwrap).collect()
    }

    /// What goes on.
    pub(crate) fn state(&self) -> StateView {
        serde_json::from_slice(&self.get("/state")).unwrap()
    }

    /// How many events there are so far.
    pub(crate) fn summary(&self) -> TruthSummary {
        serde_json::from_slice(&self.get("/truth/summary")).unwrap()
    }

    /// Everything the service has published so far.
    pub(crate) fn truth(&self) -> Vec<TruthRow> {
        self.truth_of(1)
    }

    /// How many calls of this kind were made so far.
    pub(crate) fn calls(&self, call: Call) -> u64 {
        calls(&self.state(), call)
    }

    /// The streams as a client sees them.
    pub(crate) fn streams(&self) -> Vec<Value> {
        let (status, body) = request(&self.url, "GET", "/streams?token=simulated", "");
        assert_eq!(status, 200);
        let list: Value = serde_json::from_slice(&body).unwrap();
        list["streams"].as_array().unwrap().clone()
    }

    /// The first day of our one stream.
    pub(crate) fn start_date(&self) -> String {
        let streams = self.streams();
        let ours = streams.iter().find(|stream| stream["name"] == STREAM).unwrap();
        ours["start_date"].as_str().unwrap().to_owned()
    }

    /// Waits until the service's view is so.
    #[track_caller]
    pub(crate) fn wait_state(&self, what: &str, so: impl Fn(&StateView) -> bool) -> StateView {
        wait_for(what, || Some(self.state()).filter(|state| so(state)))
    }

    /// Waits until so much of the service's time has passed.
    pub(crate) fn wait_time(&self, span: Duration) {
        let then = self.state().now_ms + u64::try_from(span.as_millis()).unwrap();
        self.wait_until(then);
    }

    /// Waits until the service's clock shows that, milliseconds since the epoch.
    pub(crate) fn wait_until(&self, then: u64) {
        self.wait_state("the service's clock", |state| state.now_ms >= then);
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let (status, body) = request(&self.control, "GET", path, "");
        assert_eq!(status, 200);
        body
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Holder::Process(process) = &mut self.holder {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// How many calls of this kind a view counts.
pub(crate) fn calls(state: &StateView, call: Call) -> u64 {
    state.call_counts.get(&call).copied().unwrap_or(0)
}

/// Makes a request to a base URL; gives status and body.
pub(crate) fn request(base: &str, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
    request_with(base, method, path, &[], body)
}

/// The same, with further headers.
pub(crate) fn request_with(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Vec<u8>) {
    try_request(base, method, path, headers, body).expect("the service answers")
}

/// The same, of a server that may be away.
pub(crate) fn try_request(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<(u16, Vec<u8>)> {
    let addr = base.strip_prefix("http://").expect("a plain URL");
    let mut socket = TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut answer = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if answer.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let head = head.to_ascii_lowercase();
    let status = head[9..12].parse().expect("a status");
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
    };
    if field("transfer-encoding") == Some("chunked") {
        return Ok((status, chunked(answer)?));
    }
    let mut body = Vec::new();
    // Not everybody closes when there is no more to say.
    let length = field("content-length").map_or(u64::MAX, |length| length.parse().unwrap());
    answer.take(length).read_to_end(&mut body)?;
    Ok((status, body))
}

/// A chunked body, up to its end: what comes next may be long in coming.
fn chunked(mut answer: impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        answer.read_line(&mut size)?;
        let size =
            usize::from_str_radix(size.trim_end(), 16).map_err(|_| ErrorKind::UnexpectedEof)?;
        let mut chunk = vec![0; size + 2];
        answer.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(body);
        }
    }
}
