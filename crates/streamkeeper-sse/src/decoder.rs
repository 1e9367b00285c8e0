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
use crate::text::Source;
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
            let mut joined = None;
            let (source, line) = match self.lines.next(room) {
                Step::Whole(line) => (self.lines.chunk(), line),
                Step::Joined(source) => {
                    let source = &*joined.insert(source);
                    (source, 0..source.bytes().len())
                }
                Step::ChunkEnd => {
                    self.block.leave(self.lines.chunk());
                    if self.lines.load() {
                        continue;
                    }
                    return None;
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
            };
            match self.block.line(source, line) {
                Found::Nothing => {}
                Found::Event => {
                    return Some(Ok(Frame::Event(self.block.take(source, &mut self.replaced))));
                }
                Found::Comment(text) => {
                    return Some(Ok(Frame::Comment(source.text(text, &mut self.replaced))));
                }
            }
            if let Some(source) = &joined {
                self.block.leave(source);
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

/// The block under way: an event in parts.
#[derive(Default)]
struct Block {
    /// The name given last, in this block or an earlier one: names repeat.
    name: Label,
    is_named: bool,
    data: Data,
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

/// The data of the block under way, as cheap as can be until the event is made.
#[derive(Default)]
enum Data {
    #[default]
    None,
    /// One line, in the source being read.
    Here(Range<usize>),
    /// One line, in a source that has been left.
    Elsewhere(Text),
    /// Several lines.
    Joined(String),
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
    fn line(&mut self, source: &Source, at: Range<usize>) -> Found {
        let line = source.bytes().get(at.clone()).unwrap_or_default();
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
            self.data(source, value_range(value, at.end));
        } else if let Some(value) = line.strip_prefix(b"event:") {
            self.name(source, value_range(value, at.end));
        } else {
            self.field(source, line, at);
        }
        Found::Nothing
    }

    /// Any field, where the most frequent ones are not known yet.
    fn field(&mut self, source: &Source, line: &[u8], at: Range<usize>) {
        let colon = memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value_at = value_range(value.get(1..).unwrap_or_default(), at.end);
        let value = source.bytes().get(value_at.clone()).unwrap_or_default();
        match name {
            b"data" => self.data(source, value_at),
            b"event" => self.name(source, value_at),
            b"id" if memchr(0, value).is_some() => {}
            b"id" => self.id = Some(source.str(value_at, &mut self.replaced).as_ref().into()),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            _ => {
                self.bytes += FIELD_BYTES;
                let name = source.str(at.start..at.start + colon, &mut self.replaced);
                let value = source.str(value_at, &mut self.replaced);
                self.fields
                    .push(Field { name: name.as_ref().into(), value: value.as_ref().into() });
            }
        }
    }

    #[inline]
    fn name(&mut self, source: &Source, value: Range<usize>) {
        let name = source.str(value, &mut self.replaced);
        self.is_named = !name.is_empty();
        if self.name != *name {
            self.name = Label::from(&*name);
        }
    }

    #[inline]
    fn data(&mut self, source: &Source, value: Range<usize>) {
        if let Data::None = self.data {
            self.data = Data::Here(value);
        } else {
            self.more_data(source, value);
        }
    }

    fn more_data(&mut self, source: &Source, value: Range<usize>) {
        let mut lines = match mem::take(&mut self.data) {
            Data::None => String::new(),
            Data::Here(first) => source.str(first, &mut self.replaced).into_owned(),
            Data::Elsewhere(first) => first.as_str().to_owned(),
            Data::Joined(lines) => lines,
        };
        lines.push('\n');
        lines.push_str(&source.str(value, &mut self.replaced));
        self.data = Data::Joined(lines);
    }

    /// No more will be read from the source.
    fn leave(&mut self, source: &Source) {
        if let Data::Here(value) = &self.data {
            self.data = Data::Elsewhere(source.text(value.clone(), &mut self.replaced));
        }
    }

    /// The event that a blank line completed.
    #[inline]
    fn take(&mut self, source: &Source, replaced: &mut u64) -> Event {
        self.is_open = false;
        self.bytes = 0;
        *replaced += mem::take(&mut self.replaced);
        let data = mem::take(&mut self.data);
        Event {
            name: mem::take(&mut self.is_named).then(|| self.name.clone()),
            has_data_line: !matches!(data, Data::None),
            data: match data {
                Data::None => Text::default(),
                Data::Here(value) => source.text(value, replaced),
                Data::Elsewhere(text) => text,
                Data::Joined(lines) => lines.into(),
            },
            id: self.id.take(),
            retry: self.retry.take(),
            fields: mem::take(&mut self.fields),
        }
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

/// What a kept field costs beyond its bytes: two labels, and allocations for both.
const FIELD_BYTES: usize = 128;
