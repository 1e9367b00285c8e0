//! What a call needs from the network: one request, one whole answer.
//!
//! The trait asks for neither `Send` nor a runtime, so a transport may be bound to one thread, as
//! an HTTP client on an actor's arbiter is. Streaming answers are not its business.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

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
    /// How long the server asks us to wait; see [`retry_after`].
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

/// A forward proxy's own answer, in place of a connection to the server. It says nothing about the
/// server, which has not seen the request.
///
/// ```
/// use streamkeeper_inform::ProxyRefusal;
///
/// let text = ProxyRefusal { status: 407 }.to_string();
/// assert!(text.starts_with("the proxy answered 407: "));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proxy answered {status}: {}", self.advice())]
pub struct ProxyRefusal {
    /// The HTTP status.
    pub status: u16,
}

impl ProxyRefusal {
    const fn advice(self) -> &'static str {
        match self.status {
            407 => "check the user and password of the key proxy, or of HTTPS_PROXY",
            400..=499 => "it does not allow connections to this host and port",
            502..=504 => "it cannot reach the service",
            _ => "it does not connect us to the service",
        }
    }
}

/// Why there is no secure connection. `Display` says what is wrong, [`TlsFault::advice`] what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Nobody whom we believe vouches for the server.
    #[error("the server's certificate is signed by an unknown authority")]
    UnknownAuthority,
    /// The certificate is for another host.
    #[error("the server's certificate is for another name")]
    WrongName,
    /// The certificate's time is over.
    #[error("the server's certificate has expired")]
    Expired,
    /// The certificate's time has not begun.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// It vouches for others, and is not one for a server.
    #[error("the server shows the certificate of an authority as its own")]
    Authority,
    /// Anything else about the server's certificate.
    #[error("the server's certificate is not acceptable")]
    Certificate,
    /// We have shown none.
    #[error("the server wants a certificate of ours")]
    OursWanted,
    /// We have shown one.
    #[error("the server refuses our certificate")]
    OursRefused,
    /// No version of TLS in common.
    #[error("the server does not speak TLS 1.2 or 1.3")]
    Version,
    /// What came was no TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// We spoke without TLS, and the answer was in TLS.
    #[error("the server speaks TLS on this port, and the url says http")]
    Wanted,
    /// The server knows no host of that name.
    #[error("the server does not know the name of the host")]
    UnknownHost,
    /// No agreement otherwise.
    #[error("the TLS handshake failed")]
    Handshake,
}

impl TlsFault {
    /// What a person can do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UnknownAuthority => {
                "name its authority in ca_file or SSL_CERT_FILE, if it is the right server"
            }
            Self::WrongName | Self::UnknownHost => "check the host in url",
            Self::Expired => {
                "whoever runs the server has to renew it, unless this machine's clock is wrong"
            }
            Self::NotYetValid => "check this machine's clock",
            Self::Authority | Self::Certificate => {
                "whoever runs the server has to install one that is made for this host"
            }
            Self::OursWanted => "set client_cert_file and client_key_file",
            Self::OursRefused => {
                "check client_cert_file: whether it has expired, and whether the server knows who signed it"
            }
            Self::Version => "whoever runs the server, or stands between, has to offer a newer one",
            Self::NotTls => "check the port in url, and whether https is right",
            Self::Wanted => "write https in url",
            Self::Handshake => {
                "it may want a certificate of ours (client_cert_file), or have no cipher in common with us"
            }
        }
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3).
///
/// A date is taken relative to the answer's own `Date` header where there is one, so that clock
/// skew does not matter, else relative to `now`. A date in the past is zero; what cannot be read
/// is `None`. How much of it is obeyed is policy: it may be centuries.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use streamkeeper_inform::retry_after;
/// assert_eq!(retry_after("120", None, UNIX_EPOCH), Some(Duration::from_secs(120)));
/// let date = Some("Sun, 19 Apr 2026 16:48:00 GMT");
/// let wait = retry_after("Sun, 19 Apr 2026 16:48:30 GMT", date, UNIX_EPOCH);
/// assert_eq!(wait, Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Some(value.parse().map_or(Duration::MAX, Duration::from_secs))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        let from = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
        Some(until.duration_since(from).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now = httpdate::parse_http_date("Sun, 19 Apr 2026 16:47:00 GMT").expect("a date");
        let later = "Sun, 19 Apr 2026 16:48:00 GMT";
        for (value, date, expected) in [
            ("0", None, Some(0)),
            (" 7 ", None, Some(7)),
            ("9223372036854775808", None, Some(1 << 63)),
            (later, None, Some(60)),
            (later, Some("Sun, 19 Apr 2026 16:47:50 GMT"), Some(10)),
            (later, Some("Sun, 19 Apr 2026 16:49:00 GMT"), Some(0)),
            (later, Some("nonsense"), Some(60)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some("Thu, 30 Dec 9999 23:59:59 GMT"), Some(86_400)),
            ("soon", None, None),
            ("-1", None, None),
            ("", None, None),
        ] {
            assert_eq!(retry_after(value, date, now), expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after("99999999999999999999999", None, now), Some(Duration::MAX));
    }

    #[test]
    fn debug_shows_no_body() {
        let response =
            Response { status: 200, retry_after: None, body: Bytes::from_static(b"MARKER") };
        assert_eq!(format!("{response:?}"), "Response { status: 200, .. }");
    }
}
