//! A stream's last hour, for people: what each slot did, how much came, how long it was silent, and
//! the incidents with their stories.
//!
//! Pure: time is given by the caller, so that an hour is a microsecond in a test; the [`Recorder`]
//! is the shell around it. Times are [`Instant`]s, since a wall clock that is set would tear the
//! time line; whoever shows them subtracts from now. It holds words, counts and times only, never
//! anything that came from a payload, and no id of the service's.
//!
//! Memory is bounded whatever happens. A stream: 720 buckets of 12 bytes (9 KiB), and 21 stories of
//! at most 48 steps of about 130 bytes (130 KiB if all are full; a quiet stream has none). A slot:
//! 720 silences of 4 bytes (3 KiB) and at most 1,024 spans of 32 bytes (32 KiB; a slot that is live
//! all the time has one).

mod recorder;
mod story;

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use streamkeeper_core::policy::Report;
use streamkeeper_core::time::{Instant, Timestamp};

use crate::api::condition::SlotCondition;

pub(crate) use self::recorder::Recorder;
pub(crate) use self::story::IncidentView;
use self::story::{StepView, Story};

/// What lies further back is forgotten.
const KEPT: Duration = Duration::from_secs(3_600);

/// The resolution of rates and silences.
const BUCKET: Duration = Duration::from_secs(5);

/// Buckets kept.
const BUCKETS: usize = (KEPT.as_secs() / BUCKET.as_secs()) as usize;

/// Spans kept for a slot: one each 3.5 s. A slot that flaps faster shows less than an hour.
const SPANS_MAX: usize = 1_024;

/// When silence is noteworthy, and when it is acted upon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) late_after: Duration,
    pub(crate) stale_after: Duration,
}

/// What the stream is like at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    /// In which condition each slot is.
    pub(crate) slots: &'a [SlotCondition],
    /// What is read is a replay.
    pub(crate) replaying: bool,
    /// Events read and judged since the start.
    pub(crate) events: u64,
    /// Bytes received since the start.
    pub(crate) bytes: u64,
    /// How far the mark is behind, if there is one.
    pub(crate) lag: Option<Duration>,
}

/// The last hour of one stream.
#[derive(Debug, Default)]
pub(crate) struct History {
    bounds: Bounds,
    buckets: Ring<Bucket>,
    lanes: Vec<Lane>,
    events: u64,
    bytes: u64,
    story: Story,
}

/// What came within one [`BUCKET`].
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    events: u32,
    bytes: u32,
    /// Seconds from the mark to now, and one more; 0: not known.
    lag: u32,
}

/// What one slot did.
#[derive(Debug, Default)]
struct Lane {
    spans: VecDeque<Span>,
    /// Since when nothing has been heard, while it reads.
    heard: Option<Instant>,
    /// The longest silence within each bucket, milliseconds.
    silences: Ring<u32>,
}

/// A state, from then to the next one's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Instant,
    state: SlotCondition,
    replaying: bool,
}

impl History {
    /// What silence is measured against.
    pub(crate) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// What the stream is like now.
    pub(crate) fn observe(&mut self, now: Instant, sight: Sight<'_>) {
        let Sight { slots, replaying, events, bytes, lag } = sight;
        self.lanes.resize_with(slots.len(), Lane::default);
        for (lane, &state) in self.lanes.iter_mut().zip(slots) {
            lane.observe(Span { from: now, state, replaying });
        }
        let less =
            |now: u64, then: u64| u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX);
        let (new_events, new_bytes) = (less(events, self.events), less(bytes, self.bytes));
        (self.events, self.bytes) = (events, bytes);
        if let Some(bucket) = self.buckets.at(bucket_of(now)) {
            bucket.events = bucket.events.saturating_add(new_events);
            bucket.bytes = bucket.bytes.saturating_add(new_bytes);
            bucket.lag = lag.map_or(0, |lag| {
                u32::try_from(lag.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
            });
        }
    }

    /// A frame came on this slot.
    pub(crate) fn heard(&mut self, now: Instant, slot: u8) {
        if let Some(lane) = self.lanes.get_mut(usize::from(slot)).filter(|lane| lane.reads()) {
            lane.fill(now);
            lane.heard = Some(now);
        }
    }

    /// The slot stopped reading, because the queue is full: what follows is not silence.
    pub(crate) fn blocked(&mut self, now: Instant, slot: u8) {
        if let Some(lane) = self.lanes.get_mut(usize::from(slot)) {
            lane.fill(now);
            lane.heard = None;
        }
    }

    /// Something was reported. `wall`: our own clock, for people.
    pub(crate) fn report(&mut self, now: Instant, wall: Timestamp, report: &Report) {
        self.story.report(now, wall, report, self.bounds);
    }

    /// What a list of streams shows.
    pub(crate) fn brief(&self, now: Instant) -> Brief {
        // Whole buckets only: the last one is still being filled.
        let last = bucket_of(now).saturating_sub(1);
        let bucket = self.buckets.get(last).unwrap_or_default();
        Brief {
            events_per_second: f64::from(bucket.events) / BUCKET.as_secs_f64(),
            incident: self.story.under_way().map(|(since, why)| (since.into(), why.into())),
        }
    }

    /// Everything a page shows of one stream that has changed since `cursor`, which moves on. The
    /// first time, the whole hour.
    pub(crate) fn view(&mut self, now: Instant, cursor: &mut Cursor) -> View {
        let last = bucket_of(now);
        for lane in &mut self.lanes {
            lane.fill(now);
        }
        let oldest = last.saturating_sub(BUCKETS as u64 - 1);
        // The bucket of the last look has gone on to be filled.
        let first = cursor.at.map_or(oldest, |at| bucket_of(at).clamp(oldest, last));
        let since = cursor.at.unwrap_or(Instant::ZERO);
        let buckets = || (first..=last).map(|index| self.buckets.get(index).unwrap_or_default());
        let lane = |lane: &Lane| LaneView {
            spans: lane.spans_since(since, now),
            silences: (first..=last).map(|i| lane.silences.get(i).unwrap_or_default()).collect(),
        };
        let told = cursor.story == Some(self.story.version());
        let view = View {
            now: ms(now),
            bucket_ms: BUCKET.as_millis() as u64,
            first,
            late_after: self.bounds.late_after.as_millis() as u64,
            stale_after: self.bounds.stale_after.as_millis() as u64,
            events: buckets().map(|bucket| bucket.events).collect(),
            bytes: buckets().map(|bucket| bucket.bytes).collect(),
            lag: buckets().map(|bucket| i64::from(bucket.lag) - 1).collect(),
            lanes: self.lanes.iter().map(lane).collect(),
            incidents: (!told).then(|| self.story.incidents()),
            happenings: (!told).then(|| self.story.happenings()),
        };
        *cursor = Cursor { at: Some(now), story: Some(self.story.version()) };
        view
    }
}

impl Lane {
    fn observe(&mut self, span: Span) {
        let now = span.from;
        while self.spans.get(1).is_some_and(|next| now.since(next.from) > KEPT) {
            self.spans.pop_front();
        }
        let read = self.reads();
        let same = |last: &Span| last.state == span.state && last.replaying == span.replaying;
        if !self.spans.back().is_some_and(same) {
            if self.spans.len() == SPANS_MAX {
                self.spans.pop_front();
            }
            self.spans.push_back(span);
        }
        if read && !self.reads() {
            self.fill(now);
            self.heard = None;
        } else if !read && self.reads() {
            self.heard = Some(now);
        }
    }

    /// Whether a frame can come in the present state.
    fn reads(&self) -> bool {
        self.spans.back().is_some_and(|span| {
            use SlotCondition::{Draining, Late, Live};
            matches!(span.state, Live | Late | Draining)
        })
    }

    /// Writes the silence up to now into the buckets it lies in: a slope, as it has grown.
    fn fill(&mut self, now: Instant) {
        let Some(heard) = self.heard else { return };
        let last = bucket_of(now);
        let first = bucket_of(heard).max(last.saturating_sub(BUCKETS as u64));
        for index in first..=last {
            let end = now.min(end_of(index));
            let silence = u32::try_from(end.since(heard).as_millis()).unwrap_or(u32::MAX);
            if let Some(longest) = self.silences.at(index) {
                *longest = silence.max(*longest);
            }
        }
    }

    /// The spans of the last hour that had not ended by `since`.
    fn spans_since(&self, since: Instant, now: Instant) -> Vec<SpanView> {
        let since = since.max(Instant::ZERO + now.since(Instant::ZERO + KEPT));
        let ended = self.spans.iter().skip(1).take_while(|next| next.from <= since).count();
        let view =
            |span: &Span| SpanView(ms(span.from), span.state.word(), u8::from(span.replaying));
        self.spans.iter().skip(ended).map(view).collect()
    }
}

/// The newest [`BUCKETS`] values, by the number of their bucket.
#[derive(Debug)]
struct Ring<T> {
    /// The number of the front.
    first: u64,
    items: VecDeque<T>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { first: 0, items: VecDeque::new() }
    }
}

impl<T: Copy + Default> Ring<T> {
    /// The value of a bucket; `None` if that is forgotten already.
    fn at(&mut self, index: u64) -> Option<&mut T> {
        if self.items.is_empty() || index >= self.first + (self.items.len() + BUCKETS) as u64 {
            self.items.clear();
            self.first = index;
        }
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        if place >= self.items.len() {
            self.items.resize(place + 1, T::default());
        }
        let over = self.items.len().saturating_sub(BUCKETS);
        self.items.drain(..over);
        self.first += over as u64;
        self.items.get_mut(place.checked_sub(over)?)
    }

    fn get(&self, index: u64) -> Option<T> {
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.items.get(place).copied()
    }
}

/// How far a reader has seen a history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    at: Option<Instant>,
    story: Option<u64>,
}

/// A stream in a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Brief {
    pub(crate) events_per_second: f64,
    /// The incident under way: since when (`HH:MM:SS`, UTC), and what was seen.
    pub(crate) incident: Option<(String, String)>,
}

/// A stream's time line, or what is new of it. Times are milliseconds on the history's own clock,
/// which says `now`.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    now: u64,
    bucket_ms: u64,
    /// The number of the first bucket in the lists; its time is that times `bucket_ms`.
    first: u64,
    late_after: u64,
    stale_after: u64,
    /// Per bucket.
    events: Vec<u32>,
    /// Per bucket.
    bytes: Vec<u32>,
    /// Seconds from the mark to the bucket; -1: not known.
    lag: Vec<i64>,
    lanes: Vec<LaneView>,
    /// The newest first; absent: as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    incidents: Option<Vec<IncidentView>>,
    /// What was reported outside of incidents, the newest first; absent: as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    happenings: Option<Vec<StepView>>,
}

/// One slot's part of a [`View`].
#[derive(Debug, Serialize)]
struct LaneView {
    spans: Vec<SpanView>,
    /// The longest silence in each bucket, milliseconds.
    silences: Vec<u32>,
}

/// From when, the state, and 1 if what was read was a replay.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct SpanView(u64, &'static str, u8);

fn bucket_of(at: Instant) -> u64 {
    ms(at) / BUCKET.as_millis() as u64
}

fn end_of(index: u64) -> Instant {
    Instant::ZERO + Duration::from_millis((index + 1) * BUCKET.as_millis() as u64)
}

/// Milliseconds on the history's clock.
const fn ms(at: Instant) -> u64 {
    at.as_nanos() / 1_000_000
}

#[cfg(test)]
mod tests;
