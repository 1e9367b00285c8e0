//! Tests of the words of `status`.

use super::*;
use streamkeeper::{SlotCondition, StreamCondition};

fn stream() -> StreamStatus {
    let archive = ConsumerStatus {
        name: "archive".into(),
        delivered: 12_000,
        failures: 3,
        failing: Some("write_failed".into()),
        failing_detail: None,
        dead_letters: 0,
        backlog: 345,
    };
    StreamStatus {
        replay: None,
        name: "acme".into(),
        state: StreamCondition::Degraded,
        detail: Some("outbox_full".into()),
        mark: Some("2026-11-21T08:54:03.25Z".into()),
        suspects: 1,
        slots: vec![SlotCondition::Live, SlotCondition::Late, SlotCondition::BackingOff],
        members: Some(2),
        members_max: Some(20),
        frames: 13_000,
        pokes: 600,
        bytes_received: 10 << 20,
        accepted: 12_345,
        accepted_bytes: 9 << 20,
        duplicate: 55,
        conflicting: 0,
        garbled: 1,
        replaced: 0,
        replayed_new: 7,
        replayed_duplicate: 50,
        connects: 4,
        rests: 2,
        recoveries: 1,
        last_frame: Some("2026-11-21T08:59:59Z".into()),
        incident: None,
        last_incident: None,
        queue_bytes: 2_048,
        outbox_bytes: 1 << 20,
        consumers: vec![archive],
    }
}

fn said(stream: StreamStatus) -> String {
    running(&process(stream), None, now())
}

fn now() -> SystemTime {
    parse_rfc3339("2026-11-21T09:00:03.5Z").unwrap()
}

fn process(stream: StreamStatus) -> ProcessStatus {
    ProcessStatus {
        version: "1.2.3".into(),
        pid: 42,
        uptime_s: 3_600,
        listen: None,
        streams: vec![stream],
        last_reload_refused: false,
    }
}

#[test]
fn whoever_watches_sees_the_rate_since_the_last_look() {
    let then = StreamStatus { accepted: 12_325, ..stream() };
    let earlier = |process| {
        let found = Found { running: true, process: Some(process), ledgers: None, note: None };
        Earlier { found, at: now() - Duration::from_secs(2) }
    };
    let same = earlier(process(then.clone()));
    let restarted = earlier(ProcessStatus { pid: 41, ..process(then) });
    let said = |earlier| running(&process(stream()), Some(earlier), now());
    assert!(said(&same).contains("12,345 accepted (10.0/s now)"));
    assert!(said(&restarted).contains("12,345 accepted (3.4/s on average)"));
}

#[test]
fn a_stream_is_told_in_words() {
    assert_eq!(
        said(stream()),
        "\
streamkeeper 1.2.3, process 42, running for 1h

stream acme: degraded (outbox_full)
  mark      2026-11-21T08:54:03.25Z, 6m ago
  suspects  1 hold the mark down
  slots     live late backing_off
  members   2 of 20 that the service allows
  frames    13,000, 600 of them pokes, 10.00 MiB; the last 2026-11-21T08:59:59Z, 4s ago
  events    12,345 accepted (3.4/s on average), 55 known already, 1 garbled
  repairs   connects 4, rests 2, recoveries 1 (7 new, 50 known)
  waiting   2.00 KiB for the disk, 1.00 MiB for sinks
  sink      archive: delivered 12,000, backlog 345, failures 3, failing now: write_failed
"
    );
}

#[test]
fn an_incident_is_told_in_words() {
    let under_way = IncidentStatus {
        id: 3,
        cause: "stale".into(),
        recoveries: 2,
        start_date: Some("2026-11-20".into()),
        lost_from: None,
        lost_until: None,
        terminated_at: Some("2026-11-21T08:59:00Z".into()),
        new: 9,
        recovered: 5,
        duplicate: 1_234,
        duration_ms: 62_500,
    };
    assert_eq!(
        incident(&under_way, "under way"),
        "3 under way: stale, 1m 2s, recoveries 2; read again from 2026-11-20: 5 recovered, 1,234 \
         known"
    );
    let lost = IncidentStatus {
        lost_from: Some("2026-10-12T12:00:00Z".into()),
        lost_until: Some("2026-10-22T00:00:00Z".into()),
        ..under_way.clone()
    };
    let text = incident(&lost, "over");
    let words = "; LOST for good: what came from 2026-10-12T12:00:00Z to 2026-10-22T00:00:00Z";
    assert!(text.ends_with(words), "{text}");
    let begun = IncidentStatus { start_date: None, terminated_at: None, ..under_way.clone() };
    assert!(incident(&begun, "under way").contains("everything is being closed"));
    let text = said(StreamStatus {
        incident: Some(under_way.clone()),
        last_incident: Some(IncidentStatus { id: 2, ..under_way }),
        ..stream()
    });
    assert!(text.contains("\n  incident  3 under way: "), "{text}");
    assert!(text.contains("\n  last      2 over: stale"), "{text}");
}

#[test]
fn what_is_not_known_is_not_made_up() {
    let text = said(StreamStatus {
        state: StreamCondition::Starting,
        detail: None,
        mark: None,
        suspects: 0,
        members: None,
        last_frame: None,
        ..stream()
    });
    assert!(text.contains("stream acme: starting\n  mark      none yet\n  slots"), "{text}");
    assert!(text.contains("the last never"), "{text}");
    assert!(!text.contains("members"), "{text}");
    // A clock ahead of ours has no age.
    let ahead = at(Some("2030-01-01T00:00:00Z"), "", SystemTime::UNIX_EPOCH);
    assert_eq!(ahead, "2030-01-01T00:00:00Z");
}
