//! ws on Node.js, over WebSockets: `servers/ws.cjs`.

use std::process::Command;

use super::kind::{Ends, Forgotten, Kind, forget_history, need_npm, node, programs};
use super::process::Place;

pub(super) struct Ws;

impl Kind for Ws {
    fn name(&self) -> &'static str {
        "ws on Node.js, WebSocket"
    }

    fn preset(&self) -> &'static str {
        "sse"
    }

    fn install(&self) -> String {
        need_npm("ws")
    }

    fn command(&self, place: &Place) -> Command {
        let mut node = node(place);
        node.arg(programs().join("ws.cjs"));
        node
    }

    fn scheme(&self) -> &'static str {
        "ws"
    }

    fn scaled(&self) -> &'static str {
        "interval = \"1s\"\ncursor = \"/id\"\ncursor_via = { query = \"since\" }\nidentity = \"/id\"\n\
         gap_check = \"sequence\""
    }

    fn ends(&self) -> Ends {
        Ends::UnderLoad
    }

    fn forget(&self, place: &Place) -> Forgotten {
        forget_history(place)
    }
}
