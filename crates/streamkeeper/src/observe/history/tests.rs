//! The last hour, in simulated time.

use streamkeeper_core::classify::End;
use streamkeeper_core::id::{ConnectionId, Epoch, IncidentId, Reader, SlotId, StreamId};
use streamkeeper_core::marked::establish::CallFailure;
use streamkeeper_core::marked::{self, Cause, IncidentSummary, Lost};
use streamkeeper_core::time::UtcDay;
use streamkeeper_core::watchdog::Lack;

use super::*;

const BOUNDS: Bounds =
    Bounds { late_after: Duration::from_secs(10), stale_after: Duration::from_secs(30) };

fn at(seconds: f64) -> Instant {
    Instant::ZERO + Duration::from_secs_f64(seconds)
}

fn sight<'a>(slots: &'a [SlotCondition], events: u64) -> Sight<'a> {
    let lag = Some(Duration::from_secs(7));
    Sight { slots, replaying: false, events, bytes: events * 100, lag }
}

fn history() -> History {
    let mut history = History::default();
    history.set_bounds(BOUNDS);
    history
}

fn whole(history: &mut History, now: Instant) -> View {
    history.view(now, &mut Cursor::default())
}

fn connection(slot: u8) -> ConnectionId {
    ConnectionId { reader: Reader::Slot(SlotId(slot)), epoch: Epoch(1) }
}

fn summary() -> IncidentSummary {
    IncidentSummary {
        id: IncidentId(1),
        cause: Cause::Stale(SlotId(1)),
        recoveries: 1,
        start_date: None,
        lost: None,
        terminated_at: noon(),
        new: 40,
        recovered: 12,
        duplicate: 3_000,
        duration: Duration::from_millis(95_500),
    }
}

fn noon() -> Timestamp {
    Timestamp::from_micros(1_795_262_400_000_000)
}

#[test]
fn a_lane_is_the_spans_of_its_states() {
    let mut history = history();
    for (time, word) in [
        (0.0, SlotCondition::Connecting),
        (1.0, SlotCondition::Live),
        (2.0, SlotCondition::Live),
        (40.0, SlotCondition::Late),
    ] {
        history.observe(at(time), sight(&[word], 0));
    }
    let view = whole(&mut history, at(50.0));
    let expected =
        [SpanView(0, "connecting", 0), SpanView(1_000, "live", 0), SpanView(40_000, "late", 0)];
    assert_eq!(view.lanes[0].spans, expected);
}

#[test]
fn a_reader_gets_what_has_changed_and_no_more() {
    let mut history = history();
    let mut cursor = Cursor::default();
    for second in 0..600_u32 {
        let word = if second % 60 < 50 { SlotCondition::Live } else { SlotCondition::Resting };
        history.observe(at(f64::from(second)), sight(&[word], u64::from(second)));
    }
    let view = history.view(at(600.0), &mut cursor);
    assert_eq!(view.events.len(), 121);
    assert_eq!(view.lanes[0].spans.len(), 20);
    assert!(view.incidents.is_some());
    history.observe(at(601.0), sight(&[SlotCondition::Live], 700));
    let view = history.view(at(601.0), &mut cursor);
    assert_eq!((view.first, view.events.as_slice()), (120, [101].as_slice()));
    let spans = [SpanView(590_000, "resting", 0), SpanView(601_000, "live", 0)];
    assert_eq!(view.lanes[0].spans, spans, "the one that was open, and its end");
    assert!(view.incidents.is_none() && view.happenings.is_none());
    let view = history.view(at(602.0), &mut cursor);
    assert_eq!(view.lanes[0].spans, spans[1..]);
}

#[test]
fn rates_are_what_came_between_two_looks() {
    let mut history = history();
    history.observe(at(1.0), sight(&[SlotCondition::Live], 10));
    history.observe(at(4.0), sight(&[SlotCondition::Live], 25));
    history.observe(at(6.0), sight(&[SlotCondition::Live], 30));
    let view = whole(&mut history, at(6.0));
    assert_eq!(view.events, [25, 5]);
    assert_eq!(view.bytes, [2_500, 500]);
    assert_eq!(view.lag, [7, 7]);
    let brief = history.brief(at(6.0));
    assert!((brief.events_per_second - 5.0).abs() < 1e-9, "of the bucket that is complete");
}

#[test]
fn a_silence_is_a_slope_that_ends_with_a_frame() {
    let mut history = history();
    history.observe(at(0.0), sight(&[SlotCondition::Live, SlotCondition::Live], 0));
    for second in 1..=20 {
        history.heard(at(f64::from(second)), 0);
    }
    history.heard(at(3.0), 1);
    history.heard(at(18.0), 1);
    let view = whole(&mut history, at(19.0));
    assert_eq!(view.lanes[0].silences, [1_000; 4]);
    assert_eq!(view.lanes[1].silences, [3_000, 7_000, 12_000, 15_000]);
}

#[test]
fn a_hang_is_visible_though_no_frame_ends_it() {
    let mut history = history();
    history.observe(at(0.0), sight(&[SlotCondition::Live], 0));
    history.heard(at(2.0), 0);
    assert_eq!(whole(&mut history, at(12.0)).lanes[0].silences, [3_000, 8_000, 10_000]);
    history.observe(at(22.0), sight(&[SlotCondition::Closing], 0));
    history.heard(at(23.0), 0); // a frame of the connection that is being closed
    let view = whole(&mut history, at(40.0));
    let expected = [3_000, 8_000, 13_000, 18_000, 20_000, 0, 0, 0, 0];
    assert_eq!(view.lanes[0].silences, expected, "and not longer than the connection lived");
}

#[test]
fn time_in_which_we_do_not_read_is_not_silence() {
    let mut history = history();
    history.observe(at(0.0), sight(&[SlotCondition::Live], 0));
    history.heard(at(1.0), 0);
    history.blocked(at(2.0), 0);
    history.heard(at(14.0), 0);
    let view = whole(&mut history, at(16.0));
    assert_eq!(view.lanes[0].silences, [1_000, 0, 1_000, 2_000]);
}

#[test]
fn an_hour_is_kept_and_memory_is_bounded() {
    let mut history = history();
    for tick in 0..40_000_u32 {
        let now = at(f64::from(tick) * 0.5);
        let word = if tick % 2 == 0 { SlotCondition::Live } else { SlotCondition::Late };
        history.observe(now, sight(&[word, SlotCondition::Live], u64::from(tick)));
        history.heard(now, 1);
        history.report(now, noon(), &Report::Late(connection((tick % 200) as u8), Lack::Silence));
    }
    let view = whole(&mut history, at(20_000.0));
    assert_eq!(view.events.len(), BUCKETS);
    assert_eq!(view.lanes[0].spans.len(), SPANS_MAX);
    assert_eq!(view.lanes[1].spans.len(), 1);
    assert_eq!(history.buckets.items.len(), BUCKETS);
    assert!(history.lanes[1].silences.items.len() <= BUCKETS);
    assert!(view.happenings.unwrap().len() <= 48);
    // A process that was suspended for a day.
    history.observe(at(110_000.0), sight(&[SlotCondition::Live, SlotCondition::Live], 50_000));
    let view = whole(&mut history, at(110_000.0));
    assert_eq!(view.events.iter().filter(|events| **events > 0).count(), 1);
    assert!(history.buckets.items.len() <= BUCKETS);
}

#[test]
fn spans_that_ended_an_hour_ago_are_gone() {
    let mut history = history();
    history.observe(at(0.0), sight(&[SlotCondition::Connecting], 0));
    history.observe(at(1.0), sight(&[SlotCondition::Live], 0));
    history.observe(at(5_000.0), sight(&[SlotCondition::Late], 0));
    let view = whole(&mut history, at(5_001.0));
    assert_eq!(view.lanes[0].spans.len(), 2, "live reaches into the last hour");
    assert_eq!(view.lanes[0].spans[0], SpanView(1_000, "live", 0));
}

#[test]
fn an_incident_tells_its_story() {
    let mut history = history();
    let started = marked::Report::RecoveryStarted {
        incident: IncidentId(1),
        cause: Cause::Stale(SlotId(1)),
        connections: 3,
        mark: Some(noon()),
    };
    let day: UtcDay = "2026-11-21".parse().unwrap();
    let killed = Report::Ended { connection: connection(0), end: End::Killed, suspect: true };
    let id = StreamId("5f1a0c0ffee".into());
    let created =
        marked::Report::Created { id: id.clone(), name: "acme".into(), start_date: Some(day) };
    let refused = CallFailure::Unavailable { status: Some(503), acted: false };
    let story = [
        (10.0, marked::Report::CaughtUp { incident: None }.into()),
        (90.0, Report::Late(connection(1), Lack::Silence)),
        (110.0, started.into()),
        (110.1, killed),
        (110.2, marked::Report::Terminated.into()),
        (110.3, marked::Report::CallFailed(refused).into()),
        (111.3, marked::Report::CallFailed(refused).into()),
        (112.0, marked::Report::Deleted(id).into()),
        (113.0, created.into()),
    ];
    for (time, report) in story {
        history.report(at(time), noon(), &report);
    }
    let brief = history.brief(at(114.0)).incident.unwrap();
    assert_eq!(brief, ("12:00:00".into(), "slot 1 was silent for 30 s".into()));
    let done = marked::Report::CaughtUp { incident: Some(summary()) };
    history.report(at(205.5), noon(), &done.into());
    assert_eq!(history.brief(at(206.0)).incident, None);

    let view = serde_json::to_value(whole(&mut history, at(210.0))).unwrap();
    let incident = &view["incidents"][0];
    let steps: Vec<_> =
        incident["steps"].as_array().unwrap().iter().map(|s| s["text"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        [
            "slot 1 has been silent for 10 s: late",
            "recovery: slot 1 was silent for 30 s; closing 3 connections, to read again from the \
             mark, 2026-11-21 12:00:00 UTC",
            "all connections are closed",
            "a call failed: 503, not available; it is tried again",
            "DELETE: the service has deleted the old stream",
            "CREATE: a new stream that starts on 2026-11-21; connecting to it",
            "caught up after 1 min 35 s: 12 events came back, 3000 were known already, 40 were \
             accepted in all",
        ]
    );
    assert_eq!(incident["steps"][3]["times"], 2);
    assert_eq!(incident["over"], 205_500);
    assert_eq!(view["happenings"][0]["text"], "caught up with the stream's history");
    assert!(!view.to_string().contains("c0ffee"), "the service's ids are not shown");
}

#[test]
fn a_second_recovery_belongs_to_the_same_incident() {
    let mut history = history();
    let started = |id| marked::Report::RecoveryStarted {
        incident: IncidentId(id),
        cause: Cause::Operator,
        connections: 1,
        mark: None,
    };
    history.report(at(1.0), noon(), &started(1).into());
    history.report(at(2.0), noon(), &started(1).into());
    history.report(at(3.0), noon(), &marked::Report::CaughtUp { incident: Some(summary()) }.into());
    for id in 2..50 {
        history.report(at(id as f64 * 10.0), noon(), &started(id).into());
        let done = marked::Report::CaughtUp { incident: Some(summary()) };
        history.report(at(id as f64 * 10.0 + 1.0), noon(), &done.into());
    }
    let incidents = history.story.incidents();
    assert_eq!(incidents.len(), 20, "the newest of them");
    let view = serde_json::to_value(&incidents[0]).unwrap();
    assert_eq!(view["id"], 49);
}

#[test]
fn a_story_says_from_when_to_when_events_are_lost_for_good() {
    let mut history = history();
    let lost = Lost { from: noon().minus(Duration::from_secs(864_000)), until: noon() };
    let (incident, cause) = (IncidentId(1), Cause::CheckpointExpired);
    let started = marked::Report::RecoveryStarted { incident, cause, connections: 1, mark: None };
    let over = Some(IncidentSummary { lost: Some(lost), ..summary() });
    for report in
        [started, marked::Report::HistoryLost(lost), marked::Report::CaughtUp { incident: over }]
    {
        history.report(at(1.0), noon(), &report.into());
    }
    let view = serde_json::to_value(whole(&mut history, at(2.0)).incidents).unwrap();
    let steps = view[0]["steps"].as_array().unwrap();
    let span = "events from 2026-11-11 12:00:00 UTC to 2026-11-21 12:00:00 UTC that had not come are lost for good";
    for step in &steps[1..] {
        assert!(step["text"].as_str().unwrap().contains(span), "{step}");
    }
}
