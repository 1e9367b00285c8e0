//! One request and its response, over a connection of their own.
//!
//! Every exchange has a client of its own, so that awc's pool never holds more than this one
//! connection: nothing is shared, its limit of 100 never counts to two, and dropping the response
//! closes the socket. awc's other limits are off (5 s to connect, 5 s for the answer, 10 redirects
//! that would carry the token along); one limit around the whole exchange takes their place.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use actix_http::error::ParseError;
use actix_service::fn_service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::error::SendRequestError;
use awc::http::header::{self, HeaderMap};
use awc::http::{Method, Uri, Version};
use awc::{Client, Connector};
use bytes::Bytes;
use rustls::RootCertStore;
use streamkeeper_call::{
    self as call, Request, Response, TransportError, TransportErrorKind, retry_after,
};
use tokio::time::timeout;

use super::body::{Body, SseResponse};
use super::control::Control;
use super::dial::{Dialer, Sessions};
use super::encoding::Encoding;
use super::error::{OpenError, OpenErrorKind};
use super::settings::TransportSettings;
use super::settings_error::SettingsError;
use super::tap::{ConnectionEnd, Trace};

/// The most that is read of an answer to a call.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most that is read of a refusal, and for how long: it only serves to tell reasons apart.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens event streams of one service and makes the calls around them.
///
/// May be cloned and sent to other threads at no cost; its futures stay on the arbiter that
/// polls them.
///
/// ```no_run
/// use streamkeeper::transport::{Control, HttpTransport, TransportSettings};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let transport = HttpTransport::new(TransportSettings::new("https://events.example.com/all"))?;
/// let mut stream = transport.open_sse("", &[], &Control::new()).await?;
/// while let Some(chunk) = stream.next_chunk().await {
///     println!("{} bytes", chunk?.len());
/// }
/// println!("ended: {:?}", stream.end());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpTransport(Arc<Inner>);

/// Other certificates, or another key, than a transport uses.
pub(crate) struct Renewal {
    transport: HttpTransport,
    sessions: Sessions,
}

impl Renewal {
    /// New connections use them; those that are open stay as they are.
    pub(crate) fn apply(self) {
        self.transport.0.dialer.renew(self.sessions);
    }
}

struct Inner {
    settings: TransportSettings,
    dialer: Dialer,
    /// An answer named a content encoding that is none, and nobody has been told.
    odd_encoding: AtomicBool,
    odd_encoding_told: AtomicBool,
}

/// A response whose body is still to be read.
struct Reply {
    status: u16,
    headers: HeaderMap,
    encoding: Encoding,
    body: Body,
}

impl HttpTransport {
    /// Prepares connections; reads the certificates of the authorities, but connects nowhere.
    ///
    /// # Errors
    /// [`SettingsError`] if the URL or the authorities cannot be used.
    pub fn new(settings: TransportSettings) -> Result<Self, SettingsError> {
        let dialer = Dialer::new(&settings)?;
        let [odd_encoding, odd_encoding_told] = [false, false].map(AtomicBool::new);
        Ok(Self(Arc::new(Inner { settings, dialer, odd_encoding, odd_encoding_told })))
    }

    /// Whether an answer named a content encoding that is no compression, and so was read as it is;
    /// once, for the one who says it.
    pub(crate) fn is_news_that_encoding_is_odd(&self) -> bool {
        let Inner { odd_encoding, odd_encoding_told, .. } = &*self.0;
        odd_encoding.load(Ordering::Relaxed) && !odd_encoding_told.swap(true, Ordering::Relaxed)
    }

    /// Reads the files of certificates and keys again: what they hold now, if it is something else than
    /// what is in use. Nothing is changed until it is [applied](Renewal::apply). The system's authorities
    /// are read once for all that are given the same `system`.
    pub(crate) fn renewal(
        &self,
        system: &OnceCell<Arc<RootCertStore>>,
    ) -> Result<Option<Renewal>, SettingsError> {
        let Inner { settings, dialer, .. } = &*self.0;
        let sessions = dialer.renewal(settings, system)?;
        Ok(sessions.map(|sessions| Renewal { transport: self.clone(), sessions }))
    }

    /// Opens an event stream, on a TCP connection of its own.
    ///
    /// `path_and_query` comes behind the path of the base URL; empty, the base URL itself is the
    /// stream. `headers` are added to the request. `control` is new for every attempt, and can
    /// kill the connection before this returns.
    ///
    /// # Errors
    /// [`OpenError`] if there is no stream within `connect_timeout` (to which the reading of a
    /// refusal may add two seconds).
    pub async fn open_sse(
        &self,
        path_and_query: &str,
        headers: &[(&str, &str)],
        control: &Control,
    ) -> Result<SseResponse, OpenError> {
        let trace = Trace::new();
        let stream_headers = [("accept", "text/event-stream"), ("cache-control", "no-store")];
        let headers: Vec<_> = stream_headers.iter().chain(headers).copied().collect();
        let asked = Asked { method: Method::GET, path_and_query, headers: &headers, body: None };
        let opening = self.exchange(asked, control, &trace);
        let reply = tokio::select! {
            biased;
            () = control.killed() => Err(OpenErrorKind::Killed),
            reply = timeout(self.0.settings.connect_timeout, opening) => {
                reply.unwrap_or(Err(OpenErrorKind::Timeout))
            }
        };
        let kind = match reply {
            Ok(reply) => match reply.check_stream().await {
                Ok(Reply { headers, body, .. }) => {
                    return Ok(SseResponse::new(headers, body, control.clone()));
                }
                Err(kind) => kind,
            },
            Err(kind) => kind,
        };
        let kind = if control.is_killed() { OpenErrorKind::Killed } else { kind };
        Err(OpenError { phase: trace.phase.get(), sent: trace.sent.get(), kind })
    }

    /// Sends one request and reads the head of its response.
    async fn exchange(
        &self,
        asked: Asked<'_>,
        control: &Control,
        trace: &Rc<Trace>,
    ) -> Result<Reply, OpenErrorKind> {
        let Asked { method, path_and_query, headers, body } = asked;
        let Inner { settings, dialer, .. } = &*self.0;
        let uri = dialer
            .target
            .uri(path_and_query, settings.token.as_ref())
            .ok_or(OpenErrorKind::Request)?;
        let mut request = self
            .client(control, trace)
            .request(method, uri)
            .insert_header((header::HOST, dialer.target.authority.as_str()))
            .insert_header((
                header::USER_AGENT,
                concat!("streamkeeper/", env!("CARGO_PKG_VERSION")),
            ))
            .insert_header((header::ACCEPT_ENCODING, "identity"))
            .no_decompress();
        for &header in headers {
            request = request.insert_header(header);
        }
        let sending = match body {
            Some(body) => request.send_body(body),
            // Not `send`: that would announce a body of no bytes.
            None => request.send_body(awc::body::None::new()),
        };
        let response = sending.await.map_err(|error| failure(&error, trace))?;
        let headers = response.headers().clone();
        let encoding = Encoding::of(&headers);
        // See `head`: only such a response is read until the connection closes.
        let unframed =
            response.version() == Version::HTTP_10 && !headers.contains_key(header::CONTENT_LENGTH);
        let status = response.status().as_u16();
        let gzip = encoding == Encoding::Gzip;
        if encoding == Encoding::Odd {
            self.0.odd_encoding.store(true, Ordering::Relaxed);
        }
        let body = Body::new(Box::pin(response), gzip, unframed, Rc::clone(trace));
        Ok(Reply { status, headers, encoding, body })
    }

    fn client(&self, control: &Control, trace: &Rc<Trace>) -> Client {
        let (transport, control, trace) = (self.clone(), control.clone(), Rc::clone(trace));
        let dial = fn_service(move |_: ConnectInfo<Uri>| {
            let (transport, control, trace) =
                (transport.clone(), control.clone(), Rc::clone(&trace));
            async move {
                match transport.0.dialer.dial(&control, &trace).await {
                    Ok(tap) => Ok(Connection::new(Uri::default(), tap)),
                    Err(kind) => {
                        // awc's error has no room for it.
                        trace.failure.set(Some(kind));
                        Err(ConnectError::Io(io::ErrorKind::Other.into()))
                    }
                }
            }
        });
        let connector = Connector::new().connector(dial).timeout(Duration::MAX);
        Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .no_default_headers()
            .finish()
    }
}

impl Reply {
    /// Accepts an event stream; makes an error of anything else.
    async fn check_stream(self) -> Result<Self, OpenErrorKind> {
        match self.status {
            // By the standard of event streams, an answer without content is a refusal.
            204 | 205 => Err(self.refusal().await),
            200..=299 if !is_event_stream(&self.headers) => Err(OpenErrorKind::NotEventStream),
            200..=299 if self.encoding == Encoding::Unknown => Err(OpenErrorKind::ContentEncoding),
            200..=299 => Ok(self),
            _ => Err(self.refusal().await),
        }
    }

    async fn refusal(mut self) -> OpenErrorKind {
        let retry_after = self.retry_after();
        let reading = self.body.read_all(REFUSAL_BYTES_MAX);
        // Without a body the reason stays unknown, which is not worth an error of its own.
        let body = timeout(REFUSAL_TIMEOUT, reading).await.ok().and_then(Result::ok);
        let status = self.status;
        OpenErrorKind::Answer(Response { status, retry_after, body: body.unwrap_or_default() })
    }

    fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name)?.to_str().ok();
        retry_after(text(header::RETRY_AFTER)?, text(header::DATE), SystemTime::now())
    }
}

/// A server that names no type at all is believed.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// What awc's error means; what our side of the connection saw comes first.
fn failure(error: &SendRequestError, trace: &Trace) -> OpenErrorKind {
    if let Some(kind) = trace.failure.take() {
        return kind;
    }
    match trace.end.get() {
        Some(ConnectionEnd::Closed) => {
            return OpenErrorKind::Network(io::ErrorKind::UnexpectedEof);
        }
        Some(ConnectionEnd::Reset) => {
            return OpenErrorKind::Network(io::ErrorKind::ConnectionReset);
        }
        Some(ConnectionEnd::Killed) => return OpenErrorKind::Killed,
        Some(ConnectionEnd::Error) | None => {}
    }
    match error {
        SendRequestError::Url(_) | SendRequestError::Http(_) => OpenErrorKind::Request,
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
            match error.kind() {
                io::ErrorKind::InvalidData => OpenErrorKind::Protocol,
                kind => OpenErrorKind::Network(kind),
            }
        }
        _ => OpenErrorKind::Protocol,
    }
}

/// A request, as it is to be sent.
struct Asked<'a> {
    method: Method,
    path_and_query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Option<Bytes>,
}

impl call::Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let trace = Trace::new();
        let control = Control::new();
        let method = match request.method {
            call::Method::Get => Method::GET,
            call::Method::Post => Method::POST,
            call::Method::Put => Method::PUT,
            call::Method::Delete => Method::DELETE,
        };
        let mut headers = vec![("accept", "application/json")];
        if request.body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let calling = async {
            let asked = Asked {
                method,
                path_and_query: &request.path_and_query,
                headers: &headers,
                body: request.body.clone(),
            };
            let mut reply = self.exchange(asked, &control, &trace).await.map_err(|kind| {
                OpenError { phase: trace.phase.get(), sent: trace.sent.get(), kind }.of_call()
            })?;
            if reply.encoding == Encoding::Unknown {
                return Err(TransportErrorKind::Protocol);
            }
            let body = reply.body.read_all(ANSWER_BYTES_MAX).await?;
            Ok(Response { status: reply.status, retry_after: reply.retry_after(), body })
        };
        timeout(self.0.settings.call_timeout, calling)
            .await
            .unwrap_or(Err(TransportErrorKind::Timeout))
            .map_err(|kind| TransportError { sent: trace.sent.get(), kind })
    }
}

/// Neither URL nor token.
impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}
