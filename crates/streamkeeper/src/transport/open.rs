//! Opening what lives for days: an event stream, or a WebSocket.
//!
//! Both are one request over a connection of its own, and then whatever the server says. What is no opening is
//! a refusal, read as far as it tells a reason.

use std::cell::RefCell;

use actix_http::ws::hash_key;
use awc::http::Method;
use awc::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::time::timeout;

use super::body::SseResponse;
use super::control::Control;
use super::encoding::Encoding;
use super::error::{OpenError, OpenErrorKind};
use super::exchange::{Asked, HttpTransport, Reply};
use super::tap::Trace;
use crate::base::clock::seed;

/// What is asked for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Events,
    /// With our key, of which the answer has to say the digest.
    WebSocket(&'a str),
}

impl HttpTransport {
    /// Opens an event stream, on a TCP connection of its own.
    ///
    /// `place` is a path with its query, which comes behind the path of the base URL; empty, the base URL
    /// itself is the stream; or it is a URL of its own. What is secret goes to the origin of the base URL
    /// alone. `headers` are added to the request. `control` is new for every attempt, and can
    /// kill the connection before this returns.
    ///
    /// # Errors
    /// [`OpenError`] if there is no stream within `connect_timeout` (to which the reading of a
    /// refusal may add two seconds).
    pub async fn open_sse(
        &self,
        place: &str,
        headers: &[(&str, &str)],
        control: &Control,
    ) -> Result<SseResponse, OpenError> {
        let defaults = &[("accept", "text/event-stream"), ("cache-control", "no-store")];
        let asked = Asked { method: Method::GET, place, defaults, headers, body: None };
        self.open(asked, Wanted::Events, control).await
    }

    /// Opens a WebSocket: as [`HttpTransport::open_sse`]. What is read, and what is said by
    /// [`SseResponse::say`], are the bytes of its frames.
    ///
    /// # Errors
    /// As [`HttpTransport::open_sse`]; [`OpenErrorKind::NotWebSocket`] for an answer that opens none.
    pub async fn open_web_socket(
        &self,
        place: &str,
        headers: &[(&str, &str)],
        control: &Control,
    ) -> Result<SseResponse, OpenError> {
        let nonce = [seed().to_le_bytes(), seed().to_le_bytes()].concat();
        let key = BASE64_STANDARD.encode(nonce);
        let defaults = &[
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", &*key),
        ];
        let asked = Asked { method: Method::GET, place, defaults, headers, body: None };
        self.open(asked, Wanted::WebSocket(&key), control).await
    }

    async fn open(
        &self,
        asked: Asked<'_>,
        wanted: Wanted<'_>,
        control: &Control,
    ) -> Result<SseResponse, OpenError> {
        let trace = RefCell::new(Trace::new());
        let opening = self.follow(&asked, control, &trace);
        let reply = tokio::select! {
            biased;
            () = control.killed() => Err(OpenErrorKind::Killed),
            reply = timeout(self.settings().connect_timeout, opening) => {
                reply.unwrap_or(Err(OpenErrorKind::Timeout))
            }
        };
        let kind = match reply {
            Ok(reply) => match reply.check(wanted).await {
                Ok(Reply { headers, body, .. }) => {
                    return Ok(SseResponse::new(headers, body, control.clone()));
                }
                Err(kind) => kind,
            },
            Err(kind) => kind,
        };
        let kind = if control.is_killed() { OpenErrorKind::Killed } else { kind };
        let trace = trace.borrow();
        Err(OpenError { phase: trace.phase.get(), sent: trace.sent.get(), kind })
    }
}

impl Reply {
    /// Accepts what was asked for; makes an error of anything else.
    async fn check(self, wanted: Wanted<'_>) -> Result<Self, OpenErrorKind> {
        match (self.status, wanted) {
            // By the standard of event streams, an answer without content is a refusal.
            (204 | 205, _) => Err(self.refusal().await),
            (101, Wanted::WebSocket(key)) if is_opened(&self.headers, key) => Ok(self),
            (101 | 200..=299, Wanted::WebSocket(_)) => Err(OpenErrorKind::NotWebSocket),
            (200..=299, Wanted::Events) if !is_event_stream(&self.headers) => {
                Err(OpenErrorKind::NotEventStream)
            }
            (200..=299, Wanted::Events) if self.encoding == Encoding::Unknown => {
                Err(OpenErrorKind::ContentEncoding)
            }
            (200..=299, Wanted::Events) => Ok(self),
            _ => Err(self.refusal().await),
        }
    }
}

/// A server that names no type at all is believed.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Whether a server has understood what it agrees to (RFC 6455, section 4.1).
fn is_opened(headers: &HeaderMap, key: &str) -> bool {
    let upgrade = headers.get(header::UPGRADE).map(|value| value.as_bytes());
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && accept == Some(&hash_key(key.as_bytes()))
}
