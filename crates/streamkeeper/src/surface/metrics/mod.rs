//! The metrics: one place that names them, and one collector that reads the registry at a scrape.
//!
//! Each metric is a row of a table: its name, its labels, what it means, and how it is read. Nothing
//! is kept here, so a stream that is removed vanishes from the next scrape. Label values are names
//! from the configuration and fixed words of the code; never a user, a record or a URL. `docs/metrics.md`
//! is written from the same table.

mod format;
mod page;
mod process;
mod sinks;
mod streams;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

use crate::observe::counts::{Histogram, HistogramReading};
use crate::observe::registry::{Consumer, Process, Registry, StreamEntry, View};

pub use page::reference;

pub(crate) use format::Format;

/// All metrics of a registry.
pub(crate) fn render(registry: &Registry, format: Format) -> String {
    let mut metrics = prometheus_client::registry::Registry::with_prefix(PREFIX);
    metrics.register_collector(Box::new(Scrape::of(registry)));
    let mut text = String::new();
    // Only a writer can fail, and a text grows.
    text::encode(&mut text, &metrics).unwrap_or_default();
    match format {
        Format::OpenMetrics => text,
        Format::Text => format::as_text(&text),
    }
}

/// Before every name.
const PREFIX: &str = "streamkeeper";

/// A metric.
struct Metric {
    /// Without the prefix, with the unit.
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    /// One line for whoever queries.
    help: &'static str,
    /// What else there is to know, for the page of the documentation; may be empty.
    more: &'static str,
    read: fn(&Scrape, &mut Samples<'_>) -> fmt::Result,
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// The tables, in the order of the text.
const TABLES: [&[Metric]; 4] =
    [process::METRICS, streams::STATE_METRICS, streams::FLOW_METRICS, sinks::METRICS];

/// What a scrape reads: the streams of the moment, by name.
#[derive(Debug)]
struct Scrape {
    process: Arc<Process>,
    streams: Vec<(Arc<StreamEntry>, View)>,
}

impl Scrape {
    fn of(registry: &Registry) -> Self {
        let entries = registry.entries();
        let streams = entries.into_iter().map(|entry| {
            let view = entry.view();
            (entry, view)
        });
        Self { process: registry.process(), streams: streams.collect() }
    }
}

impl Scrape {
    /// Each sink of each stream, with the names of both.
    fn sinks(&self) -> impl Iterator<Item = ([&str; 2], &StreamEntry, &Consumer)> {
        self.streams.iter().flat_map(|(stream, _)| {
            stream.consumers.iter().map(|sink| ([&*stream.name, &*sink.name], &**stream, &**sink))
        })
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in TABLES.into_iter().flatten() {
            // The encoder adds what belongs to the kind and to the unit.
            let (kind, suffix) = match metric.kind {
                Kind::Counter => (MetricType::Counter, "_total"),
                Kind::Gauge => (MetricType::Gauge, ""),
                Kind::Histogram => (MetricType::Histogram, ""),
                Kind::Info => (MetricType::Info, "_info"),
            };
            let name = metric.name.strip_suffix(suffix).unwrap_or(metric.name);
            let seconds = name.strip_suffix("_seconds").map(|name| (name, Unit::Seconds));
            let bytes = || name.strip_suffix("_bytes").map(|name| (name, Unit::Bytes));
            let (name, unit) = match seconds.or_else(bytes) {
                Some((name, unit)) => (name, Some(unit)),
                None => (name, None),
            };
            let encoder = encoder.encode_descriptor(name, metric.help, unit.as_ref(), kind)?;
            let mut samples = Samples { encoder, kind: metric.kind, labels: metric.labels };
            (metric.read)(self, &mut samples)?;
        }
        Ok(())
    }
}

/// Where a metric's samples go.
struct Samples<'a> {
    encoder: MetricEncoder<'a>,
    kind: Kind,
    labels: &'static [&'static str],
}

impl Samples<'_> {
    /// A count; `values` are those of the metric's labels, in their order.
    fn count(&mut self, values: &[&str], value: u64) -> fmt::Result {
        match self.kind {
            Kind::Counter => self.family(values, |encoder| {
                encoder.encode_counter(&value, None::<&Exemplar<[(&str, &str); 0], u64>>)
            }),
            _ => self.family(values, |encoder| encoder.encode_gauge(&value)),
        }
    }

    /// A time of our own or of the service's clock, Unix microseconds; none if it is not known.
    fn timestamp(&mut self, values: &[&str], micros: Option<i64>) -> fmt::Result {
        let Some(micros) = micros.filter(|micros| *micros != 0) else { return Ok(()) };
        // Exact to the microsecond until the year 2255.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let seconds = micros as f64 / 1e6;
        self.family(values, |encoder| encoder.encode_gauge(&seconds))
    }

    fn histogram(&mut self, values: &[&str], histogram: &Histogram) -> fmt::Result {
        let HistogramReading { sum, count, buckets } = histogram.read();
        self.family(values, |encoder| {
            encoder.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)
        })
    }

    fn info(&mut self, values: &[&str]) -> fmt::Result {
        let labels: Vec<_> = self.labels.iter().copied().zip(values.iter().copied()).collect();
        self.encoder.encode_info(&labels)
    }

    fn family(
        &mut self,
        values: &[&str],
        encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        if values.is_empty() {
            return encode(&mut self.encoder);
        }
        let labels: Vec<_> = self.labels.iter().copied().zip(values.iter().copied()).collect();
        encode(&mut self.encoder.encode_family(&labels)?)
    }
}

#[cfg(test)]
mod tests;
