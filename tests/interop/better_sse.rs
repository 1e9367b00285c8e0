//! better-sse on Node.js: `servers/better_sse.cjs`.

use std::process::Command;

use super::kind::{Forgotten, Kind, forget_history, need_packages, output, programs};
use super::process::Place;

pub(super) struct BetterSse;

impl Kind for BetterSse {
    fn name(&self) -> &'static str {
        "better-sse on Node.js"
    }

    fn preset(&self) -> &'static str {
        "sse"
    }

    fn install(&self) -> String {
        let package = need_packages("node").join("node_modules/better-sse/package.json");
        let package: serde_json::Value =
            serde_json::from_slice(&std::fs::read(package).unwrap()).unwrap();
        let node = output("node", ["--version"]);
        format!("{}, {}", package["version"].as_str().unwrap(), node.trim_start_matches('v'))
    }

    fn command(&self, place: &Place) -> Command {
        let mut node = place.program("node");
        node.env("NODE_PATH", need_packages("node").join("node_modules"));
        node.arg(programs().join("better_sse.cjs"));
        node
    }

    fn scaled(&self) -> &'static str {
        "gap_check = \"sequence\""
    }

    fn forget(&self, place: &Place) -> Forgotten {
        forget_history(place)
    }
}
