//! A network of its own for a server, whose packets can be dropped: what a cable, a router or a NAT does, and no
//! socket is told of.
//!
//! It needs root, and installs iptables.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use super::{need, streamkeeper};

/// Which packets of the server's port are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ways: the peer is gone.
    Both,
    /// What the server sends.
    FromServer,
    /// What we send.
    FromUs,
    /// Those of the connections that there are now, both ways: somebody in between has forgotten them.
    Forgotten,
}

/// The network, and the simulated server in it.
pub(crate) struct Network {
    name: String,
    port: u16,
    pub(crate) url: String,
    pub(crate) control: String,
    server: Child,
}

impl Network {
    /// With `streamkeeper simulate` and these switches in it.
    pub(crate) fn with_server(switches: &[&str]) -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        need("iproute2");
        need("iptables");
        let number = NUMBER.fetch_add(4, Ordering::Relaxed);
        // Another run of the tests may be under way.
        let run = u8::try_from(std::process::id() % 250).unwrap();
        let name = format!("sk{}-{number}", std::process::id());
        let (here, there) = (format!("{name}h"), format!("{name}t"));
        let address = |last: u8| format!("10.{}.{run}.{}", 200, number + last);
        ip(&["netns", "add", &name]);
        ip(&["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &name]);
        ip(&["addr", "add", &format!("{}/30", address(1)), "dev", &here]);
        ip(&["link", "set", &here, "up"]);
        ip(&["-n", &name, "addr", "add", &format!("{}/30", address(2)), "dev", &there]);
        ip(&["-n", &name, "link", "set", &there, "up"]);
        let listen = format!("{}:0", address(2));
        let program = streamkeeper();
        let mut server = Command::new("ip")
            .args(["netns", "exec", &name])
            .arg(program.get_program())
            .arg("simulate")
            .args(["--listen", &listen, "--control", &listen])
            .args(switches)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let places: Value = serde_json::from_str(&line).unwrap();
        let place = |name: &str| places[name].as_str().unwrap().to_owned();
        let url = place("url");
        let port = url.split(':').nth(2).and_then(|rest| rest.split('/').next()).unwrap();
        Self { port: port.parse().unwrap(), control: place("control_url"), url, name, server }
    }

    /// Drops packets from now on.
    pub(crate) fn cut(&self, cut: Cut) {
        let port = self.port.to_string();
        let peers = match cut {
            Cut::Forgotten => self.peers().into_iter().map(Some).collect(),
            _ => vec![None],
        };
        for peer in peers {
            let peer = peer.as_deref();
            if cut != Cut::FromServer {
                let more = peer.map_or(vec![], |peer| vec!["--sport", peer]);
                self.drop_packets(&[&["INPUT", "-p", "tcp", "--dport", &port][..], &more].concat());
            }
            if cut != Cut::FromUs {
                let more = peer.map_or(vec![], |peer| vec!["--dport", peer]);
                self.drop_packets(
                    &[&["OUTPUT", "-p", "tcp", "--sport", &port][..], &more].concat(),
                );
            }
        }
    }

    /// Whatever comes now gets through.
    pub(crate) fn heal(&self) {
        ip(&["netns", "exec", &self.name, "iptables", "--flush"]);
    }

    fn drop_packets(&self, rule: &[&str]) {
        let append = ["netns", "exec", &self.name, "iptables", "--append"];
        ip(&[&append[..], rule, &["--jump", "DROP"]].concat());
    }

    /// The ports of those that are connected to the server.
    fn peers(&self) -> Vec<String> {
        let filter = format!("sport = :{}", self.port);
        let sockets = ip(&["netns", "exec", &self.name, "ss", "-Htn", &filter]);
        let peer =
            |line: &str| Some(line.split_whitespace().nth(4)?.rsplit(':').next()?.to_owned());
        sockets.lines().filter_map(peer).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What is left of it ends with the machine.
        drop(self.server.kill());
        drop(self.server.wait());
        drop(Command::new("ip").args(["netns", "del", &self.name]).status());
    }
}

#[track_caller]
fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?} (it needs root): {errors}");
    String::from_utf8(output.stdout).unwrap()
}
