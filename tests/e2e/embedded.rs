//! In a program of somebody else, which takes its time.

use std::time::Duration;

use streamkeeper::config::Config;
use streamkeeper::{StreamStatus, Streamkeeper};
use streamkeeper_simulator::checker::{self, Expected};

use super::support::{Service, Settings, wait_for};

#[test]
fn an_application_that_takes_nothing_fills_the_outbox_and_reading_waits() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::process(&["--rate=3000"]);
    let settings = Settings::scaled(&service.url).with("ledger.outbox_bytes", "1MiB");
    let mut config = Config::from_toml_str(&settings.stream(), &[]).unwrap();
    config.service.data_dir = folder.path().to_owned();
    let keeper = Streamkeeper::start(config).unwrap();
    let mut deliveries = keeper.deliveries().unwrap();
    let wait = |what: &str, so: &dyn Fn(&StreamStatus) -> bool| {
        wait_for(what, || keeper.status().streams.into_iter().find(so))
    };
    let full = wait("a full outbox", &|stream| stream.detail.as_deref() == Some("outbox_full"));
    // Longer than `stale_after`.
    service.wait_time(Duration::from_secs(4));
    let later = wait("the same", &|stream| stream.detail.as_deref() == Some("outbox_full"));
    assert!(later.outbox_bytes < 2 << 20, "{} bytes on disk", later.outbox_bytes);
    assert!(later.accepted < full.accepted + 20_000, "accepting has stopped");

    service.generate(0.0);
    let truth = service.truth();
    let mut output = Vec::new();
    for _ in &truth {
        let delivery = deliveries.recv_blocking().unwrap();
        delivery.envelope().to_cloudevents_json(&mut output);
        output.push(b'\n');
        delivery.ack();
    }
    let report = checker::check(output.as_slice(), &truth, &Expected::default()).unwrap();
    assert!(report.is_clean() && report.duplicate.count == 0, "{report}");
    wait("the stream to be live", &|stream| stream.state.word() == "live");
    keeper.stop_blocking(Duration::from_secs(10));
}
