//! The `file` sink: NDJSON appended to a file, each event once.
//!
//! Promise of `Ok`: the lines are on disk, and so is the side file that counts them in. The
//! side file, `<file>.cursor`, says how far the file is whole and which event comes next in
//! each stream. So a crash at any moment and a failed write leave neither a torn line nor an
//! event twice: what was not counted in is cut off before anything else is written, and what
//! was and is given again is dropped. That holds as long as the file, its side file and the
//! ledger stay together (docs/semantics.md, "What a sink promises").
//!
//! What the side file does not know for sure is never cut: lines go behind it, and a last
//! line without its end is ended first. A damaged side file is refused.
//!
//! The files are created 0600 and missing folders 0700; a lock keeps a second writer out.
//! A file that was moved away or deleted is noticed before the next batch and made anew,
//! so that log rotation needs no signal; truncating it in place loses lines for sure. If it is
//! moved after a crash and before the next start, the last batch may be in both files.
//!
//! Pipes and devices cannot be cut or synced: use the sink `stdout`.

mod config;
mod cursor;
mod lines;
mod log;
mod sink;
mod storage;
#[cfg(test)]
mod tests;

pub use config::{FileConfig, FileFactory};
pub use sink::FileSink;
