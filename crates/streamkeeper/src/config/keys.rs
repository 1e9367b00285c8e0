//! Every key of the file in one table: the source of its JSON Schema and of its reference page.
//!
//! The reader is written by hand, for its messages; this table says the same as data. Tests hold the
//! two together: a key that the reader asks for has a row and the other way round, each default is
//! what the reader takes without the key, and each limit is where the rules begin to refuse.

mod rows;
mod schema;

use serde_json::Value;

pub use rows::{COMMON, INFORM, SERVICE, SINK, SSE};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Inside of its table: `watchdog.late_after`.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Its default as it is written in a file, if it is a value of its own.
    pub default: Option<&'static str>,
    /// What it means.
    pub help: &'static str,
}

/// What a value is, with its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Text in quotes.
    Text,
    /// Text that is never shown.
    Secret,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// Text with the path of a file or folder.
    Path,
    /// An address and a port, or `off`.
    AddressOrOff,
    /// `true` or `false`.
    Flag,
    /// A whole number, least and most.
    Number(u64, u64),
    /// A number, least and most, or this word.
    NumberOr(u64, u64, &'static str),
    /// Bytes, least and most; [`u64::MAX`]: no limit.
    Bytes(u64, u64),
    /// Longer than zero and at most a year.
    Duration,
    /// The same, or `off`.
    DurationOrOff,
    /// A day.
    Date,
    /// A number of 1 to 1000, fractions allowed.
    Factor,
    /// A table of texts.
    TextTable,
    /// A value of several forms.
    Shape(&'static Form),
}

/// The forms of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Words that stand for themselves.
    pub words: &'static [&'static str],
    /// What another text is.
    pub text: Option<&'static str>,
    /// Tables, each with the keys that it has.
    pub tables: &'static [&'static [&'static str]],
    /// A list of texts.
    pub list: bool,
}

/// The keys of a row: those of `[stream.sse]`, as they stand in `[dialects.NAME]`.
pub fn row() -> impl Iterator<Item = Key> {
    SSE.iter().filter_map(|key| Some(Key { path: key.path.strip_prefix("sse.")?, ..*key }))
}

impl Key {
    /// Its default as a value.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        let text = self.default?;
        Some(match self.kind {
            Kind::Number(..) | Kind::NumberOr(..) | Kind::Flag | Kind::Texts | Kind::Factor => {
                serde_json::from_str(text).ok()?
            }
            _ => Value::from(text),
        })
    }

    /// A value from an environment variable, which is text, as a file has it.
    pub(super) fn of_variable(&self, text: &str) -> Value {
        let plain = || Value::from(text);
        match self.kind {
            Kind::Number(..) | Kind::NumberOr(..) => {
                text.trim().parse::<u64>().map_or_else(|_| plain(), Value::from)
            }
            Kind::Flag => text.trim().parse::<bool>().map_or_else(|_| plain(), Value::from),
            Kind::Texts => text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect(),
            _ => plain(),
        }
    }
}

/// The JSON Schema (2020-12) of the configuration file. What holds between keys is not in it: for
/// that there is `check`.
#[must_use]
pub fn schema() -> Value {
    schema::schema()
}

/// The reference page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for (title, about, rows) in [
        ("[service]", "The process.", SERVICE),
        (
            "[[stream]]",
            "One stream, of any dialect. All keys but `name` and `server_name` may stand in `[defaults]`, too; \
             there, what only another family has is left aside.",
            COMMON,
        ),
        ("[[stream]] of the Inform API", "With `dialect = \"inform\"`.", INFORM),
        (
            "[[stream]] of the sse family",
            "With any other `dialect`. The defaults of `[stream.sse]` are those of `\"sse\"`; \
             [a preset](dialects.md) has its own. A table `[dialects.NAME]` has the keys of `[stream.sse]`, \
             and makes `dialect = \"NAME\"` one more.",
            SSE,
        ),
        (
            "[[sink]]",
            "One sink. Its other keys are those of its [type](configuration.md#sinks).",
            SINK,
        ),
    ] {
        page += &format!(
            "\n## {title}\n\n{about}\n\n| key | value | default | means |\n| --- | --- | --- | --- |\n"
        );
        for key in rows {
            let default = match (key.default, key.kind) {
                (None, _) => String::new(),
                (
                    Some(text),
                    Kind::Number(..) | Kind::NumberOr(..) | Kind::Flag | Kind::Texts | Kind::Factor,
                ) => {
                    format!("`{text}`")
                }
                (Some(text), _) => format!("`\"{text}\"`"),
            };
            page += &format!("| `{}` | {} | {default} | {} |\n", key.path, key.kind, key.help);
        }
    }
    page
}

const HEAD: &str = "# Configuration reference\n\n\
    Every key, made from the table that the program has of them. [configuration.md](configuration.md) says how\n\
    files, drop-ins and the environment go together; `streamkeeper config default` writes a commented file,\n\
    `config print` shows what is in effect, and `config schema` gives the JSON Schema for an editor.\n";

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = |bytes: u64| {
            let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
            let unit =
                units.iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1 << shift));
            unit.map_or(format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
        };
        match *self {
            Self::Text => f.write_str("text"),
            Self::Secret => f.write_str("text, never shown"),
            Self::OneOf(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                f.write_str(&words.join(" or "))
            }
            Self::Texts => f.write_str("list of texts"),
            Self::Path => f.write_str("path"),
            Self::AddressOrOff => f.write_str("address and port, or `\"off\"`"),
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Number(least, most) => write!(f, "number, {least} to {most}"),
            Self::NumberOr(least, most, word) => {
                write!(f, "number, {least} to {most}, or `\"{word}\"`")
            }
            Self::Bytes(least, u64::MAX) => write!(f, "bytes, at least {}", size(least)),
            Self::Bytes(least, most) => write!(f, "bytes, {} to {}", size(least), size(most)),
            Self::Duration => f.write_str("duration"),
            Self::DurationOrOff => f.write_str("duration, or `\"off\"`"),
            Self::Date => f.write_str("day, `\"YYYY-MM-DD\"`"),
            Self::Factor => f.write_str("number, 1.0 to 1000"),
            Self::TextTable => f.write_str("table of texts"),
            Self::Shape(Form { words, text, tables, list }) => {
                let mut forms: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                forms.extend(list.then(|| "list of texts".to_owned()));
                forms.extend(text.map(str::to_owned));
                forms.extend(tables.iter().map(|keys| format!("`{{ {} }}`", keys.join(", "))));
                f.write_str(&forms.join(" or "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
