//! Lines in, frames out.
//!
//! The rules are those of the WHATWG HTML standard, "Interpreting an event stream", except that a
//! block without data is given too, and that a comment is given as soon as its line ends, without
//! waiting for the blank line that may never come.
//!
//! Whatever the cuts between chunks, the frames are the same; and whatever the bytes, the memory
//! held for the block under way stays within the limit (and the chunks that its name, its id and
//! its data are slices of: three at most; the fields that the standard ignores are copied).
//!
//! An event beyond the limit is an error item, after which everything up to the end of that event
//! is skipped. A comment beyond the limit is one too, and costs no more than its own line: it may
//! have no blank line after it, and an event should not be lost to a heartbeat.

use std::mem;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use memchr::memchr;

use crate::line::{Lines, Step};
use crate::text::Source;
use crate::{Event, Field, Frame, Text};

/// What a decoder holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one event: its lines without their ends, the unfinished one included, plus 128 for
    /// each field that the standard ignores (what keeping one costs). A comment counts together
    /// with the event that it interrupts, while its line is under way.
    pub event_bytes_max: usize,
}

impl Default for Limits {
    /// 4 MiB: records of tens of kilobytes are ordinary, so this is far above any honest event.
    fn default() -> Self {
        Self { event_bytes_max: 4 << 20 }
    }
}

/// Why a part of the stream could not be decoded. The decoder goes on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An event or comment is longer than [`Limits::event_bytes_max`]; it is skipped to its end.
    #[error("an event of at least {seen} bytes is over the limit of {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
        /// The bytes seen of it when it went over the limit; its end may not have been seen yet.
        seen: usize,
    },
}

/// An incremental decoder of one event stream.
///
/// Push the chunks of the body as they come, and take frames until there are none. After the end
/// of the body call [`Decoder::finish`]; the decoder is then as new, except for what it counted.
///
/// ```
/// use bytes::Bytes;
/// use streamkeeper_sse::{Decoder, Frame, Limits};
///
/// let mut decoder = Decoder::new(Limits { event_bytes_max: 64 * 1024 });
/// decoder.push(Bytes::from(": hi\r\ndata: one\rdata: two\n\nid: 7"));
/// let Some(Ok(Frame::Comment(text))) = decoder.next_frame() else { unreachable!() };
/// assert_eq!(text, "hi");
/// let Some(Ok(Frame::Event(event))) = decoder.next_frame() else { unreachable!() };
/// assert_eq!(event.data, "one\ntwo");
/// assert!(decoder.next_frame().is_none());
/// assert!(decoder.is_mid_event());
/// assert!(decoder.finish());
/// assert_eq!(decoder.dropped(), 1);
/// ```
pub struct Decoder {
    limits: Limits,
    lines: Lines,
    block: Block,
    replaced: u64,
    dropped: u64,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self { limits, lines: Lines::new(), block: Block::default(), replaced: 0, dropped: 0 }
    }

    /// Takes the next bytes of the body, without reading them yet. Chunks queue up until
    /// [`Decoder::next_frame`] has gone through them, so call that until it gives `None`.
    pub fn push(&mut self, chunk: Bytes) {
        self.lines.push(chunk);
    }

    /// The next frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] is an item like others: the decoder skips that event and goes on
    /// with the one after it, if it is called again.
    pub fn next_frame(&mut self) -> Option<Result<Frame, DecodeError>> {
        loop {
            let limit = self.limits.event_bytes_max;
            let room = limit.saturating_sub(self.block.bytes);
            let found = match self.lines.next(room) {
                Step::Whole(line) => self.block.line(self.lines.chunk(), line, &mut self.replaced),
                Step::Joined(source) => {
                    let line = 0..source.bytes().len();
                    self.block.line(&source, line, &mut self.replaced)
                }
                Step::TooLong { bytes, is_comment } => {
                    if self.block.skip && !is_comment {
                        continue;
                    }
                    let seen = self.block.bytes.saturating_add(bytes);
                    if !is_comment {
                        self.block = Block { skip: true, ..Block::default() };
                    }
                    return Some(Err(DecodeError::TooLong { limit, seen }));
                }
                Step::Starved => return None,
            };
            if let Some(frame) = found {
                return Some(Ok(frame));
            }
        }
    }

    /// Whether an event, a comment or a line has begun and not ended, or pushed bytes are unread.
    /// An event that is being skipped counts. If the body ends now, it ends within a frame.
    pub fn is_mid_event(&self) -> bool {
        self.lines.is_mid_line() || self.block.is_open || self.block.skip
    }

    /// The body has ended: drops what has not, and makes ready for another stream from its start.
    /// Returns whether anything was dropped, that is [`Decoder::is_mid_event`].
    pub fn finish(&mut self) -> bool {
        let cut = self.is_mid_event();
        self.dropped += u64::from(cut);
        self.lines = Lines::new();
        self.block = Block::default();
        cut
    }

    /// How often bytes that are not UTF-8 were replaced by U+FFFD in what was given out, ever.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// How many times [`Decoder::finish`] dropped something unfinished, ever.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// The block under way.
#[derive(Default)]
struct Block {
    event: Event,
    /// The data as soon as it has more than one line; then `event.data` is unused.
    lines: Option<String>,
    /// What counts against the limit.
    bytes: usize,
    /// A field line has come.
    is_open: bool,
    /// The block went over the limit: nothing of it is kept.
    skip: bool,
}

impl Block {
    /// Takes one line, and gives the frame that it completes.
    #[inline]
    fn line(&mut self, source: &Source, at: Range<usize>, replaced: &mut u64) -> Option<Frame> {
        let line = source.bytes().get(at.clone()).unwrap_or_default();
        if let Some(value) = line.strip_prefix(b"data:")
            && !self.skip
        {
            self.open(line.len());
            self.data(source.text(value_range(value, at.end), replaced));
            return None;
        }
        match line.first() {
            None => self.end(),
            Some(b':') => {
                let value = line.get(1..).unwrap_or_default();
                Some(Frame::Comment(source.text(value_range(value, at.end), replaced)))
            }
            Some(_) => {
                if !self.skip {
                    self.open(line.len());
                    self.field(source, line, at, replaced);
                }
                None
            }
        }
    }

    #[inline]
    fn open(&mut self, bytes: usize) {
        self.is_open = true;
        self.bytes += bytes;
    }

    fn field(&mut self, source: &Source, line: &[u8], at: Range<usize>, replaced: &mut u64) {
        let colon = memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value_at = value_range(value.get(1..).unwrap_or_default(), at.end);
        let value = source.bytes().get(value_at.clone()).unwrap_or_default();
        match name {
            b"data" => self.data(source.text(value_at, replaced)),
            b"event" => {
                let name = source.text(value_at, replaced);
                self.event.name = (!name.is_empty()).then_some(name);
            }
            b"id" if memchr(0, value).is_none() => {
                self.event.id = Some(source.text(value_at, replaced));
            }
            b"id" => {}
            b"retry" => {
                if let Some(retry) = milliseconds(value) {
                    self.event.retry = Some(retry);
                }
            }
            _ => {
                self.bytes += FIELD_BYTES;
                let name = source.text(at.start..at.start + colon, replaced);
                let value = source.text(value_at, replaced);
                self.event.fields.push(Field { name: copy(&name), value: copy(&value) });
            }
        }
    }

    #[inline]
    fn data(&mut self, value: Text) {
        if !self.event.has_data_line {
            self.event.has_data_line = true;
            self.event.data = value;
            return;
        }
        let first = &self.event.data;
        let lines = self.lines.get_or_insert_with(|| first.as_str().to_owned());
        lines.push('\n');
        lines.push_str(value.as_str());
    }

    /// A blank line.
    #[inline]
    fn end(&mut self) -> Option<Frame> {
        self.skip = false;
        if !mem::take(&mut self.is_open) {
            return None;
        }
        self.bytes = 0;
        let mut event = mem::take(&mut self.event);
        if let Some(lines) = self.lines.take() {
            event.data = lines.into();
        }
        Some(Frame::Event(event))
    }
}

/// Where a value is that ends at `end`: one leading space is not part of it.
#[inline]
fn value_range(value: &[u8], end: usize) -> Range<usize> {
    let length = value.strip_prefix(b" ").unwrap_or(value).len();
    end - length..end
}

/// ASCII digits only, at least one; saturates.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = value.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    });
    digits.filter(|_| !value.is_empty()).map(Duration::from_millis)
}

/// A text of its own, so that many small ones do not keep many chunks in memory.
fn copy(text: &Text) -> Text {
    Text::from(text.as_str())
}

/// What a kept field costs beyond its bytes: two handles and two allocations.
const FIELD_BYTES: usize = 128;
