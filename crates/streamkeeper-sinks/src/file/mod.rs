//! The `file` sink: NDJSON appended to a file.
//!
//! Promise of `Ok`: the lines are on disk (one `write`, then `fdatasync`). A line is
//! never torn and a failed batch never doubled: what a failed write left behind is cut
//! off before the next try, and a last line without its end, left by a crash, is cut off
//! when the file is opened. A batch that was written but not answered (a crash between
//! the two) comes again with the same `id`s.
//!
//! The file is created 0600 and missing folders 0700; a lock keeps a second writer out.
//! A file that was moved away or deleted is noticed before the next batch and made anew,
//! so that log rotation needs no signal; truncating it in place loses lines for sure.
//!
//! Pipes and devices cannot be cut or synced: use the sink `stdout`.

mod config;
mod log;
mod sink;
mod storage;
#[cfg(test)]
mod tests;

pub use config::{FileConfig, FileFactory};
pub use sink::FileSink;
