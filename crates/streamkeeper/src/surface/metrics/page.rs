//! The page of the documentation that lists the metrics, written from their table.

use std::fmt::Write as _;

use super::{Kind, Metric, PREFIX, TABLES};

/// Every metric with its labels and its meaning, as Markdown: `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for Metric { name, kind, labels, help, more, .. } in TABLES.into_iter().flatten() {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>();
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        let more = if more.is_empty() { String::new() } else { format!("\n\n{more}") };
        // A text grows.
        write!(page, "\n## `{PREFIX}_{name}`\n\n{kind}, labels: {labels}\n\n{help}{more}\n")
            .unwrap_or_default();
    }
    page
}

const INTRODUCTION: &str = "# Metrics

<!-- Written from the code by a test: WRITE_DOCS=1 cargo test -p streamkeeper --lib metrics -->

What [the endpoint](endpoint.md) serves at `/metrics`, as Prometheus text, or as OpenMetrics for who asks for
that. Each is read at the scrape, so a stream that is removed vanishes. Counters begin at zero with the process; times are Unix
timestamps, so an age is `time() - …`. Label values are names from the configuration and fixed words, never
a user, a record or a URL.

There is no metric of dead letters: no sink of this version gives an event up, it tries again for as long as
it takes.
";
