//! The lock that keeps a second process out.
//!
//! An exclusive advisory lock (`flock`) on the file `lock`, whose content is the process id of the
//! holder, in digits. The kernel gives the lock back when the process ends, however it ends; the
//! digits stay behind and mean nothing without the lock.

use std::path::Path;

use crate::error::{Context, LedgerError};
use crate::fs::{Access, Fs, Guard};

/// The name of the file.
pub(crate) const LOCK: &str = "lock";

/// Takes the lock of a ledger's directory.
pub(crate) fn take(fs: &dyn Fs, dir: &Path) -> Result<Box<dyn Guard>, LedgerError> {
    let path = dir.join(LOCK);
    let Some(guard) = fs.try_lock(&path).context("lock", &path)? else {
        return Err(LedgerError::Locked { pid: pid(fs, &path), path });
    };
    let digits = std::process::id().to_string();
    let file = guard.file();
    // On a full disk the lock has no name in it, and holds all the same.
    let _named = file.set_len(0).and_then(|()| file.write_at(digits.as_bytes(), 0));
    Ok(guard)
}

fn pid(fs: &dyn Fs, path: &Path) -> Option<u32> {
    let file = fs.open(path, Access::Read).ok()?;
    let length = file.len().ok()?.min(PID_BYTES_MAX);
    let mut digits = vec![0; usize::try_from(length).ok()?];
    file.read_at(&mut digits, 0).ok()?;
    String::from_utf8(digits).ok()?.trim().parse().ok()
}

/// A process id has no more digits.
const PID_BYTES_MAX: u64 = 16;
