//! Whether everything is as it should be, check by check.
//!
//! For load balancers, orchestrators and people: a stream that is not live, or a sink that does not
//! take events, is not ready. None of that is a reason to restart anything, so none of it is in
//! `/livez`.

use std::fmt::Write as _;

use crate::api::condition::StreamCondition;
use crate::observe::registry::Registry;

/// The outcome of all checks.
#[derive(Debug)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    /// A line for each check: `[+]acme/state ok` or `[-]acme/state failed: recovering`.
    pub(super) lines: String,
}

impl Readiness {
    pub(super) fn of(registry: &Registry) -> Self {
        let mut readiness = Self { ready: true, lines: String::new() };
        for stream in registry.entries() {
            let view = stream.view();
            let failure = match (view.state, view.detail) {
                (StreamCondition::Live, _) => None,
                (state, Some(detail)) => Some(format!("{state}: {detail}")),
                (state, None) => Some(state.to_string()),
            };
            readiness.note(&format!("{}/state", stream.name), failure.as_deref());
            for sink in &stream.consumers {
                let name = format!("{}/sink/{}", stream.name, sink.name);
                readiness.note(&name, sink.failing());
            }
        }
        readiness
    }

    fn note(&mut self, check: &str, failure: Option<&str>) {
        self.ready &= failure.is_none();
        let written = match failure {
            None => writeln!(self.lines, "[+]{check} ok"),
            Some(failure) => writeln!(self.lines, "[-]{check} failed: {failure}"),
        };
        // A text grows.
        written.unwrap_or_default();
    }
}
