//! A value that must never be printed: the token of a stream.
//!
//! The organization token travels in the query of every request and is as good as a
//! password for every user of the organization (Inform API, base URL and
//! authentication). [`Secret`] carries it through the program: `Debug` and `Display`
//! print `***`, nothing serializes it, and [`Secret::expose`] is the one way to the
//! text, so that every place that uses it can be found by name.
//!
//! Where a secret comes from (`token`, `token_file`, `token_env`) is the configuration's
//! business.

use std::fmt;

/// A secret text whose `Debug` and `Display` print stars.
///
/// ```
/// use streamkeeper::Secret;
///
/// let token = Secret::new("s3cret");
/// assert_eq!(format!("{token} {token:?}"), "*** ***");
/// assert_eq!(token.expose(), "s3cret");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`; it is kept as given, not trimmed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the request that needs it. Never log, format or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
