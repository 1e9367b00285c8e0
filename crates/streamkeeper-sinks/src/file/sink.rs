//! The sink: encodes a batch, and has a blocking thread append it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use streamkeeper_sink::{BoxFuture, Envelope, OwnPlace, Resume, Shape, Sink, SinkError};

use super::FileConfig;
use super::lines::Lines;
use super::log::Log;
use super::storage::Storage;
use crate::Format;
use crate::blocking::{blocking, lock};

/// A sink that appends to a file; see the module for what it promises.
#[derive(Debug)]
pub struct FileSink(Appender<File>);

impl FileSink {
    /// Opens or makes the file of the sink `name`, and its side file.
    ///
    /// # Errors
    ///
    /// If the file or its folder cannot be opened or made, is not a regular file, or has
    /// another writer; if the side file is damaged or of an unknown version.
    pub fn open(name: &str, config: FileConfig) -> io::Result<Self> {
        Appender::open(name, config).map(Self)
    }
}

impl Sink for FileSink {
    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        self.0.resume(resume)
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.0.deliver(batch)
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }

    fn places(&self) -> Vec<(String, OwnPlace)> {
        self.0.places()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.0.close()
    }
}

/// The sink over any storage.
#[derive(Debug)]
pub(super) struct Appender<S> {
    format: Format,
    /// Shared with the thread that writes, which outlives a dropped `deliver`.
    log: Arc<Mutex<Log<S>>>,
    /// Between two deliveries: room that is used again.
    lines: Mutex<Lines>,
}

impl<S: Storage> Appender<S> {
    pub(super) fn open(name: &str, config: FileConfig) -> io::Result<Self> {
        let log = Log::open(name.to_owned(), config.path)?;
        Ok(Self { format: config.format, log: Arc::new(Mutex::new(log)), lines: Mutex::default() })
    }

    /// Whether no dropped `deliver` has left a thread behind that still writes. A second one would only
    /// wait for it, and while a disk hangs there would be more and more of them.
    fn is_free(&self) -> Result<(), SinkError> {
        match self.log.try_lock() {
            Err(TryLockError::WouldBlock) => Err(SinkError::busy("still_writing", None)),
            Ok(_) | Err(TryLockError::Poisoned(_)) => Ok(()),
        }
    }
}

impl<S: Storage> Sink for Appender<S> {
    /// What a batch costs, two syncs of a disk, it costs once for all that is new in any stream.
    fn shape(&self) -> Shape {
        Shape { several: true, linger: LINGER, ..Shape::default() }
    }

    fn places(&self) -> Vec<(String, OwnPlace)> {
        lock(&self.log).places()
    }

    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            self.is_free()?;
            let log = Arc::clone(&self.log);
            let (source, ledger) = (resume.source.to_owned(), resume.ledger.to_owned());
            let Resume { next, end, .. } = resume;
            let resume =
                move || lock(&log).resume(Resume { source: &source, ledger: &ledger, next, end });
            let resumed = blocking(resume).await?;
            resumed.map_err(|error| SinkError::broken(reason(&error)).with_source(error))
        })
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            self.is_free()?;
            let mut lines = mem::take(&mut *lock(&self.lines));
            lines.fill(self.format, batch);
            let log = Arc::clone(&self.log);
            let append = move || {
                let appended = lock(&log).append(&lines);
                (lines, appended)
            };
            let (lines, appended) = blocking(append).await?;
            *lock(&self.lines) = lines;
            appended.map_err(|error| SinkError::broken(reason(&error)).with_source(error))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        // Waits for a write that a dropped `deliver` left behind.
        let log = Arc::clone(&self.log);
        Box::pin(blocking(move || drop(lock(&log))))
    }
}

/// A hundred batches a second are enough: each costs two syncs of a disk, whatever is in it.
const LINGER: Duration = Duration::from_millis(10);

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "disk_full",
        _ => "write_failed",
    }
}
