//! What a server means: how it is asked for a stream, what its frames are, what its refusals and ends mean.
//!
//! Everything after this room speaks of [`Event`]s and pokes, whatever the server calls them.
//!
//! - `event`: an event with its identity; `part`: texts that lie within an event's payload;
//! - `inform`: the Inform API; `sse`: servers of server-sent events that resume from a cursor.

pub(crate) mod event;
pub(crate) mod inform;
mod part;
#[cfg_attr(not(test), expect(dead_code, reason = "streams of this dialect are not read yet"))]
pub(crate) mod sse;

use std::time::Duration;

use streamkeeper_call::Response;
use streamkeeper_core::classify::Refusal;
use streamkeeper_core::cursored::GapSign;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::marked::Members;
use streamkeeper_core::policy::Target;
use streamkeeper_core::time::Timestamp;
use streamkeeper_sse::Frame;

use crate::config::InformTable;

use self::event::Event;
use self::inform::Inform;

/// What one frame means, or a part of it.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "streams that say this are not read yet"))]
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
}

impl Dialect {
    pub(crate) fn new(config: &InformTable) -> Self {
        Self::Inform(Inform::new(config))
    }

    /// Path and query of an event stream; whoever connects adds host and secret. `None`: the target is of a
    /// stream of another family.
    pub(crate) fn request(&self, target: &Target) -> Option<String> {
        match self {
            Self::Inform(inform) => inform.request(target),
        }
    }

    /// What a frame means.
    pub(crate) fn read(&self, frame: Frame) -> Reading {
        match self {
            Self::Inform(_) => inform::read(frame),
        }
    }

    /// What an answer means that is no event stream, and that in words; nothing of what the answer says.
    pub(crate) fn refusal(&self, answer: &Response) -> (Refusal, String) {
        let refusal = Refusal::from_status(answer.status, answer.retry_after);
        match self {
            Self::Inform(_) => (refusal, inform::refusal(answer)),
        }
    }
}
