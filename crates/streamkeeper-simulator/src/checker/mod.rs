//! Compares what a client kept with the truth: what is lost, doubled, altered, out of order.
//!
//! The client's output is NDJSON, one event per line: CloudEvents envelopes, whose `data` member is
//! the event byte for byte, or the events alone. A line is recognised by the hash of those bytes,
//! so nothing that differs from what was sent by a single byte passes as sent. A report holds
//! counts and positions, never a payload.
//!
//! Left to the caller: to stop the generator and let the client finish first, or to say with
//! [`Expected::available_before`] which events it could not have yet.
//!
//! ```
//! use streamkeeper_simulator::{checker::{self, Expected}, model::*, record, truth::TruthRow};
//!
//! let mut model = Model::new(Config::default(), 1, 1_780_000_000_000);
//! let style = record::Style::default();
//! let mut truth = Vec::new();
//! for _ in 0..3 {
//!     let what = What::New(Resource::Sleep);
//!     let id = model.publish(0, what, 1_780_000_000_000).expect("a new record");
//!     truth.push(TruthRow::of(1, id, model.event(id).expect("just published"), style));
//! }
//! let line = |place: usize| record::render(1, &model.events()[place], style);
//! let kept = [line(0), line(2), line(2)].join(&b'\n');
//! let report = checker::check(kept.as_slice(), &truth, &Expected::default())?;
//! assert_eq!((report.lost.count, report.duplicate.count), (1, 1));
//! assert_eq!(report.lost.first, [1]); // the truth's row 1
//! assert_eq!(report.duplicate.first, [3]); // the output's line 3
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    io::{self, BufRead},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    model::Millis,
    record::rfc3339,
    truth::{Sha, TruthRow},
};

/// Which of the truth's versions a client is expected to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Those that could be sent before this instant of the service's time; `None` is all.
    pub available_before: Option<Millis>,
    /// Those created at or after this instant of the service's time; `None` is all.
    pub created_from: Option<Millis>,
    /// Those of these kinds; empty is `data` alone.
    pub kinds: Vec<String>,
    /// Data of these resource types; empty is all.
    pub resources: Vec<String>,
}

impl Expected {
    fn has(&self, row: &TruthRow) -> bool {
        let kind = match self.kinds.as_slice() {
            [] => row.kind == "data",
            kinds => kinds.contains(&row.kind),
        };
        let resource = match &row.resource {
            Some(resource) if !self.resources.is_empty() => self.resources.contains(resource),
            _ => true,
        };
        let in_time = self.available_before.is_none_or(|at| row.available_ms < at)
            && self.created_from.is_none_or(|at| row.created_ms >= at);
        kind && resource && in_time
    }
}

/// How many, and where the first few are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How many.
    pub count: u64,
    /// The first [`FIRST_MAX`] positions: line numbers from 1, or `seq` of the truth from 0.
    pub first: Vec<u64>,
}

/// How many positions a [`Finding`] names.
pub const FIRST_MAX: usize = 10;

impl Finding {
    fn add(&mut self, position: u64) {
        self.count += 1;
        if self.first.len() < FIRST_MAX {
            self.first.push(position);
        }
    }
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Lines in the output, empty ones not counted.
    pub lines: u64,
    /// Versions of the truth that were expected.
    pub expected: u64,
    /// Versions of the truth found in the output.
    pub found: u64,
    /// Expected, not found, and no later version of the record found either (by `seq`).
    pub lost: Finding,
    /// Expected and not found, but a later version of the record was (by `seq`). No fault.
    pub superseded: Finding,
    /// The same version again (by line).
    pub duplicate: Finding,
    /// A known record's id with bytes that were never sent (by line).
    pub altered: Finding,
    /// Bytes that were never sent, and no known record's id (by line).
    pub unknown: Finding,
    /// Not a JSON object (by line).
    pub unreadable: Finding,
    /// An older version after a newer one of the same record (by line).
    pub regressed: Finding,
}

impl Report {
    /// Whether nothing is lost, altered or unknown, and nothing came twice or backwards.
    pub fn is_clean(&self) -> bool {
        let faults = [
            &self.lost,
            &self.duplicate,
            &self.altered,
            &self.unknown,
            &self.unreadable,
            &self.regressed,
        ];
        faults.into_iter().all(|finding| finding.count == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines, {} of {} versions found", self.lines, self.found, self.expected)?;
        for (name, finding, place) in [
            ("lost", &self.lost, "seq"),
            ("superseded", &self.superseded, "seq"),
            ("duplicate", &self.duplicate, "line"),
            ("altered", &self.altered, "line"),
            ("unknown", &self.unknown, "line"),
            ("unreadable", &self.unreadable, "line"),
            ("regressed", &self.regressed, "line"),
        ] {
            write!(f, "; {} {name}", finding.count)?;
            if finding.count > 0 {
                write!(f, " ({place} {:?})", finding.first)?;
            }
        }
        Ok(())
    }
}

/// Compares an output with the truth; `truth` is in any order. Reads `output` to its end, a line
/// at a time.
///
/// # Errors
/// Those of reading `output`. What is in it is never an error, but a finding.
pub fn check(
    mut output: impl BufRead,
    truth: &[TruthRow],
    expected: &Expected,
) -> io::Result<Report> {
    let mut known = Known::new(truth);
    let mut report = Report::default();
    let mut line = Vec::new();
    let mut number = 0;
    while output.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        if !line.trim_ascii().is_empty() {
            report.lines += 1;
            known.take(line.trim_ascii(), number, &mut report);
        }
        line.clear();
    }
    for (row, times) in truth.iter().zip(&known.times) {
        report.found += u64::from(*times > 0);
        if !expected.has(row) {
            continue;
        }
        report.expected += 1;
        if *times == 0 && !known.same_bytes_found(row) {
            let newest = known.newest.get(&row.record);
            let later = newest.is_some_and(|newest| *newest > row.version);
            let finding = if later { &mut report.superseded } else { &mut report.lost };
            finding.add(row.seq);
        }
    }
    Ok(report)
}

/// What is known of the truth, and found of it so far.
struct Known<'a> {
    truth: &'a [TruthRow],
    /// The first row with these bytes. Several rows may bear the same (connection events of the
    /// older form): they are one, as far as anybody can tell.
    by_bytes: HashMap<Sha, usize>,
    /// Rows by id and `created_at`; `None` in the second place is any version.
    by_name: HashMap<(&'a str, Option<Millis>), usize>,
    /// How often each row was found.
    times: Vec<u32>,
    /// The newest version found of each record.
    newest: HashMap<u32, u32>,
}

impl<'a> Known<'a> {
    fn new(truth: &'a [TruthRow]) -> Self {
        let mut by_bytes = HashMap::with_capacity(truth.len());
        let mut by_name = HashMap::with_capacity(2 * truth.len());
        for (place, row) in truth.iter().enumerate() {
            by_bytes.entry(row.sha256).or_insert(place);
            if let Some(id) = &row.id {
                by_name.insert((id.as_str(), None), place);
                by_name.insert((id.as_str(), Some(row.created_ms)), place);
            }
        }
        Self { truth, by_bytes, by_name, times: vec![0; truth.len()], newest: HashMap::new() }
    }

    fn take(&mut self, line: &[u8], number: u64, report: &mut Report) {
        let Some(event) = event_of(line) else { return report.unreadable.add(number) };
        let sent = self.by_bytes.get(&Sha::of(event.as_bytes())).copied();
        let Some(place) = sent.or_else(|| self.name_of(event, number, report)) else { return };
        let (Some(row), Some(times)) = (self.truth.get(place), self.times.get_mut(place)) else {
            return;
        };
        *times += 1;
        if *times > 1 {
            report.duplicate.add(number);
        }
        let newest = self.newest.entry(row.record).or_insert(row.version);
        if row.version < *newest && *times == 1 {
            report.regressed.add(number);
        }
        *newest = row.version.max(*newest);
    }

    /// Which row these bytes, that were never sent, pretend to be.
    fn name_of(&self, event: &str, number: u64, report: &mut Report) -> Option<usize> {
        let Ok(name) = serde_json::from_str::<Name<'_>>(event) else {
            report.unreadable.add(number);
            return None;
        };
        let id = name.id.as_deref().unwrap_or_default();
        if !self.by_name.contains_key(&(id, None)) {
            report.unknown.add(number);
            return None;
        }
        report.altered.add(number);
        let created = name.created_at.as_deref().and_then(millis)?;
        self.by_name.get(&(id, Some(created))).copied()
    }

    fn same_bytes_found(&self, row: &TruthRow) -> bool {
        let first = self.by_bytes.get(&row.sha256);
        first.and_then(|place| self.times.get(*place)).is_some_and(|times| *times > 0)
    }
}

/// An envelope, as far as it matters here.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What names a version in an event.
#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    created_at: Option<Cow<'a, str>>,
}

/// The event of a line: its `data` member, or the whole line if it has none.
fn event_of(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?;
    let envelope: Envelope<'_> = serde_json::from_str(line).ok()?;
    Some(envelope.data.map_or(line, RawValue::get))
}

fn millis(text: &str) -> Option<Millis> {
    let at = text.parse::<jiff::Timestamp>().ok()?;
    u64::try_from(at.as_millisecond()).ok().filter(|at| rfc3339(*at) == text)
}
