//! The way to stderr, for the log, for panics and for a command's last words.
//!
//! Whoever reads stderr may go away (`| head`), fall asleep, or never have been there. None of this may
//! end or hold up what we are for. So everything goes into a bounded queue, which a thread of its own
//! writes; what finds no room, or cannot be written, is counted and given up. Not the standard library's
//! `Stderr`: its lock would be held by a write that never ends.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tracing_subscriber::fmt::MakeWriter;

/// Says `text`, soon.
pub(crate) fn say(text: &str) {
    OUT.push(text.as_bytes());
}

/// Waits until all that was said is written, at most so long.
pub(crate) fn flush(within: Duration) {
    OUT.flush(within);
}

/// How many lines could not be written so far.
pub(crate) fn lost() -> Arc<AtomicU64> {
    Arc::clone(&OUT.lost)
}

/// How long a process that ends waits for whoever reads its last words.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lets panics be told like everything else.
pub(crate) fn take_panics() {
    std::panic::set_hook(Box::new(panicked));
}

fn panicked(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let why = info.payload_as_str().unwrap_or("not a text");
    let mut text = format!("thread '{name}' panicked{place}:\n{why}\n");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("{trace}\n"));
    }
    say(&text);
    // It may be the last that this process does.
    flush(PANIC_WORDS);
}

/// A thread that unwinds is waited for by others.
const PANIC_WORDS: Duration = Duration::from_millis(100);

/// Gives the log its way to stderr.
pub(crate) struct ToStderr;

impl MakeWriter<'_> for ToStderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for ToStderr {
    /// A line as a whole: the subscriber hands over no parts.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        OUT.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static OUT: LazyLock<Out> = LazyLock::new(Out::default);

#[derive(Default)]
struct Out {
    queue: Mutex<Queue>,
    changed: Condvar,
    lost: Arc<AtomicU64>,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// Of all lines that wait.
    bytes: usize,
    /// Somebody writes what waits: the thread, or who could not start it.
    is_written: bool,
    /// A line is being written.
    busy: bool,
}

impl Queue {
    fn next(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front();
        self.busy = line.is_some();
        self.bytes -= line.as_ref().map_or(0, Vec::len);
        line
    }

    fn is_done(&self) -> bool {
        self.lines.is_empty() && !self.busy
    }
}

impl Out {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&'static self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.bytes + line.len() > WAITING_MAX {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.to_vec());
        // A moment without threads: the next line tries again.
        queue.is_written = queue.is_written || self.start_thread();
        self.changed.notify_all();
    }

    fn start_thread(&'static self) -> bool {
        std::thread::Builder::new().name("sk-log".into()).spawn(|| self.write_for_ever()).is_ok()
    }

    fn write_for_ever(&self) {
        let mut told = 0;
        loop {
            let mut queue = self.lock();
            let line = loop {
                match queue.next() {
                    Some(line) => break line,
                    None => {
                        self.changed.notify_all();
                        queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            let is_last = queue.lines.is_empty();
            drop(queue);
            let written = self.write(&line, None);
            let lost = self.lost.load(Ordering::Relaxed);
            if written && is_last && lost > told {
                tracing::warn!(
                    lines = lost - told,
                    "the log has a gap: lines could not be written"
                );
                told = lost;
            }
        }
    }

    fn flush(&self, within: Duration) {
        let ends = Instant::now() + within;
        let mut queue = self.lock();
        if !queue.is_written {
            // There is no thread to be had. What is said now are the last words.
            while let Some(line) = queue.next() {
                self.write(&line, Some(ends));
            }
        }
        while !queue.is_done() {
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a line, waiting for room until `ends`; false if it is lost.
    fn write(&self, line: &[u8], ends: Option<Instant>) -> bool {
        let written = write_all(line, ends).is_ok();
        if !written {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

fn write_all(mut rest: &[u8], ends: Option<Instant>) -> Result<(), Errno> {
    let stderr = rustix::stdio::stderr();
    while !rest.is_empty() {
        if let Some(ends) = ends {
            wait_for_room(Some(ends.saturating_duration_since(Instant::now())))?;
        }
        // As much as a pipe with room takes at once.
        let piece = rest.get(..PIECE_MAX).unwrap_or(rest);
        match rustix::io::write(stderr, piece) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Somebody who has it, too, wants it never to wait.
            Err(Errno::AGAIN) => wait_for_room(None)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(within: Option<Duration>) -> Result<(), Errno> {
    let stderr = rustix::stdio::stderr();
    let within = within.and_then(|within| Timespec::try_from(within).ok());
    match poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], within.as_ref()) {
        Ok(0) => Err(Errno::TIMEDOUT),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// So many bytes may wait: a pipe's reader that pauses for a moment costs nothing.
const WAITING_MAX: usize = 1 << 20;

/// `PIPE_BUF` of Linux: a pipe that has room takes it without waiting.
const PIECE_MAX: usize = 4_096;
