//! Which forward proxy, and the tunnel through it.
//!
//! Every request goes through a tunnel (`CONNECT`), to an `http` URL, too: a proxy that sees
//! requests may buffer an answer, and one of a stream has no end. What is in the tunnel is as if
//! the socket led to the service itself; that it leads to the proxy shows in nothing but the
//! errors before it stands.
//!
//! hyper-util reads the URLs and the list of `NO_PROXY`. It leaves out what it cannot read; here
//! that is an error, or a connection would go past a proxy that somebody has prescribed.

use std::ffi::OsString;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use streamkeeper_call::{ProxyRefusal, TlsFault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::OpenErrorKind;
use super::settings_error::SettingsError;
use super::target::Target;
use super::tls_fault;
use super::wire::Wire;
use streamkeeper_sink::Secret;

/// The most that a proxy may say before the tunnel stands, interim answers included.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// As many headers as awc accepts of the service.
const HEADERS_MAX: usize = 96;

/// Through which forward proxy connections go.
///
/// ```
/// use streamkeeper::{Secret, transport::Proxy};
///
/// let proxy = Proxy::Url(Secret::new("http://user:s3cret@proxy.example:3128"));
/// assert!(!format!("{proxy:?}").contains("s3cret"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As the environment says: `HTTPS_PROXY` for an `https` URL and `HTTP_PROXY` for an `http`
    /// one, else `ALL_PROXY`; none for what is in `NO_PROXY`. Each also in small letters, which
    /// come first. Read when the [`HttpTransport`](super::HttpTransport) is made.
    #[default]
    Environment,
    /// Through none, whatever the environment says.
    Off,
    /// Through this one, whatever the environment says: `http` or `https`, host and port, with
    /// user and password before the host, percent-encoded, if it asks for them.
    Url(Secret),
}

/// The way to the proxy. Has no `Debug`: it holds the password.
pub(crate) struct Route {
    pub(super) https: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    authorization: Option<HeaderValue>,
}

impl Route {
    /// The proxy on the way to `target`, if there is one.
    pub(super) fn choose(
        proxy: &Proxy,
        target: &Target,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, SettingsError> {
        match proxy {
            Proxy::Off => Ok(None),
            Proxy::Url(url) => Self::parse(url).map(Some).ok_or(SettingsError::Proxy("proxy")),
            Proxy::Environment => {
                // The first that is set.
                let first = |names: &[&'static str]| {
                    for name in names {
                        let Some(value) = variable(name) else { continue };
                        let value =
                            value.into_string().map_err(|_| SettingsError::NotText(name))?;
                        if !value.trim().is_empty() {
                            return Ok(Some((*name, value)));
                        }
                    }
                    Ok(None)
                };
                let names = if target.https {
                    ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
                } else {
                    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
                };
                let Some((name, url)) = first(&names)? else { return Ok(None) };
                let exempt = first(&["no_proxy", "NO_PROXY"])?;
                if exempt.is_some_and(|(_, list)| is_exempt(&list, target)) {
                    return Ok(None);
                }
                // There, other than in the configuration, `proxy:3128` is usual.
                Self::read(&url).map(Some).ok_or(SettingsError::Proxy(name))
            }
        }
    }

    /// Whether the environment has something to say about the way to `url` that can be understood.
    pub(crate) fn of_environment(
        url: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), SettingsError> {
        // What is wrong with the URL is said elsewhere.
        let Ok(target) = Target::parse(url) else { return Ok(()) };
        Self::choose(&Proxy::Environment, &target, variable).map(drop)
    }

    /// A URL with its scheme; `None` if it is none, or that of another kind of proxy.
    pub(crate) fn parse(url: &Secret) -> Option<Self> {
        if url.expose().contains("://") { Self::read(url.expose()) } else { None }
    }

    fn read(url: &str) -> Option<Self> {
        let matcher = Matcher::builder().all(url.trim()).build();
        let found = matcher.intercept(&Uri::from_static("http://service.invalid"))?;
        let https = match found.uri().scheme_str() {
            Some("http") => false,
            Some("https") => true,
            // SOCKS, which the matcher knows and we do not.
            _ => return None,
        };
        let authority = found.uri().authority()?;
        let port = match authority.port_u16() {
            Some(port) => port,
            // Something behind the host, and no port.
            None if authority.as_str() != authority.host() => return None,
            None if https => 443,
            None => 80,
        };
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return None;
        }
        Some(Self {
            https,
            host: host.to_owned(),
            port,
            authorization: found.basic_auth().cloned(),
        })
    }

    /// Asks the proxy for a connection to `target`, and leaves the wire at its first byte.
    pub(super) async fn open_tunnel(
        &self,
        wire: &mut Wire,
        target: &Target,
    ) -> Result<(), OpenErrorKind> {
        let place = target.place();
        let agent = concat!("streamkeeper/", env!("CARGO_PKG_VERSION"));
        let mut request =
            format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: {agent}\r\n")
                .into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let network = |error: std::io::Error| {
            let fault = tls_fault::alert(&error, false);
            fault.map_or(OpenErrorKind::Network(error.kind()), OpenErrorKind::Tls)
        };
        wire.write_all(&request).await.map_err(network)?;
        wire.flush().await.map_err(network)?;

        let mut head = Vec::new();
        for _ in 0..HEAD_BYTES_MAX {
            // Byte by byte, which is cheap once for each connection: what follows the head is the
            // service's, and must stay where the session with the service looks for it.
            head.push(wire.read_u8().await.map_err(network)?);
            if head.len() == 1 && head.first().is_some_and(tls_fault::is_record) {
                return Err(OpenErrorKind::Tls(TlsFault::Wanted));
            }
            match status(&head)? {
                None => {}
                // An interim answer: the real one follows.
                Some(100..=199) => head.clear(),
                // Whatever it says of a body: there is none (RFC 9110, 9.3.6).
                Some(200..=299) => return Ok(()),
                Some(status) => return Err(OpenErrorKind::ProxyRefused(ProxyRefusal { status })),
            }
        }
        Err(OpenErrorKind::Protocol)
    }
}

/// The status of a head, once it is complete.
fn status(head: &[u8]) -> Result<Option<u16>, OpenErrorKind> {
    // Only there can it be complete, and reading it again after every byte would take long.
    if !head.ends_with(b"\n") {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(_)) => Ok(response.code),
        Err(_) => Err(OpenErrorKind::Protocol),
    }
}

/// Whether a list as in `NO_PROXY` names the target: a host or a domain, which stands for all
/// below it; an address; a network; `*`; each but the last with a port, if it is for that alone.
fn is_exempt(list: &str, target: &Target) -> bool {
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    let entries: Vec<_> = entries.filter_map(|entry| without_port(entry, target.port)).collect();
    // The matcher knows neither for addresses, nor ports.
    if entries.contains(&"*") {
        return true;
    }
    let Ok(target) = format!("http://{}", target.place()).parse::<Uri>() else { return false };
    let matcher = Matcher::builder().all("http://proxy.invalid").no(entries.join(",")).build();
    matcher.intercept(&target).is_none()
}

/// An entry without its port and its brackets; `None` if it is for another port than this.
fn without_port(entry: &str, port: u16) -> Option<&str> {
    let (host, only_for) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match entry.rsplit_once(':') {
            // More than one colon: an IPv6 address.
            Some((host, only_for)) if !host.contains(':') => (host, Some(only_for)),
            _ => (entry, None),
        },
    };
    let is_for_us = only_for.is_none_or(|only_for| only_for.parse() == Ok(port));
    // `*.example.com` is usual for what the matcher knows as `.example.com`.
    is_for_us.then(|| host.strip_prefix('*').filter(|rest| !rest.is_empty()).unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).expect("a URL")
    }

    /// The proxy's host and port, or what is wrong.
    fn chosen(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, SettingsError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(*value))
        };
        let route = Route::choose(&Proxy::Environment, &target(url), variable)?;
        Ok(route.map(|route| format!("{}:{}", route.host, route.port)))
    }

    #[test]
    fn the_environment() {
        let (http, https) = ("http://service.example", "https://service.example");
        let is = |place: &str| Ok(Some(place.to_owned()));
        let all = [
            ("HTTP_PROXY", "http://plain:1"),
            ("HTTPS_PROXY", "https://secure"),
            ("ALL_PROXY", "http://every:3"),
        ];
        assert_eq!(chosen(http, &all), is("plain:1"));
        assert_eq!(chosen(https, &all), is("secure:443"));
        assert_eq!(chosen(https, &all[2..]), is("every:3"));
        assert_eq!(chosen(https, &all[..1]), Ok(None));
        assert_eq!(chosen(https, &[]), Ok(None));
        // In small letters first, the empty ones not at all, and without a scheme.
        assert_eq!(chosen(https, &[("HTTPS_PROXY", "a:1"), ("https_proxy", "b:2")]), is("b:2"));
        assert_eq!(chosen(https, &[("https_proxy", " "), ("all_proxy", "c:3")]), is("c:3"));
        assert_eq!(chosen(https, &[("https_proxy", "http://[::1]:3128")]), is("::1:3128"));
        // Nobody goes past a proxy because its URL is wrong.
        for wrong in ["socks5://p:1", "ftp://p", "http://", "http://u:p w@p:1", "http://p:x", ":"] {
            let expected = Err(SettingsError::Proxy("ALL_PROXY"));
            assert_eq!(chosen(https, &[("ALL_PROXY", wrong)]), expected, "{wrong}");
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_refused_by_its_name() {
        let broken = OsString::from_vec(b"http://prox\xff:1".to_vec());
        let (http, https) = ("http://service.example", "https://service.example");
        let choose = |url, variables: &[(&str, &OsString)]| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).clone())
            };
            let route = Route::choose(&Proxy::Environment, &target(url), variable)?;
            Ok(route.map(|route| route.host))
        };
        for (url, names) in [
            (http, ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            (https, ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        ] {
            for name in names {
                assert_eq!(choose(url, &[(name, &broken)]), Err(SettingsError::NotText(name)));
            }
        }
        let good = OsString::from("http://p:1");
        for name in ["no_proxy", "NO_PROXY"] {
            let list = OsString::from_vec(b"a.example,\xff,service.example".to_vec());
            let variables = [("ALL_PROXY", &good), (name, &list)];
            assert_eq!(choose(https, &variables), Err(SettingsError::NotText(name)));
            assert_eq!(choose(https, &variables[1..]), Ok(None), "there is no proxy");
        }
        // What is not asked for another one's connection is nobody's business.
        let variables = [("https_proxy", &good), ("HTTPS_PROXY", &broken), ("http_proxy", &broken)];
        assert_eq!(choose(https, &variables), Ok(Some("p".to_owned())));
    }

    #[test]
    fn what_is_exempt() {
        for (list, url, exempt) in [
            ("service.example", "https://service.example", true),
            ("a,SERVICE.example , b", "https://service.example:8443", true),
            ("a b service.example", "https://service.example", true),
            (".example", "https://service.example", true),
            ("*.example", "https://service.example", true),
            ("example", "https://service.example", true),
            ("ample", "https://service.example", false),
            ("other.service.example", "https://service.example", false),
            ("*", "https://service.example", true),
            ("*", "http://127.0.0.1", true),
            ("*", "http://[::1]:80", true),
            ("service.example:443", "https://service.example", true),
            ("service.example:443", "https://service.example:8443", false),
            ("service.example:x", "https://service.example", false),
            ("127.0.0.1", "http://127.0.0.1:8600", true),
            ("127.0.0.1:8600", "http://127.0.0.1:8600", true),
            ("127.0.0.1:8601", "http://127.0.0.1:8600", false),
            ("10.0.0.0/8", "http://10.1.2.3", true),
            ("10.0.0.0/8", "http://11.1.2.3", false),
            ("::1", "http://[::1]:1", true),
            ("[::1]:1", "http://[::1]:1", true),
            ("[::1]:2", "http://[::1]:1", false),
            ("fd00::/8", "http://[fd12::1]", true),
            ("127.0.0.1", "http://localhost", false),
            // One entry that names nothing is no reason to forget the others.
            ("[::1,service.example", "https://service.example", true),
            ("10.0.0.0/99 \u{1} service.example", "https://service.example", true),
            ("http://a.example/x,,:,service.example", "https://service.example", true),
            ("a:b:c,*.,service.example:443", "https://service.example", true),
            ("", "http://localhost", false),
            (",,", "http://localhost", false),
        ] {
            assert_eq!(is_exempt(list, &target(url)), exempt, "{list} {url}");
            let variables = [("all_proxy", "http://p:1"), ("NO_PROXY", list)];
            assert_eq!(chosen(url, &variables).map(|chosen| chosen.is_none()), Ok(exempt));
        }
    }

    #[test]
    fn a_key_is_stricter() {
        for (url, good) in [
            ("http://proxy:3128", true),
            ("https://user:p%40ss@proxy.example", true),
            ("proxy:3128", false),
            ("on", false),
            ("socks5://proxy:1080", false),
        ] {
            assert_eq!(Route::parse(&Secret::new(url)).is_some(), good, "{url}");
        }
        let route = Route::parse(&Secret::new("http://Aladdin:open%20sesame@p")).expect("good");
        let authorization = route.authorization.expect("there is one");
        assert_eq!(authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(authorization.is_sensitive());
    }
}
