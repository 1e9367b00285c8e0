//! The metrics of the sinks: what they have, what waits for them, what failed.
//!
//! Each sink has a cursor in each of its streams, so each sample names both. An application that
//! takes the deliveries itself is the sink `deliveries`.

use std::sync::atomic::Ordering;

use super::{Kind, Metric};

const LABELS: &[&str] = &["stream", "sink"];

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "outbox_events",
        kind: Kind::Gauge,
        labels: LABELS,
        help: "Accepted events that the sink has not acknowledged.",
        more: "They are on disk. A few while events flow; growing means that the sink is slow or down.",
        read: |scrape, samples| {
            scrape
                .sinks()
                .try_for_each(|(names, stream, sink)| samples.count(&names, stream.backlog(sink)))
        },
    },
    Metric {
        name: "outbox_bytes",
        kind: Kind::Gauge,
        labels: LABELS,
        help: "Bytes on disk of the events that the sink has not acknowledged.",
        more: "When the slowest sink of a stream reaches `ledger.outbox_bytes`, nothing more is \
               accepted and reading waits.",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, stream, sink)| {
                samples.count(&names, stream.backlog_bytes(sink))
            })
        },
    },
    Metric {
        name: "sink_delivered_total",
        kind: Kind::Counter,
        labels: LABELS,
        help: "Events that the sink has acknowledged.",
        more: "",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, _, sink)| {
                samples.count(&names, sink.delivered.load(Ordering::Relaxed))
            })
        },
    },
    Metric {
        name: "sink_failures_total",
        kind: Kind::Counter,
        labels: &["stream", "sink", "reason"],
        help: "Deliveries that failed, and are tried again.",
        more: "A reason appears when it first occurs. Nothing is skipped: the events wait in the \
               outbox. The reasons are the sink's own fixed words.",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, _, sink)| {
                let [stream, sink_name] = names;
                let reasons = sink.failed.read();
                reasons.into_iter().try_for_each(|(reason, count)| {
                    samples.count(&[stream, sink_name, reason], count)
                })
            })
        },
    },
    Metric {
        name: "sink_failing",
        kind: Kind::Gauge,
        labels: LABELS,
        help: "1 while the sink does not take events.",
        more: "`/readyz?verbose` and the status say why.",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, _, sink)| {
                samples.count(&names, u64::from(sink.failing().is_some()))
            })
        },
    },
    Metric {
        name: "dead_letters_total",
        kind: Kind::Counter,
        labels: LABELS,
        help: "Events that the sink has refused for good since the start, and that were set aside.",
        more: "They are on disk: `streamkeeper dead-letters list` says which, and why.",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, _, sink)| {
                samples.count(&names, sink.set_aside.load(Ordering::Relaxed))
            })
        },
    },
    Metric {
        name: "dead_letters",
        kind: Kind::Gauge,
        labels: LABELS,
        help: "Events that were set aside and wait for a hand.",
        more: "`streamkeeper dead-letters retry` gives them to the sink again.",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, _, sink)| {
                samples.count(&names, sink.dead_letters.load(Ordering::Relaxed))
            })
        },
    },
    Metric {
        name: "end_to_end_delay_seconds",
        kind: Kind::Histogram,
        labels: LABELS,
        help: "From an event's creation at the service to the sink's acknowledgement.",
        more: "By the service's clock at one end and ours at the other, so it is wrong by their \
               difference; less than zero counts as zero. Events of a history or a replay are \
               counted too, as late as they are.",
        read: |scrape, samples| {
            scrape.sinks().try_for_each(|(names, _, sink)| samples.histogram(&names, &sink.delay))
        },
    },
];
