//! Streams and sinks that would be one where it counts: on the service, or on the disk.
//!
//! A stream on the service is known by its name. Two of ours under one name would delete each other's,
//! again and again; so would one and what is made alongside another (`~N`). Services that ignore case are
//! known, so case tells nobody apart.

use std::collections::HashMap;
use std::path::PathBuf;

use streamkeeper_core::marked::establish::is_ours;
use streamkeeper_sink::SinkFactory;

use super::{Config, StreamConfig};
use crate::transport::Origin;

/// The later one of each two streams that are one to the service, by index, with what to say of its
/// `server_name`.
pub(super) fn on_the_service(streams: &[StreamConfig]) -> Vec<(usize, String)> {
    let mut organizations: HashMap<_, Vec<(String, &str)>> = HashMap::new();
    let mut found = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        // Streams of other servers have no name there. What is wrong with the URL is said elsewhere.
        let Some(table) = stream.as_inform() else { continue };
        let Some(origin) = Origin::of(stream.url.expose()) else { continue };
        let others = organizations.entry((origin, table.token.expose())).or_default();
        let ours = table.server_name.to_lowercase();
        // Two of one name are no two streams to begin with.
        let is_one = |(theirs, name): &&(String, &str)| {
            *name != stream.name && (is_ours(&ours, theirs) || is_ours(theirs, &ours))
        };
        if let Some((_, other)) = others.iter().find(is_one) {
            let message = format!(
                "\"{}\" is the same on the service as that of stream \"{other}\", with the same url and \
                 token: each would delete the other's stream (case counts for nothing, and what ends \
                 in `~1` is made beside another); choose a new one",
                table.server_name,
            );
            found.push((index, message));
        }
        others.push((ours, &stream.name));
    }
    found
}

/// The later one of each two streams that have one folder where case counts for nothing.
pub(super) fn on_the_disk(streams: &[StreamConfig]) -> Vec<(usize, String)> {
    let mut names: HashMap<String, &str> = HashMap::new();
    let mut found = Vec::new();
    for (index, StreamConfig { name, .. }) in streams.iter().enumerate() {
        match names.insert(name.to_ascii_lowercase(), name) {
            Some(other) if other != name => found.push((
                index,
                format!(
                    "\"{name}\" and \"{other}\", of another stream, are the same folder where case counts \
                     for nothing: choose a new one"
                ),
            )),
            _ => {}
        }
    }
    found
}

/// The later one of each two sinks that write to one file.
pub(super) fn of_outputs(
    config: &Config,
    factories: &[Box<dyn SinkFactory>],
) -> Vec<(usize, String, String)> {
    let mut outputs: HashMap<PathBuf, &str> = HashMap::new();
    let mut found = Vec::new();
    for (index, sink) in config.sinks.iter().enumerate() {
        let factory = factories.iter().find(|factory| factory.type_name() == sink.kind);
        let Some((key, output)) = factory.and_then(|factory| factory.output(sink.table.clone()))
        else {
            continue;
        };
        if let Some(other) = outputs.insert(output, &sink.name).filter(|other| *other != sink.name)
        {
            let message = format!("is also that of sink \"{other}\": give each its own");
            found.push((index, key.to_owned(), message));
        }
    }
    found
}
