//! The metrics of the streams: their state, and what flows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use streamkeeper_core::time::Timestamp;

use crate::api::condition::{SlotCondition, StreamCondition};
use crate::observe::registry::{Counters, StreamEntry, View};

use super::{Kind, Metric, Samples, Scrape};

const STREAM: &[&str] = &["stream"];

impl Scrape {
    /// One sample for each stream.
    fn each(
        &self,
        mut read: impl FnMut(&[&str; 1], &Arc<StreamEntry>, &View) -> fmt::Result,
    ) -> fmt::Result {
        self.streams.iter().try_for_each(|(stream, view)| read(&[&stream.name], stream, view))
    }

    fn total(
        &self,
        samples: &mut Samples<'_>,
        counter: impl Fn(&Counters) -> &AtomicU64,
    ) -> fmt::Result {
        self.each(|name, stream, _| {
            samples.count(name, counter(&stream.counters).load(Ordering::Relaxed))
        })
    }

    fn by_word<'a>(
        &'a self,
        samples: &mut Samples<'_>,
        words: impl Fn(&'a StreamEntry) -> Vec<(&'static str, u64)>,
    ) -> fmt::Result {
        for (stream, _) in &self.streams {
            for (word, count) in words(stream) {
                samples.count(&[&stream.name, word], count)?;
            }
        }
        Ok(())
    }
}

pub(super) const STATE_METRICS: &[Metric] = &[
    Metric {
        name: "stream_state",
        kind: Kind::Gauge,
        labels: &["stream", "state"],
        help: "1 for the state that the stream is in, 0 for the others.",
        more: "`starting`, `live`, `recovering`, `degraded`, `paused`, `ended`, `stopping` or \
               `stopped`.",
        read: |scrape, samples| {
            scrape.each(|[name], _, view| {
                StreamCondition::ALL.iter().try_for_each(|state| {
                    samples.count(&[name, state.word()], u64::from(*state == view.state))
                })
            })
        },
    },
    Metric {
        name: "stream_degraded",
        kind: Kind::Gauge,
        labels: &["stream", "reason"],
        help: "1 while the stream is degraded, with the reason.",
        more: "There is no sample while the stream is not degraded.",
        read: |scrape, samples| {
            scrape.each(|[name], _, view| {
                view.detail.map_or(Ok(()), |reason| samples.count(&[name, reason], 1))
            })
        },
    },
    Metric {
        name: "slots",
        kind: Kind::Gauge,
        labels: &["stream", "state"],
        help: "How many of the stream's slots are in each state.",
        more: "`idle`, `backing_off`, `connecting`, `live`, `late`, `draining`, `closing`, `resting` \
               or `unused` (the service allows fewer than are configured).",
        read: |scrape, samples| {
            scrape.each(|[name], _, view| {
                SlotCondition::ALL.iter().try_for_each(|state| {
                    let slots = view.slots.iter().filter(|slot| *slot == state);
                    samples.count(&[name, state.word()], slots.count() as u64)
                })
            })
        },
    },
    Metric {
        name: "upstream_members",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "How many clients the service counts on the stream.",
        more: "Once a poke has said so. More than our own slots: somebody else reads it, too.",
        read: |scrape, samples| {
            scrape.each(|name, _, view| {
                view.members.map_or(Ok(()), |count| samples.count(name, u64::from(count)))
            })
        },
    },
    Metric {
        name: "upstream_members_limit",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "How many clients the service allows on the stream.",
        more: "Once a poke has said so.",
        read: |scrape, samples| {
            scrape.each(|name, _, view| {
                view.members_max.map_or(Ok(()), |count| samples.count(name, u64::from(count)))
            })
        },
    },
    Metric {
        name: "low_water_timestamp_seconds",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "The low-water mark: everything before it has been accepted, by the service's clock.",
        more: "`time() - streamkeeper_low_water_timestamp_seconds` is how far behind the stream can \
               be at most. It stands still while something may have been lost. None before the \
               first history has been read.",
        read: |scrape, samples| {
            scrape
                .each(|name, _, view| samples.timestamp(name, view.mark.map(Timestamp::as_micros)))
        },
    },
    Metric {
        name: "suspects",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "Connections that ended in a way that may have lost events, and hold the mark down.",
        more: "Until a replay has been read past them.",
        read: |scrape, samples| {
            scrape.each(|name, _, view| samples.count(name, view.suspects as u64))
        },
    },
    Metric {
        name: "last_frame_timestamp_seconds",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "When the last frame came, poke or data, by our own clock.",
        more: "None before the first.",
        read: |scrape, samples| {
            scrape.each(|name, stream, _| {
                let micros = stream.counters.last_frame.load(Ordering::Relaxed);
                samples.timestamp(name, Some(micros))
            })
        },
    },
    Metric {
        name: "last_data_timestamp_seconds",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "When the last event came, new or not, by our own clock.",
        more: "None before the first.",
        read: |scrape, samples| {
            scrape.each(|name, stream, _| {
                let micros = stream.measured.last_data.load(Ordering::Relaxed);
                samples.timestamp(name, Some(micros))
            })
        },
    },
    Metric {
        name: "queue_bytes",
        kind: Kind::Gauge,
        labels: STREAM,
        help: "Bytes in memory that were read and are not durable yet.",
        more: "At `queue_bytes` of the configuration reading waits.",
        read: |scrape, samples| {
            scrape.each(|name, stream, _| samples.count(name, stream.queue_bytes() as u64))
        },
    },
];

pub(super) const FLOW_METRICS: &[Metric] = &[
    Metric {
        name: "frames_total",
        kind: Kind::Counter,
        labels: &["stream", "kind"],
        help: "Frames received.",
        more: "`poke`; `data`: events, new or not; `comment`: what proves life and says nothing \
               else; `garbled`: what should have been an event and cannot be read as one.",
        read: |scrape, samples| {
            scrape.by_word(samples, |stream| {
                let StreamEntry { counters, measured, .. } = stream;
                let kinds = [
                    ("poke", &counters.pokes),
                    ("data", &measured.data),
                    ("comment", &measured.comments),
                    ("garbled", &counters.garbled),
                ];
                kinds.map(|(kind, count)| (kind, count.load(Ordering::Relaxed))).to_vec()
            })
        },
    },
    Metric {
        name: "frame_gap_seconds",
        kind: Kind::Histogram,
        labels: STREAM,
        help: "From one read that brought frames to the next on the same connection.",
        more: "The service pokes every 5 s when it has no data. What reaches `watchdog.late_after` \
               is late; at `watchdog.stale_after` the connection is taken for dead, so a gap that \
               ends in that is not here.",
        read: |scrape, samples| {
            scrape.each(|name, stream, _| samples.histogram(name, &stream.measured.frame_gap))
        },
    },
    Metric {
        name: "bytes_received_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "Bytes of the streams' bodies received, after TLS and content coding.",
        more: "",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.bytes_received),
    },
    Metric {
        name: "events_accepted_total",
        kind: Kind::Counter,
        labels: &["stream", "type"],
        help: "Events accepted: new, and durable.",
        more: "A record by its type; `rule` and `connection` for those events; `other` for types \
               that the service has added.",
        read: |scrape, samples| {
            scrape.by_word(samples, |stream| stream.measured.accepted.read().collect())
        },
    },
    Metric {
        name: "events_duplicate_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "Events dropped, because they or a newer version had been accepted.",
        more: "The service sends some events again after every reconnect, and a recovery reads a \
               whole day again.",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.duplicate),
    },
    Metric {
        name: "events_conflicting_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "Accepted events whose order against another version is unknown.",
        more: "",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.conflicting),
    },
    Metric {
        name: "replay_events_total",
        kind: Kind::Counter,
        labels: &["stream", "outcome"],
        help: "Events of replays, new or known.",
        more: "`new`: what a replay brought back; `duplicate`: what was there. They are also among \
               the accepted and the duplicate events.",
        read: |scrape, samples| {
            scrape.by_word(samples, |stream| {
                let Counters { replayed_new, replayed_duplicate, .. } = &stream.counters;
                let outcomes = [("new", replayed_new), ("duplicate", replayed_duplicate)];
                outcomes.map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed))).to_vec()
            })
        },
    },
    Metric {
        name: "connects_total",
        kind: Kind::Counter,
        labels: &["stream", "outcome"],
        help: "Attempts to connect, by what came of them.",
        more: "`opened`, or why it failed; `too_many_clients` is ordinary for a while after a \
               disconnect.",
        read: |scrape, samples| scrape.by_word(samples, |stream| stream.measured.connects.read()),
    },
    Metric {
        name: "disconnects_total",
        kind: Kind::Counter,
        labels: &["stream", "reason"],
        help: "Connections that ended, by how.",
        more: "`killed` is what we closed ourselves, in a recovery for example. The reasons are \
               explained in [What the reports mean](semantics.md).",
        read: |scrape, samples| {
            scrape.by_word(samples, |stream| stream.measured.disconnects.read())
        },
    },
    Metric {
        name: "doubted_times_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "Heartbeats whose time was not believed.",
        more: "Nothing else bore it out: the mark does not follow it. A few mean nothing; many, that a \
               clock of the service is wrong. [Recovery](recovery.md) says why one is not believed.",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.doubted),
    },
    Metric {
        name: "history_lost_seconds_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "History that was lost for good, because the service keeps 30 days.",
        more: "Above zero, events that had not come within that time will not. The log and the incident say \
               from when to when.",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.lost_seconds),
    },
    Metric {
        name: "rests_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "Rests taken by slots that had pokes only.",
        more: "",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.rests),
    },
    Metric {
        name: "incidents_total",
        kind: Kind::Counter,
        labels: &["stream", "cause"],
        help: "Incidents begun: events may have been lost and are read again.",
        more: "The causes are explained in [What the reports mean](semantics.md).",
        read: |scrape, samples| scrape.by_word(samples, |stream| stream.measured.incidents.read()),
    },
    Metric {
        name: "recoveries_total",
        kind: Kind::Counter,
        labels: STREAM,
        help: "Recoveries begun; an incident may need more than one.",
        more: "",
        read: |scrape, samples| scrape.total(samples, |counters| &counters.recoveries),
    },
    Metric {
        name: "incident_duration_seconds",
        kind: Kind::Histogram,
        labels: STREAM,
        help: "From the first report of loss to the end of the replay.",
        more: "Counted when an incident is over.",
        read: |scrape, samples| {
            scrape
                .each(|name, stream, _| samples.histogram(name, &stream.measured.incident_duration))
        },
    },
    Metric {
        name: "ledger_commit_seconds",
        kind: Kind::Histogram,
        labels: STREAM,
        help: "How long a group commit took, until it was durable.",
        more: "Mostly the disk's fsync.",
        read: |scrape, samples| {
            scrape.each(|name, stream, _| samples.histogram(name, &stream.measured.commit))
        },
    },
];
