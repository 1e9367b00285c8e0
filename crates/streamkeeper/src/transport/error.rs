//! Why a connection could not be opened: the phase, the kind, and whether the request had gone.
//!
//! There is no room for a URL or a token, and what the server said shows in no text: what it means is
//! for whoever knows the service.

use std::io;
use std::time::Duration;

use streamkeeper_call::{ProxyRefusal, Response, TlsFault, TransportErrorKind};

/// How far an attempt to connect had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenPhase {
    /// Looking up the host's addresses.
    Dns,
    /// Opening a TCP connection to one of them.
    Connect,
    /// Reaching the proxy, from looking it up to its leave to speak to the service.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Sending the request and reading the head of the response.
    Head,
}

impl std::fmt::Display for OpenPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dns => "looking up the host",
            Self::Connect => "connecting",
            Self::Proxy => "reaching the proxy",
            Self::Tls => "securing the connection",
            Self::Head => "asking for the stream",
        })
    }
}

/// An event stream that could not be opened.
///
/// ```
/// use std::io::ErrorKind;
/// use streamkeeper::transport::{OpenError, OpenErrorKind, OpenPhase};
///
/// let kind = OpenErrorKind::Network(ErrorKind::ConnectionRefused);
/// let error = OpenError { phase: OpenPhase::Connect, sent: false, kind };
/// assert_eq!(error.to_string(), "connecting: connection refused");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{phase}: {kind}")]
pub struct OpenError {
    /// How far it had come.
    pub phase: OpenPhase,
    /// Whether any of the request was sent: if so, the server may count us as a client.
    pub sent: bool,
    /// What went wrong.
    #[source]
    pub kind: OpenErrorKind,
}

impl OpenError {
    /// The status of the answer, if there was one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match &self.kind {
            OpenErrorKind::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// How long the server asks us to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match &self.kind {
            OpenErrorKind::Answer(answer) => answer.retry_after,
            _ => None,
        }
    }
}

/// What went wrong while opening an event stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenErrorKind {
    /// `connect_timeout` passed.
    #[error("timed out")]
    Timeout,
    /// The operating system or the peer ended it.
    #[error("{0}")]
    Network(io::ErrorKind),
    /// No secure connection.
    #[error("{0}")]
    Tls(TlsFault),
    /// What came was not HTTP, or its head was too large.
    #[error("the answer was not valid HTTP")]
    Protocol,
    /// The proxy does not connect us to the service, which has heard nothing of us.
    #[error("{0}")]
    ProxyRefused(ProxyRefusal),
    /// [`Control::kill`](super::Control::kill) was called.
    #[error("killed")]
    Killed,
    /// The server answered, with something other than a stream.
    #[error("the server answered {}", .0.status)]
    Answer(Response),
    /// The answer's `Content-Type` is not `text/event-stream`.
    #[error("the answer is not an event stream")]
    NotEventStream,
    /// The answer is not the opening of a WebSocket.
    #[error("the answer opens no WebSocket")]
    NotWebSocket,
    /// The answer is compressed in a way that was not asked for and is not known.
    #[error("the answer is compressed, and not with gzip")]
    ContentEncoding,
    /// No request can be built of this place, these headers or this secret; or the
    /// [`Control`](super::Control) was used before.
    #[error("the request could not be built")]
    Request,
}

impl OpenError {
    /// The same failure, as the calls on stream resources see it.
    pub(super) fn of_call(self) -> TransportErrorKind {
        match (self.kind, self.phase) {
            (OpenErrorKind::Timeout, _) => TransportErrorKind::Timeout,
            (OpenErrorKind::Request, _) => TransportErrorKind::Request,
            (OpenErrorKind::ProxyRefused(refusal), _) => TransportErrorKind::ProxyRefused(refusal),
            (OpenErrorKind::Tls(fault), OpenPhase::Proxy) => TransportErrorKind::ProxyTls(fault),
            (OpenErrorKind::Tls(fault), _) => TransportErrorKind::Tls(fault),
            (_, OpenPhase::Dns) => TransportErrorKind::Dns,
            (_, OpenPhase::Connect) => TransportErrorKind::Connect,
            (_, OpenPhase::Proxy) => TransportErrorKind::Proxy,
            (
                OpenErrorKind::Network(_) | OpenErrorKind::Killed,
                OpenPhase::Tls | OpenPhase::Head,
            ) => TransportErrorKind::Lost,
            (_, OpenPhase::Tls | OpenPhase::Head) => TransportErrorKind::Protocol,
        }
    }
}
