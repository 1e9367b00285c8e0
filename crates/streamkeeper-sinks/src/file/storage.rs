//! The output and its side file: what the log needs of them, behind a trait so that tests can
//! make them fail and crash, and the real ones.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::cursor::{Cursor, Identity};
use crate::durable::{self, create_folder, folder_of, sync_folder};

/// An append-only file that can be cut, and a side file that is replaced or added to.
pub(super) trait Storage: Sized + Send + 'static {
    /// A side file of so many bytes is replaced, if all that is to be said takes less than a quarter.
    const SIDE_BYTES_MAX: u64 = 64 << 10;

    /// Opens or makes the file at `path` for this process alone.
    fn open(path: &Path) -> io::Result<Self>;
    /// Whether `path` still leads to this file.
    fn is_at(&self, path: &Path) -> bool;
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// What tells it from other files.
    fn identity(&self) -> io::Result<Identity>;
    /// The bytes before `end`, at most [`TAIL_BYTES`].
    fn tail(&self, end: u64) -> io::Result<Vec<u8>>;
    /// Appends some of `bytes`; how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts the file to `length` bytes, and waits until that is on disk: it may be rotated away
    /// before the next sync.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Waits until everything is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Reads the side file of the output at `path`, if there is one.
    fn load(path: &Path) -> io::Result<Option<Cursor>>;
    /// Replaces the side file of the output at `path`, and waits until that is on disk. After
    /// an error it is the old one or the new one.
    fn save(path: &Path, text: &str) -> io::Result<()>;
    /// Adds to the side file of the output at `path`, and waits until that is on disk; false, and nothing
    /// is done, if it is not `length` bytes long. After an error any part of it may have been added.
    fn extend(path: &Path, length: u64, text: &str) -> io::Result<bool>;
}

/// How much of the output has to be as it was for a side file to be its own.
pub(super) const TAIL_BYTES: u64 = 4096;

impl Storage for File {
    fn open(path: &Path) -> io::Result<Self> {
        let folder = folder_of(path);
        create_folder(folder)?;
        let file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        lock(&file)?;
        // A new file is durable only once its name is.
        sync_folder(folder)?;
        Ok(file)
    }

    fn is_at(&self, path: &Path) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (fs::metadata(path), self.metadata()) {
            (Ok(there), Ok(here)) => identity(there) == identity(here),
            _ => false,
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn identity(&self) -> io::Result<Identity> {
        let metadata = self.metadata()?;
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let created = born.and_then(|age| u64::try_from(age.as_nanos()).ok());
        Ok(Identity { inode: metadata.ino(), created })
    }

    fn tail(&self, end: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(end.min(TAIL_BYTES)).unwrap_or(0)];
        self.read_exact_at(&mut bytes, end.saturating_sub(TAIL_BYTES))?;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_data()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn load(path: &Path) -> io::Result<Option<Cursor>> {
        let side = side_file(path);
        let named = |error: &dyn Display| format!("{} {error}", side.display());
        match fs::read(&side) {
            Ok(text) => Cursor::from_text(&text)
                .map(Some)
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, named(&error))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(io::Error::new(error.kind(), named(&format_args!("cannot be read: {error}"))))
            }
        }
    }

    fn save(path: &Path, text: &str) -> io::Result<()> {
        durable::replace(&side_file(path), text)
    }

    fn extend(path: &Path, length: u64, text: &str) -> io::Result<bool> {
        let mut file = match OpenOptions::new().append(true).open(side_file(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        if file.metadata()?.len() != length {
            return Ok(false);
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        Ok(true)
    }
}

fn side_file(path: &Path) -> PathBuf {
    path.with_added_extension("cursor")
}

/// A child that this process is about to start has our files, and so a lock that we have given up, until it runs
/// its own program: that is a matter of milliseconds, and no other writer.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::ResourceBusy, "another writer has it open"))
}

/// So often it is looked whether the lock is free …
const LOCK_TRIES: usize = 20;

/// … and in between it is waited for so long.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
