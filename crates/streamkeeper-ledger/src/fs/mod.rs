//! The file system, as far as the ledger needs it.
//!
//! [`RealFs`] is the disk. `FaultyFs` (feature `test-util`) is a disk in memory that tears, forgets,
//! reorders and refuses as told. The ledger goes through [`Fs`] and [`File`] for everything it
//! does, so every promise it makes can be tried against the second.
//!
//! What the ledger relies on, and `FaultyFs` provides no more than:
//! - what was written and then synced ([`File::sync`]) is there after a power cut; what was not
//!   synced may be there in any part and order;
//! - a name that was created, renamed or removed is durable after [`Fs::sync_dir`] (on a disk that knows
//!   no such sync, [`RealFs`] says so once);
//! - a rename replaces the old file in one step;
//! - after a *failed* sync nothing is known about the bytes it was to save, and a later successful
//!   sync does not make them safe: they have to be written again.

#[cfg(feature = "test-util")]
mod faulty;
mod real;

use std::fmt::Debug;
use std::io;
use std::path::Path;

#[cfg(feature = "test-util")]
pub use faulty::{Fault, FaultyFs, Lie};
pub use real::RealFs;

pub use crate::mmap::Mapping;

/// A file system.
pub trait Fs: Send + Sync + Debug {
    /// Creates a directory and what is missing above it, durably; for the owner alone (0700).
    ///
    /// # Errors
    /// What the file system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a file, or empties the one that is there; for the owner alone (0600).
    ///
    /// # Errors
    /// What the file system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file to read and write, or to read only.
    ///
    /// # Errors
    /// What the file system says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>>;

    /// Renames a file; one of that name is replaced in one step.
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name. Whoever has the file open can go on reading it.
    ///
    /// # Errors
    /// What the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the file system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Maps a file that will not change any more.
    ///
    /// # Errors
    /// What the file system says.
    fn map(&self, path: &Path) -> io::Result<Mapping>;

    /// Takes the exclusive lock on `path`, which is created if need be; `None` if another has it.
    /// It is held until the guard is dropped.
    ///
    /// # Errors
    /// What the file system says.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Guard>>>;
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// An open file.
pub trait File: Send + Sync + Debug {
    /// Reads exactly `buffer` from `offset` on; [`io::ErrorKind::UnexpectedEof`] if there is less.
    ///
    /// # Errors
    /// What the file system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. After an error any part may have been written.
    ///
    /// # Errors
    /// What the file system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written, and the length, durable (`fdatasync`).
    ///
    /// # Errors
    /// What the file system says.
    fn sync(&self) -> io::Result<()>;

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// What the file system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|bytes| bytes == 0)
    }
}

/// A lock that is held until this is dropped.
pub trait Guard: Send + Debug {
    /// The locked file.
    fn file(&self) -> &dyn File;
}
