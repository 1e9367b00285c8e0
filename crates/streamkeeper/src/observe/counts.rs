//! What is counted by label, and how long things took: written as it happens, read at a scrape.
//!
//! Where events pass there are atomics only, and no lock. What happens rarely (a connection ends, a
//! delivery fails) is counted by its word under a lock. A word is always a fixed one of the code's
//! own, so no count can grow without bound, and none can hold health data.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::dialect::event::EventKind;
use streamkeeper_core::classify::End;
use streamkeeper_core::id::IncidentId;

/// A histogram of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// The upper bounds of the buckets in seconds, ascending; one more bucket takes the rest.
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum_micros: AtomicU64,
}

/// A histogram as it is written out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramReading {
    pub(crate) sum: f64,
    pub(crate) count: u64,
    /// Upper bound and count of each bucket, not cumulated; the last bound is `f64::MAX`.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_micros: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(bucket.unwrap_or(self.bounds.len())) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum_micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> HistogramReading {
        let bounds = self.bounds.iter().copied().chain([f64::MAX]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let sum = Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)).as_secs_f64();
        HistogramReading { sum, count: buckets.iter().map(|(_, count)| count).sum(), buckets }
    }
}

/// Counts by a fixed word, of what happens rarely.
#[derive(Debug)]
pub(crate) struct Words(Mutex<BTreeMap<&'static str, u64>>);

impl Words {
    /// The words that are there from the start, at zero: a rate over a counter that appears with its
    /// first event would miss that event. Others are added as they come.
    pub(crate) fn new(words: &[&'static str]) -> Self {
        Self(Mutex::new(words.iter().map(|word| (*word, 0)).collect()))
    }

    pub(crate) fn add(&self, word: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().map(|(word, count)| (*word, *count)).collect()
    }
}

/// The types of events: records by what they tell of, then the other kinds.
pub(crate) const TYPES: [&str; 10] = [
    "cgm",
    "intraday",
    "measurement",
    "nutrition",
    "sleep",
    "summary",
    "workout",
    "rule",
    "connection",
    // What the service has added since.
    "other",
];

/// So many of them are types of records.
const RECORD_TYPES: usize = 7;

/// How many events of each of [`TYPES`] a group of them holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeCounts([u64; TYPES.len()]);

impl TypeCounts {
    pub(crate) fn add(&mut self, kind: EventKind, record_type: Option<&str>) {
        let (types, word) = match kind {
            EventKind::Data => (TYPES.get(..RECORD_TYPES), record_type.unwrap_or_default()),
            EventKind::Rule => (Some(&TYPES[..]), "rule"),
            EventKind::Connection => (Some(&TYPES[..]), "connection"),
            // A server's own names are not ours to make labels of.
            EventKind::Named => (None, ""),
        };
        let place = types.and_then(|types| types.iter().position(|known| *known == word));
        let place = place.unwrap_or(TYPES.len() - 1);
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    /// Those that there are, by word.
    pub(crate) fn by_word(self) -> impl Iterator<Item = (&'static str, u64)> {
        TYPES.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// How many events of each of [`TYPES`] there were.
#[derive(Debug, Default)]
pub(crate) struct ByType([AtomicU64; TYPES.len()]);

impl ByType {
    pub(crate) fn add(&self, counts: TypeCounts) {
        for (total, count) in self.0.iter().zip(counts.0).filter(|(_, count)| *count > 0) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TYPES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// What is measured of one stream, beside its plain counters.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Frames that were events.
    pub(crate) data: AtomicU64,
    /// Frames that prove life and say nothing else.
    pub(crate) comments: AtomicU64,
    pub(crate) accepted: ByType,
    /// From one read that brought frames to the next, on the same connection.
    pub(crate) frame_gap: Histogram,
    /// The group commits.
    pub(crate) commit: Histogram,
    pub(crate) connects: Words,
    pub(crate) disconnects: Words,
    pub(crate) incidents: Words,
    pub(crate) incident_duration: Histogram,
    /// When the last event came, in Unix microseconds of our own clock; 0: never.
    pub(crate) last_data: AtomicI64,
    last_incident: AtomicU64,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            data: AtomicU64::new(0),
            comments: AtomicU64::new(0),
            accepted: ByType::default(),
            frame_gap: Histogram::new(&FRAME_GAP),
            commit: Histogram::new(&COMMIT),
            connects: Words::new(&CONNECTS),
            disconnects: Words::new(&DISCONNECTS),
            incidents: Words::new(&INCIDENTS),
            incident_duration: Histogram::new(&INCIDENT_DURATION),
            last_data: AtomicI64::new(0),
            last_incident: AtomicU64::new(0),
        }
    }
}

impl Measured {
    /// A connection ended, or could not be opened.
    pub(crate) fn ended(&self, end: End) {
        match end {
            End::Refused(_) | End::NotOpened { .. } => self.connects.add(end.reason()),
            _ => self.disconnects.add(end.reason()),
        }
    }

    /// Something is done about an incident; only the first time it counts as one.
    pub(crate) fn incident(&self, incident: IncidentId, reason: &'static str) {
        if self.last_incident.swap(incident.0, Ordering::Relaxed) != incident.0 {
            self.incidents.add(reason);
        }
    }
}

/// The outcome of a connect that is none of the ways to fail.
pub(crate) const OPENED: &str = "opened";

/// The words of `End::reason` for what did not open, and the one for what did.
const CONNECTS: [&str; 8] = [
    OPENED,
    "no_content",
    "not_events",
    "stream_gone",
    "token_refused",
    "too_many_clients",
    "unavailable",
    "unreachable",
];

/// The words of `End::reason` for what was open.
const DISCONNECTS: [&str; 8] =
    ["closed", "corrupt", "end", "eof", "killed", "panic", "reset", "truncated"];

/// The words of `Cause::reason`.
const INCIDENTS: [&str; 12] = [
    "checkpoint_expired",
    "cut_by_start_time",
    "foreign_client",
    "gap",
    "operator",
    "outbox_full",
    "panic",
    "replay_refused",
    "slow_frame",
    "stale",
    "stream_gone",
    "unclean_start",
];

/// Around the interval of pokes (5 s), `late_after` (10 s) and `stale_after` (30 s).
const FRAME_GAP: [f64; 13] =
    [0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 4.0, 6.0, 10.0, 15.0, 20.0, 30.0, 60.0];

/// From a fast disk to one that hangs.
const COMMIT: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// From a quiet stream to a day read again.
const INCIDENT_DURATION: [f64; 11] =
    [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0];

/// From the service's own delay to a sink that was down for a day.
pub(crate) const END_TO_END: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for millis in [0, 100, 101, 5_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let HistogramReading { sum, count, buckets } = histogram.read();
        assert_eq!(buckets, [(0.1, 2), (1.0, 1), (f64::MAX, 1)]);
        assert_eq!((count, sum), (4, 5.201));
    }

    #[test]
    fn what_the_service_calls_an_event_is_a_label_only_if_it_is_known() {
        let mut counts = TypeCounts::default();
        counts.add(EventKind::Data, Some("summary"));
        counts.add(EventKind::Data, Some("rule"));
        counts.add(EventKind::Data, Some("something\"}new"));
        counts.add(EventKind::Data, None);
        counts.add(EventKind::Rule, None);
        let by_type = ByType::default();
        by_type.add(counts);
        let read: BTreeMap<_, _> = by_type.read().filter(|(_, count)| *count > 0).collect();
        assert_eq!(read, BTreeMap::from([("summary", 1), ("rule", 1), ("other", 3)]));
    }

    #[test]
    fn an_incident_counts_once_however_many_recoveries_it_takes() {
        let measured = Measured::default();
        for incident in [1, 1, 2] {
            measured.incident(IncidentId(incident), "outbox_full");
        }
        let incidents = measured.incidents.read();
        assert!(incidents.contains(&("outbox_full", 2)) && incidents.contains(&("stale", 0)));
    }
}
