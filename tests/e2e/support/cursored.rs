//! What tests of streams that go on from a cursor share: their configuration, and what came of it.

use serde_json::Value;

use super::{Keeper, request, wait_for};

/// A configuration with a stream of that URL, and these further lines in its table.
pub(crate) fn stream_of(url: &str, more: &str) -> String {
    format!(
        "[service]\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n\n\
         [[stream]]\nname = \"acme\"\ndialect = \"sse\"\nurl = \"{url}\"\n{more}\n\
         [[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\n"
    )
}

/// The data of the delivered events, as numbers, in order.
pub(crate) fn delivered(keeper: &Keeper) -> Vec<u64> {
    let text = std::fs::read_to_string(keeper.output()).unwrap_or_default();
    let event = |line: &str| serde_json::from_str::<Value>(line).ok();
    text.lines().filter_map(event).filter_map(|event| event["data"]["n"].as_u64()).collect()
}

#[track_caller]
pub(crate) fn wait_delivered(keeper: &Keeper, until: u64) {
    wait_for("the events", || (delivered(keeper).len() as u64 >= until).then_some(()));
    assert_eq!(delivered(keeper), (0..until).collect::<Vec<_>>(), "each once, in order");
}

pub(crate) fn status(keeper: &Keeper) -> Value {
    let (_, body) = request(&keeper.endpoint(), "GET", "/status", "");
    serde_json::from_slice(&body).unwrap()
}
