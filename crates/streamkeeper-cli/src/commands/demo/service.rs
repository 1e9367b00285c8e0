//! The demo's service: one of the simulators, and a stream of it whose times are scaled down about twentyfold.

use std::time::Duration;

use anyhow::Context as _;
use streamkeeper::config::{
    Factor, FirstCursorFrom, InformTable, Interval, Row, SseTable, StreamConfig,
};
use streamkeeper::transport::Proxy;
use streamkeeper::{IncidentStatus, Secret, StreamStatus};
use streamkeeper_simulator::fault::{Break, Call, ConnectionFault, Fault, Target};
use streamkeeper_simulator::model;
use streamkeeper_simulator::resuming::{self, Kind, ResumingSimulator, RunningResuming};
use streamkeeper_simulator::server::{CallEntry, RunningSimulator, Simulator, SimulatorConfig};
use streamkeeper_simulator::truth::TruthRow;

use crate::commands::simulate::Dialect;

/// What is read in the demo.
pub(super) enum Service {
    Inform(RunningSimulator),
    Sse(RunningResuming),
}

impl Service {
    pub(super) fn start(dialect: Dialect, rate: u64, seed: u64) -> Result<Self, anyhow::Error> {
        let started = match dialect {
            Dialect::Inform => Simulator::start(inform(rate, seed)).map(Self::Inform),
            Dialect::Sse => {
                let heartbeat = Duration::from_secs(3);
                let events_per_hour = rate * 3_600;
                let config =
                    resuming::Config { seed, events_per_hour, heartbeat, ..Default::default() };
                ResumingSimulator::start(config).map(Self::Sse)
            }
        };
        started.context("cannot start the simulator")
    }

    /// The contract's keys, for a stream of it.
    pub(super) fn stream(&self, name: &str) -> StreamConfig {
        let mut stream = match self {
            Self::Inform(simulator) => {
                let token = Secret::new("simulated");
                let mut stream = StreamConfig::inform(name, simulator.url(), token);
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
                stream
            }
            Self::Sse(simulator) => {
                let row = Row {
                    interval: Interval::Header("X-Heartbeat-Interval".into()),
                    // It says when the next one is due.
                    stale_factor: Factor::ONE,
                    stale_floor: Duration::from_secs(1),
                    heartbeats: vec!["heartbeat".into()],
                    // Whatever was there before we came.
                    first_cursor: FirstCursorFrom::Literal("0".into()),
                    ..Row::default()
                };
                StreamConfig::sse(name, simulator.url(), SseTable::new("sse", row))
            }
        };
        // It is on this machine, which a proxy of the environment need not know.
        stream.proxy = Proxy::Off;
        stream.backoff.initial = Duration::from_millis(100);
        stream.backoff.max = Duration::from_secs(2);
        stream
    }
}

impl Service {
    /// What it is, for people.
    pub(super) const fn introduction(&self) -> &'static str {
        match self {
            Self::Inform(_) => "three connections to a simulated service",
            Self::Sse(_) => "a simulated server that goes on from the last event that one has",
        }
    }

    /// Whether something has been read of it that can be gone on from.
    pub(super) const fn is_read(&self, stream: &StreamStatus) -> bool {
        match self {
            Self::Inform(_) => stream.mark.is_some(),
            Self::Sse(_) => stream.accepted > 0,
        }
    }

    /// One connection stays open, and nothing comes any more.
    pub(super) fn hang(&self) -> Result<(), anyhow::Error> {
        match self {
            Self::Inform(simulator) => {
                let how = Break::Hang { deaf: false, for_ms: None };
                let fault = ConnectionFault::Break { how, mid_event: false };
                let fault = Fault::Connection(Target::Count(1), fault);
                simulator.fault(fault).context("cannot make a connection hang")?;
            }
            Self::Sse(simulator) => {
                simulator.fault(&resuming::Fault::new(Kind::Hang));
            }
        }
        Ok(())
    }

    /// There are no more events.
    pub(super) fn fall_silent(&self) {
        match self {
            Self::Inform(simulator) => simulator.set_rate(0),
            Self::Sse(simulator) => simulator.set_rate(0),
        }
    }

    /// What it has sent.
    pub(super) fn truth(&self) -> Vec<TruthRow> {
        match self {
            Self::Inform(simulator) => simulator.truth(),
            Self::Sse(simulator) => simulator.truth(),
        }
    }

    /// What the incident made us do, for people.
    pub(super) fn done(&self, incident: &IncidentStatus) -> Vec<(&'static str, String)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "the beginning".into());
        match self {
            Self::Inform(simulator) => {
                let calls = simulator.state().calls;
                // A DELETE may be answered 409 a few times before it is done.
                let done = |call| {
                    let is_done = |entry: &&CallEntry| {
                        entry.call == call && entry.status.is_some_and(|status| status < 300)
                    };
                    calls.iter().filter(is_done).count().to_string()
                };
                vec![
                    ("all connections terminated", text(&incident.terminated_at)),
                    ("streams deleted", done(Call::Delete)),
                    ("streams created", done(Call::Create)),
                    ("replayed from", text(&incident.start_date)),
                    ("recovered from the dead connection", incident.recovered.to_string()),
                ]
            }
            Self::Sse(simulator) => {
                let asked = simulator.state().asked;
                let last = asked.last().and_then(|asked| asked.cursor.clone());
                vec![
                    ("requests for the stream", asked.len().to_string()),
                    ("gone on behind event", text(&last)),
                ]
            }
        }
    }
}

/// The simulated Inform API.
fn inform(rate: u64, seed: u64) -> SimulatorConfig {
    let model = model::Config {
        users: 150,
        events_per_hour: rate * 3_600,
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
    SimulatorConfig { seed, model, ..SimulatorConfig::default() }
}
