//! Lines in, frames out.
//!
//! The rules are those of the WHATWG HTML standard, "Interpreting an event stream", except that a
//! block without data is given too, and that a comment is given as soon as its line ends, without
//! waiting for the blank line that may never come.
//!
//! Whatever the cuts between chunks, the frames are the same. Whatever the bytes, memory stays
//! within a small multiple of the limit (buffers grow by doubling, and a bad byte becomes three),
//! plus the one chunk that the data of the block under way may be a slice of.
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
use crate::text::decode;
use crate::{Event, Field, Frame, Label, Text};

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
        let limit = self.limits.event_bytes_max;
        loop {
            let room = limit.saturating_sub(self.block.bytes);
            match self.lines.next(room) {
                Step::Line(line) => match self.block.line(self.lines.chunk(), line) {
                    Found::Nothing => {}
                    Found::Event => {
                        return Some(Ok(Frame::Event(self.block.take(&mut self.replaced))));
                    }
                    Found::Comment(text) => {
                        let text = Text::cut(self.lines.chunk(), text, &mut self.replaced);
                        return Some(Ok(Frame::Comment(text)));
                    }
                },
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
                Step::End => return None,
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
    /// The name given last, in this block or an earlier one: names repeat.
    name: Label,
    is_named: bool,
    /// The first line of data.
    data: Option<Text>,
    /// All lines of data, once there are several.
    lines: Option<String>,
    id: Option<Label>,
    retry: Option<Duration>,
    fields: Vec<Field>,
    /// What counts against the limit.
    bytes: usize,
    /// Replacements so far. They count once the event is given out.
    replaced: u64,
    /// A field line has come.
    is_open: bool,
    /// The block went over the limit: nothing of it is kept.
    skip: bool,
}

/// What a line completes.
enum Found {
    Nothing,
    /// The block under way; it must be taken.
    Event,
    /// Where the text of a comment is.
    Comment(Range<usize>),
}

impl Block {
    /// Takes one line.
    #[inline]
    fn line(&mut self, chunk: &Bytes, at: Range<usize>) -> Found {
        let line = chunk.get(at.clone()).unwrap_or_default();
        match line {
            [] => {
                self.skip = false;
                return if self.is_open { Found::Event } else { Found::Nothing };
            }
            [b':', value @ ..] => {
                return Found::Comment(value_range(value, at.end));
            }
            _ if self.skip => return Found::Nothing,
            _ => {}
        }
        self.is_open = true;
        self.bytes += line.len();
        if let Some(value) = line.strip_prefix(b"data:") {
            self.data(chunk, value_range(value, at.end));
        } else if let Some(value) = line.strip_prefix(b"event:") {
            self.name(strip_space(value));
        } else {
            self.field(chunk, line, at);
        }
        Found::Nothing
    }

    /// Any field, where the most frequent ones are not known yet.
    fn field(&mut self, chunk: &Bytes, line: &[u8], at: Range<usize>) {
        let colon = memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = strip_space(value.get(1..).unwrap_or_default());
        match name {
            b"data" => self.data(chunk, at.end - value.len()..at.end),
            b"event" => self.name(value),
            b"id" if memchr(0, value).is_some() => {}
            b"id" => self.id = Some(self.label(value)),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            _ => {
                self.bytes += FIELD_BYTES;
                let field = Field { name: self.label(name), value: self.label(value) };
                self.fields.push(field);
            }
        }
    }

    fn label(&mut self, value: &[u8]) -> Label {
        decode(value, &mut self.replaced).as_ref().into()
    }

    /// Sets the name; the label is made anew only if it is another one.
    #[inline(always)]
    fn name(&mut self, value: &[u8]) {
        if self.name.as_str().as_bytes() != value {
            self.name = self.label(value);
        }
        self.is_named = !value.is_empty();
    }

    /// Adds a line of data. The first one is cut out at once, so that it may outlive its chunk.
    #[inline(always)]
    fn data(&mut self, chunk: &Bytes, value: Range<usize>) {
        if self.data.is_some() {
            self.more_data(chunk.get(value).unwrap_or_default());
        } else {
            self.data = Some(Text::cut(chunk, value, &mut self.replaced));
        }
    }

    fn more_data(&mut self, value: &[u8]) {
        let first = self.data.as_ref();
        let lines = self.lines.get_or_insert_with(|| first.map_or("", Text::as_str).to_owned());
        lines.push('\n');
        lines.push_str(&decode(value, &mut self.replaced));
    }

    /// Not inlined, as [`Block::take`] is not: the compiler would then assemble the parts in small
    /// pieces and copy them at once in large ones, which waits for every piece to be written.
    #[inline(never)]
    fn take_name(&mut self) -> Option<Label> {
        mem::take(&mut self.is_named).then(|| self.name.clone())
    }

    /// The event that a blank line completed.
    #[inline(never)]
    fn take(&mut self, replaced: &mut u64) -> Event {
        self.is_open = false;
        self.bytes = 0;
        *replaced += mem::take(&mut self.replaced);
        if let Some(lines) = self.lines.take() {
            self.data = Some(lines.into());
        }
        Event {
            name: self.take_name(),
            has_data_line: self.data.is_some(),
            data: self.data.take().unwrap_or_default(),
            id: self.id.take(),
            retry: self.retry.take(),
            fields: mem::take(&mut self.fields),
        }
    }
}

/// A value without the one space that is not part of it.
#[inline]
fn strip_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// Where a value is that ends at `end`: one leading space is not part of it.
#[inline]
fn value_range(value: &[u8], end: usize) -> Range<usize> {
    end - strip_space(value).len()..end
}

/// ASCII digits only, at least one; saturates.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = value.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    });
    digits.filter(|_| !value.is_empty()).map(Duration::from_millis)
}

/// What a kept field costs beyond its bytes: two labels, and allocations for both.
const FIELD_BYTES: usize = 128;
