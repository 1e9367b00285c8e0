//! Where to connect, as whom, and whose certificates to believe.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::auth::Auth;
use super::look_up::{LookUp, system_look_up};
use super::proxy::Proxy;
use super::tcp::TcpLimits;
use streamkeeper_sink::Secret;

/// The settings of an [`HttpTransport`](super::HttpTransport).
///
/// ```
/// use streamkeeper::{Secret, transport::{Auth, TransportSettings}};
///
/// let mut settings = TransportSettings::new("https://streams.example.com");
/// settings.auth = Auth::Bearer(Secret::new("s3cret"));
/// assert!(!format!("{settings:?}").contains("s3cret"));
/// ```
#[derive(Clone)]
pub struct TransportSettings {
    /// The base URL, `http` or `https`; a path in it is kept as a prefix of every request.
    pub url: String,
    /// Who we are, to the base URL's origin and to no other.
    pub auth: Auth,
    /// Headers of every request, with their values; they may be secret, and go to no other origin.
    pub headers: Vec<(String, Secret)>,
    /// Names of headers that single requests have and that are secret, too: no other origin gets them from a
    /// redirect.
    pub secret_headers: Vec<String>,
    /// Whether a `GET` goes where the server sends it: five times at most. Another origin is told nothing
    /// that is secret. No by default.
    pub redirects: bool,
    /// Authorities in PEM, in place of the system's (for which `SSL_CERT_FILE` is honoured). For the
    /// service, and for a proxy that is reached over TLS.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate in PEM, with those between it and the authority that the service knows;
    /// shown to the service alone, if it asks. Needs `client_key_file`.
    pub client_cert_file: Option<PathBuf>,
    /// The key of that certificate in PEM, not encrypted.
    pub client_key_file: Option<PathBuf>,
    /// Through which proxy connections go. As the environment says, by default.
    pub proxy: Proxy,
    /// The limit on look-up, TCP, the proxy's tunnel, TLS and the whole head of the response
    /// together, for an event stream. 10 s by default.
    pub connect_timeout: Duration,
    /// The limit on a whole call on a stream resource. 30 s by default.
    pub call_timeout: Duration,
    /// TCP's own limits. Those of 30 s of silence by default.
    pub tcp: TcpLimits,
    /// How names become addresses; by default as the system does it.
    pub look_up: LookUp,
}

impl TransportSettings {
    /// Settings for a base URL, without a secret, with the default limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            headers: Vec::new(),
            secret_headers: Vec::new(),
            redirects: false,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            proxy: Proxy::Environment,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            tcp: TcpLimits::of(Duration::from_secs(30)),
            look_up: system_look_up(),
        }
    }
}

/// The URL may hold secrets of its own, and stays out.
impl fmt::Debug for TransportSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}
