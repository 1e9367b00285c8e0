//! What readers see of what runs, and who writes it there.
//!
//! - `registry`: counters and states, an entry for each stream; `counts`: how they count;
//! - `history`: the last hour, and the story of each incident; `tally`: what an operator's replay has brought;
//! - `telemetry`: what the policies report, in log lines; `marked`, `cursored`: the same in words, for the stories; `vital`: what must not die unheard.

pub(crate) mod counts;
mod cursored;
pub(crate) mod history;
mod marked;
pub(crate) mod registry;
pub(crate) mod tally;
pub(crate) mod telemetry;
pub(crate) mod vital;
