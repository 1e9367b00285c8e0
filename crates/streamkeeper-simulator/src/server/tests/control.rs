//! The control port over HTTP.

use super::*;
use crate::{checker, truth::TruthRow};

pub(super) fn ask(
    simulator: &RunningSimulator,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String) {
    let mut socket = TcpStream::connect(simulator.control_addr()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.contains("chunked");
    (status, if chunked { unchunked(body) } else { body.to_owned() })
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &rest[..size];
        body = &rest[size + 2..];
    }
    whole
}

#[test]
fn faults_go_in() {
    let simulator = start(quick());
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    let fault = |body: &str| ask(&simulator, "POST", "/fault", body);
    assert_eq!(fault(r#"{"kind":"fin"}"#), (200, r#"{"affected":[1]}"#.to_owned()));
    client.read_to_end();
    assert_eq!(client.ended, Some(Ended::Cut));
    assert_eq!(fault(r#"{"kind":"flood"}"#).0, 400);
    assert_eq!(fault(r#"{"kind":"status"}"#).0, 422);
    assert_eq!(fault(r#"{"kind":"evicted","stream":"x"}"#).0, 404);
    assert_eq!(fault(r#"{"kind":"foreign","stream":"acme","count":9}"#).0, 409);
}

#[test]
fn truth_and_state_come_out() {
    let simulator = start(quick());
    let id = create(&simulator, "acme");
    let mut client = Client::connect(&simulator, &id);
    let generated = ask(&simulator, "POST", "/generate", r#"{"rate":300}"#);
    assert_eq!(generated, (200, r#"{"events_per_hour":1080000}"#.to_owned()));
    let kept: Vec<_> = (0..50).map(|_| client.next_event().unwrap().data).collect();
    assert_eq!(ask(&simulator, "POST", "/generate", r#"{"stop":true}"#).0, 200);
    client.half_close();
    let mut kept = kept.join("\n");
    while let Some(got) = client.next_event() {
        kept += "\n";
        kept += &got.data;
    }
    let (status, truth) = ask(&simulator, "GET", "/truth", "");
    assert_eq!(status, 200);
    let truth: Vec<TruthRow> =
        truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(truth, simulator.truth());
    let report = checker::check(kept.as_bytes(), &truth, &checker::Expected::default()).unwrap();
    assert_eq!((report.altered.count, report.unknown.count, report.duplicate.count), (0, 0, 0));
    assert!(report.found >= 50, "{report}");

    let (_, summary) = ask(&simulator, "GET", "/truth/summary", "");
    let summary: TruthSummary = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary.versions, truth.len() as u64);
    assert_eq!(summary.records + summary.corrected + summary.withdrawn, summary.versions);
    let (_, state) = ask(&simulator, "GET", "/state", "");
    let state: StateView = serde_json::from_str(&state).unwrap();
    assert_eq!(state.events, truth.len() as u64);
    assert_eq!(state.call_counts[&crate::fault::Call::Connect], 1);
    assert_eq!(ask(&simulator, "POST", "/generate", "{}").0, 422);
    assert_eq!(ask(&simulator, "POST", "/generate", "rate=1").0, 400);
}

#[test]
fn shutdown_ends_it() {
    let simulator = start(quick());
    let addr = simulator.addr();
    assert_eq!(ask(&simulator, "POST", "/shutdown", "").0, 200);
    simulator.wait();
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_taken_address_is_an_error() {
    let simulator = start(quick());
    let config = SimulatorConfig { addr: simulator.addr(), ..quick() };
    let error = Simulator::start(config).unwrap_err();
    assert_eq!(error.to_string(), format!("failed to listen on {}", simulator.addr()));
}
