//! What a scrape says, and that the table and the documentation say the same.

use crate::api::condition::{SlotCondition, StreamCondition};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use streamkeeper_core::classify::End;
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::Ledger;
use streamkeeper_ledger::fs::FaultyFs;

use crate::base::budget::Budget;
use crate::dialect::event::EventKind;
use crate::observe::counts::TypeCounts;
use crate::observe::registry::Consumer;

use super::*;

/// A registry with one stream that has something to say for every metric.
fn registry() -> Registry {
    let registry = Registry::default();
    let config =
        streamkeeper_ledger::LedgerConfig { sinks: vec!["archive".into()], ..Default::default() };
    let disk = Arc::new(FaultyFs::new(1));
    let (ledger, _) = Ledger::open(disk, Path::new("/ledger"), config).unwrap();
    let consumers = vec![Arc::new(Consumer::new("archive"))];
    let entry =
        Arc::new(StreamEntry::new("acme".into(), ledger.outbox(), Budget::new(1_000), consumers));
    entry.update(|view| {
        view.state = StreamCondition::Degraded;
        view.detail = Some("unreachable");
        view.mark = Some(Timestamp::from_micros(1_500_000));
        view.slots = vec![SlotCondition::Live, SlotCondition::Live, SlotCondition::Resting];
        view.members = Some(2);
        view.members_max = Some(3);
    });
    entry.counters.last_frame.store(2_000_000, Ordering::Relaxed);
    entry.counters.pokes.store(7, Ordering::Relaxed);
    entry.measured.last_data.store(1_000_000, Ordering::Relaxed);
    entry.measured.frame_gap.observe(Duration::from_secs(5));
    entry.measured.ended(End::Reset);
    entry.measured.ended(End::NotOpened { sent: false });
    let mut types = TypeCounts::default();
    types.add(EventKind::Data, Some("summary"));
    entry.measured.accepted.add(types);
    entry.consumers[0].failed.add("disk_full");
    registry.insert(entry);
    registry
}

#[test]
fn a_scrape_has_every_metric_of_the_table_and_no_other() {
    let text = render(&registry(), Format::OpenMetrics);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let names =
        |of: fn(&str) -> Option<String>| text.lines().filter_map(of).collect::<BTreeSet<_>>();
    let samples = names(|line| {
        let name = line.split(['{', ' ']).next().filter(|name| *name != "#")?;
        let suffixes = ["_bucket", "_sum", "_count"];
        Some(suffixes.iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name).to_owned())
    });
    let table: Vec<_> =
        TABLES.into_iter().flatten().map(|metric| format!("{PREFIX}_{}", metric.name)).collect();
    assert_eq!(samples, table.iter().cloned().collect(), "{text}");
    assert_eq!(samples.len(), table.len(), "each has one row");
    for metric in TABLES.into_iter().flatten() {
        let is_total = metric.name.ends_with("_total");
        assert_eq!(is_total, matches!(metric.kind, Kind::Counter), "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
}

#[test]
fn samples_say_what_the_registry_says() {
    let text = render(&registry(), Format::OpenMetrics);
    for line in [
        r#"streamkeeper_stream_state{stream="acme",state="degraded"} 1"#,
        r#"streamkeeper_stream_state{stream="acme",state="live"} 0"#,
        r#"streamkeeper_stream_degraded{stream="acme",reason="unreachable"} 1"#,
        r#"streamkeeper_slots{stream="acme",state="live"} 2"#,
        r#"streamkeeper_upstream_members_limit{stream="acme"} 3"#,
        r#"streamkeeper_low_water_timestamp_seconds{stream="acme"} 1.5"#,
        r#"streamkeeper_frames_total{stream="acme",kind="poke"} 7"#,
        r#"streamkeeper_frame_gap_seconds_bucket{le="4.0",stream="acme"} 0"#,
        r#"streamkeeper_frame_gap_seconds_bucket{le="6.0",stream="acme"} 1"#,
        r#"streamkeeper_frame_gap_seconds_bucket{le="+Inf",stream="acme"} 1"#,
        r#"streamkeeper_frame_gap_seconds_sum{stream="acme"} 5.0"#,
        r#"streamkeeper_connects_total{stream="acme",outcome="unreachable"} 1"#,
        r#"streamkeeper_connects_total{stream="acme",outcome="opened"} 0"#,
        r#"streamkeeper_disconnects_total{stream="acme",reason="reset"} 1"#,
        r#"streamkeeper_incidents_total{stream="acme",cause="stale"} 0"#,
        r#"streamkeeper_events_accepted_total{stream="acme",type="summary"} 1"#,
        r#"streamkeeper_sink_failures_total{stream="acme",sink="archive",reason="disk_full"} 1"#,
        r#"streamkeeper_outbox_events{stream="acme",sink="archive"} 0"#,
        "streamkeeper_config_last_reload_successful 1",
        "# TYPE streamkeeper_build info",
        "# UNIT streamkeeper_frame_gap_seconds seconds",
        "# UNIT streamkeeper_outbox_bytes bytes",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn the_text_format_has_the_same_samples_under_comments_of_its_own() {
    // Of one scrape: the time that the process has used is other at the next.
    let open_metrics = render(&registry(), Format::OpenMetrics);
    let text = format::as_text(&open_metrics);
    let samples = |text: &str| {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&text), samples(&open_metrics));
    for metric in TABLES.into_iter().flatten() {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
        };
        let (name, help) = (format!("{PREFIX}_{}", metric.name), metric.help);
        let comments = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        assert!(text.contains(&comments), "{comments}\n{text}");
        // Each form has escapes of its own.
        assert!(!help.contains(['"', '\\', '\n']), "{help}");
    }
    assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
}

#[test]
fn what_is_not_known_has_no_sample_and_what_is_gone_has_none() {
    let text = render(&Registry::default(), Format::OpenMetrics);
    assert!(!text.contains("acme"), "{text}");
    let registry = registry();
    registry.entries()[0].update(|view| *view = View::default());
    let text = render(&registry, Format::OpenMetrics);
    for name in ["stream_degraded", "upstream_members", "low_water_timestamp_seconds"] {
        assert!(!text.contains(&format!("{PREFIX}_{name}{{")), "{name}: {text}");
    }
}

#[test]
fn the_documentation_lists_the_table() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let path = docs.join("metrics.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "WRITE_DOCS=1 cargo test -p streamkeeper --lib metrics");
}
