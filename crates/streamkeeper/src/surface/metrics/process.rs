//! The metrics of the process itself.

use std::sync::atomic::Ordering;

use super::{Kind, Metric};

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "build_info",
        kind: Kind::Info,
        labels: &["version"],
        help: "The version that runs.",
        more: "Always 1.",
        read: |_, samples| samples.info(&[env!("CARGO_PKG_VERSION")]),
    },
    Metric {
        name: "start_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When it started.",
        more: "All counters are since then.",
        read: |scrape, samples| samples.timestamp(&[], Some(scrape.process.started.as_micros())),
    },
    Metric {
        name: "config_last_reload_successful",
        kind: Kind::Gauge,
        labels: &[],
        help: "Whether the last attempt to read the configuration was a success.",
        more: "0: the file on disk is wrong, and what ran before it still runs.",
        read: |scrape, samples| {
            let successful = scrape.process.reloaded.load(Ordering::Relaxed);
            samples.count(&[], u64::from(successful))
        },
    },
    Metric {
        name: "config_last_reload_success_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the configuration that runs was read.",
        more: "",
        read: |scrape, samples| {
            let micros = scrape.process.reloaded_at.load(Ordering::Relaxed);
            samples.timestamp(&[], Some(micros))
        },
    },
    Metric {
        name: "log_lines_lost_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Lines of the log that could not be written.",
        more: "Whoever reads it is gone or too slow, or the disk it lies on is full. Nothing waits for the log. An \
               application that embeds Streamkeeper counts them itself, or has 0.",
        read: |scrape, samples| {
            samples.count(&[], scrape.process.lost_log_lines.load(Ordering::Relaxed))
        },
    },
];
