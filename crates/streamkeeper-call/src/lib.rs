//! A call over HTTP: one request, one whole answer, and what keeps an answer from coming.
//!
//! The words that the calls of a service and what carries them have in common, so that neither has to
//! know the other: [`Transport`] is implemented over sockets by the library, and by a table in tests.
//! No URL, secret, body or user appears in any `Display` or `Debug` here. It knows no service, no socket
//! and no clock.

mod fault;
mod request;
mod retry_after;
mod transport;

pub use fault::{ProxyRefusal, TlsFault};
pub use request::{Method, Request, encode};
pub use retry_after::retry_after;
pub use transport::{Response, Transport, TransportError, TransportErrorKind};
