//! `simulate`: the remote service, so that everybody can try it without an account.
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
use streamkeeper_simulator::server::{Clock, RunningSimulator, Simulator, SimulatorConfig, Token};

use super::output::{json_line, say};
use super::signals::Signals;
use crate::exit::{CANNOT_CREATE, Failure, Outcome, at_once};
use crate::{logging, stderr};

/// Simulate the remote service, with faults on command.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
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
        let config = self.config();
        let simulator = Simulator::start(config)
            .map_err(|error| Failure::new(CANNOT_CREATE, anyhow::Error::from(error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the signal handler")?;
        runtime.block_on(async {
            let mut signals = Signals::new().context("cannot listen for signals")?;
            // Whoever reads this may send a signal at once.
            announce(&simulator, self.organizations)?;
            let ended = tokio::task::spawn_blocking({
                let mut simulator = Some(simulator);
                move || simulator.take().map(RunningSimulator::wait)
            });
            tokio::select! {
                signal = signals.next() => tracing::info!(signal, "stopping the simulator"),
                _ = ended => {}
            }
            // The simulator keeps nothing: its threads may end with the process.
            at_once(0)
        })
    }

    fn config(&self) -> SimulatorConfig {
        let span = |duration| model::Span::exactly(millis(duration));
        let model = model::Config {
            users: self.users,
            events_per_hour: (self.rate * 3_600.0) as u64,
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

/// Says where it is, for programs on stdout and for people on stderr.
fn announce(simulator: &RunningSimulator, organizations: NonZeroU32) -> Result<(), Failure> {
    let (url, control) = (simulator.url(), simulator.control_url());
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
