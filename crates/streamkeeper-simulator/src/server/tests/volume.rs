//! High rates over many connections.

use super::*;
use crate::{
    checker,
    record::{Size, Style},
};

#[test]
fn twenty_connections_take_five_thousand_events_a_second() {
    let mut config = quick();
    config.model.users = 2_000;
    config.model.members_max = 20;
    config.style = Style { size: Size::Small, ..Style::default() };
    let simulator = start(config);
    let id = create(&simulator, "acme");
    let clients: Vec<_> = (0..20).map(|_| Client::connect(&simulator, &id)).collect();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                let mut kept = String::new();
                while let Some(got) = client.next_event() {
                    kept += &got.data;
                    kept += "\n";
                }
                assert_eq!(client.ended, Some(Ended::Proper));
                kept
            })
        })
        .collect();
    simulator.set_rate(5_000 * 3_600);
    until("10,000 events", || simulator.truth_summary().versions >= 10_000);
    simulator.set_rate(0);
    let generated = simulator.truth_summary().versions;
    until("all are written", || {
        simulator.state().connections.iter().map(|c| c.events).sum::<u64>() == generated
    });
    simulator.fault(fault(json!({"kind": "end", "all": true}))).unwrap();
    let kept: String = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let expected = checker::Expected::default();
    let report = checker::check(kept.as_bytes(), &simulator.truth(), &expected).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.found, generated);
}
