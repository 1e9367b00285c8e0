//! Writes lines to standard output, past the buffer of the standard library, which hides
//! how much of a failed write has left.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use streamkeeper_sink::{BoxFuture, Envelope, Shape, Sink, SinkError};

use super::StdoutConfig;
use crate::blocking::{blocking, lock};

/// A sink to standard output; see the module for what it promises.
#[derive(Debug)]
pub struct StdoutSink {
    config: StdoutConfig,
    /// Shared with the thread that writes, which outlives a dropped `deliver`.
    lines: Arc<Mutex<Lines<File>>>,
    /// Between two deliveries: room that is used again.
    buffer: Mutex<Vec<u8>>,
}

impl StdoutSink {
    /// A sink to the standard output of this process.
    ///
    /// # Errors
    ///
    /// If the process has no standard output.
    pub fn open(config: StdoutConfig) -> io::Result<Self> {
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            config,
            lines: Arc::new(Mutex::new(Lines::new(output))),
            buffer: Mutex::default(),
        })
    }
}

impl Sink for StdoutSink {
    /// A reader that is slow is no failure.
    fn shape(&self) -> Shape {
        Shape { several: true, time_limit: None, ..Shape::default() }
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mut buffer = mem::take(&mut *lock(&self.buffer));
            buffer.clear();
            batch.iter().for_each(|envelope| self.config.format.encode(envelope, &mut buffer));
            let lines = Arc::clone(&self.lines);
            let write = move || {
                // Keeps other users of standard output in this process out of our lines.
                let _whole_batch = io::stdout().lock();
                let written = lock(&lines).write(&buffer);
                (buffer, written)
            };
            let (buffer, written) = blocking(write).await?;
            *lock(&self.buffer) = buffer;
            written.map_err(|error| match error.kind() {
                ErrorKind::BrokenPipe => SinkError::broken("broken_pipe").with_source(error),
                _ => SinkError::broken("write_failed").with_source(error),
            })
        })
    }
}

/// Whole lines to an output that cannot take anything back.
#[derive(Debug)]
pub(super) struct Lines<W> {
    output: W,
    /// What is missing of the line in which the last write broke off.
    torn: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, torn: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn output_mut(&mut self) -> &mut W {
        &mut self.output
    }

    /// Writes `lines`, of which each is ended, after the rest of a torn line.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        while !self.torn.is_empty() {
            let written = write_some(&mut self.output, &self.torn)?;
            self.torn.drain(..written);
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match write_some(&mut self.output, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) => {
                    self.torn = torn_line(lines, rest).to_vec();
                    return Err(error);
                }
            }
        }
        self.output.flush()
    }
}

fn write_some(output: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// What is missing of the line in which `rest`, the unwritten tail of `lines`, starts;
/// empty if it starts a new line.
fn torn_line<'a>(lines: &[u8], rest: &'a [u8]) -> &'a [u8] {
    let written = lines.get(..lines.len() - rest.len()).unwrap_or_default();
    match written.last() {
        None | Some(b'\n') => &[],
        Some(_) => rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default(),
    }
}
