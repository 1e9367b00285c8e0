//! The sink: encodes a batch, and has a blocking thread append it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use streamkeeper_sink::{BoxFuture, Envelope, Sink, SinkError};

use super::FileConfig;
use super::log::Log;
use super::storage::Storage;
use crate::Format;

/// A sink that appends to a file; see the module for what it promises.
#[derive(Debug)]
pub struct FileSink(Appender<File>);

impl FileSink {
    /// Opens or makes the file of the sink `name`, and cuts off a torn last line.
    ///
    /// # Errors
    ///
    /// If the file or its folder cannot be opened or made, is not a regular file, or has
    /// another writer.
    pub fn open(name: &str, config: FileConfig) -> io::Result<Self> {
        Appender::open(name, config).map(Self)
    }
}

impl Sink for FileSink {
    fn deliver<'a>(&'a mut self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.0.deliver(batch)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), SinkError>> {
        Box::new(self.0).close()
    }
}

/// The sink over any storage.
#[derive(Debug)]
pub(super) struct Appender<S> {
    format: Format,
    /// Shared with the thread that writes, which outlives a dropped `deliver`.
    log: Arc<Mutex<Log<S>>>,
    buffer: Vec<u8>,
}

impl<S: Storage> Appender<S> {
    pub(super) fn open(name: &str, config: FileConfig) -> io::Result<Self> {
        let log = Log::open(name.to_owned(), config.path)?;
        Ok(Self { format: config.format, log: Arc::new(Mutex::new(log)), buffer: Vec::new() })
    }
}

impl<S: Storage> Sink for Appender<S> {
    fn deliver<'a>(&'a mut self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mut buffer = mem::take(&mut self.buffer);
            buffer.clear();
            self.format.encode(batch, &mut buffer);
            let log = Arc::clone(&self.log);
            let append = move || {
                let appended = log.lock().unwrap_or_else(PoisonError::into_inner).append(&buffer);
                (buffer, appended)
            };
            let (buffer, appended) = tokio::task::spawn_blocking(append)
                .await
                .map_err(|error| SinkError::retryable("interrupted").with_source(error))?;
            self.buffer = buffer;
            appended.map_err(|error| SinkError::retryable(reason(&error)).with_source(error))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), SinkError>> {
        // Waits for a write that a dropped `deliver` left behind.
        let close = move || drop(self.log.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            tokio::task::spawn_blocking(close)
                .await
                .map_err(|error| SinkError::retryable("interrupted").with_source(error))
        })
    }
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "disk_full",
        _ => "write_failed",
    }
}
