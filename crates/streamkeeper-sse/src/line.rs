//! Chunks in, lines out.
//!
//! A line ends with LF, CR or CRLF. A CR ends its line at once, without waiting for the byte after
//! it: should the next chunk begin with LF, that one is swallowed. One byte order mark at the very
//! start is dropped, and no other.
//!
//! A line that lies in one chunk is given as a range of it. A line that spans chunks is gathered in
//! `partial`, where every byte is copied once and searched once, however many chunks there are.
//!
//! Invariant: `partial` never holds more than the room that the caller grants (and a mark cut in
//! two). A line that needs more is reported once and then dropped up to its end.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use bytes::Bytes;
use memchr::memchr2;

use crate::text::Source;

/// Splits the chunks of one body into lines.
pub(crate) struct Lines {
    chunk: Source,
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
    /// A line in the current chunk.
    Whole(Range<usize>),
    /// A line that spanned chunks.
    Joined(Source),
    /// A line of more than the room granted, of which so many bytes were seen.
    TooLong { bytes: usize, is_comment: bool },
    /// The current chunk ends no more lines; [`Lines::load`] the next one.
    ChunkEnd,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self {
            chunk: Source::default(),
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

    /// The chunk that the ranges of [`Step::Whole`] are of.
    pub(crate) fn chunk(&self) -> &Source {
        &self.chunk
    }

    /// Whether a line is under way, or bytes are still unread.
    pub(crate) fn is_mid_line(&self) -> bool {
        self.dropping
            || !self.partial.is_empty()
            || self.at < self.chunk.bytes().len()
            || !self.queue.is_empty()
    }

    /// The next line of at most `room` bytes.
    #[inline]
    pub(crate) fn next(&mut self, room: usize) -> Step {
        match self.cut() {
            None => self.end_chunk(room),
            Some(line) if self.dropping || !self.partial.is_empty() => self.join(line, room),
            Some(line) if line.len() > room => self.too_long(line),
            Some(line) => Step::Whole(line),
        }
    }

    /// Cuts the line that ends next in the chunk, if one does.
    #[inline]
    fn cut(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let rest = self.chunk.bytes().get(start..)?;
        if let [b'\n', ..] = rest {
            self.at += 1;
            return Some(start..start);
        }
        let length = memchr2(b'\n', b'\r', rest)?;
        let mut read = length + 1;
        if rest.get(length) == Some(&b'\r') {
            match rest.get(read) {
                Some(b'\n') => read += 1,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        self.at = start + read;
        Some(start..start + length)
    }

    /// Puts by what is left of the chunk: the start of a line.
    fn end_chunk(&mut self, room: usize) -> Step {
        let rest = self.at..self.chunk.bytes().len();
        self.at = rest.end;
        if self.dropping || rest.is_empty() {
            return Step::ChunkEnd;
        }
        if self.partial.len() + rest.len() > room {
            self.dropping = true;
            return self.too_long(rest);
        }
        self.gather(rest);
        Step::ChunkEnd
    }

    /// Ends a line that began in an earlier chunk.
    fn join(&mut self, line: Range<usize>, room: usize) -> Step {
        if mem::take(&mut self.dropping) {
            return self.next(room);
        }
        if self.partial.len() + line.len() > room {
            return self.too_long(line);
        }
        self.gather(line);
        Step::Joined(Source::new(mem::take(&mut self.partial).into()))
    }

    fn gather(&mut self, part: Range<usize>) {
        self.partial.extend_from_slice(self.chunk.bytes().get(part).unwrap_or_default());
    }

    /// Gives up the line of which `part` was read last.
    #[cold]
    fn too_long(&mut self, part: Range<usize>) -> Step {
        let bytes = self.partial.len() + part.len();
        let first = self.partial.first().or_else(|| self.chunk.bytes().get(part.start));
        let is_comment = first == Some(&b':');
        self.partial = Vec::new();
        Step::TooLong { bytes, is_comment }
    }

    /// Makes the next chunk the current one. If there is none, lets go of the one that was read.
    pub(crate) fn load(&mut self) -> bool {
        self.at = 0;
        let Some(chunk) = self.queue.pop_front() else {
            self.chunk = Source::default();
            return false;
        };
        self.chunk = Source::new(chunk);
        if let Some(first) = self.chunk.bytes().first()
            && mem::take(&mut self.after_cr)
            && *first == b'\n'
        {
            self.at = 1;
        }
        self.drop_mark();
        true
    }

    fn drop_mark(&mut self) {
        while self.at_start
            && let Some(&byte) = self.chunk.bytes().get(self.at)
        {
            if MARK.get(self.partial.len()) != Some(&byte) {
                self.at_start = false;
                return;
            }
            self.at += 1;
            self.partial.push(byte);
            if self.partial.len() == MARK.len() {
                self.at_start = false;
                self.partial.clear();
            }
        }
    }
}

/// The byte order mark, U+FEFF.
const MARK: &[u8] = b"\xEF\xBB\xBF";
