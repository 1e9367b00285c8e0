//! What an operator's replay has brought so far: its batches carry it to the ledger's desk, which counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use streamkeeper_core::time::Timestamp;

use crate::api::replay::{ReplaySpec, ReplayStatus};
use crate::base::reports::Reports;
use crate::base::rfc3339::rfc3339;

use super::counts::TypeCounts;

/// What a replay's batches carry with them, to the desk and back.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) dry_run: bool,
    /// Where the driver hears what became of them.
    pub(crate) reports: Reports,
    status: Mutex<ReplayStatus>,
}

impl Tally {
    pub(crate) fn new(spec: ReplaySpec, started: Timestamp, reports: Reports) -> Self {
        let dry_run = spec.dry_run;
        let status = ReplayStatus {
            spec,
            started_at: rfc3339(started),
            reached: None,
            new: BTreeMap::new(),
            duplicate: BTreeMap::new(),
            ended: None,
        };
        Self { dry_run, reports, status: Mutex::new(status) }
    }

    pub(crate) fn status(&self) -> ReplayStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).ended.is_none()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut ReplayStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts events that were judged for good.
    pub(crate) fn count(&self, new: TypeCounts, known: TypeCounts) {
        self.change(|status| {
            for (counts, more) in [(&mut status.new, new), (&mut status.duplicate, known)] {
                for (word, more) in more.by_word() {
                    *counts.entry(word.to_owned()).or_default() += more;
                }
            }
        });
    }
}
