//! Sinks for Streamkeeper: file, standard output and webhook.
//!
//! Each sink is a folder (`config.rs` reads its table, `sink.rs` delivers) behind a
//! feature of the same name; [`factories`] gives all that are compiled in, to be
//! registered with the library. What a sink promises is written on its type:
//!
//! | `type` | promise of `Ok` | on an error |
//! | --- | --- | --- |
//! | `file` | on disk and counted in a side file: each event once, over crashes | the batch's lines are cut off again before the next try |
//! | `stdout` | handed to the operating system | the torn line is finished, then the batch repeated |
//! | `webhook` | an answer 2xx: the receiver has it | given again, the same bytes under the same `webhook-id` |
//!
//! The sinks `file` and `stdout` block: they work in `tokio::task::spawn_blocking`. A reader of standard
//! output that never reads holds such a thread, so end the runtime with
//! `shutdown_timeout` or `shutdown_background`.

#[cfg(any(feature = "stdout", feature = "webhook"))]
mod blocking;
#[cfg(any(feature = "file", feature = "webhook"))]
mod durable;
#[cfg(feature = "stdout")]
mod encoder;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "stdout")]
pub mod stdout;
#[cfg(feature = "webhook")]
mod tls;
#[cfg(feature = "webhook")]
pub mod webhook;

use streamkeeper_sink::SinkFactory;

#[cfg(feature = "stdout")]
pub use encoder::Format;

/// A factory for every sink type that is compiled in.
///
/// ```
/// let types: Vec<_> =
///     streamkeeper_sinks::factories().iter().map(|factory| factory.type_name()).collect();
/// assert_eq!(types, ["file", "stdout", "webhook"]);
/// ```
pub fn factories() -> Vec<Box<dyn SinkFactory>> {
    vec![
        #[cfg(feature = "file")]
        Box::new(file::FileFactory),
        #[cfg(feature = "stdout")]
        Box::new(stdout::StdoutFactory),
        #[cfg(feature = "webhook")]
        Box::new(webhook::WebhookFactory),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with a key that nobody knows names those that somebody does.
    #[test]
    fn every_key_of_every_sink_is_on_the_page() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
        let page = std::fs::read_to_string(format!("{docs}/configuration.md")).unwrap();
        for factory in factories() {
            // A required key has to be there, or it is what is named.
            let required = match factory.type_name() {
                "file" => Some(("path", "events.ndjson".into())),
                "webhook" => Some(("url", "https://example.org".into())),
                _ => None,
            };
            let table = required.into_iter().chain([("unheard-of-key", 1.into())]).collect();
            let refused = factory.check("sink", table).unwrap_err().to_string();
            let (_, known) = refused.split_once("known are ").unwrap();
            for key in known.split(", ") {
                let row = format!("| `{}` | `{key}` |", factory.type_name());
                assert!(page.contains(&row), "docs/configuration.md has no row {row}");
            }
        }
    }
}
