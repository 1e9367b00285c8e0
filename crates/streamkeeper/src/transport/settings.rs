//! Where to connect, with which token, and whose certificates to believe.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use awc::http::Uri;
use streamkeeper_inform::request::encode;

use super::look_up::{LookUp, system_look_up};
use super::proxy::Proxy;
use crate::Secret;

/// The settings of an [`HttpTransport`](super::HttpTransport).
///
/// ```
/// use streamkeeper::{Secret, transport::TransportSettings};
///
/// let mut settings = TransportSettings::new("https://streams.example.com");
/// settings.token = Some(Secret::new("s3cret"));
/// assert!(!format!("{settings:?}").contains("s3cret"));
/// ```
#[derive(Clone)]
pub struct TransportSettings {
    /// The base URL, `http` or `https`; a path in it is kept as a prefix of every request.
    pub url: String,
    /// Sent as `token=` in the query of every request.
    pub token: Option<Secret>,
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
    /// How names become addresses; by default as the system does it.
    pub look_up: LookUp,
}

impl TransportSettings {
    /// Settings for a base URL, without a token, with the default limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            proxy: Proxy::Environment,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
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

/// Settings that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL, or one of another scheme than `http` or `https`.
    #[error("url: expected http:// or https:// and a host")]
    Url,
    /// A user name or password in the URL, which would not be sent.
    #[error("url: user and password are not supported")]
    UserInfo,
    /// A file of certificates or a key that cannot be used.
    #[error("{key}: {}: {fault}", file.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{missing}: is missing: {given} needs it")]
    Half {
        /// The key that is not there.
        missing: &'static str,
        /// The one that is.
        given: &'static str,
    },
    /// The proxy's URL is none, or that of another kind of proxy. The name is that of the key or of
    /// the environment variable.
    #[error("{0}: expected {PROXY_URL}")]
    Proxy(&'static str),
    /// An environment variable about proxies that is not text: nobody goes past a proxy because its name
    /// cannot be read, nor through one that an unreadable list exempts from.
    #[error("{0}: is not UTF-8 text")]
    NotText(&'static str),
    /// Neither the system nor `ca_file` offers an authority to believe.
    #[error("no certificate authorities were found: set ca_file or SSL_CERT_FILE")]
    NoAuthorities,
    /// The TLS library refuses its own defaults.
    #[error("TLS could not be set up")]
    Tls,
}

/// What a proxy's URL looks like.
pub(crate) const PROXY_URL: &str = "http://host:port or https://host:port, with user:password@ \
                                    before the host if the proxy asks for them, percent-encoded";

/// What is wrong with a file of certificates or a key. Nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// No certificate is in it.
    #[error("holds no certificate in PEM form")]
    NoCertificate,
    /// What begins there is cut off, damaged, or no certificate or key at all.
    #[error("has a PEM block that cannot be read: it begins at line {line}")]
    Broken {
        /// Counted from 1.
        line: usize,
    },
    /// What begins there has the name of something else, or a name with a mistake in it.
    #[error("has a PEM block that is neither a certificate nor a key: it begins at line {line}")]
    Foreign {
        /// Counted from 1.
        line: usize,
    },
    /// No private key is in it, or one of a kind that is not supported.
    #[error("holds no private key in PEM form that can be used: RSA, ECDSA or Ed25519")]
    NoKey,
    /// The key can be used only with a password, which nobody could type in at a restart.
    #[error("is encrypted: decrypt it with openssl pkey, and protect the file instead")]
    EncryptedKey,
    /// The key is that of another certificate.
    #[error("is not the key of the certificate in client_cert_file")]
    OtherKey,
}

/// Where a base URL leads: equal for two that lead to the same.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    https: bool,
    host: String,
    port: u16,
    path: String,
}

impl Origin {
    /// `None` if it leads nowhere.
    pub(crate) fn of(url: &str) -> Option<Self> {
        Target::parse(url).ok().map(Target::origin)
    }
}

/// A base URL, taken apart.
pub(super) struct Target {
    pub(super) https: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As it goes into the `Host` header.
    pub(super) authority: String,
    path: String,
    query: Option<String>,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, SettingsError> {
        let url: Uri = url.trim().parse().map_err(|_| SettingsError::Url)?;
        let https = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(SettingsError::Url),
        };
        let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if authority.contains('@') {
            return Err(SettingsError::UserInfo);
        }
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(SettingsError::Url);
        }
        Ok(Self {
            https,
            host: host.to_owned(),
            port: url.port_u16().unwrap_or(if https { 443 } else { 80 }),
            authority: authority.to_owned(),
            path: url.path().to_owned(),
            query: url.query().map(Into::into),
        })
    }

    /// As what it is known, however its URL is written.
    fn origin(self) -> Origin {
        let Self { https, host, port, path, .. } = self;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        Origin { https, host, port, path: path.trim_end_matches('/').to_owned() }
    }

    /// Host and port, as a proxy is told them.
    pub(super) fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The URI that awc is given: always `http`, since TLS is done below it. The one place where
    /// the token enters a request.
    pub(super) fn uri(&self, path_and_query: &str, token: Option<&Secret>) -> Option<Uri> {
        let mut uri = match path_and_query {
            // The base URL is the stream itself.
            "" => match &self.query {
                Some(query) => format!("{}?{query}", self.path),
                None => self.path.clone(),
            },
            below => format!("{}{below}", self.path.trim_end_matches('/')),
        };
        if let Some(token) = token {
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri += "token=";
            uri += &encode(token.expose());
        }
        format!("http://{}{uri}", self.authority).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(base: &str, path: &str, token: Option<&str>) -> String {
        let target = Target::parse(base).expect("a target");
        let token = token.map(Secret::new);
        target.uri(path, token.as_ref()).expect("a URI").to_string()
    }

    #[test]
    fn targets() {
        for (url, https, host, port, authority) in [
            ("https://a.example", true, "a.example", 443, "a.example"),
            ("http://a.example", false, "a.example", 80, "a.example"),
            ("http://a.example:8080/x", false, "a.example", 8080, "a.example:8080"),
            ("https://[::1]:8443", true, "::1", 8443, "[::1]:8443"),
            (" http://127.0.0.1:1 ", false, "127.0.0.1", 1, "127.0.0.1:1"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!(
                (target.https, target.host.as_str(), target.port, target.authority.as_str()),
                (https, host, port, authority)
            );
        }
        for url in ["", "a.example", "ftp://a.example", "/path", "https://", "http://a b"] {
            assert_eq!(Target::parse(url).err(), Some(SettingsError::Url), "{url}");
        }
        assert_eq!(Target::parse("https://u:p@a").err(), Some(SettingsError::UserInfo));
    }

    #[test]
    fn uris() {
        let connect = "/streams/1/connect";
        assert_eq!(uri("https://a", connect, None), "http://a/streams/1/connect");
        assert_eq!(uri("https://a/", connect, Some("t")), "http://a/streams/1/connect?token=t");
        assert_eq!(uri("http://a/p/", "/x?y=1", Some("t")), "http://a/p/x?y=1&token=t");
        assert_eq!(uri("http://a/events?x=1", "", Some("t")), "http://a/events?x=1&token=t");
        assert_eq!(uri("http://a/events", "", None), "http://a/events");
        assert_eq!(uri("http://a", "", Some("a&b=c#é")), "http://a/?token=a%26b%3Dc%23%C3%A9");
    }
}
