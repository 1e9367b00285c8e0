//! `simulate`: a remote service, so that everybody can try it without an account: Inform, or a server that resumes.
//!
//! It prints where it listens as JSON on stdout (data), and how to make things go wrong on stderr.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use streamkeeper::config::LogFormat;
use streamkeeper_simulator::model;
use streamkeeper_simulator::record::Style;
use streamkeeper_simulator::resuming::{self, Forgotten, ResumingSimulator};
use streamkeeper_simulator::server::{Clock, Simulator, SimulatorConfig, Token};

use super::output::{json_line, say};
use super::signals::Signals;
use crate::exit::{CANNOT_CREATE, Failure, Outcome, at_once};
use crate::{logging, stderr};

/// Simulate a remote service, with faults on command.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// What kind of service
    #[arg(long, value_enum, default_value_t = Dialect::Inform)]
    dialect: Dialect,

    /// Where the service listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8600")]
    listen: SocketAddr,

    /// Where the control port listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8601")]
    control: SocketAddr,

    /// The organization's token
    #[arg(long, default_value = "simulated", hide_default_value = true)]
    token: String,

    /// How many organizations there are; if several, their tokens end in -0001, -0002, …
    #[arg(long, default_value_t = NonZeroU32::MIN)]
    organizations: NonZeroU32,

    /// All randomness comes from it
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Events per second, of all organizations together
    #[arg(long, default_value_t = 50.0)]
    rate: f64,

    /// How many users an organization's events belong to
    #[arg(long, default_value_t = 200)]
    users: u32,

    /// How far the history reaches back at the start
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    history: Duration,

    /// Events per second and connection of a history or a backlog
    #[arg(long, default_value_t = 5_000)]
    history_rate: u32,

    /// Connections allowed per stream
    #[arg(long, default_value_t = 20)]
    members_max: usize,

    /// Time between pokes
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    poke_every: Duration,

    /// When pokes come
    #[arg(long, value_enum, default_value_t = Pokes::WhenIdle)]
    pokes: Pokes,

    /// How long a new stream sends only pokes before its history
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    walk: Duration,

    /// How long a replay sends only pokes before its history
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    replay_walk: Duration,

    /// The longest time from an event's creation to its arrival
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    queueing_delay: Duration,

    /// How long a rebalance takes after a client joined or left
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    rebalance: Duration,

    /// How long a closed client counts as connected
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    release_after: Duration,

    /// How long a client that hangs counts as connected
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    hold_for: Duration,

    /// Events per user that come again after a rebalance
    #[arg(long, default_value_t = 0)]
    redeliver: u64,

    /// How far the service's clock is ahead of this machine's, in seconds; negative: behind
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_skew: i64,

    /// Start the service's clock so long before midnight UTC
    #[arg(
        long,
        value_parser = humantime::parse_duration,
        conflicts_with = "clock_skew"
    )]
    before_midnight: Option<Duration>,

    #[command(flatten)]
    resuming: Resuming,
}

/// What kind of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// The Inform API.
    Inform,
    /// Server-sent events that go on from a cursor, at `/events`, and as Pilcrow at `/api/events`.
    Sse,
}

/// What concerns `--dialect sse` alone. Of the others `listen`, `control`, `seed` and `rate` do.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --dialect sse")]
struct Resuming {
    /// How many of the last events are kept for clients that were away
    #[arg(long, default_value_t = 100_000)]
    kept: u64,

    /// What becomes of a client that asks for more than that
    #[arg(long, value_enum, default_value_t = OnForgotten::Gone)]
    forgotten: OnForgotten,

    /// When a heartbeat is due, as announced; it comes after three quarters of that
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    heartbeat: Duration,

    /// End an answer after so long, as planned
    #[arg(long, value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
}

/// What becomes of whoever asks for what is not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnForgotten {
    /// 404.
    NotFound,
    /// 410.
    Gone,
    /// 204.
    NoContent,
    /// An event `reset`, then all there is.
    Reset,
    /// All there is, without a word.
    Oldest,
}

/// When pokes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pokes {
    /// Only when no data flowed.
    WhenIdle,
    /// Always.
    Always,
}

impl Simulate {
    pub(crate) fn run(self) -> Outcome {
        logging::install(LogFormat::Text);
        let cannot = |error| Failure::new(CANNOT_CREATE, anyhow::Error::from(error));
        match self.dialect {
            Dialect::Inform => {
                let simulator = Simulator::start(self.config()).map_err(cannot)?;
                let (url, control) = (simulator.url(), simulator.control_url());
                let organizations = self.organizations;
                let announced = move || announce(&url, &control, organizations);
                serve(announced, move || simulator.wait())
            }
            Dialect::Sse => {
                let simulator = ResumingSimulator::start(self.resuming()).map_err(cannot)?;
                let (url, control) = (simulator.url(), simulator.control_url());
                let announced = move || announce(&url, &control, NonZeroU32::MIN);
                serve(announced, move || simulator.wait())
            }
        }
    }

    fn resuming(&self) -> resuming::Config {
        let Resuming { kept, forgotten, heartbeat, max_age } = self.resuming;
        resuming::Config {
            addr: self.listen,
            control_addr: self.control,
            seed: self.seed,
            events_per_hour: self.events_per_hour(),
            kept,
            forgotten: match forgotten {
                OnForgotten::NotFound => Forgotten::NotFound,
                OnForgotten::Gone => Forgotten::Gone,
                OnForgotten::NoContent => Forgotten::NoContent,
                OnForgotten::Reset => Forgotten::Reset,
                OnForgotten::Oldest => Forgotten::Oldest,
            },
            heartbeat,
            max_age,
        }
    }

    fn events_per_hour(&self) -> u64 {
        (self.rate * 3_600.0) as u64
    }

    fn config(&self) -> SimulatorConfig {
        let span = |duration| model::Span::exactly(millis(duration));
        let model = model::Config {
            users: self.users,
            events_per_hour: self.events_per_hour(),
            history_for: millis(self.history),
            history_rate: self.history_rate,
            members_max: self.members_max,
            poke_every: millis(self.poke_every).max(1),
            pokes: match self.pokes {
                Pokes::WhenIdle => model::Pokes::WhenIdle,
                Pokes::Always => model::Pokes::Always,
            },
            walk: span(self.walk),
            replay_walk: span(self.replay_walk),
            queueing_delay_max: millis(self.queueing_delay),
            rebalance_takes: span(self.rebalance),
            release_after: span(self.release_after),
            hold_for: span(self.hold_for),
            redeliver: model::Span::exactly(self.redeliver),
            ..model::Config::default()
        };
        let clock = match self.before_midnight {
            Some(span) => Clock::BeforeMidnight(millis(span)),
            None => Clock::Skewed(self.clock_skew.saturating_mul(1_000)),
        };
        SimulatorConfig {
            addr: self.listen,
            control_addr: self.control,
            seed: self.seed,
            organizations: self.organizations,
            token: Token::new(self.token.clone()),
            clock,
            model,
            style: Style::default(),
            ..SimulatorConfig::default()
        }
    }
}

/// Says where it is, and serves until a signal comes or it is stopped from elsewhere.
fn serve(
    announced: impl FnOnce() -> Result<(), Failure>,
    wait: impl FnOnce() + Send + 'static,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the signal handler")?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        // Whoever reads this may send a signal at once.
        announced()?;
        let ended = tokio::task::spawn_blocking(wait);
        tokio::select! {
            signal = signals.next() => tracing::info!(signal, "stopping the simulator"),
            _ = ended => {}
        }
        // The simulator keeps nothing: its threads may end with the process.
        at_once(0)
    })
}

/// Says where it is, for programs on stdout and for people on stderr.
fn announce(url: &str, control: &str, organizations: NonZeroU32) -> Result<(), Failure> {
    say(&json_line(&serde_json::json!({ "url": url, "control_url": control }))?)?;
    stderr::say(&format!("the service listens on {url}, its control port on {control}\n"));
    if organizations > NonZeroU32::MIN {
        // Not the token itself, which may be a real one.
        stderr::say(&format!(
            "{organizations} organizations; their tokens end in -0001 to -{organizations:04}\n"
        ));
    }
    stderr::say(&format!(
        "make a connection hang: curl -d '{{\"kind\":\"hang\"}}' {control}/fault\n"
    ));
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
