//! A replay that cannot even begin.

use std::path::Path;
use std::time::Duration;

use actix::Actor as _;
use actix_rt::{Arbiter, System};
use streamkeeper_core::watchdog::WatchdogConfig;
use streamkeeper_ledger::fs::FaultyFs;
use streamkeeper_ledger::{Ledger, LedgerConfig};

use crate::base::budget::Budget;
use crate::base::clock::Clock;
use crate::base::reports::Reports;
use crate::dialect::Dialect;
use crate::dialect::inform::Inform;
use crate::observe::registry::Registry;
use crate::store::desk::{GroupBounds, Tools as DeskTools};
use crate::store::writer::WriterPool;
use crate::transport::{HttpTransport, TransportSettings};

use super::*;
use crate::config::StreamConfig;
use crate::stream::tools::Tools;
use streamkeeper_sink::Secret;

#[test]
fn a_replay_whose_connection_has_no_thread_ends_and_says_so() {
    let disk = Arc::new(FaultyFs::new(1));
    let (ledger, _) = Ledger::open(disk, Path::new("/ledger"), LedgerConfig::default()).unwrap();
    let (reports, receiver) = Reports::channel(Clock::start());
    let budget = Budget::new(100_000);
    let entry = StreamEntry::new("s".into(), ledger.outbox(), budget.clone(), Vec::new());
    let entry = Arc::new(entry);
    let bounds = GroupBounds { delay: Duration::from_secs(1), bytes: 10_000 };
    let desk = DeskTools {
        ledger,
        bounds,
        budget: budget.clone(),
        bells: Vec::new(),
        entry: Arc::clone(&entry),
        reports: reports.clone(),
    };
    let writer = WriterPool::start(1, &Registry::default()).unwrap().open(0, desk).unwrap();
    let spec = ReplaySpec {
        stream: "s".to_owned(),
        from: jiff::civil::date(2026, 11, 21),
        only: Vec::new(),
        dry_run: false,
    };
    let wall = Timestamp::from_micros(0);
    let tally = Arc::new(Tally::new(spec, wall, reports.clone()));
    let config = StreamConfig::inform("s", "http://127.0.0.1:1", Secret::new("t"));
    let tools = Tools {
        config: Arc::new(config),
        rhythm: Arc::default(),
        session: Arc::default(),
        dialect: Dialect::Inform(Inform::default()),
        transport: HttpTransport::new(TransportSettings::new("http://127.0.0.1:1")).unwrap(),
        watchdog: WatchdogConfig::default(),
        event_bytes_max: 1,
        budget,
        writer: writer.clone(),
        clock: reports.clock(),
        reports,
        entry: Arc::clone(&entry),
        replaying: Arc::default(),
        tally: Some(Arc::clone(&tally)),
    };
    System::new().block_on(async {
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiter.stop();
        arbiter.join().unwrap();
        let connection = Connection::start_in_arbiter(&handle, |_| Connection::new(tools));
        let policy = MarkedConfig::new("acme", 1);
        let driver = Driver::start(
            Arc::clone(&tally),
            (entry, writer),
            &connection,
            Ask::place("/replay".to_owned()),
            (&policy, wall),
        );
        let ended = tokio::time::timeout(Duration::from_secs(60), driver.run(receiver)).await;
        assert_eq!(ended, Ok(()), "nobody waits for ever");
    });
    assert_eq!(tally.status().ended.as_deref(), Some("unreachable"));
}
