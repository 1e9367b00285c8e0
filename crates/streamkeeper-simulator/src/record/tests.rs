//! Sizes, variety, and that a version is always the same bytes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::model::{Config, DAY, HOUR, Model};

const START: Millis = 20_000 * DAY;

fn history() -> Model {
    let config = Config {
        events_per_hour: 2_000,
        history_for: HOUR,
        rule_permille: 20,
        connection_permille: 20,
        ..Config::default()
    };
    Model::new(config, 5, START)
}

fn json(event: &Event, style: Style) -> Value {
    serde_json::from_slice(&render(9, event, style)).unwrap()
}

#[test]
fn data_records_have_the_api_s_shape_and_sizes() {
    let model = history();
    let (mut least, mut most) = (usize::MAX, 0);
    let mut orders = BTreeSet::new();
    for event in model.events().iter().filter(|e| e.kind == Kind::Data) {
        let bytes = render(9, event, Style::default());
        (least, most) = (least.min(bytes.len()), most.max(bytes.len()));
        orders.insert(bytes[2]);
        assert!(!bytes.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["id"], record_id(9, event.record));
        assert_eq!(value["checksum"], checksum(9, event));
        assert_eq!(value["created_at"], rfc3339(event.created_at));
        assert_eq!(value["user"]["user_id"], user_id(9, event.user));
        assert_eq!(value["deleted_at"].is_string(), event.withdrawn);
        let small = render(9, event, Style { size: Size::Small, ..Style::default() });
        assert!(small.len() < 2_000);
    }
    assert!((450..=800).contains(&least), "{least}");
    assert!((15_000..=40_000).contains(&most), "{most}");
    assert!(orders.len() > 5, "the order of fields does not vary");
}

#[test]
fn a_restored_version_has_the_metrics_and_checksum_it_had() {
    let mut model = history();
    let now = model.now();
    let publish = |model: &mut Model, what| {
        let id = model.publish(1, what, now).unwrap();
        *model.event(id).unwrap()
    };
    use crate::model::What;
    let a = publish(&mut model, What::New(Resource::Workout));
    let b = publish(&mut model, What::Corrected(a.record));
    let c = publish(&mut model, What::Restored(a.record));
    let [a, b, c] = [a, b, c].map(|event| json(&event, Style::default()));
    assert_eq!(a["metrics"], c["metrics"]);
    assert_ne!(a["metrics"], b["metrics"]);
    assert_eq!(a["checksum"], c["checksum"]);
    assert_ne!(a["created_at"], c["created_at"]);
}

#[test]
fn connection_events_have_both_forms_and_rules_three_fields() {
    let model = history();
    let of = |kind| model.events().iter().filter(move |e| e.kind == kind);
    for event in of(Kind::Rule) {
        let value = json(event, Style::default());
        assert_eq!(value.as_object().unwrap().len(), 3);
        assert!(value["rule_id"].is_string() && value["triggered_at"].is_string());
    }
    let mut mixed = BTreeSet::new();
    for event in of(Kind::Connection) {
        let form = |connections| json(event, Style { connections, ..Style::default() });
        let newer = form(ConnectionForm::Newer);
        assert_eq!(newer["action"] == "delete", newer["deleted_at"].is_string());
        let older = form(ConnectionForm::Older);
        assert_eq!(older.as_object().unwrap().len(), 3);
        mixed.insert(form(ConnectionForm::Mixed).get("action").is_some());
    }
    assert_eq!(mixed.len(), 2);
}

#[test]
fn ids_are_hex_of_both_lengths() {
    let lengths: BTreeSet<_> = (0..200).map(|record| record_id(1, record).len()).collect();
    assert_eq!(lengths, BTreeSet::from([24, 32]));
    assert_eq!(user_id(1, 7).len(), 24);
    assert_ne!(user_id(1, 7), user_id(2, 7));
}
