//! `demo`: a hang and its recovery before your eyes, with a simulator of its own.
//!
//! Real sockets, a real file sink, and the simulator's own checker at the end; only the times are
//! scaled down, so that what takes minutes in production takes seconds here.

mod report;
mod screen;
mod service;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use streamkeeper::config::{Config, SinkConfig};
use streamkeeper::{StreamCondition, StreamStatus, Streamkeeper};

use super::simulate::Dialect;
use crate::exit::{Failure, GENERAL, Outcome};
use report::Report;
use screen::Screen;
use service::Service;

/// Show a hang and its recovery, against a simulator of its own.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// What kind of service
    #[arg(long, value_enum, default_value_t = Dialect::Inform)]
    dialect: Dialect,

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
        let service = Service::start(self.dialect, self.rate, self.seed)?;
        let folder = tempfile::tempdir().context("cannot create a folder for the events")?;
        let output = folder.path().join("events.ndjson");
        let path = output.to_str().ok_or_else(|| anyhow!("the folder's name is not UTF-8"))?;
        let mut sink = SinkConfig::new("events", "file");
        sink.table = [("path", path.into())].into_iter().collect();
        let streams = vec![service.stream(STREAM)];
        let mut config = Config { streams, sinks: vec![sink], ..Config::default() };
        config.service.data_dir = folder.path().join("data");
        let screen = Screen::install();
        let keeper = Streamkeeper::builder(config)
            .sink_factories(streamkeeper_sinks::factories())
            .start()
            .map_err(anyhow::Error::from)?;

        let show = Show { service: &service, keeper: &keeper, screen: &screen };
        let hang = show.perform()?;
        let stopped = keeper.stop_blocking(STEP_MAX);
        screen.close();

        let report = Report::new(&service, &keeper.status(), hang, &output)?;
        report.print()?;
        if report.is_clean() && stopped.delivered {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(Failure::new(GENERAL, "events were lost, doubled or altered: this is a bug"))
        }
    }
}

/// When the hang was made, and when it was noticed.
#[derive(Clone, Copy, Debug)]
struct Hang {
    noticed_after: Duration,
}

struct Show<'a> {
    service: &'a Service,
    keeper: &'a Streamkeeper,
    screen: &'a Screen,
}

impl Show<'_> {
    fn perform(&self) -> Result<Hang, anyhow::Error> {
        self.screen.say(self.service.introduction());
        self.wait("reading", |stream| {
            stream.state == StreamCondition::Live && self.service.is_read(stream)
        })?;
        self.watch(CALM);

        self.screen
            .say("now one connection hangs: its socket stays open, and nothing comes any more");
        let hung = Instant::now();
        self.service.hang()?;
        self.wait("the hang to be noticed", |stream| {
            stream.incident.is_some() || stream.last_incident.is_some()
        })?;
        let noticed_after = hung.elapsed();
        self.wait("the recovery", |stream| stream.last_incident.is_some())?;
        self.watch(CALM);

        self.screen.say("the service falls silent; the last events are delivered");
        self.service.fall_silent();
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
