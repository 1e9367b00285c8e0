//! Where a base URL leads.

use awc::http::Uri;
use streamkeeper_call::encode;

use crate::base::secret::Secret;

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
