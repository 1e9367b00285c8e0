//! Where a secret comes from: exactly one of `token`, `token_file` and `token_env`, or of the same
//! three of another name.
//!
//! A relative `token_file` (and a certificate, and its key) is looked for in
//! `$CREDENTIALS_DIRECTORY` first (systemd, `LoadCredential`), then in the current folder. A problem
//! names the file or the variable, never the secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::base::clock::today;
use streamkeeper_sink::Secret;

use super::bare::bare;
use super::reader::Reader;
use super::values::{self, Given};

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

/// A secret, since a key may stand in it.
pub(super) const URL: Forms = Forms { keys: ["url", "url_file", "url_env"], noun: "URL" };

/// In `[stream.auth]`.
pub(super) const BEARER: Forms =
    Forms { keys: ["bearer", "bearer_file", "bearer_env"], noun: "token" };

/// In `[stream.auth]`, of a user.
pub(super) const PASSWORD: Forms =
    Forms { keys: ["password", "password_file", "password_env"], noun: "password" };

/// In `[stream.auth]`, of a header, a parameter, a cookie.
pub(super) const VALUE: Forms = Forms { keys: ["value", "value_file", "value_env"], noun: "value" };

/// Every kind of secret at the top of a stream's table.
pub(super) const ALL: [Forms; 3] = [TOKEN, PROXY, URL];

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
    pub(super) variables: BTreeMap<String, OsString>,
    /// Today in UTC, if the clock can be believed.
    pub(super) today: Option<Date>,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let named = |(name, value): (OsString, _)| (name.to_string_lossy().into_owned(), value);
        Self { variables: std::env::vars_os().map(named).collect(), today: today() }
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
        reader.take(plain, |given| bare(&values::text(given)?, forms.noun).map(Secret::new)),
        reader.take(file, |given| from_file(given, forms, surroundings)),
        reader.take(env, |given| from_variable(given, forms, surroundings)),
    ];
    secrets.into_iter().flatten().next()
}

fn from_file(given: &Given, forms: Forms, surroundings: &Surroundings) -> Result<Secret, String> {
    let file = surroundings.locate(&values::path(given)?);
    let name = file.display();
    let bytes = fs::read(&file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{name} is not UTF-8 text: save it as that"))?;
    match bare(&text, forms.noun) {
        Ok(secret) if secret.is_empty() => {
            Err(format!("{name} is empty: write the {} into it", forms.noun))
        }
        Ok(secret) => Ok(Secret::new(secret)),
        Err(message) => Err(format!("{name} {message}")),
    }
}

fn from_variable(
    given: &Given,
    forms: Forms,
    surroundings: &Surroundings,
) -> Result<Secret, String> {
    let name = values::text(given)?;
    // The name is not shown: who mistakes this key for `token` writes the token here.
    let text = match surroundings.variables.get(&name).map(|value| value.to_str()) {
        Some(None) => return Err("names a variable that is not UTF-8 text".into()),
        Some(Some(text)) => text,
        None => "",
    };
    match bare(text, forms.noun) {
        Ok(secret) if secret.is_empty() => Err("names a variable that is not set, or empty".into()),
        Ok(secret) => Ok(Secret::new(secret)),
        Err(message) => Err(format!("names a variable that {message}")),
    }
}
