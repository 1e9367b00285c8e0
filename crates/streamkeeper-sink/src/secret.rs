//! A value that must never be printed: the token of a stream, the password of a sink.
//!
//! The organization token travels in the query of every request and is as good as a
//! password for every user of the organization (Inform API, base URL and
//! authentication). [`Secret`] carries it through the program: `Debug` and `Display`
//! print `***`, nothing serializes it, and [`Secret::expose`] is the one way to the
//! text, so that every place that uses it can be found by name.
//!
//! Where a secret comes from (`token`, `token_file`, `token_env`) is the configuration's
//! business, and in a sink's table that of [`SecretKeys`].

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A secret text whose `Debug` and `Display` print stars.
///
/// ```
/// use streamkeeper_sink::Secret;
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

/// The three keys under which a sink's secret is given: itself, a file that holds it, or a variable of
/// the environment that does.
///
/// ```
/// use streamkeeper_sink::{SecretKeys, SinkTable};
///
/// const PASSWORD: SecretKeys = SecretKeys::new(["password", "password_file", "password_env"]);
///
/// let mut table = SinkTable::from_iter([("password", "s3cret".into())]);
/// assert_eq!(table.take_secret(PASSWORD).unwrap().unwrap().expose(), "s3cret");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SecretKeys {
    /// The plain one, that of a file, that of a variable.
    pub(crate) keys: [&'static str; 3],
}

impl SecretKeys {
    /// Named `x`, `x_file` and `x_env`, in this order.
    #[must_use]
    pub const fn new(keys: [&'static str; 3]) -> Self {
        Self { keys }
    }

    /// What to say where none is given and one has to be.
    pub(crate) fn missing(self) -> String {
        let [plain, file, env] = self.keys;
        format!("is missing: give one of `{plain}`, `{file}` and `{env}`")
    }
}

/// The secret in a file, without the line's end behind it. A relative file is looked for in
/// `$CREDENTIALS_DIRECTORY` first (systemd, `LoadCredential`), then in the current folder.
pub(crate) fn from_file(file: &Path, folder: Option<OsString>) -> Result<Secret, String> {
    let file = locate(file, folder);
    let name = file.display();
    let bytes = std::fs::read(&file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{name} is not UTF-8 text: save it as that"))?;
    bare(&text).map_err(|what| format!("{name} {what}"))
}

/// A file that may be a credential: where it is, if it is there, or else as it was given.
pub(crate) fn locate(file: &Path, folder: Option<OsString>) -> PathBuf {
    let credential =
        folder.filter(|_| file.is_relative()).map(|folder| PathBuf::from(folder).join(file));
    credential.filter(|file| file.exists()).unwrap_or_else(|| file.to_owned())
}

/// The secret in a variable. Its name is not shown: who mistakes this key for the plain one writes the
/// secret here.
pub(crate) fn from_variable(value: Option<OsString>) -> Result<Secret, String> {
    let Some(value) = value else { return Err("names a variable that is not set".into()) };
    let text = value.into_string().map_err(|_| "names a variable that is not UTF-8 text")?;
    bare(&text).map_err(|what| format!("names a variable that {what}"))
}

/// The secret alone; said after the name of the file, or the key.
pub(crate) fn bare(text: &str) -> Result<Secret, String> {
    let secret = text.trim_start_matches('\u{feff}').trim();
    if secret.is_empty() {
        Err("is empty: write the secret into it".into())
    } else if secret.chars().any(char::is_control) {
        Err("must hold one secret, without control characters".into())
    } else {
        Ok(Secret::new(secret))
    }
}
