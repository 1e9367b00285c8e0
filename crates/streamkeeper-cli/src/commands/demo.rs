//! `demo`: a hang and its recovery before your eyes, with a simulator of its own.
//!
//! Real sockets, a real file sink, and the simulator's own checker at the end; only the times are
//! scaled down, so that what takes minutes in production takes seconds here.

mod report;
mod screen;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use streamkeeper::config::{Config, InformTable, SinkConfig, StreamConfig};
use streamkeeper::transport::Proxy;
use streamkeeper::{Secret, StreamCondition, StreamStatus, Streamkeeper};
use streamkeeper_simulator::fault::{Break, ConnectionFault, Fault, Target};
use streamkeeper_simulator::model;
use streamkeeper_simulator::server::{RunningSimulator, Simulator, SimulatorConfig};

use crate::exit::{Failure, GENERAL, Outcome};
use report::Report;
use screen::Screen;

/// Show a hang and its recovery, against a simulator of its own.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Events per second
    #[arg(long, default_value_t = 200)]
    rate: u64,

    /// All randomness of the simulator comes from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The demo's stream.
const STREAM: &str = "demo";

/// What the demo shows before the hang, and after the recovery.
const CALM: Duration = Duration::from_secs(4);

/// No step of the demo takes longer, or something is wrong.
const STEP_MAX: Duration = Duration::from_secs(30);

impl Demo {
    pub(crate) fn run(self) -> Outcome {
        let simulator = Simulator::start(self.service()).context("cannot start the simulator")?;
        let folder = tempfile::tempdir().context("cannot create a folder for the events")?;
        let output = folder.path().join("events.ndjson");
        let mut config = configuration(&simulator, &output)?;
        config.service.data_dir = folder.path().join("data");
        let screen = Screen::install();
        let keeper = Streamkeeper::builder(config)
            .sink_factories(streamkeeper_sinks::factories())
            .start()
            .map_err(anyhow::Error::from)?;

        let show = Show { simulator: &simulator, keeper: &keeper, screen: &screen };
        let hang = show.perform()?;
        let stopped = keeper.stop_blocking(STEP_MAX);
        screen.close();

        let report = Report::new(&simulator, &keeper.status(), hang, &output)?;
        report.print()?;
        if report.is_clean() && stopped.delivered {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(Failure::new(GENERAL, "events were lost, doubled or altered: this is a bug"))
        }
    }

    fn service(&self) -> SimulatorConfig {
        let model = model::Config {
            users: 150,
            events_per_hour: self.rate * 3_600,
            history_for: 10_000,
            history_rate: 5_000,
            poke_every: 500,
            walk: model::Span::between(500, 1_000),
            queueing_delay_max: 300,
            rebalance_takes: model::Span::between(100, 300),
            notice_after: model::Span::between(0, 100),
            release_after: model::Span::between(100, 500),
            redeliver: model::Span::between(0, 3),
            ..model::Config::default()
        };
        SimulatorConfig { seed: self.seed, model, ..SimulatorConfig::default() }
    }
}

/// The contract's keys, with times scaled down about twentyfold.
fn configuration(
    simulator: &RunningSimulator,
    output: &std::path::Path,
) -> Result<Config, anyhow::Error> {
    let mut stream = StreamConfig::inform(STREAM, simulator.url(), Secret::new("simulated"));
    // It is on this machine, which a proxy of the environment need not know.
    stream.proxy = Proxy::Off;
    stream.connections = 3;
    stream.watchdog.late_after = Some(Duration::from_millis(1_200));
    stream.watchdog.stale_after = Some(Duration::from_secs(3));
    stream.hygiene.rest_initial = Duration::from_secs(1);
    stream.hygiene.rest_max = Duration::from_secs(5);
    if let Some(InformTable { recovery, .. }) = stream.as_inform_mut() {
        recovery.margin = Duration::from_secs(1);
        recovery.settle = Duration::from_secs(2);
        recovery.walk = Duration::from_secs(2);
        recovery.hold_patience = Duration::from_secs(2);
    }
    stream.backoff.initial = Duration::from_millis(100);
    stream.backoff.max = Duration::from_secs(2);
    let path = output.to_str().ok_or_else(|| anyhow!("the folder's name is not UTF-8"))?;
    let mut sink = SinkConfig::new("events", "file");
    sink.table = [("path", path.into())].into_iter().collect();
    Ok(Config { streams: vec![stream], sinks: vec![sink], ..Config::default() })
}

/// When the hang was made, and when it was noticed.
#[derive(Clone, Copy, Debug)]
struct Hang {
    noticed_after: Duration,
}

struct Show<'a> {
    simulator: &'a RunningSimulator,
    keeper: &'a Streamkeeper,
    screen: &'a Screen,
}

impl Show<'_> {
    fn perform(&self) -> Result<Hang, anyhow::Error> {
        self.screen.say("three connections to a simulated service");
        self.wait("reading", |stream| {
            stream.state == StreamCondition::Live && stream.mark.is_some()
        })?;
        self.watch(CALM);

        self.screen
            .say("now one connection hangs: its socket stays open, and nothing comes any more");
        let hung = Instant::now();
        let how = Break::Hang { deaf: false, for_ms: None };
        let fault =
            Fault::Connection(Target::Count(1), ConnectionFault::Break { how, mid_event: false });
        self.simulator.fault(fault).context("cannot make a connection hang")?;
        self.wait("the hang to be noticed", |stream| stream.recoveries > 0)?;
        let noticed_after = hung.elapsed();
        self.wait("the recovery", |stream| stream.last_incident.is_some())?;
        self.watch(CALM);

        self.screen.say("the service falls silent; the last events are delivered");
        self.simulator.set_rate(0);
        self.wait_for_quiet()?;
        Ok(Hang { noticed_after })
    }

    /// Shows the state until `reached`.
    fn wait(
        &self,
        what: &str,
        reached: impl Fn(&StreamStatus) -> bool,
    ) -> Result<(), anyhow::Error> {
        let ends = Instant::now() + STEP_MAX;
        while Instant::now() < ends {
            if self.look().is_some_and(|stream| reached(&stream)) {
                return Ok(());
            }
            std::thread::sleep(FRAME);
        }
        Err(anyhow!("waited {STEP_MAX:?} for {what}, in vain"))
    }

    fn watch(&self, span: Duration) {
        let ends = Instant::now() + span;
        while Instant::now() < ends {
            self.look();
            std::thread::sleep(FRAME);
        }
    }

    /// Waits until nothing new has come for longer than any of the service's delays, and all that
    /// came has been delivered.
    fn wait_for_quiet(&self) -> Result<(), anyhow::Error> {
        let last = Cell::new((0, Instant::now()));
        self.wait("the last events", |stream| {
            let (accepted, since) = last.get();
            if stream.accepted != accepted {
                last.set((stream.accepted, Instant::now()));
                return false;
            }
            since.elapsed() >= QUIET && stream.consumers.iter().all(|sink| sink.backlog == 0)
        })
    }

    fn look(&self) -> Option<StreamStatus> {
        let stream = self.keeper.status().streams.into_iter().next()?;
        self.screen.show(&stream);
        Some(stream)
    }
}

/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// Longer than the simulated service takes for anything.
const QUIET: Duration = Duration::from_secs(2);
