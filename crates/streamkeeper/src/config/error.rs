//! What is wrong with a configuration, said so that it can be put right.
//!
//! A problem names its place (file, line and column, or the environment variable), the
//! key, what is wrong and what to do. It never quotes a value that may be a secret, nor
//! a line of the file: a token could stand in it.

use std::fmt;
use std::path::PathBuf;

/// All problems that were found, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

/// One problem.
///
/// ```
/// use streamkeeper::config::{Place, Problem};
///
/// let problem = Problem {
///     place: Place::File { file: "streamkeeper.toml".into(), line: 12, column: 1 },
///     key: "service.listen".into(),
///     message: "must be an address and a port, such as \"127.0.0.1:9464\"".into(),
/// };
/// assert_eq!(
///     problem.to_string(),
///     "streamkeeper.toml:12:1: service.listen: \
///      must be an address and a port, such as \"127.0.0.1:9464\"",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the key stands.
    pub place: Place,
    /// The key with its table, as it is written: `stream.watchdog.late_after`; empty if
    /// the problem is not about a key.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Where something stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column count from 1, columns in characters.
    File {
        /// The file as it was named.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column of the key.
        column: usize,
    },
    /// A whole file or folder, which cannot be read, for example.
    Path(PathBuf),
    /// An environment variable.
    Variable(String),
    /// In code, for a configuration made without a file.
    Code,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Code => f.write_str("configuration"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
