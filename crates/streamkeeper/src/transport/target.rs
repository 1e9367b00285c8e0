//! Where a base URL leads.

use awc::http::Uri;

use super::auth::Auth;
use super::settings_error::SettingsError;

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

    /// The same for every path of one server.
    pub(crate) fn of_server(url: &str) -> Option<Self> {
        Self::of(url).map(|origin| Self { path: String::new(), ..origin })
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
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
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

    /// Whether both are one origin, so that what is secret to one may be told the other.
    pub(super) fn is_one_origin_with(&self, other: &Self) -> bool {
        let host = |target: &Self| target.host.trim_end_matches('.').to_ascii_lowercase();
        (self.https, self.port) == (other.https, other.port) && host(self) == host(other)
    }

    /// Host and port, as a proxy is told them.
    pub(super) fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The path with its query of what is asked for: below this URL, or for `""` that of the URL itself.
    pub(super) fn below(&self, path_and_query: &str) -> String {
        match (path_and_query, &self.query) {
            ("", Some(query)) => format!("{}?{query}", self.path),
            ("", None) => self.path.clone(),
            (below, _) => format!("{}{below}", self.path.trim_end_matches('/')),
        }
    }

    /// The URL of a path here.
    pub(super) fn url(&self, path_and_query: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{path_and_query}", self.authority)
    }

    /// The URI that awc is given: always `http`, since TLS is done below it. The one place where
    /// a secret enters a URL.
    pub(super) fn uri(&self, mut path_and_query: String, auth: &Auth) -> Option<Uri> {
        auth.add_to(&mut path_and_query);
        format!("http://{}{path_and_query}", self.authority).parse().ok()
    }
}

/// Whether a place is a URL of its own, and not a path below another.
pub(crate) fn is_url(place: &str) -> bool {
    let scheme = place.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "ws" | "wss"))
}

/// Whether a URL is that of a WebSocket. It is asked for over HTTP, of the same origin.
pub(crate) fn is_web_socket(url: &str) -> bool {
    let scheme = url.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("ws" | "wss"))
}

/// What a reference means that stands in a document at `base` (RFC 3986, section 5.2); without its
/// fragment. `None` if `base` is no URL of ours (`http`, `https`, `ws`, `wss`), or the reference one of another
/// scheme.
pub(crate) fn resolve(base: &str, reference: &str) -> Option<String> {
    let reference = reference.trim().split('#').next().unwrap_or_default();
    if is_url(reference) {
        return Some(reference.to_owned());
    }
    let is_scheme = |text: &str| !text.contains(['/', '?']);
    if reference.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) || !is_url(base) {
        return None;
    }
    let base = base.trim().split('#').next().unwrap_or_default();
    let (scheme, rest) = base.split_once("://")?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = rest.split('?').next().unwrap_or_default();
    let origin = format!("{scheme}://{authority}");
    if let Some(reference) = reference.strip_prefix("//") {
        return Some(format!("{scheme}://{reference}"));
    }
    let (new_path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (reference, String::new()),
    };
    let path = match (new_path, path.rsplit_once('/')) {
        ("", _) if reference.is_empty() => return Some(base.to_owned()),
        ("", _) => path.to_owned(),
        (absolute, _) if absolute.starts_with('/') => without_dots(absolute),
        (relative, Some((folder, _))) => without_dots(&format!("{folder}/{relative}")),
        (relative, None) => without_dots(&format!("/{relative}")),
    };
    Some(format!("{origin}{path}{query}"))
}

/// A path that begins with `/`, without its `.` and `..` segments.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper_sink::Secret;

    #[test]
    fn references_lead_where_a_browser_goes() {
        let base = "https://a.example:8/b/c?d=1";
        for (reference, expected) in [
            ("", "https://a.example:8/b/c?d=1"),
            ("#x", "https://a.example:8/b/c?d=1"),
            ("?e=2", "https://a.example:8/b/c?e=2"),
            ("/api/boot", "https://a.example:8/api/boot"),
            ("e", "https://a.example:8/b/e"),
            ("../e?f#g", "https://a.example:8/e?f"),
            ("./", "https://a.example:8/b/"),
            ("/x/./y/../../../z/..", "https://a.example:8/"),
            ("//b.example/x", "https://b.example/x"),
            ("HTTP://b.example", "HTTP://b.example"),
        ] {
            assert_eq!(resolve(base, reference).as_deref(), Some(expected), "{reference}");
        }
        assert_eq!(resolve("http://a", "x").as_deref(), Some("http://a/x"));
        assert_eq!(resolve("http://a?b=/c", "x").as_deref(), Some("http://a/x"));
        for (base, reference) in [(base, "ftp://b"), (base, "mailto:a@b"), ("x", "/y")] {
            assert_eq!(resolve(base, reference), None, "{reference}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let is_one = |one: &str, other: &str| {
            Target::parse(one).unwrap().is_one_origin_with(&Target::parse(other).unwrap())
        };
        assert!(is_one("https://a.example/x", "https://A.example.:443/y?z"));
        for other in ["http://a.example", "https://a.example:444", "https://b.a.example"] {
            assert!(!is_one("https://a.example", other), "{other}");
        }
    }

    fn uri(base: &str, path: &str, token: Option<&str>) -> String {
        let target = Target::parse(base).expect("a target");
        let auth = token.map_or(Auth::None, |token| Auth::token(Secret::new(token)));
        target.uri(target.below(path), &auth).expect("a URI").to_string()
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
