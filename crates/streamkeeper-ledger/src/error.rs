//! What can go wrong, and what to do about it.
//!
//! Every message names the file, and where a person has to act, what to do. None carries a
//! record id, a payload or anything else of the events: paths, offsets and sizes only.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the ledger could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process has the directory. Stop it, or give this one another `data_dir`.
    #[error("{} is held by {}; one process may use a ledger at a time", path.display(), holder(*pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if the lock file says so.
        pid: Option<u32>,
    },
    /// The file system answered with an error: a missing permission, a full disk, a broken one.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, after "could not".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file is damaged where no crash can have damaged it.
    #[error(
        "{} is damaged at byte {offset}: {what}. Restore the directory from a copy; or move it \
         away and start with an empty one, which reads the service's whole window again and \
         delivers it again under the same ids",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A file was written by a newer version of the program.
    #[error(
        "{} has format version {found}, and this program knows versions up to {known}: use the \
         version of Streamkeeper that wrote it, or a newer one",
        path.display()
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version it says.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// A newer version of the program wrote a frame that this one cannot read.
    #[error(
        "a newer version of Streamkeeper wrote what {} has at byte {offset}: use that version, or a \
         newer one",
        path.display()
    )]
    NewerFrame {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// An earlier write or sync failed, so nothing is accepted until the ledger has recovered in
    /// place (`Ledger::recover_in_place`). What was not committed before counts as never seen.
    #[error("nothing is accepted since an earlier failure: {cause}")]
    Poisoned {
        /// The failure.
        #[source]
        cause: Arc<Self>,
    },
    /// The outbox has reached a bound; there is room again when the sinks have acknowledged.
    #[error("the outbox has reached its bound in {bound}")]
    OutboxFull {
        /// Which bound.
        bound: Bound,
    },
    /// An event or a key beyond what the format can hold.
    #[error("{what} of {bytes} bytes is larger than the limit of {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

/// A bound of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `outbox_bytes_max`.
    Bytes,
    /// `outbox_age_max`.
    Age,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Age => "age",
        })
    }
}

impl LedgerError {
    pub(crate) fn damaged(path: &Path, offset: u64, what: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), offset, what }
    }

    /// Whether the cause is a disk that is full, or a quota, or a limit of the process (`ulimit -f`).
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
            ),
            Self::Poisoned { cause } => cause.is_disk_full(),
            _ => false,
        }
    }
}

/// Gives an I/O error its context.
pub(crate) trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, LedgerError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, LedgerError> {
        self.map_err(|source| LedgerError::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        })
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
