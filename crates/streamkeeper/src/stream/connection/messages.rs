//! The messages of a WebSocket: bytes in, messages out, and what has to be answered.
//!
//! The frames are read and made by the codec of actix, which awaits each in full, however long it says that it is.
//! So one that is too long is cut off before it: it is passed over as its bytes come, and said, and the next one is
//! read as if nothing had been. Fragments are joined; what a message as a whole may measure, a frame may, too.

use std::borrow::Cow;

use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Item, Message as Said};
use bytes::{Buf as _, Bytes, BytesMut};
use streamkeeper_sse::Text;
use tokio_util::codec::{Decoder as _, Encoder as _};

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A text message.
    Text(Text),
    /// A message of bytes, which is no event.
    Binary,
    /// A text message that is longer than an event may be.
    TooLong,
    /// It proves life: an answer to our question, or a question.
    Control,
    /// A part of a message.
    Part,
    /// The server ends it.
    Closed(Close),
    /// What came is no WebSocket.
    Broken,
}

/// How a server says that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// 1000 or 1001: it is done, or it goes away.
    Planned,
    /// Anything else, with its code if it says one.
    Failed(Option<u16>),
}

/// The messages of one connection.
#[derive(Debug)]
pub(super) struct Messages {
    codec: Codec,
    text_bytes_max: usize,
    buffer: BytesMut,
    /// So many bytes of a frame that is too long are still to come.
    skip: u64,
    /// The message that is under way in parts.
    parts: Option<Parts>,
    /// It has been closed, or is broken: nothing that comes means anything.
    is_over: bool,
    answers: BytesMut,
    replaced: u64,
}

#[derive(Debug)]
struct Parts {
    is_text: bool,
    is_too_long: bool,
    bytes: BytesMut,
}

impl Messages {
    pub(super) fn new(text_bytes_max: usize) -> Self {
        Self {
            codec: Codec::new().max_size(text_bytes_max).client_mode(),
            text_bytes_max,
            buffer: BytesMut::new(),
            skip: 0,
            parts: None,
            is_over: false,
            answers: BytesMut::new(),
            replaced: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or sign of life; `None` until more has come.
    pub(super) fn next(&mut self) -> Option<Message> {
        if self.is_over {
            self.buffer.clear();
            return None;
        }
        self.pass_over();
        if self.skip > 0 {
            return None;
        }
        let long = too_long(&self.buffer, self.text_bytes_max);
        let is_too_long = long.is_some();
        let decoded = match long {
            None => self.codec.decode(&mut self.buffer),
            Some(Long { first, bytes }) => {
                // For the codec it is an empty one of its kind.
                self.skip = bytes;
                self.pass_over();
                self.codec.decode(&mut BytesMut::from(&[first, 0][..]))
            }
        };
        match decoded {
            Ok(frame) => frame.map(|frame| self.message(frame, is_too_long)),
            Err(_) => {
                self.is_over = true;
                Some(Message::Broken)
            }
        }
    }

    fn pass_over(&mut self) {
        let here = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.advance(here);
        self.skip -= here as u64;
    }

    fn message(&mut self, frame: Frame, is_too_long: bool) -> Message {
        match frame {
            Frame::Text(_) if is_too_long => Message::TooLong,
            Frame::Text(bytes) => Message::Text(self.text(&bytes)),
            Frame::Binary(_) => Message::Binary,
            Frame::Continuation(item) => self.part(item, is_too_long),
            Frame::Ping(bytes) => {
                self.answer(Said::Pong(bytes));
                Message::Control
            }
            Frame::Pong(_) => Message::Control,
            Frame::Close(reason) => {
                self.is_over = true;
                let code = reason.map(|reason| reason.code);
                self.answer(Said::Close(code.map(CloseReason::from)));
                Message::Closed(match code {
                    Some(CloseCode::Normal | CloseCode::Away) => Close::Planned,
                    code => Close::Failed(code.map(u16::from)),
                })
            }
        }
    }

    fn part(&mut self, item: Item, is_too_long: bool) -> Message {
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) => {
                self.parts = Some(Parts::new(true));
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                self.parts = Some(Parts::new(false));
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if let Some(parts) = &mut self.parts {
            parts.add(&bytes, is_too_long, self.text_bytes_max);
        }
        match self.parts.take_if(|_| is_last) {
            None => Message::Part,
            Some(Parts { is_text: false, .. }) => Message::Binary,
            Some(Parts { is_too_long: true, .. }) => Message::TooLong,
            Some(Parts { bytes, .. }) => Message::Text(self.text(&bytes)),
        }
    }

    /// The text of a message; what is not UTF-8 is replaced and counted, as in server-sent events.
    fn text(&mut self, bytes: &[u8]) -> Text {
        let text = String::from_utf8_lossy(bytes);
        self.replaced += u64::from(matches!(text, Cow::Owned(_)));
        Text::from(text.into_owned())
    }

    /// How many texts were not UTF-8.
    pub(super) const fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Whether a message has begun and is not whole.
    pub(super) fn is_mid_event(&self) -> bool {
        !self.is_over && (self.skip > 0 || self.parts.is_some() || !self.buffer.is_empty())
    }

    /// Asks the server whether it is there.
    pub(super) fn ask(&mut self) {
        self.answer(Said::Ping(Bytes::new()));
    }

    /// What is to be said to the server.
    pub(super) fn take_answers(&mut self) -> BytesMut {
        std::mem::take(&mut self.answers)
    }

    /// What is said to have it end in order.
    pub(super) fn farewell(&mut self) -> Bytes {
        let mut bytes = BytesMut::new();
        let close = Said::Close(Some(CloseCode::Normal.into()));
        // It encodes everything but a part without a beginning.
        self.codec.encode(close, &mut bytes).unwrap_or_default();
        bytes.freeze()
    }

    fn answer(&mut self, said: Said) {
        // As for the farewell.
        self.codec.encode(said, &mut self.answers).unwrap_or_default();
    }
}

impl Parts {
    fn new(is_text: bool) -> Self {
        Self { is_text, is_too_long: false, bytes: BytesMut::new() }
    }

    fn add(&mut self, bytes: &[u8], is_too_long: bool, bytes_max: usize) {
        self.is_too_long |= is_too_long || self.bytes.len() + bytes.len() > bytes_max;
        if self.is_too_long || !self.is_text {
            self.bytes = BytesMut::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// A frame that is too long: its first byte, and how many it has in all.
struct Long {
    first: u8,
    bytes: u64,
}

/// Whether the frame that the bytes begin with carries data, and too much of it (RFC 6455, section 5.2).
fn too_long(bytes: &[u8], bytes_max: usize) -> Option<Long> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    let (head, length) = match second {
        // Not 127 with a mask before it: a server masks nothing, and the codec says so.
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        _ => (2, u64::from(second)),
    };
    let is_data = first & 0x0F <= 2 && first & 0x70 == 0 && second <= 127;
    // Of more than 63 bits nothing can be; the codec says that, too.
    let is_long = length > bytes_max as u64 && length <= i64::MAX as u64;
    (is_data && is_long).then(|| Long { first, bytes: head + length })
}

#[cfg(test)]
mod tests;
