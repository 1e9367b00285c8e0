//! One request and its response, over a connection of their own.
//!
//! Every exchange has a client of its own, so that awc's pool never holds more than this one
//! connection: nothing is shared, its limit of 100 never counts to two, and dropping the response
//! closes the socket. awc's other limits are off (5 s to connect, 5 s for the answer, 10 redirects
//! that would carry the token along); one limit around the whole exchange takes their place.

use std::cell::{OnceCell, RefCell};
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
use awc::http::header::{self, HeaderMap, HeaderName};
use awc::http::{Method, Uri, Version};
use awc::{Client, Connector};
use bytes::Bytes;
use rustls::RootCertStore;
use streamkeeper_call::{
    self as call, Request, Response, TransportError, TransportErrorKind, retry_after,
};
use tokio::time::timeout;

use super::auth::{Auth, header_value};
use super::body::Body;
use super::control::Control;
use super::dial::{Dialer, Sessions};
use super::encoding::Encoding;
use super::error::{OpenError, OpenErrorKind};
use super::settings::TransportSettings;
use super::settings_error::SettingsError;
use super::tap::{ConnectionEnd, Trace};
use super::target::{Target, is_url};
use super::upgrade::Upgrade;

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
    dialer: Arc<Dialer>,
    /// An answer named a content encoding that is none, and nobody has been told.
    odd_encoding: AtomicBool,
    odd_encoding_told: AtomicBool,
}

/// A response whose body is still to be read.
pub(super) struct Reply {
    /// Who answered, without what is secret.
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) encoding: Encoding,
    pub(super) body: Body,
}

impl HttpTransport {
    /// Prepares connections; reads the certificates of the authorities, but connects nowhere.
    ///
    /// # Errors
    /// [`SettingsError`] if the URL or the authorities cannot be used.
    pub fn new(settings: TransportSettings) -> Result<Self, SettingsError> {
        let dialer = Arc::new(Dialer::new(&settings)?);
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

    pub(super) fn settings(&self) -> &TransportSettings {
        &self.0.settings
    }

    /// Where a place is.
    fn way(&self, place: &str) -> Result<Way, OpenErrorKind> {
        let Inner { settings, dialer, .. } = &*self.0;
        let own = |path| Way { dialer: Arc::clone(dialer), path, is_own: true };
        if !is_url(place) {
            return Ok(own(dialer.target.below(place)));
        }
        let target = Target::parse(place).map_err(|_| OpenErrorKind::Request)?;
        let path = target.below("");
        if target.is_one_origin_with(&dialer.target) {
            return Ok(own(path));
        }
        let dialer = Dialer::elsewhere(target, settings).map_err(|_| OpenErrorKind::Request)?;
        Ok(Way { dialer: Arc::new(dialer), path, is_own: false })
    }

    /// Sends one request to a place and reads the head of its response.
    pub(super) async fn exchange(
        &self,
        asked: &Asked<'_>,
        place: &str,
        control: &Control,
        trace: &Rc<Trace>,
    ) -> Result<Reply, OpenErrorKind> {
        let Asked { method, defaults, headers, body, .. } = asked;
        let settings = &self.0.settings;
        let Way { dialer, path, is_own } = self.way(place)?;
        let url = dialer.target.url(&path);
        let auth = if is_own { &settings.auth } else { &Auth::None };
        let uri = dialer.target.uri(path, auth).ok_or(OpenErrorKind::Request)?;
        let mut request = client(&dialer, control, trace)
            .request(method.clone(), uri)
            .insert_header((header::HOST, dialer.target.authority.as_str()))
            .insert_header((
                header::USER_AGENT,
                concat!("streamkeeper/", env!("CARGO_PKG_VERSION")),
            ))
            .insert_header((header::ACCEPT_ENCODING, "identity"))
            .no_decompress();

        let shared = settings.headers.iter().filter(|_| is_own);
        let shared = shared.map(|(name, value)| (name.as_str(), value.expose(), true));
        let is_secret = |name: &str| {
            settings.secret_headers.iter().any(|secret| secret.eq_ignore_ascii_case(name))
        };
        let is_sent_elsewhere = !is_own && place != asked.place;
        let own = |&(name, value)| (name, value, is_secret(name));
        let headers = headers.iter().map(own);
        let headers = headers.filter(|&(.., is_secret)| !(is_secret && is_sent_elsewhere));
        let defaults = defaults.iter().map(own);
        for (name, value, is_secret) in defaults.chain(shared).chain(headers) {
            let name = HeaderName::try_from(name).map_err(|_| OpenErrorKind::Request)?;
            let mut value = header_value(value).ok_or(OpenErrorKind::Request)?;
            value.set_sensitive(is_secret);
            request = request.insert_header((name, value));
        }
        if !auth.is_usable() {
            return Err(OpenErrorKind::Request);
        }
        if let Some(header) = auth.header() {
            request = request.insert_header(header);
        }
        let sending = match body {
            Some(body) => request.send_body(body.clone()),
            // Not `send`: that would announce a body of no bytes.
            None => request.send_body(awc::body::None::new()),
        };
        let response = sending.await.map_err(|error| failure(&error, trace))?;
        let headers = response.headers().clone();
        let encoding = Encoding::of(&headers);
        let status = response.status().as_u16();
        // See `head`: only such a response is read until the connection closes, and what is no HTTP any more.
        let unframed = status == 101
            || response.version() == Version::HTTP_10
                && !headers.contains_key(header::CONTENT_LENGTH);
        let gzip = encoding == Encoding::Gzip;
        if encoding == Encoding::Odd {
            self.0.odd_encoding.store(true, Ordering::Relaxed);
        }
        let body = Body::new(Box::pin(response), gzip, unframed, Rc::clone(trace));
        Ok(Reply { url, status, headers, encoding, body })
    }

    /// Reads a document of the server's, at a place as for [`HttpTransport::open_sse`]. Any status is an answer.
    ///
    /// # Errors
    /// [`TransportError`] if there is no whole answer within `call_timeout`.
    pub async fn fetch(
        &self,
        place: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, TransportError> {
        let defaults = &[("accept", "application/json, */*;q=0.5")];
        self.call(Asked { method: Method::GET, place, defaults, headers, body: None }).await
    }

    /// Posts JSON to a place as for [`HttpTransport::open_sse`]: what is answered, and a header of that. Of the body
    /// no more is awaited than a moment: it may be a stream of events that goes on.
    pub(crate) async fn post(
        &self,
        place: &str,
        headers: &[(&str, &str)],
        (body, header): (&str, &str),
    ) -> Result<(Response, Option<String>), TransportError> {
        let defaults = &[
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        let body = Some(Bytes::copy_from_slice(body.as_bytes()));
        let asked = Asked { method: Method::POST, place, defaults, headers, body };
        let trace = RefCell::new(Trace::new());
        let control = Control::new();
        let calling = async {
            let reply = self.follow(&asked, &control, &trace).await.map_err(|kind| {
                let trace = trace.borrow();
                OpenError { phase: trace.phase.get(), sent: trace.sent.get(), kind }.of_call()
            })?;
            let said = reply.headers.get(header).and_then(|value| value.to_str().ok());
            let said = said.map(str::to_owned);
            Ok((reply.into_response().await, said))
        };
        timeout(self.0.settings.call_timeout, calling)
            .await
            .unwrap_or(Err(TransportErrorKind::Timeout))
            .map_err(|kind| TransportError { sent: trace.borrow().sent.get(), kind })
    }

    /// Sends a request and reads the whole answer.
    async fn call(&self, asked: Asked<'_>) -> Result<Response, TransportError> {
        let trace = RefCell::new(Trace::new());
        let control = Control::new();
        let calling = async {
            let mut reply = self.follow(&asked, &control, &trace).await.map_err(|kind| {
                let trace = trace.borrow();
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
            .map_err(|kind| TransportError { sent: trace.borrow().sent.get(), kind })
    }
}

/// Where a request goes.
struct Way {
    dialer: Arc<Dialer>,
    /// With its query.
    path: String,
    /// It is the origin of the base URL, which may know our secrets.
    is_own: bool,
}

/// A client for one request.
fn client(dialer: &Arc<Dialer>, control: &Control, trace: &Rc<Trace>) -> Client {
    let (dialer, control, trace) = (Arc::clone(dialer), control.clone(), Rc::clone(trace));
    let dial = fn_service(move |_: ConnectInfo<Uri>| {
        let (dialer, control, trace) = (Arc::clone(&dialer), control.clone(), Rc::clone(&trace));
        async move {
            match dialer.dial(&control, &trace).await {
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
        .wrap(Upgrade)
        .disable_timeout()
        .disable_redirects()
        .no_default_headers()
        .finish()
}

impl Reply {
    pub(super) async fn refusal(self) -> OpenErrorKind {
        OpenErrorKind::Answer(self.into_response().await)
    }

    /// What can be read of it in a moment.
    async fn into_response(mut self) -> Response {
        let retry_after = self.retry_after();
        let reading = self.body.read_all(REFUSAL_BYTES_MAX);
        // Without a body the reason stays unknown, which is not worth an error of its own.
        let body = timeout(REFUSAL_TIMEOUT, reading).await.ok().and_then(Result::ok);
        Response { status: self.status, retry_after, body: body.unwrap_or_default() }
    }

    fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name)?.to_str().ok();
        retry_after(text(header::RETRY_AFTER)?, text(header::DATE), SystemTime::now())
    }
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
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    /// A path with its query below the base URL, or a URL.
    pub(super) place: &'a str,
    /// Headers that those of the settings take the place of.
    pub(super) defaults: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Bytes>,
}

impl call::Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let method = match request.method {
            call::Method::Get => Method::GET,
            call::Method::Post => Method::POST,
            call::Method::Put => Method::PUT,
            call::Method::Delete => Method::DELETE,
        };
        let mut defaults = vec![("accept", "application/json")];
        if request.body.is_some() {
            defaults.push(("content-type", "application/json"));
        }
        let Request { path_and_query: place, body, .. } = request;
        let asked = Asked { method, place: &place, defaults: &defaults, headers: &[], body };
        self.call(asked).await
    }
}

/// Neither URL nor secret.
impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}
