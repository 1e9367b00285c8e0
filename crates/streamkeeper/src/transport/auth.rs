//! Who we are to a server: a secret in a header, a cookie or the query of every request.
//!
//! It goes to the origin of the base URL alone, and shows in no `Debug` output.

use std::fmt;

use awc::http::header::{self, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamkeeper_call::encode;

use streamkeeper_sink::Secret;

/// How requests say who we are.
///
/// ```
/// use streamkeeper::{Secret, transport::Auth};
///
/// let auth = Auth::Bearer(Secret::new("s3cret"));
/// assert_eq!(format!("{auth:?}"), "Auth::Bearer");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// They do not.
    #[default]
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …` (RFC 7617), in UTF-8.
    Basic {
        /// The user, without a colon. Many services take a key here: as secret as the other.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// A header of any name.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// A parameter in the query.
    Query {
        /// Its name.
        name: String,
        /// Its value, which is percent-encoded.
        value: Secret,
    },
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Its value, as it is.
        value: Secret,
    },
}

impl Auth {
    /// The token of the Inform API: `token=` in the query.
    #[must_use]
    pub fn token(token: Secret) -> Self {
        Self::Query { name: "token".to_owned(), value: token }
    }

    /// Whether a header can be made of it.
    pub(crate) fn is_usable(&self) -> bool {
        matches!(self, Self::None | Self::Query { .. }) || self.header().is_some()
    }

    /// The header that it adds; `None` if it adds none, or one that no request can have.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::None | Self::Query { .. } => return None,
            Self::Bearer(token) => (header::AUTHORIZATION, format!("Bearer {}", token.expose())),
            Self::Basic { user, password } => {
                let both = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
                (header::AUTHORIZATION, format!("Basic {both}"))
            }
            Self::Header { name, value } => (name.parse().ok()?, value.expose().to_owned()),
            Self::Cookie { name, value } => (header::COOKIE, format!("{name}={}", value.expose())),
        };
        let mut value = header_value(&value)?;
        value.set_sensitive(true);
        Some((name, value))
    }

    /// Adds its parameter to a path with its query, where that has none of the name already: a server that
    /// redirects may have put it there.
    pub(super) fn add_to(&self, path_and_query: &mut String) {
        let Self::Query { name, value } = self else { return };
        let name = encode(name);
        let query = path_and_query.split_once('?').map(|(_, query)| query);
        let is_there = |pair: &str| pair.split('=').next() == Some(&*name);
        if query.is_some_and(|query| query.split('&').any(is_there)) {
            return;
        }
        path_and_query.push(if query.is_some() { '&' } else { '?' });
        *path_and_query += &format!("{name}={}", encode(value.expose()));
    }
}

/// The value of a header, in UTF-8; `None` if no header can hold it.
pub(crate) fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// The kind alone.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Auth::None",
            Self::Bearer(_) => "Auth::Bearer",
            Self::Basic { .. } => "Auth::Basic",
            Self::Header { .. } => "Auth::Header",
            Self::Query { .. } => "Auth::Query",
            Self::Cookie { .. } => "Auth::Cookie",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: fn(String, Secret) -> Auth) -> Auth {
        kind("x-key".to_owned(), Secret::new("a b"))
    }

    #[test]
    fn each_form_says_it_where_the_server_looks() {
        let basic = Auth::Basic { user: Secret::new("u"), password: Secret::new("p") };
        for (auth, name, value) in [
            (Auth::Bearer(Secret::new("t")), "authorization", "Bearer t"),
            (basic, "authorization", "Basic dTpw"),
            (named(|name, value| Auth::Header { name, value }), "x-key", "a b"),
            (named(|name, value| Auth::Cookie { name, value }), "cookie", "x-key=a b"),
        ] {
            let (said, secret) = auth.header().expect(name);
            assert_eq!((said.as_str(), secret.as_bytes()), (name, value.as_bytes()));
            assert!(secret.is_sensitive() && auth.is_usable());
        }
        let query = named(|name, value| Auth::Query { name, value });
        for (before, after) in [
            ("/x", "/x?x-key=a%20b"),
            ("/x?a=1", "/x?a=1&x-key=a%20b"),
            ("/x?x-key=1", "/x?x-key=1"),
        ] {
            let mut path = before.to_owned();
            query.add_to(&mut path);
            assert_eq!(path, after);
        }
        assert!(query.header().is_none() && query.is_usable());
    }

    #[test]
    fn what_no_header_can_hold_is_not_usable() {
        let header = |name: &str, value: &str| Auth::Header {
            name: name.to_owned(),
            value: Secret::new(value),
        };
        assert!(header("x", "é").is_usable());
        assert!(!header("x y", "v").is_usable() && !header("x", "a\nb").is_usable());
    }
}
