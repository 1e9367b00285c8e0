//! The output and its side file: what the log needs of them, behind a trait so that tests can
//! make them fail and crash, and the real ones.

use std::fmt::Display;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use super::cursor::{Cursor, Identity};

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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(ErrorKind::ResourceBusy, "another writer has it open"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
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
        let side = side_file(path);
        let new = side.with_added_extension("tmp");
        // Made anew, so that its rights are ours, whoever left one behind.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &side)?;
        sync_folder(folder_of(&side))
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

/// Makes `folder` and its missing parents, 0700, and makes their names durable.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder_of(folder);
    create_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in `folder` durable, as far as its file system can: some (SMB, FUSE) know no sync of a
/// folder, and are to be used all the same. That is said once.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if is_no_sync(&error) => {
            tell_no_sync(folder, &error);
            Ok(())
        }
        answer => answer,
    }
}

fn tell_no_sync(folder: &Path, error: &io::Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        let folder = folder.display();
        tracing::warn!(
            %folder,
            %error,
            "the file system cannot sync a folder: a power cut may take new files of the sink"
        );
    }
}

/// Whether a folder's sync was answered with "no such thing": `EINVAL`, `ENOTSUP`, `ENOSYS`, `EBADF`.
fn is_no_sync(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_sync_a_folder_is_no_failure() {
        // Linux answers EINVAL here.
        let folder = Path::new("/proc");
        assert!(File::open(folder).unwrap().sync_all().is_err());
        sync_folder(folder).unwrap();
        for number in [9, 22, 38, 95] {
            assert!(is_no_sync(&io::Error::from_raw_os_error(number)), "{number}");
        }
        let [eio, enospc, erofs] = [5, 28, 30];
        for number in [eio, enospc, erofs] {
            assert!(!is_no_sync(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
