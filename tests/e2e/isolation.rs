//! Several streams in one process: what befalls one slows no other.

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use serde_json::json;
use streamkeeper::config::Config;
use streamkeeper::{StreamStatus, Streamkeeper};
use streamkeeper_simulator::checker::{self, Expected};
use streamkeeper_sink::{
    BoxFuture, Envelope, Sink, SinkConfigError, SinkError, SinkFactory, SinkTable,
};

use super::support::{Service, Settings, wait_for};

/// A sink that takes nothing, ever.
struct Stuck;

impl Sink for Stuck {
    fn deliver<'a>(&'a self, _: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(std::future::pending())
    }
}

struct StuckFactory;

impl SinkFactory for StuckFactory {
    fn type_name(&self) -> &'static str {
        "stuck"
    }

    fn check(&self, _: &str, table: SinkTable) -> Result<(), SinkConfigError> {
        table.finish()
    }

    fn build(&self, _: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        table.finish().map(|()| Box::new(Stuck) as Box<dyn Sink>)
    }
}

fn factories() -> Vec<Box<dyn SinkFactory>> {
    let mut factories = streamkeeper_sinks::factories();
    factories.push(Box::new(StuckFactory));
    factories
}

#[test]
fn a_bad_token_a_storm_and_a_full_outbox_slow_no_other_stream() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("calm.ndjson");
    let (calm, other) = (Service::process(&[]), Service::process(&["--rate=100"]));
    let (storm, full) = (Service::process(&["--rate=2000"]), Service::process(&["--rate=2000"]));
    let stream = |name: &str, service: &Service| Settings::scaled(&service.url).with("name", name);
    let text = [
        stream("calm", &calm).stream(),
        stream("refused", &other).with("token", "wrong").stream(),
        stream("storm", &storm).with("connections", 10).stream(),
        stream("full", &full).with("ledger.outbox_bytes", "1MiB").stream(),
        format!(
            "[[sink]]\nname = \"archive\"\ntype = \"file\"\npath = {output:?}\nstreams = [\"calm\"]\n\
             [[sink]]\nname = \"stuck\"\ntype = \"stuck\"\nstreams = [\"full\"]\n\
             [[sink]]\nname = \"rest\"\ntype = \"file\"\npath = {:?}\nstreams = [\"refused\", \"storm\"]\n",
            folder.path().join("rest.ndjson"),
        ),
    ];
    let mut config = Config::from_toml_str(&text.concat(), &factories()).unwrap();
    config.service.data_dir = folder.path().join("data");
    let keeper = Streamkeeper::builder(config).sink_factories(factories()).start().unwrap();
    let status = |name: &str| {
        let streams = keeper.status().streams;
        streams.into_iter().find(|stream| stream.name == name).unwrap()
    };
    let wait = |name: &str, state: &str, detail: Option<&str>| {
        wait_for(&format!("{name} to be {state}"), || {
            let is_so = |stream: &StreamStatus| {
                stream.state.word() == state && stream.detail.as_deref() == detail
            };
            Some(status(name)).filter(is_so)
        })
    };
    wait("full", "degraded", Some("outbox_full"));
    wait("refused", "degraded", Some("token_refused"));
    wait("storm", "live", None);
    let before = wait("calm", "live", None);

    // Twice `stale_after`: who is slowed for so long is seen to be late, or recovers.
    let ends = calm.state().now_ms + 5_000;
    wait_for("the end of the storm", || {
        storm.fault(json!({"kind": "rst", "count": 3}));
        assert_eq!(status("calm").state.word(), "live");
        let raged = status("storm").connects > 15;
        (calm.state().now_ms >= ends && raged).then_some(())
    });
    let after = status("calm");
    assert_eq!(after.connects, before.connects, "no connection was lost");
    assert_eq!(after.recoveries, 0);
    for (name, detail) in [("full", "outbox_full"), ("refused", "token_refused")] {
        wait(name, "degraded", Some(detail));
    }

    calm.generate(0.0);
    let truth = calm.truth();
    wait_for("all of the calm stream's events", || {
        let delivered = BufReader::new(File::open(&output).unwrap());
        let report = checker::check(delivered, &truth, &Expected::default()).unwrap();
        (report.lost.count == 0).then(|| assert!(report.is_clean(), "{report}"))
    });
    // What is stuck holds up the end no longer than it may.
    let stopped = keeper.stop_blocking(Duration::from_secs(5));
    assert!(!stopped.delivered, "the stuck sink has taken nothing");
}
