//! What a call needs from the network: one request, one whole answer.
//!
//! The trait asks for neither `Send` nor a runtime, so a transport may be bound to one thread, as
//! an HTTP client on an actor's arbiter is. Streaming answers are not its business.

use std::time::Duration;

use bytes::Bytes;

use crate::fault::{ProxyRefusal, TlsFault};
use crate::request::Request;

/// Sends a request to the service and reads the whole answer.
///
/// An implementation adds host and token, bounds time and body size, follows no redirects, and
/// reports every HTTP status as an answer, not as an error.
pub trait Transport {
    /// Sends one request.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, TransportError>>;
}

/// A whole answer. Its `Debug` shows the status alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks us to wait; see [`retry_after`](crate::retry_after).
    pub retry_after: Option<Duration>,
    /// The body, bounded by the transport.
    pub body: Bytes,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// No answer, or none that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}", if *sent { " after the request was sent" } else { "" })]
pub struct TransportError {
    /// Whether the request may have reached the server, which then may have acted on it.
    pub sent: bool,
    /// What happened.
    pub kind: TransportErrorKind,
}

/// What kept an answer from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportErrorKind {
    /// The host name could not be resolved.
    #[error("the host name could not be resolved")]
    Dns,
    /// No address of the host accepted a connection.
    #[error("no connection could be made")]
    Connect,
    /// The proxy between us and the server could not be reached.
    #[error("the proxy could not be reached")]
    Proxy,
    /// The proxy does not connect us to the server.
    #[error("{0}")]
    ProxyRefused(ProxyRefusal),
    /// No secure connection to the proxy.
    #[error("no secure connection to the proxy: {0}")]
    ProxyTls(TlsFault),
    /// No secure connection.
    #[error("no secure connection: {0}")]
    Tls(TlsFault),
    /// The time for the call ran out.
    #[error("timed out")]
    Timeout,
    /// The connection ended before the whole answer had come.
    #[error("the connection was lost")]
    Lost,
    /// What came was not HTTP, or could not be decoded.
    #[error("the answer was not valid HTTP")]
    Protocol,
    /// The answer's body is larger than the transport allows.
    #[error("the answer was too large")]
    TooLarge,
    /// The request could not be built: the URL or the token has characters that no URL can hold.
    #[error("the request could not be built")]
    Request,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_body() {
        let response =
            Response { status: 200, retry_after: None, body: Bytes::from_static(b"MARKER") };
        assert_eq!(format!("{response:?}"), "Response { status: 200, .. }");
    }
}
