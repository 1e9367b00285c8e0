//! Where a secret comes from: exactly one of `token`, `token_file` and `token_env`, or of the same
//! three of another name.
//!
//! A relative `token_file` (and a certificate, and its key) is looked for in
//! `$CREDENTIALS_DIRECTORY` first (systemd, `LoadCredential`), then in the current folder. A problem
//! names the file or the variable, never the secret.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::reader::Reader;
use super::values::{self, Given};
use crate::Secret;

/// The forms in which a secret is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forms {
    pub(super) keys: [&'static str; 3],
    /// What the secret is.
    noun: &'static str,
}

pub(super) const TOKEN: Forms = Forms { keys: ["token", "token_file", "token_env"], noun: "token" };

/// A secret, since a password may stand in it.
pub(super) const PROXY: Forms =
    Forms { keys: ["proxy", "proxy_file", "proxy_env"], noun: "proxy URL" };

/// Every kind of secret.
pub(super) const ALL: [Forms; 2] = [TOKEN, PROXY];

impl Forms {
    /// The problem of a table in which none is given.
    pub(super) fn missing(self) -> String {
        let [plain, file, env] = self.keys;
        format!("is missing: give one of `{plain}`, `{file}` and `{env}`")
    }
}

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

    /// A file that may be a credential: where it is, if it is there, or else as it was given.
    pub(super) fn locate(&self, file: &Path) -> PathBuf {
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
pub(super) fn take(
    reader: &mut Reader<'_>,
    forms: Forms,
    surroundings: &Surroundings,
) -> Option<Secret> {
    let [plain, file, env] = forms.keys;
    let given: Vec<_> = forms.keys.into_iter().filter(|key| reader.has(key)).collect();
    if let [first, .., last] = given.as_slice() {
        let message =
            format!("stands beside `{first}`: give exactly one of `{plain}`, `{file}` and `{env}`");
        reader.problem(last, message);
    }
    let secrets = [
        reader.take(plain, |given| checked(values::text(given)?, forms)),
        reader.take(file, |given| from_file(given, forms, surroundings)),
        reader.take(env, |given| from_variable(given, forms, surroundings)),
    ];
    secrets.into_iter().flatten().next()
}

fn from_file(given: &Given, forms: Forms, surroundings: &Surroundings) -> Result<Secret, String> {
    let file = surroundings.locate(&values::path(given)?);
    let name = file.display();
    let bytes = fs::read(&file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text"))?;
    match text.trim() {
        "" => Err(format!("{name} is empty: write the {} into it", forms.noun)),
        secret => checked(secret.to_owned(), forms).map_err(|message| format!("{name} {message}")),
    }
}

fn from_variable(
    given: &Given,
    forms: Forms,
    surroundings: &Surroundings,
) -> Result<Secret, String> {
    let name = values::text(given)?;
    match surroundings.variables.get(&name).map(|secret| secret.trim()) {
        // The name is not shown: who mistakes this key for `token` writes the token here.
        None | Some("") => Err("names a variable that is not set, or empty".into()),
        Some(secret) => checked(secret.to_owned(), forms),
    }
}

fn checked(secret: String, forms: Forms) -> Result<Secret, String> {
    if secret.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("must hold one {}, without white space", forms.noun));
    }
    Ok(Secret::new(secret))
}
