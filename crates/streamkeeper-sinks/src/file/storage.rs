//! The file itself: what the log needs of it, behind a trait so that tests can make it
//! fail, and the real one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// An append-only file that can be cut.
pub(super) trait Storage: Sized + Send + 'static {
    /// Opens or makes the file at `path` for this process alone.
    fn open(path: &Path) -> io::Result<Self>;
    /// Whether `path` still leads to this file.
    fn is_at(&self, path: &Path) -> bool;
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// The length up to and with the last line end: less than `length` after a crash in
    /// the middle of a line.
    fn whole_lines_length(&self) -> io::Result<u64>;
    /// Appends some of `bytes`; how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts the file to `length` bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Waits until everything is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

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

    fn whole_lines_length(&self) -> io::Result<u64> {
        let mut block = [0; 64 * 1024];
        let mut end = self.length()?;
        while end > 0 {
            let start = end.saturating_sub(block.len() as u64);
            let Some(bytes) = block.get_mut(..usize::try_from(end - start).unwrap_or(0)) else {
                break;
            };
            self.read_exact_at(bytes, start)?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
                return Ok(start + last as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
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

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
