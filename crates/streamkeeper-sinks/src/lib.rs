//! Sinks for Streamkeeper: file, NATS, PostgreSQL, standard output, webhook.
//!
//! Each sink is a folder (`config.rs` reads its table, `sink.rs` delivers) behind a
//! feature of the same name; [`factories`] gives all that are compiled in, to be
//! registered with the library. What a sink promises is written on its type:
//!
//! | `type` | promise of `Ok` | on an error |
//! | --- | --- | --- |
//! | `file` | on disk and counted in a side file: each event once, over crashes | the batch's lines are cut off again before the next try |
//! | `nats` | acknowledged by JetStream: each event once, over crashes | all or nothing of a batch; what is not known is looked up before the next try |
//! | `postgres` | committed there: each event once, by a unique key | all of the batch is given again |
//! | `stdout` | handed to the operating system | the torn line is finished, then the batch repeated |
//! | `webhook` | an answer 2xx: the receiver has it | given again, the same bytes under the same `webhook-id` |
//!
//! `file` and `stdout` block: they work in `tokio::task::spawn_blocking`. A reader of standard
//! output that never reads holds such a thread, so end the runtime with
//! `shutdown_timeout` or `shutdown_background`.

#[cfg(any(feature = "stdout", feature = "webhook"))]
mod blocking;
#[cfg(any(feature = "file", feature = "webhook"))]
mod durable;
#[cfg(any(feature = "nats", feature = "stdout"))]
mod encoder;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "stdout")]
pub mod stdout;
#[cfg(any(feature = "nats", feature = "postgres", feature = "webhook"))]
mod tls;
#[cfg(feature = "webhook")]
pub mod webhook;

use streamkeeper_sink::SinkFactory;

#[cfg(any(feature = "nats", feature = "stdout"))]
pub use encoder::Format;

/// A factory for every sink type that is compiled in.
///
/// ```
/// let types: Vec<_> =
///     streamkeeper_sinks::factories().iter().map(|factory| factory.type_name()).collect();
/// assert_eq!(types, ["file", "nats", "postgres", "stdout", "webhook"]);
/// ```
pub fn factories() -> Vec<Box<dyn SinkFactory>> {
    vec![
        #[cfg(feature = "file")]
        Box::new(file::FileFactory),
        #[cfg(feature = "nats")]
        Box::new(nats::NatsFactory),
        #[cfg(feature = "postgres")]
        Box::new(postgres::PostgresFactory),
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
            let required: &[(&str, &str)] = match factory.type_name() {
                "file" => &[("path", "events.ndjson")],
                "nats" => &[("url", "nats://127.0.0.1:4222"), ("stream", "EVENTS")],
                "webhook" => &[("url", "https://example.org")],
                _ => &[],
            };
            let required = required.iter().map(|(key, value)| (*key, (*value).into()));
            let table = required.chain([("unheard-of-key", 1.into())]).collect();
            let refused = factory.check("sink", table).unwrap_err().to_string();
            let (_, known) = refused.split_once("known are ").unwrap();
            for key in known.split(", ") {
                let row = format!("| `{}` | `{key}` |", factory.type_name());
                assert!(page.contains(&row), "docs/configuration.md has no row {row}");
            }
        }
    }
}
