//! better-sse on Node.js: `servers/better_sse.cjs`.

use std::process::Command;

use super::kind::{Forgotten, Kind, forget_history, need_npm, node, programs};
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
        need_npm("better-sse")
    }

    fn command(&self, place: &Place) -> Command {
        let mut node = node(place);
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
