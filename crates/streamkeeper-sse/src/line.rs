//! Chunks in, lines out.
//!
//! A line ends with LF, CR or CRLF. A CR ends its line at once, without waiting for the byte after
//! it: should the next chunk begin with LF, that one is swallowed. One byte order mark at the very
//! start is dropped, and no other.
//!
//! A line is given as a range of the current chunk, so that nothing is copied. A line that spans
//! chunks is gathered in `partial`, and then becomes a chunk of its own before the rest of the one
//! that it ends in; every byte of it is copied once, however many chunks there are.
//!
//! Invariant: `partial` never holds more than the room that the caller grants (and a mark cut in
//! two). A line that needs more is reported once and then dropped up to its end.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use bytes::{Buf, Bytes};
use memchr::memchr2;

/// Splits the chunks of one body into lines.
pub(crate) struct Lines {
    /// A chunk as it came, the rest of one, or a line joined from several.
    chunk: Bytes,
    /// Where in `chunk` the next line starts.
    at: usize,
    queue: VecDeque<Bytes>,
    /// The start of a line whose end has not come; empty while `dropping`.
    partial: Vec<u8>,
    /// The rest of the line under way is dropped.
    dropping: bool,
    /// The last byte was a CR: a LF that comes next belongs to it.
    after_cr: bool,
    /// Nothing but a part of a byte order mark, kept in `partial`, has been read.
    at_start: bool,
}

/// What came of looking for a line.
pub(crate) enum Step {
    /// A line, in the current chunk.
    Line(Range<usize>),
    /// A line of more than the room granted, of which so many bytes were seen.
    TooLong { bytes: usize, is_comment: bool },
    /// No more lines until more chunks come.
    End,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self {
            chunk: Bytes::new(),
            at: 0,
            queue: VecDeque::new(),
            partial: Vec::new(),
            dropping: false,
            after_cr: false,
            at_start: true,
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.queue.push_back(chunk);
    }

    /// The chunk that the range of the last [`Step::Line`] is of.
    pub(crate) fn chunk(&self) -> &Bytes {
        &self.chunk
    }

    /// Whether a line is under way, or bytes are still unread.
    pub(crate) fn is_mid_line(&self) -> bool {
        self.dropping
            || !self.partial.is_empty()
            || self.at < self.chunk.len()
            || !self.queue.is_empty()
    }

    /// The next line of at most `room` bytes.
    #[inline]
    pub(crate) fn next(&mut self, room: usize) -> Step {
        loop {
            let start = self.at;
            let rest = self.chunk.get(start..).unwrap_or_default();
            if let Some((length, read)) = line_end(rest) {
                self.at += read;
                if length > room {
                    return too_long(length, rest);
                }
                return Step::Line(start..start + length);
            }
            if let Some(step) = self.turn(room) {
                return step;
            }
        }
    }

    /// Leaves the current chunk for the next one. The line that it may have begun comes first.
    fn turn(&mut self, room: usize) -> Option<Step> {
        let read = mem::take(&mut self.chunk);
        if let Some(last) = read.last() {
            self.after_cr = *last == b'\r';
        }
        let begun = read.get(mem::take(&mut self.at)..).unwrap_or_default();
        if let Some(step) = self.put_by(begun, room) {
            return Some(step);
        }

        let Some(mut chunk) = self.queue.pop_front() else { return Some(Step::End) };
        self.skip(&mut chunk);
        if self.partial.is_empty() && !self.dropping {
            self.chunk = chunk;
            return None;
        }
        let Some((length, read)) = line_end(&chunk) else { return self.put_by(&chunk, room) };
        let step = self.put_by(chunk.get(..length).unwrap_or_default(), room);
        if mem::take(&mut self.dropping) {
            self.chunk = chunk;
            self.at = read;
            return step;
        }
        self.partial.extend_from_slice(chunk.get(length..read).unwrap_or_default());
        self.chunk = mem::take(&mut self.partial).into();
        chunk.advance(read);
        if !chunk.is_empty() {
            self.queue.push_front(chunk);
        }
        step
    }

    /// Keeps a part of a line that goes on beyond its chunk, unless it is to be dropped.
    fn put_by(&mut self, part: &[u8], room: usize) -> Option<Step> {
        if self.dropping || part.is_empty() {
            return None;
        }
        let bytes = self.partial.len() + part.len();
        if bytes > room {
            self.dropping = true;
            let start = mem::take(&mut self.partial);
            return Some(too_long(bytes, if start.is_empty() { part } else { &start }));
        }
        self.partial.extend_from_slice(part);
        None
    }

    /// Drops what is not part of any line: the LF of a CRLF cut in two, and the mark.
    fn skip(&mut self, chunk: &mut Bytes) {
        if !chunk.is_empty() && mem::take(&mut self.after_cr) && chunk.starts_with(b"\n") {
            chunk.advance(1);
        }
        while self.at_start
            && let Some(&byte) = chunk.first()
        {
            if MARK.get(self.partial.len()) != Some(&byte) {
                self.at_start = false;
                return;
            }
            chunk.advance(1);
            self.partial.push(byte);
            if self.partial.len() == MARK.len() {
                self.at_start = false;
                self.partial.clear();
            }
        }
    }
}

/// How long the first line is, without its end and with it, if it ends here.
#[inline]
fn line_end(bytes: &[u8]) -> Option<(usize, usize)> {
    if let [b'\n', ..] = bytes {
        return Some((0, 1));
    }
    let length = memchr2(b'\n', b'\r', bytes)?;
    let end = match bytes.get(length..) {
        Some([b'\r', b'\n', ..]) => 2,
        _ => 1,
    };
    Some((length, length + end))
}

#[cold]
fn too_long(bytes: usize, line: &[u8]) -> Step {
    Step::TooLong { bytes, is_comment: line.starts_with(b":") }
}

/// The byte order mark, U+FEFF.
const MARK: &[u8] = b"\xEF\xBB\xBF";
