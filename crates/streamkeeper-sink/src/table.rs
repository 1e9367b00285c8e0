//! A `[[sink]]` table, raw until its factory reads it.
//!
//! A factory takes its keys one by one, each with words for what the value has to be,
//! and [`finish`](SinkTable::finish)es: what is left is unknown. The deserializer's own
//! messages quote the value, so they are never passed on; `Debug` shows keys only.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::secret::{self, SecretKeys};
use crate::{Secret, SinkConfigError};

/// The keys of one `[[sink]]` table, without `name`, `type` and `streams`, which belong
/// to the library.
///
/// ```
/// use streamkeeper_sink::SinkTable;
///
/// let mut table = SinkTable::from_iter([("path", "out/events.ndjson".into())]);
/// let path: String = table.require("path", "a path").unwrap();
/// let format: Option<String> = table.take("format", "a text").unwrap();
/// assert_eq!((path.as_str(), format), ("out/events.ndjson", None));
/// table.finish().unwrap();
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct SinkTable {
    values: Map<String, Value>,
    /// The keys asked for: what an unknown one is compared with.
    known: Vec<&'static str>,
}

impl SinkTable {
    /// A table of these values.
    pub fn new(values: Map<String, Value>) -> Self {
        Self { values, known: Vec::new() }
    }

    /// Takes `key` out of the table; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// If the value is not an `expected`, for example "must be a path".
    pub fn take<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<Option<T>, SinkConfigError> {
        self.known.push(key);
        let Some(value) = self.values.remove(key) else { return Ok(None) };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|_| SinkConfigError::new(key, format!("must be {expected}")))
    }

    /// Takes `key` out of the table.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take), and if the key is missing.
    pub fn require<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<T, SinkConfigError> {
        self.take(key, expected)?
            .ok_or_else(|| SinkConfigError::new(key, format!("is missing: give {expected}")))
    }

    /// Takes a secret out of the table: given under exactly one of its keys, or not at all.
    ///
    /// # Errors
    ///
    /// If it is given twice, a file cannot be read, a variable is not set, or it is empty.
    pub fn take_secret(&mut self, keys: SecretKeys) -> Result<Option<Secret>, SinkConfigError> {
        let [plain, ..] = keys.keys;
        let mut secrets = self.take_secrets(keys)?;
        if secrets.len() > 1 {
            return Err(SinkConfigError::new(plain, "must be one, and no list"));
        }
        Ok(secrets.pop())
    }

    /// Takes secrets out of the table, given as one or as a list of them under exactly one of the keys.
    ///
    /// # Errors
    ///
    /// As [`take_secret`](Self::take_secret).
    pub fn take_secrets(&mut self, keys: SecretKeys) -> Result<Vec<Secret>, SinkConfigError> {
        let [plain, file, env] = keys.keys;
        let given: Vec<_> =
            keys.keys.into_iter().filter(|key| self.values.contains_key(*key)).collect();
        if let [first, .., last] = given.as_slice() {
            let message = format!(
                "stands beside `{first}`: give exactly one of `{plain}`, `{file}` and `{env}`"
            );
            return Err(SinkConfigError::new(*last, message));
        }
        let read_file = |file: &str| {
            secret::from_file(Path::new(file), std::env::var_os("CREDENTIALS_DIRECTORY"))
        };
        let mut secrets = self.secrets_at(plain, "a text", secret::bare)?;
        secrets.extend(self.secrets_at(file, "the path of a file", read_file)?);
        let read_variable = |name: &str| secret::from_variable(std::env::var_os(name));
        secrets.extend(self.secrets_at(env, "the name of a variable", read_variable)?);
        Ok(secrets)
    }

    /// Takes a secret that has to be there.
    ///
    /// # Errors
    ///
    /// As [`take_secret`](Self::take_secret), and if there is none.
    pub fn require_secret(&mut self, keys: SecretKeys) -> Result<Secret, SinkConfigError> {
        let [plain, ..] = keys.keys;
        self.take_secret(keys)?.ok_or_else(|| SinkConfigError::new(plain, keys.missing()))
    }

    fn secrets_at(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<Secret, String>,
    ) -> Result<Vec<Secret>, SinkConfigError> {
        let given = match self.take::<Value>(key, expected)? {
            None => return Ok(Vec::new()),
            Some(Value::Array(given)) => given,
            Some(one) => vec![one],
        };
        let read = |given: Value| match given.as_str() {
            Some(text) if !text.is_empty() => read(text),
            _ => Err(format!("must be {expected}")),
        };
        let read = given.into_iter().map(read).collect::<Result<_, _>>();
        read.map_err(|message| SinkConfigError::new(key, message))
    }

    /// Takes the path of a file that is no secret, such as a certificate: as a secret's file is found, in
    /// `$CREDENTIALS_DIRECTORY` first if it is relative.
    ///
    /// # Errors
    ///
    /// If the value is not a path.
    pub fn take_file(&mut self, key: &'static str) -> Result<Option<PathBuf>, SinkConfigError> {
        let path = self.take::<PathBuf>(key, "the path of a file")?;
        Ok(path.map(|file| secret::locate(&file, std::env::var_os("CREDENTIALS_DIRECTORY"))))
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// A key that was never asked for, with the nearest one that was.
    pub fn finish(self) -> Result<(), SinkConfigError> {
        let Some(key) = self.values.keys().next() else { return Ok(()) };
        let message = unknown_key(key, &self.known);
        Err(SinkConfigError::new(key, message))
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for SinkTable {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(values: I) -> Self {
        Self::new(values.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl fmt::Debug for SinkTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// What to say about a key that nobody knows: the nearest known one, or all of them.
///
/// ```
/// use streamkeeper_sink::unknown_key;
///
/// assert_eq!(
///     unknown_key("fromat", &["path", "format"]),
///     "is not a known key; did you mean `format`?"
/// );
/// ```
pub fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 3 + 1 && *distance < key.len())
        .min();
    match nearest {
        Some((_, nearest)) => format!("is not a known key; did you mean `{nearest}`?"),
        None => format!("is not a known key; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[(&str, Value)]) -> SinkTable {
        values.iter().cloned().collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest() {
        let mut misspelt = table(&[("fromat", "raw".into())]);
        misspelt.take::<String>("format", "a text").unwrap();
        let error = misspelt.finish().unwrap_err();
        assert_eq!(error.to_string(), "`fromat` is not a known key; did you mean `format`?");

        let mut other = table(&[("bucket", "x".into())]);
        other.take::<String>("path", "a path").unwrap();
        other.take::<String>("format", "a text").unwrap();
        let error = other.finish().unwrap_err();
        assert_eq!(error.to_string(), "`bucket` is not a known key; known are path, format");
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = table(&[]).require::<String>("path", "a path").unwrap_err();
        assert_eq!(error.to_string(), "`path` is missing: give a path");
    }

    #[test]
    fn no_error_and_no_debug_quotes_a_value() {
        let mut table = table(&[("secret", "marker".into())]);
        assert_eq!(format!("{table:?}"), r#"{"secret"}"#);
        let error = table.take::<u64>("secret", "a number").unwrap_err();
        assert_eq!(format!("{error} {error:?}").find("marker"), None);
        assert_eq!(error.to_string(), "`secret` must be a number");
    }

    #[test]
    fn a_secret_comes_in_one_of_three_forms_and_no_error_shows_it() {
        const KEYS: SecretKeys = SecretKeys::new(["password", "password_file", "password_env"]);
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            Value::from(file.to_str().unwrap())
        };
        let taken = |values: &[(&str, Value)]| table(values).take_secret(KEYS);
        let file = write("good", "\u{feff}marker\n");
        let secret = taken(&[("password_file", file.clone())]).unwrap().unwrap();
        assert_eq!(secret.expose(), "marker");
        assert_eq!(taken(&[]).unwrap(), None);
        let two = Value::from(vec!["one", "two"]);
        assert_eq!(table(&[("password", two.clone())]).take_secrets(KEYS).unwrap().len(), 2);
        let missing = Value::from(folder.path().join("missing").to_str().unwrap());
        for (values, says) in [
            (vec![("password", "marker".into()), ("password_file", file)], "stands beside"),
            (vec![("password", two)], "no list"),
            (vec![("password", 7.into())], "must be a text"),
            (vec![("password", "mar\u{1}ker".into())], "control characters"),
            (vec![("password_file", write("empty", " \n"))], "is empty"),
            (vec![("password_file", missing)], "cannot read"),
            (vec![("password_env", "NO_SUCH_VARIABLE_marker".into())], "not set"),
        ] {
            let error = taken(&values).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("marker"), "{error}");
        }
        let error = table(&[]).require_secret(KEYS).unwrap_err().to_string();
        assert!(error.contains("`password_file`"), "{error}");
    }
}
