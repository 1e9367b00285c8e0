//! What the scenarios share: the service, the keeper, and the verdict at the end.
//!
//! [`Service`] is the simulator with its control port, [`Keeper`] the process under test with its
//! log, [`Scenario`] the two of them from the first event to the checker's report.

#[path = "../../../crates/streamkeeper/tests/transport/authority.rs"]
mod authority;
mod browser;
mod cursored;
mod keeper;
mod network;
mod service;
mod settings;
mod sse_server;
mod web_socket_server;

use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};

use streamkeeper_simulator::checker::{self, Expected, Report};
use streamkeeper_simulator::server::StateView;
use streamkeeper_simulator::truth::TruthRow;

pub(crate) use self::authority::Authority;
pub(crate) use self::browser::Browser;
pub(crate) use self::cursored::{delivered, status, stream_of, wait_delivered};
pub(crate) use self::keeper::{
    Ended, Keeper, Line, Log, WallClock, command, library, need, run_to_end, signal, streamkeeper,
};
pub(crate) use self::network::{Cut, Network};
pub(crate) use self::service::{Service, calls, request, request_with, try_request};
pub(crate) use self::settings::{STREAM, Settings};
pub(crate) use self::sse_server::{Asked, SseServer};
pub(crate) use self::web_socket_server::WebSocketServer;

/// Nothing in a scenario takes longer, or something is wrong. Generous, because the machine may be
/// busy with other tests; a test that passes never waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_for_within(PATIENCE, what, look)
}

/// Waits until `look` finds something, for so long.
#[track_caller]
pub(crate) fn wait_for_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let ends = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < ends, "waited {patience:?} for {what}, in vain");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A service and a keeper that reads its one stream into a file.
pub(crate) struct Scenario {
    pub(crate) keeper: Keeper,
    pub(crate) service: Service,
}

/// A scenario that ended well, for what else is to be said about it.
pub(crate) struct Finished {
    pub(crate) log: Log,
    /// The service's view just before the keeper was stopped.
    pub(crate) state: StateView,
    pub(crate) report: Report,
}

impl Scenario {
    /// Two processes, 500 events a second over three connections; reads the live stream.
    pub(crate) fn start() -> Self {
        Self::with(Service::process(&[]), |settings| settings)
    }

    /// A given service, and settings that differ from the scaled ones; reads the live stream.
    pub(crate) fn with(service: Service, change: impl FnOnce(Settings) -> Settings) -> Self {
        Self::begin(service, change).live()
    }

    /// Waits until the history has been read.
    pub(crate) fn live(self) -> Self {
        self.keeper.wait_said(CAUGHT_UP, 1);
        self
    }

    /// The same, but does not wait for anything.
    pub(crate) fn begin(service: Service, change: impl FnOnce(Settings) -> Settings) -> Self {
        let settings = change(Settings::scaled(&service.url));
        Self { keeper: Keeper::start(&settings), service }
    }

    /// Waits for the end of the first so many incidents, and gives the last one's line.
    #[track_caller]
    pub(crate) fn wait_recovered(&self, times: usize) -> Line {
        self.keeper.wait_said(RECOVERED, times)
    }

    /// Ends the scenario: everything that was ever sent has to arrive, once and unaltered, and a
    /// stop has to be graceful.
    #[track_caller]
    pub(crate) fn finish(self) -> Finished {
        self.finish_expecting(&Expected::default())
    }

    /// The same, for a part of the truth.
    #[track_caller]
    pub(crate) fn finish_expecting(mut self, expected: &Expected) -> Finished {
        let truth = self.drain(expected);
        let state = self.service.state();
        let log = self.keeper.stop();
        let report = self.check(&truth, expected);
        assert!(report.is_clean(), "{report}");
        assert_eq!(
            (report.lost.count, report.duplicate.count, report.altered.count),
            (0, 0, 0),
            "{report}"
        );
        Finished { log, state, report }
    }

    /// Has the service send nothing more, and waits until all it ever sent has arrived; gives that.
    #[track_caller]
    pub(crate) fn drain(&self, expected: &Expected) -> Vec<TruthRow> {
        self.service.generate(0.0);
        let truth = self.service.truth();
        assert!(!truth.is_empty(), "the service sent nothing: the scenario shows nothing");
        // Cheap first: the checker reads everything.
        let mut lines = None;
        wait_for("every event to arrive", || {
            let now = std::fs::metadata(self.keeper.output()).map_or(0, |file| file.len());
            let quiet = lines.replace(now) == Some(now);
            (quiet && self.check(&truth, expected).lost.count == 0).then_some(())
        });
        truth
    }

    fn check(&self, truth: &[TruthRow], expected: &Expected) -> Report {
        let file = File::open(self.keeper.output()).expect("the sink has made its file");
        checker::check(BufReader::new(file), truth, expected).expect("the file is readable")
    }
}

/// What the log says when a stream's history has been read for the first time.
const CAUGHT_UP: &str = "caught up with the stream's history";
/// What the log says when a recovery starts.
pub(crate) const RECOVERING: &str = "events may have been lost: terminating";
/// What the log says when an incident is over.
pub(crate) const RECOVERED: &str = "recovered: everything has been read again";
