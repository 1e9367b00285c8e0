//! The report that ends the demo: what the recovery did, and the checker's verdict.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use streamkeeper::{IncidentStatus, Status};
use streamkeeper_simulator::checker::{self, Expected};
use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::server::{CallEntry, RunningSimulator, StateView};

use super::Hang;
use crate::commands::say;
use crate::exit::Failure;

/// What happened.
pub(super) struct Report {
    hang: Hang,
    incident: IncidentStatus,
    service: StateView,
    generated: u64,
    accepted: u64,
    duplicates: u64,
    verdict: checker::Report,
}

impl Report {
    /// Compares the file that the sink wrote with the simulator's truth.
    pub(super) fn new(
        simulator: &RunningSimulator,
        status: &Status,
        hang: Hang,
        output: &Path,
    ) -> Result<Self, anyhow::Error> {
        let stream = status.streams.first().context("the stream has vanished")?;
        let incident =
            stream.last_incident.clone().ok_or_else(|| anyhow!("there was no incident"))?;
        let file = File::open(output).context("cannot read the events that were delivered")?;
        let truth = simulator.truth();
        let verdict = checker::check(BufReader::new(file), &truth, &Expected::default())
            .context("cannot read the events that were delivered")?;
        Ok(Self {
            hang,
            incident,
            service: simulator.state(),
            generated: verdict.expected,
            accepted: stream.accepted,
            duplicates: stream.duplicate,
            verdict,
        })
    }

    pub(super) fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        // A DELETE may be answered 409 a few times before it is done.
        let done = |call| {
            let is_done = |entry: &&CallEntry| {
                entry.call == call && entry.status.is_some_and(|status| status < 300)
            };
            self.service.calls.iter().filter(is_done).count()
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "the beginning".into());
        let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
        let rows = [
            ("the hang was noticed after", seconds(self.hang.noticed_after)),
            ("all connections terminated", text(&self.incident.terminated_at)),
            ("streams deleted", done(Call::Delete).to_string()),
            ("streams created", done(Call::Create).to_string()),
            ("replayed from", text(&self.incident.start_date)),
            ("recovery took", seconds(Duration::from_millis(self.incident.duration_ms))),
            ("events generated", self.generated.to_string()),
            ("accepted", self.accepted.to_string()),
            ("recovered from the dead connection", self.incident.recovered.to_string()),
            ("duplicates dropped", self.duplicates.to_string()),
            ("doubled", self.verdict.duplicate.count.to_string()),
            ("altered", self.verdict.altered.count.to_string()),
            ("lost", self.verdict.lost.count.to_string()),
        ];
        let rows: String =
            rows.iter().map(|(name, value)| format!("{name:>36}: {value}\n")).collect();
        say(&format!("\n\n{rows}"))
    }
}
