//! A peer that vanishes, as only a network can make it: packets are dropped, and no socket is told.
//!
//! Each is noticed by `stale_after`, whatever TCP makes of it; what the kernel makes of it is measured beside, by
//! a reader with the limits of our sockets, and by one with the system's.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use streamkeeper::transport::TcpLimits;
use streamkeeper_simulator::checker::{self, Expected};
use streamkeeper_simulator::truth::TruthRow;

use super::support::{Cut, Keeper, Network, request, status, stream_of, wait_for};

/// What is acted upon: the heartbeat is due after as long.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// Loaded machines are slow to look.
const SLACK: Duration = Duration::from_secs(3);

#[test]
fn a_peer_that_is_gone_is_noticed_while_nothing_flows() {
    vanishes(Cut::Both, 0, true);
}

#[test]
fn a_peer_that_is_gone_is_noticed_under_load() {
    vanishes(Cut::Both, 200, true);
}

#[test]
fn packets_that_are_dropped_on_their_way_to_us_are_noticed_while_nothing_flows() {
    vanishes(Cut::FromServer, 0, false);
}

#[test]
fn packets_that_are_dropped_on_their_way_to_us_are_noticed_under_load() {
    vanishes(Cut::FromServer, 200, false);
}

#[test]
fn packets_of_ours_that_are_dropped_are_noticed_while_nothing_flows() {
    vanishes(Cut::FromUs, 0, false);
}

#[test]
fn packets_of_ours_that_are_dropped_are_noticed_under_load() {
    vanishes(Cut::FromUs, 200, false);
}

#[test]
fn a_connection_that_a_nat_forgot_is_noticed_and_the_next_one_needs_no_mending() {
    vanishes(Cut::Forgotten, 0, true);
}

/// Packets are dropped: it is noticed in time, and nothing is lost. `by_tcp`: TCP is waited for, too.
fn vanishes(cut: Cut, rate: u32, by_tcp: bool) {
    let rate = rate.to_string();
    let network = Network::with_server(&["--dialect=sse", "--heartbeat=3s", "--rate=20"]);
    let more = "[stream.sse]\ninterval = { header = \"X-Heartbeat-Interval\" }\nstale_factor = 1.0\n\
                stale_floor = \"1s\"\nheartbeats = [\"heartbeat\"]\nfirst_cursor = \"0\"\n\
                [stream.backoff]\nmax = \"2s\"\n";
    let mut keeper = Keeper::start_with::<&str>(&stream_of(&network.url, more), &[]);
    let stream = |keeper: &Keeper| status(keeper)["streams"][0].clone();
    wait_for("events", || stream(&keeper)["accepted"].as_u64().filter(|&accepted| accepted > 10));
    generate(&network, &rate);
    let [limited, plain] = [true, false].map(|limited| Reader::start(&network.url, limited));
    wait_for("both readers", || (limited.reads() && plain.reads()).then_some(()));

    let vanished = Instant::now();
    network.cut(cut);
    wait_for("an incident", || {
        let stream = stream(&keeper);
        let is_one =
            |which: &str| stream[which]["cause"].as_str().map(|cause| assert_eq!(cause, "stale"));
        is_one("incident").or_else(|| is_one("last_incident"))
    });
    let ours = vanished.elapsed();
    assert!(ours < STALE_AFTER + SLACK, "noticed after {ours:?}");
    let kernel =
        by_tcp.then(|| wait_for("the kernel, with our limits", || limited.ended_after(vanished)));
    if let Some(kernel) = kernel {
        assert!(kernel > ours, "the watchdog is first: {ours:?}, {kernel:?}");
        assert_eq!(plain.ended_after(vanished), None, "the system's own limits are hours");
    }
    eprintln!("{cut:?} at {rate} events/s: noticed after {ours:.1?}, by TCP after {kernel:.1?}");

    if cut != Cut::Forgotten {
        network.heal();
    }
    generate(&network, "20");
    wait_for("the incident to end", || stream(&keeper)["last_incident"].as_object().map(drop));
    generate(&network, "0");
    let (_, truth) = request(&network.control, "GET", "/truth", "");
    let truth: Vec<TruthRow> =
        serde_json::Deserializer::from_slice(&truth).into_iter().collect::<Result<_, _>>().unwrap();
    let lines = |keeper: &Keeper| std::fs::read(keeper.output()).unwrap_or_default();
    let count = |lines: &[u8]| lines.iter().filter(|&&byte| byte == b'\n').count();
    wait_for("every event", || (count(&lines(&keeper)) >= truth.len()).then_some(()));
    let report = checker::check(lines(&keeper).as_slice(), &truth, &Expected::default()).unwrap();
    assert!(report.is_clean(), "{report}");
    keeper.stop();
}

fn generate(network: &Network, rate: &str) {
    let rate: f64 = rate.parse().unwrap();
    let body = serde_json::json!({ "rate": rate }).to_string();
    let (status, _) = request(&network.control, "POST", "/generate", &body);
    assert_eq!(status, 200);
}

/// Somebody who reads, and has nothing but TCP to tell him that nothing comes any more.
struct Reader {
    read: Arc<OnceLock<()>>,
    ended: Arc<OnceLock<Instant>>,
}

impl Reader {
    /// `limited`: with the limits of our own sockets.
    fn start(url: &str, limited: bool) -> Self {
        let address = url.split('/').nth(2).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        if limited {
            let TcpLimits { keepalive_idle, keepalive_interval, user_timeout } =
                TcpLimits::of(STALE_AFTER);
            let keepalive =
                TcpKeepalive::new().with_time(keepalive_idle).with_interval(keepalive_interval);
            let options = SockRef::from(&socket);
            options.set_tcp_keepalive(&keepalive).unwrap();
            options.set_tcp_user_timeout(Some(user_timeout)).unwrap();
        }
        let head = format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let (read, ended) = (Arc::default(), Arc::default());
        let reader = Self { read: Arc::clone(&read), ended: Arc::clone(&ended) };
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while socket.read(&mut bytes).is_ok_and(|count| count > 0) {
                read.set(()).ok();
            }
            ended.set(Instant::now()).ok();
        });
        reader
    }

    fn reads(&self) -> bool {
        self.read.get().is_some()
    }

    fn ended_after(&self, then: Instant) -> Option<Duration> {
        self.ended.get().map(|ended| ended.duration_since(then))
    }
}
