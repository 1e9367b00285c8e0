//! What a server sends, and how it ended.

use std::pin::Pin;
use std::rc::Rc;

use awc::error::PayloadError;
use awc::http::header::HeaderMap;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use streamkeeper_call::TransportErrorKind;

use super::control::Control;
use super::gzip::{Corrupt, Gzip};
use super::outgoing::Outgoing;
use super::tap::{ConnectionEnd, Trace};

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndKind {
    /// Properly, as HTTP marks it: the last chunk, or the announced length.
    Terminated,
    /// The body has neither chunks nor a length, and the connection was closed in order: the
    /// only end such a body has, but one that a server which dies may also leave behind.
    Closed,
    /// In the middle: the connection was closed before the body's end. On TLS also a close
    /// without the protocol's own goodbye.
    Eof,
    /// The peer reset the connection.
    Reset,
    /// By [`Control::kill`].
    Killed,
    /// The connection failed otherwise, or what came could not be decoded.
    Error,
}

impl EndKind {
    /// Whether the server ended the body in order, so that nothing it wrote is missing.
    #[must_use]
    pub const fn is_proper(self) -> bool {
        matches!(self, Self::Terminated | Self::Closed)
    }
}

/// A body that broke off. How is also told by [`SseResponse::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The peer reset the connection.
    #[error("the connection was reset")]
    Reset,
    /// The connection failed otherwise.
    #[error("the connection failed")]
    Network,
    /// The chunks are not as HTTP describes them.
    #[error("the framing of the body is not valid")]
    Framing,
    /// The body says it is compressed with gzip, and is not.
    #[error("the compressed body is corrupt")]
    Gzip,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The body of any response. Dropping it closes the connection, as reading its end does.
pub(super) struct Body {
    /// `None` once it has ended: awc panics if polled again.
    chunks: Option<Chunks>,
    gzip: Option<Gzip>,
    /// Whether only the close of the connection can end it.
    unframed: bool,
    trace: Rc<Trace>,
    end: Option<EndKind>,
}

impl Body {
    pub(super) fn new(chunks: Chunks, gzip: bool, unframed: bool, trace: Rc<Trace>) -> Self {
        let gzip = gzip.then(Gzip::new);
        Self { chunks: Some(chunks), gzip, unframed, trace, end: None }
    }

    pub(super) async fn next_chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            if let Some(decoded) = self.gzip.as_mut().and_then(Gzip::next) {
                return Some(decoded.map_err(|Corrupt| self.fail(BodyError::Gzip)));
            }
            match self.chunks.as_mut()?.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => match &mut self.gzip {
                    None => return Some(Ok(chunk)),
                    Some(gzip) => gzip.push(&chunk),
                },
                Some(Err(_)) => return self.broken().map(Err),
                None => return self.ended().map(Err),
            }
        }
    }

    /// The whole body, if it ends properly and within `bytes_max`.
    pub(super) async fn read_all(&mut self, bytes_max: usize) -> Result<Bytes, TransportErrorKind> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next_chunk().await {
            let chunk = chunk.map_err(|error| match error {
                BodyError::Reset | BodyError::Network => TransportErrorKind::Lost,
                BodyError::Framing | BodyError::Gzip => TransportErrorKind::Protocol,
            })?;
            if whole.len() + chunk.len() > bytes_max {
                return Err(TransportErrorKind::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        match self.end {
            Some(end) if end.is_proper() => Ok(whole.freeze()),
            _ => Err(TransportErrorKind::Lost),
        }
    }

    /// awc saw the end of the body, or took the end of the connection for it.
    fn ended(&mut self) -> Option<BodyError> {
        let whole = self.gzip.as_ref().is_none_or(Gzip::is_whole);
        let end = match self.trace.end.get() {
            // Whatever the last member of gzip lacks: all that the server sent has come. Whether a frame
            // is cut off, whoever reads them can tell.
            None => EndKind::Terminated,
            Some(ConnectionEnd::Closed) if self.unframed && whole => EndKind::Closed,
            Some(_) => return self.broken(),
        };
        self.finish(end);
        None
    }

    /// Ends of a connection are no errors but an [`EndKind`]; the rest is both.
    fn broken(&mut self) -> Option<BodyError> {
        let (end, error) = match self.trace.end.get() {
            Some(ConnectionEnd::Closed) => (EndKind::Eof, None),
            Some(ConnectionEnd::Killed) => (EndKind::Killed, None),
            Some(ConnectionEnd::Reset) => (EndKind::Reset, Some(BodyError::Reset)),
            Some(ConnectionEnd::Error) => (EndKind::Error, Some(BodyError::Network)),
            None => (EndKind::Error, Some(BodyError::Framing)),
        };
        self.finish(end);
        error
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        self.finish(EndKind::Error);
        error
    }

    fn finish(&mut self, end: EndKind) {
        self.chunks = None;
        self.gzip = None;
        self.end = Some(end);
    }

    pub(super) const fn end(&self) -> Option<EndKind> {
        self.end
    }

    pub(super) fn outgoing(&self) -> &Outgoing {
        &self.trace.outgoing
    }
}

/// An open event stream, or WebSocket. Dropping it closes its connection at once.
pub struct SseResponse {
    headers: HeaderMap,
    body: Body,
    control: Control,
}

impl SseResponse {
    pub(super) const fn new(headers: HeaderMap, body: Body, control: Control) -> Self {
        Self { headers, body, control }
    }

    /// The next bytes of the stream, never empty; `None` at its end, and for ever after.
    ///
    /// May be cancelled without losing bytes. [`SseResponse::end`] tells how the stream ended.
    ///
    /// # Errors
    /// [`BodyError`] if it broke off other than by a close or a kill; `None` follows.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.body.next_chunk().await
    }

    /// Says something to the server: of a WebSocket alone, whose frames the caller makes. It is written when the
    /// stream is read next.
    pub fn say(&self, bytes: &[u8]) {
        self.body.outgoing().say(bytes);
    }

    /// What is said in place of [`Control::half_close`]'s half-close: of a WebSocket alone, that has a frame for it.
    pub fn set_farewell(&self, bytes: Bytes) {
        self.body.outgoing().set_farewell(bytes);
    }

    /// How the stream ended; `None` as long as it goes on.
    #[must_use]
    pub const fn end(&self) -> Option<EndKind> {
        self.body.end()
    }

    /// The handle that closes this connection.
    #[must_use]
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// A header of the response, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }
}

/// Neither headers nor body.
impl std::fmt::Debug for SseResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SseResponse")
            .field("end", &self.end())
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}
