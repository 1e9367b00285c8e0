//! What no compiler checks and no reviewer should have to: who may depend on whom, that the pure
//! crates are pure, that files stay small and explain themselves, that the documents hold together.
//!
//! Every test collects all it finds and says what to do about it. An exception is an entry in a list
//! here, with its reason; one that is no longer needed is a finding, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/operations.rs"]
mod operations;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/tree.rs"]
mod tree;

/// Fails with all that was found, and with the rule that it breaks.
#[track_caller]
fn tidy(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "\n{rule}\n\n  {}\n", findings.join("\n  "));
}
