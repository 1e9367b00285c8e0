//! MCP's reference server, over its streamable HTTP.
//!
//! What it says outside of an answer goes to whoever reads the stream of the session that it is about, and so the
//! publisher speaks within the keeper's. A number is published as the address of a resource to be subscribed to: the
//! server logs it, and a line of the log is a message of the stream.

use std::io;
use std::process::Command;

use serde_json::{Value, json};

use super::super::support::try_request;
use super::kind::{Ends, Forgotten, Kind, need_npm, need_packages, node};
use super::process::Place;

const PACKAGE: &str = "@modelcontextprotocol/server-everything";

pub(super) struct Everything;

impl Kind for Everything {
    fn name(&self) -> &'static str {
        "MCP server-everything"
    }

    fn preset(&self) -> &'static str {
        "mcp"
    }

    fn install(&self) -> String {
        need_npm(PACKAGE)
    }

    fn command(&self, place: &Place) -> Command {
        let mut node = node(place);
        let package = need_packages("node").join("node_modules").join(PACKAGE);
        node.arg(package.join("dist/index.js")).arg("streamableHttp");
        node
    }

    fn path(&self) -> &'static str {
        "/mcp"
    }

    fn scaled(&self) -> &'static str {
        // Behind a connection that has gone on it sends nothing more: only the next one brings what came since.
        "interval = \"1s\"\nmax_age = \"2s\""
    }

    fn publish(&self, place: &Place, number: u64) -> io::Result<()> {
        let session = session(place).ok_or(io::ErrorKind::NotConnected)?;
        let uri = format!("number:{number}");
        let body = json!({
            "jsonrpc": "2.0", "id": number, "method": "resources/subscribe", "params": { "uri": uri },
        });
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-session-id", &session),
        ];
        match try_request(&place.url(), "POST", self.path(), &headers, &body.to_string())? {
            (200, answer) if String::from_utf8_lossy(&answer).contains("\"result\"") => Ok(()),
            (status, _) => Err(io::Error::other(format!("answered {status}"))),
        }
    }

    fn number(&self, envelope: &Value) -> Option<u64> {
        let line = envelope["data"]["params"]["data"].as_str()?;
        line.split_once("number:")?.1.split(' ').next()?.parse().ok()
    }

    fn remembers(&self) -> bool {
        // Its sessions are in its memory; and the keeper's is in the keeper's.
        false
    }

    fn ends(&self) -> Ends {
        Ends::Replaced
    }

    fn forget(&self, _place: &Place) -> Forgotten {
        Forgotten::Reported
    }
}

/// The session whose stream is read: the server says so when it is asked for one.
fn session(place: &Place) -> Option<String> {
    let said = place.said();
    let session = said.rsplit("Establishing new SSE stream for session ").next()?;
    (session.len() < said.len()).then(|| session.lines().next().unwrap_or_default().to_owned())
}
