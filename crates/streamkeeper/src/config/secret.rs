//! Where a secret comes from: exactly one of `token`, `token_file` and `token_env`.
//!
//! A relative `token_file` is looked for in `$CREDENTIALS_DIRECTORY` first (systemd,
//! `LoadCredential`), then in the current folder. A problem names the file or the
//! variable, never the secret.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::reader::Reader;
use super::values::{self, Given};
use crate::Secret;

/// The forms in which a secret is given.
pub(super) const KEYS: [&str; 3] = ["token", "token_file", "token_env"];

/// What the configuration depends on besides its files.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// The environment.
    pub(super) variables: BTreeMap<String, String>,
    /// Today in UTC.
    pub(super) today: Date,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Self { variables: std::env::vars_os().filter_map(text).collect(), today }
    }

    fn locate(&self, file: &Path) -> PathBuf {
        let credential = self
            .variables
            .get("CREDENTIALS_DIRECTORY")
            .filter(|_| file.is_relative())
            .map(|folder| Path::new(folder).join(file))
            .filter(|credential| credential.exists());
        credential.unwrap_or_else(|| file.to_owned())
    }
}

/// Takes the secret out of the table; `None` if there is none, or after a problem.
pub(super) fn take(reader: &mut Reader<'_>, surroundings: &Surroundings) -> Option<Secret> {
    let given: Vec<_> = KEYS.into_iter().filter(|key| reader.has(key)).collect();
    if let [first, .., last] = given.as_slice() {
        let message = format!(
            "stands beside `{first}`: give exactly one of `token`, `token_file` and `token_env`"
        );
        reader.problem(last, message);
    }
    let [token, token_file, token_env] = KEYS;
    let secrets = [
        reader.take(token, |given| checked(values::text(given)?)),
        reader.take(token_file, |given| from_file(given, surroundings)),
        reader.take(token_env, |given| from_variable(given, surroundings)),
    ];
    secrets.into_iter().flatten().next()
}

fn from_file(given: &Given, surroundings: &Surroundings) -> Result<Secret, String> {
    let file = surroundings.locate(&values::path(given)?);
    let name = file.display();
    let bytes = fs::read(&file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text"))?;
    match text.trim() {
        "" => Err(format!("{name} is empty: write the token into it")),
        token => checked(token.to_owned()).map_err(|message| format!("{name} {message}")),
    }
}

fn from_variable(given: &Given, surroundings: &Surroundings) -> Result<Secret, String> {
    let name = values::text(given)?;
    match surroundings.variables.get(&name).map(|token| token.trim()) {
        // The name is not shown: who mistakes this key for `token` writes the token here.
        None | Some("") => Err("names a variable that is not set, or empty".into()),
        Some(token) => checked(token.to_owned()),
    }
}

fn checked(token: String) -> Result<Secret, String> {
    if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must hold one token, without white space".into());
    }
    Ok(Secret::new(token))
}
