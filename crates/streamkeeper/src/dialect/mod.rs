//! What a server means: how it is asked for a stream, what its frames are, what its refusals and ends mean.
//!
//! Everything after this room speaks of [`Event`]s and pokes, whatever the server calls them.
//!
//! - `event`: an event with its identity; `part`: texts that lie within an event's payload;
//! - `inform`: the Inform API; `sse`: servers of server-sent events that resume from a cursor.

pub(crate) mod event;
pub(crate) mod inform;
mod part;
pub(crate) mod sse;

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_call::Response;
use streamkeeper_core::classify::Refusal;
use streamkeeper_core::cursored::GapSign;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::marked::Members;
use streamkeeper_core::policy::Target;
use streamkeeper_core::time::Timestamp;
use streamkeeper_sse::Frame;

use crate::config::{self, StreamConfig};

use self::event::Event;
use self::inform::Inform;
use self::sse::{Ask, Opened, Sse, SseReader};

/// What one frame means, or a part of it.
#[derive(Debug)]
pub(crate) enum Reading {
    /// It proves life and says nothing else.
    Alive,
    /// A heartbeat that says something of the service.
    Poke { ts: Option<Timestamp>, members: Members },
    /// An event that a consumer wants.
    Event(Event),
    /// It should have been an event, and cannot be read as one.
    Garbled,
    /// It is neither data nor life.
    Ignored,
    /// A heartbeat that says nothing else.
    Heartbeat,
    /// A last event: the end that follows is a planned one.
    Planned,
    /// The server shows that the place it was asked for is lost.
    Gap(GapSign),
    /// Where the server is, without an event.
    Cursor(Cursor),
    /// How often the server says something, from now on.
    Interval(Duration),
    /// How long to wait at least before the next connection; an hour at most.
    Retry(Duration),
}

/// How the server of one stream is spoken to.
#[derive(Clone, Debug)]
pub(crate) enum Dialect {
    /// The Inform (V2) API.
    Inform(Inform),
    /// Server-sent events that are gone on with from a cursor.
    Sse(Arc<Sse>),
}

/// What the frames of one connection mean.
#[derive(Debug)]
pub(crate) enum FrameReader {
    Inform,
    Sse(SseReader),
}

impl Dialect {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        match &config.dialect {
            config::Dialect::Inform(table) => Self::Inform(Inform::new(table)),
            config::Dialect::Sse(table) => Self::Sse(Sse::new(config, table)),
        }
    }

    /// Whether the stream is a WebSocket.
    pub(crate) fn is_web_socket(&self) -> bool {
        matches!(self, Self::Sse(sse) if sse.is_web_socket())
    }

    /// How an event stream is asked for; whoever connects adds host and secret. `None`: it is a target of
    /// another family.
    pub(crate) fn ask(&self, target: &Target) -> Option<Ask> {
        match (self, target) {
            (Self::Inform(inform), target) => inform.request(target).map(Ask::place),
            (Self::Sse(sse), Target::Cursored(target)) => Some(sse.ask(target.cursor.as_ref())),
            (Self::Sse(_), Target::Marked(_)) => None,
        }
    }

    /// What the frames of a connection mean that was asked for this target.
    pub(crate) fn reader(&self, target: &Target) -> FrameReader {
        match (self, target) {
            (Self::Sse(sse), Target::Cursored(target)) => {
                FrameReader::Sse(sse.reader(target.cursor.as_ref()))
            }
            (Self::Sse(sse), Target::Marked(_)) => FrameReader::Sse(sse.reader(None)),
            (Self::Inform(_), _) => FrameReader::Inform,
        }
    }

    /// What an answer means that is no event stream, and that in words; nothing of what the answer says.
    pub(crate) fn refusal(&self, answer: &Response) -> (Refusal, String) {
        let refusal = Refusal::from_status(answer.status, answer.retry_after);
        match self {
            Self::Inform(_) => (refusal, inform::refusal(answer)),
            Self::Sse(_) => (refusal, sse::refusal(answer)),
        }
    }
}

impl FrameReader {
    /// Tells what a frame means, one after the other.
    pub(crate) fn read(&mut self, frame: Frame, tell: &mut impl FnMut(Reading)) {
        match self {
            Self::Inform => tell(inform::read(frame)),
            Self::Sse(reader) => reader.read(frame, tell),
        }
    }

    /// Whether any bytes prove life, also those that complete no frame.
    pub(crate) fn lives_on_bytes(&self) -> bool {
        matches!(self, Self::Sse(reader) if reader.lives_on_bytes())
    }

    /// How many cursors came that are too long to be asked with.
    pub(crate) const fn unusable(&self) -> u64 {
        match self {
            Self::Inform => 0,
            Self::Sse(reader) => reader.unusable(),
        }
    }

    /// What the heads of the answer say.
    pub(crate) fn opened<'h>(&self, header: impl Fn(&str) -> Option<&'h str>) -> Opened {
        match self {
            Self::Inform => Opened::default(),
            Self::Sse(reader) => reader.opened(header),
        }
    }
}
