//! Appends batches of whole lines: all of a batch, or nothing of it.
//!
//! The length before a batch is remembered until the batch is synced. As long as it is
//! remembered, what lies behind it is not ours to keep and is cut off before anything
//! else is written. That holds after a failed sync as well: cutting and writing again
//! makes every page of the batch dirty anew, so that the next sync is a true one.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::storage::Storage;

#[derive(Debug)]
pub(super) struct Log<S> {
    /// The sink's name, for the log line about a torn line.
    name: String,
    path: PathBuf,
    storage: S,
    /// The length to go back to, while a batch is not known to be on disk.
    torn_at: Option<u64>,
}

impl<S: Storage> Log<S> {
    pub(super) fn open(name: String, path: PathBuf) -> io::Result<Self> {
        let mut storage = S::open(&path)?;
        let (length, whole) = (storage.length()?, storage.whole_lines_length()?);
        if whole < length {
            tracing::warn!(sink = %name, bytes = length - whole, "cut off a torn last line");
            storage.cut(whole)?;
        }
        Ok(Self { name, path, storage, torn_at: None })
    }

    /// Appends `lines`, of which each is ended, and waits until they are on disk.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.cut_torn()?;
        if !self.storage.is_at(&self.path) {
            *self = Self::open(self.name.clone(), self.path.clone())?;
        }
        self.torn_at = Some(self.storage.length()?);
        let written = self.write_all(lines).and_then(|()| self.storage.sync());
        match written {
            Ok(()) => self.torn_at = None,
            // At once, for whoever reads the file; if it fails, again before the next try.
            Err(_) => drop(self.cut_torn()),
        }
        written
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.storage.append(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn cut_torn(&mut self) -> io::Result<()> {
        if let Some(length) = self.torn_at {
            // Somebody else may have cut the file; cutting must never make it longer.
            if self.storage.length()? > length {
                self.storage.cut(length)?;
            }
            self.torn_at = None;
        }
        Ok(())
    }
}
