//! Each finding, from envelopes and from raw records.

use super::*;
use crate::{
    model::{Config, EventId, Model, Resource, What},
    record::{self, ConnectionForm, Style},
};

const START: Millis = 1_780_000_000_000;

struct Sent {
    lines: Vec<String>,
    truth: Vec<TruthRow>,
}

/// Publishes these and gives what was sent.
fn sent(whats: &[What], style: Style) -> Sent {
    let mut model = Model::new(Config { users: 1, ..Config::default() }, 1, START);
    let ids: Vec<EventId> =
        whats.iter().map(|what| model.publish(0, *what, START).unwrap()).collect();
    let of = |id: &EventId| *model.event(*id).unwrap();
    Sent {
        lines: ids
            .iter()
            .map(|id| String::from_utf8(record::render(3, &of(id), style)).unwrap())
            .collect(),
        truth: ids.iter().map(|id| TruthRow::of(3, *id, &of(id), style)).collect(),
    }
}

fn records(count: usize) -> Sent {
    sent(&vec![What::New(Resource::Workout); count], Style::default())
}

fn check_lines(lines: &[String], truth: &[TruthRow]) -> Report {
    check(lines.join("\n").as_bytes(), truth, &Expected::default()).unwrap()
}

#[test]
fn a_complete_output_is_clean_raw_or_in_envelopes() {
    let Sent { lines, truth } = records(5);
    let report = check_lines(&lines, &truth);
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.lines, report.expected, report.found), (5, 5, 5));

    let enveloped = |line: &String| {
        format!(r#"{{"specversion":"1.0","id":"x","data": {line} ,"sequence":"1"}}"#)
    };
    let lines: Vec<_> = lines.iter().map(enveloped).collect();
    assert!(check_lines(&lines, &truth).is_clean());
}

#[test]
fn lost_and_duplicate_ones_are_found_with_their_places() {
    let Sent { lines, truth } = records(4);
    let kept = [&lines[0], &lines[3], &lines[0]].map(Clone::clone);
    let report = check_lines(&kept, &truth);
    assert_eq!(report.lost, Finding { count: 2, first: vec![1, 2] });
    assert_eq!(report.duplicate, Finding { count: 1, first: vec![3] });
    assert!(!report.is_clean());
    assert!(report.to_string().contains("2 lost (seq [1, 2])"), "{report}");
}

#[test]
fn a_missing_version_is_superseded_if_a_later_one_is_there() {
    let whats = [What::New(Resource::Sleep), What::Corrected(0), What::Withdrawn(0)];
    let Sent { lines, truth } = sent(&whats, Style::default());
    let report = check_lines(&[lines[0].clone(), lines[2].clone()], &truth);
    assert_eq!(report.superseded, Finding { count: 1, first: vec![1] });
    assert!(report.is_clean());
    let report = check_lines(&[lines[0].clone(), lines[1].clone()], &truth);
    assert_eq!(report.lost, Finding { count: 1, first: vec![2] });
    let report = check_lines(&[lines[2].clone(), lines[0].clone()], &truth);
    assert_eq!(report.regressed, Finding { count: 1, first: vec![2] });
}

#[test]
fn a_single_changed_byte_is_altered_and_a_stranger_unknown() {
    let Sent { mut lines, truth } = records(2);
    lines[1] = lines[1].replacen("fitbit", "fitbet", 1);
    lines.push(r#"{"id":"nobody","created_at":"2026-01-01T00:00:00.000Z"}"#.to_owned());
    lines.push("not json".to_owned());
    lines.push(r#"{"half":"#.to_owned());
    let report = check_lines(&lines, &truth);
    assert_eq!(report.altered, Finding { count: 1, first: vec![2] });
    assert_eq!(report.unknown, Finding { count: 1, first: vec![3] });
    assert_eq!(report.unreadable, Finding { count: 2, first: vec![4, 5] });
    assert_eq!(report.lost.count, 0, "it came, if altered");
    // Reordered fields are an alteration too.
    let whole: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let report = check_lines(&[whole.to_string()], &truth);
    assert_eq!((report.altered.count, report.lost.count), (1, 1));
}

#[test]
fn only_what_is_expected_can_be_lost() {
    let whats = [What::New(Resource::Sleep), What::New(Resource::Cgm), What::Rule];
    let Sent { truth, .. } = sent(&whats, Style::default());
    let lost = |expected: Expected| check(&b""[..], &truth, &expected).unwrap().lost.count;
    assert_eq!(lost(Expected::default()), 2);
    let only = |kinds: &[&str], resources: &[&str]| Expected {
        kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
        resources: resources.iter().map(|r| (*r).to_owned()).collect(),
        ..Expected::default()
    };
    assert_eq!(lost(only(&["data", "rule"], &[])), 3);
    assert_eq!(lost(only(&["data", "rule"], &["cgm"])), 2);
    assert_eq!(lost(Expected { available_before: Some(START), ..Expected::default() }), 0);
    assert_eq!(lost(Expected { created_from: Some(START + 1), ..Expected::default() }), 0);
}

#[test]
fn events_that_cannot_be_told_apart_count_as_one() {
    let style = Style { connections: ConnectionForm::Older, ..Style::default() };
    // Two of one kind and source among enough of them, by the user's own doing.
    let Sent { lines, truth } = sent(&[What::Connection; 40], style);
    let mut kept = lines.clone();
    kept.sort();
    kept.dedup();
    assert!(kept.len() < lines.len());
    let expected = Expected { kinds: vec!["connection".to_owned()], ..Expected::default() };
    let report = check(kept.join("\n").as_bytes(), &truth, &expected).unwrap();
    assert_eq!((report.lost.count, report.unknown.count), (0, 0));
}

#[test]
fn a_truth_row_survives_its_json() {
    let Sent { truth, .. } = records(1);
    let json = serde_json::to_string(&truth[0]).unwrap();
    assert_eq!(serde_json::from_str::<TruthRow>(&json).unwrap(), truth[0]);
    assert!(serde_json::from_str::<Sha>("\"zz\"").is_err());
}
