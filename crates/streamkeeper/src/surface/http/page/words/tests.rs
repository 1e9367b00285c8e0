//! Every state has its words.

use crate::api::status::{ConsumerStatus, IncidentStatus};

use super::*;

fn status(state: &'static str) -> StreamStatus {
    let text = format!(
        r#"{{"name": "acme", "state": "{state}", "detail": null, "mark": "2026-11-21T14:00:00Z",
            "suspects": 0, "slots": ["live", "resting"], "members": 2, "members_max": 20,
            "frames": 1, "pokes": 1, "bytes_received": 1, "accepted": 1, "accepted_bytes": 1,
            "duplicate": 0, "conflicting": 0, "garbled": 0, "replaced": 0, "replayed_new": 0,
            "replayed_duplicate": 0, "connects": 2, "rests": 0, "recoveries": 0,
            "last_frame": null, "incident": null, "last_incident": null, "queue_bytes": 0,
            "outbox_bytes": 0, "consumers": []}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn brief() -> Brief {
    Brief { events_per_second: 4.2, incident: None }
}

fn line(status: &StreamStatus) -> Line {
    Line::new(status, &brief())
}

#[test]
fn all_is_well() {
    let sentence = Sentence::new(&[line(&status("live"))]);
    assert_eq!(sentence.mood, Mood::Well);
    assert_eq!(sentence.text, "Nothing is lost: acme is live, all is read as it comes.");
    assert_eq!(sentence.mark.as_deref(), Some("2026-11-21T14:00:00Z"));
    let three = Sentence::new(&[1, 2, 3].map(|_| line(&status("live"))));
    assert_eq!(three.text, "Nothing is lost: 3 streams are live.");
    assert_eq!(Sentence::new(&[]).text, "No stream is configured.");
}

#[test]
fn a_slot_that_is_late_is_not_known_to_be_well() {
    let mut status = status("live");
    status.slots[0] = SlotCondition::Late;
    let others = [line(&self::status("live")), line(&status)];
    let sentence = Sentence::new(&others);
    assert_eq!(sentence.mood, Mood::Busy);
    assert_eq!(
        sentence.text,
        "acme: live, but 1 slot is without a frame for longer than usual: not known yet whether \
         something is missing; if that goes on, all is read again."
    );
    status.slots[1] = SlotCondition::Late;
    assert!(line(&status).text.contains("2 slots are without a frame"));
}

#[test]
fn an_incident_is_told_with_its_reason_and_its_bound() {
    let mut status = status("recovering");
    status.incident = Some(IncidentStatus {
        id: 1,
        cause: "stale".into(),
        recoveries: 1,
        start_date: Some("2026-11-20".into()),
        lost_from: None,
        lost_until: None,
        terminated_at: None,
        new: 0,
        recovered: 0,
        duplicate: 0,
        duration_ms: 10,
    });
    let incident = Some(("14:02:11".into(), "slot 1 was silent for 30 s".into()));
    let recovering = Line::new(&status, &Brief { incident, ..brief() });
    let others = [line(&self::status("live")), recovering, line(&self::status("starting"))];
    let sentence = Sentence::new(&others);
    assert_eq!(sentence.mood, Mood::Busy);
    assert_eq!(
        sentence.text,
        "acme: recovering since 14:02:11: slot 1 was silent for 30 s; reading again from \
         2026-11-20: nothing is lost as long as the service has that day. 1 more stream is not \
         simply live."
    );
}

#[test]
fn a_sink_that_takes_nothing_wants_a_person() {
    let mut status = status("live");
    status.consumers.push(ConsumerStatus {
        name: "archive".into(),
        delivered: 5,
        failures: 2,
        failing: Some("disk_full".into()),
        failing_detail: None,
        dead_letters: 0,
        backlog: 70,
    });
    let line = line(&status);
    assert_eq!(line.mood, Mood::Trouble);
    assert!(line.text.ends_with("sink archive takes no events (disk_full): 70 wait on disk"));
}

#[test]
fn every_detail_has_words_of_its_own() {
    let page = format!("{}/../../docs/{}", env!("CARGO_MANIFEST_DIR"), "semantics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("| `detail` |").nth(1).unwrap().lines().skip(2);
    let rows = rows.take_while(|row| row.starts_with('|'));
    let details: Vec<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(details.len() >= 7, "{details:?}");
    for detail in details {
        assert!(!degraded(Some(detail)).starts_with("degraded"), "{detail} has no words");
    }
}

#[test]
fn numbers_alone_are_no_difference() {
    let mut status = status("live");
    let before = line(&status);
    status.mark = Some("2026-11-21T14:00:05Z".into());
    assert!(!line(&status).differs(&before));
    status.slots[1] = SlotCondition::Late;
    assert!(line(&status).differs(&before));
}

#[test]
fn what_is_lost_for_good_is_never_called_nothing() {
    let lost = |state: &'static str| {
        let mut status = status(state);
        let incident = IncidentStatus {
            id: 1,
            cause: "checkpoint_expired".into(),
            recoveries: 1,
            start_date: None,
            lost_from: Some("2026-10-12T12:00:00Z".into()),
            lost_until: Some("2026-10-22T00:00:00Z".into()),
            terminated_at: None,
            new: 0,
            recovered: 0,
            duplicate: 0,
            duration_ms: 10,
        };
        match state {
            "live" => status.last_incident = Some(incident),
            _ => status.incident = Some(incident),
        }
        Sentence::new(&[line(&status)]).text
    };
    for text in [lost("live"), lost("recovering")] {
        assert!(text.contains("from 2026-10-12T12:00:00Z to 2026-10-22T00:00:00Z"), "{text}");
        assert!(!text.to_lowercase().contains("nothing is lost"), "{text}");
    }
}
