//! What the bytes of a connection are: server-sent events, or the messages of a WebSocket.

use bytes::{Bytes, BytesMut};
use streamkeeper_sse::{Decoder, Event, Frame, Limits};

use crate::dialect::{FrameReader, Reading};
use crate::observe::registry::StreamEntry;

use super::messages::{Close, Message, Messages};

/// Makes readings of bytes.
pub(super) enum Intake {
    Events(Decoder),
    WebSocket {
        messages: Messages,
        /// The server has closed it; or what it sends is no WebSocket.
        over: Option<Over>,
    },
}

/// How a WebSocket is over before its connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Closed(Close),
    Broken,
}

impl Intake {
    pub(super) fn new(is_web_socket: bool, event_bytes_max: usize) -> Self {
        if is_web_socket {
            Self::WebSocket { messages: Messages::new(event_bytes_max), over: None }
        } else {
            Self::Events(Decoder::new(Limits { event_bytes_max }))
        }
    }

    pub(super) const fn is_web_socket(&self) -> bool {
        matches!(self, Self::WebSocket { .. })
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Events(decoder) => decoder.push(chunk),
            Self::WebSocket { messages, .. } => messages.push(&chunk),
        }
    }

    /// Tells what the next frame means; `None` until more has come.
    pub(super) fn read(
        &mut self,
        frames: &mut FrameReader,
        entry: &StreamEntry,
        tell: &mut impl FnMut(Reading),
    ) -> Option<()> {
        match self {
            Self::Events(decoder) => match decoder.next_frame()? {
                Ok(frame) => frames.read(frame, tell),
                Err(_) => tell(Reading::Garbled),
            },
            Self::WebSocket { messages, over } => match messages.next()? {
                Message::Text(text) => frames.read(Frame::Event(Event::new(text)), tell),
                Message::Control => tell(Reading::Heartbeat),
                Message::Part => tell(Reading::Alive),
                Message::Binary => {
                    say_once(entry, "binary messages", "a message of the WebSocket is no text");
                    tell(Reading::Garbled);
                }
                Message::TooLong => {
                    say_once(entry, "long messages", "a message is longer than max_event_bytes");
                    tell(Reading::Garbled);
                }
                Message::Closed(close) => {
                    *over = Some(Over::Closed(close));
                    tell(if close == Close::Planned { Reading::Planned } else { Reading::Alive });
                }
                Message::Broken => *over = Some(Over::Broken),
            },
        }
        Some(())
    }

    /// How it is over, if the server has said so, or nothing can be read any more.
    pub(super) const fn over(&self) -> Option<Over> {
        match self {
            Self::Events(_) => None,
            Self::WebSocket { over, .. } => *over,
        }
    }

    /// Whether an event has begun and is not whole.
    pub(super) fn is_mid_event(&self) -> bool {
        match self {
            Self::Events(decoder) => decoder.is_mid_event(),
            Self::WebSocket { messages, .. } => messages.is_mid_event(),
        }
    }

    /// How many bytes that are no UTF-8 were replaced.
    pub(super) fn replaced(&self) -> u64 {
        match self {
            Self::Events(decoder) => decoder.replaced(),
            Self::WebSocket { messages, .. } => messages.replaced(),
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        if let Self::Events(decoder) = self {
            decoder.finish();
        }
    }

    /// Asks the server whether it is there, where that can be asked.
    pub(super) fn ask(&mut self) {
        if let Self::WebSocket { messages, .. } = self {
            messages.ask();
        }
    }

    /// What is to be said to the server.
    pub(super) fn take_answers(&mut self) -> BytesMut {
        match self {
            Self::Events(_) => BytesMut::new(),
            Self::WebSocket { messages, .. } => messages.take_answers(),
        }
    }

    /// What is said to the server to have it end in order, where there is a word for it.
    pub(super) fn farewell(&mut self) -> Option<Bytes> {
        match self {
            Self::Events(_) => None,
            Self::WebSocket { messages, .. } => Some(messages.farewell()),
        }
    }
}

fn say_once(entry: &StreamEntry, what: &'static str, words: &str) {
    if entry.is_first(what) {
        tracing::warn!(
            stream = %entry.name,
            "{words}: it is left out and counted (garbled); further ones are only counted",
        );
    }
}
