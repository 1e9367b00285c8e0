//! The report that ends the demo: what was done about the hang, and the checker's verdict.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use streamkeeper::{IncidentStatus, Status};
use streamkeeper_simulator::checker::{self, Expected};

use super::Hang;
use super::service::Service;
use crate::commands::say;
use crate::exit::Failure;

/// What happened.
pub(super) struct Report {
    hang: Hang,
    incident: IncidentStatus,
    done: Vec<(&'static str, String)>,
    accepted: u64,
    duplicates: u64,
    verdict: checker::Report,
}

impl Report {
    /// Compares the file that the sink wrote with the simulator's truth.
    pub(super) fn new(
        service: &Service,
        status: &Status,
        hang: Hang,
        output: &Path,
    ) -> Result<Self, anyhow::Error> {
        let stream = status.streams.first().context("the stream has vanished")?;
        let incident =
            stream.last_incident.clone().ok_or_else(|| anyhow!("there was no incident"))?;
        let file = File::open(output).context("cannot read the events that were delivered")?;
        let verdict = checker::check(BufReader::new(file), &service.truth(), &Expected::default())
            .context("cannot read the events that were delivered")?;
        Ok(Self {
            hang,
            done: service.done(&incident),
            incident,
            accepted: stream.accepted,
            duplicates: stream.duplicate,
            verdict,
        })
    }

    pub(super) fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
        let took = Duration::from_millis(self.incident.duration_ms);
        let verdict = &self.verdict;
        let mut rows = vec![("the hang was noticed after", seconds(self.hang.noticed_after))];
        rows.extend(self.done.iter().cloned());
        rows.extend([
            ("recovery took", seconds(took)),
            ("events generated", verdict.expected.to_string()),
            ("accepted", self.accepted.to_string()),
            ("duplicates dropped", self.duplicates.to_string()),
            ("doubled", verdict.duplicate.count.to_string()),
            ("altered", verdict.altered.count.to_string()),
            ("lost", verdict.lost.count.to_string()),
        ]);
        let rows: String =
            rows.iter().map(|(name, value)| format!("{name:>36}: {value}\n")).collect();
        say(&format!("\n\n{rows}"))
    }
}
