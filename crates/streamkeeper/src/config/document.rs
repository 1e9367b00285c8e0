//! TOML text into layers: values with the place of every key.
//!
//! The parser's own display quotes the line it stumbled over, which may hold a token:
//! only its message and the position are used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use streamkeeper_sink::unknown_key;
use toml_edit::{Document as Toml, Item, Table, TableLike, TomlError};

use super::error::{Place, Problem};

/// The tables of one file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) service: Layer,
    pub(super) defaults: Layer,
    pub(super) streams: Vec<Layer>,
    pub(super) sinks: Vec<Layer>,
    /// `[dialects.NAME]`.
    pub(super) dialects: BTreeMap<String, Layer>,
}

/// One table: its values, and where each of its keys stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) values: Map<String, Value>,
    pub(super) places: Places,
}

/// Where a table and its keys stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The table itself, for what is missing in it.
    pub(super) home: Spot,
    /// Key paths inside of the table, `watchdog.late_after`.
    pub(super) keys: BTreeMap<String, Spot>,
}

/// A key as it is written, and where.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) key: String,
}

impl Default for Spot {
    fn default() -> Self {
        Self { place: Place::Code, key: String::new() }
    }
}

impl Places {
    /// A problem with the key path `key` inside of this table.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        // What is missing, is missing in the nearest table that there is.
        let mut tables =
            std::iter::successors(key.rsplit_once('.'), |(path, _)| path.rsplit_once('.'));
        let mut table = || tables.find_map(|(path, _)| self.keys.get(path)).unwrap_or(&self.home);
        let Spot { place, key } = self.keys.get(key).cloned().unwrap_or_else(|| Spot {
            place: table().place.clone(),
            key: if self.home.key.is_empty() {
                key.to_owned()
            } else {
                format!("{}.{key}", self.home.key)
            },
        });
        Problem { place, key, message: message.into() }
    }

    /// Whether the value comes from an environment variable, and is text therefore.
    pub(super) fn is_variable(&self, key: &str) -> bool {
        matches!(self.keys.get(key), Some(Spot { place: Place::Variable(_), .. }))
    }
}

impl Document {
    /// Reads and splits a file; `None` after a problem that leaves nothing to look at.
    pub(super) fn read(file: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let text = fs::read(file)
            .map_err(|error| format!("cannot be read: {error}"))
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned()));
        match text {
            Ok(text) => Self::parse(file, &text, problems),
            Err(message) => {
                let place = Place::Path(file.to_owned());
                problems.push(Problem { place, key: String::new(), message });
                None
            }
        }
    }

    /// The tables of a text that holds nothing but rows, by name.
    pub(super) fn rows(file: &Path, text: &str) -> BTreeMap<String, Layer> {
        let Ok(toml) = Toml::parse(text) else { return BTreeMap::new() };
        Source { file, text }.tables_of(toml.as_table(), "", &mut |_, _| {})
    }

    /// Splits the text of `file`.
    pub(super) fn parse(file: &Path, text: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let source = Source { file, text };
        match Toml::parse(text) {
            Ok(toml) => Some(source.split(toml.as_table(), problems)),
            Err(error) => {
                problems.push(source.syntax_problem(&error));
                None
            }
        }
    }
}

impl Document {
    /// Adds the streams and sinks of a drop-in file, which may hold nothing else.
    pub(super) fn append(&mut self, drop_in: Self, problems: &mut Vec<Problem>) {
        let others = [&drop_in.service, &drop_in.defaults].into_iter();
        for layer in others.chain(drop_in.dialects.values()) {
            let Spot { place, key } = layer.places.home.clone();
            if matches!(place, Place::File { .. }) {
                let message = "belongs into the main file: a drop-in file only adds [[stream]] \
                               and [[sink]]";
                problems.push(Problem { place, key, message: message.into() });
            }
        }
        self.streams.extend(drop_in.streams);
        self.sinks.extend(drop_in.sinks);
    }
}

const TABLES: [&str; 5] = ["service", "defaults", "stream", "sink", "dialects"];

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn split(&self, toml: &dyn TableLike, problems: &mut Vec<Problem>) -> Document {
        let absent = |table: &str| {
            let home = Spot { place: Place::Path(self.file.to_owned()), key: table.to_owned() };
            Layer { places: Places { home, ..Places::default() }, ..Layer::default() }
        };
        let mut document = Document {
            service: absent("service"),
            defaults: absent("defaults"),
            streams: Vec::new(),
            sinks: Vec::new(),
            dialects: BTreeMap::new(),
        };
        for (key, item) in toml.iter() {
            let home = self.spot(toml, key, key.to_owned());
            let mut refuse = |message: String| {
                let Spot { place, key } = home.clone();
                problems.push(Problem { place, key, message });
            };
            match (key, item.as_table_like(), tables(item)) {
                ("service", Some(table), _) => document.service = self.layer(home, table),
                ("defaults", Some(table), _) => document.defaults = self.layer(home, table),
                ("stream" | "sink", _, Some(tables)) => {
                    let layers = tables.into_iter().map(|(table, offset)| {
                        let place = offset.map_or(home.place.clone(), |at| self.place(at));
                        self.layer(Spot { place, key: home.key.clone() }, table)
                    });
                    match key {
                        "stream" => document.streams.extend(layers),
                        _ => document.sinks.extend(layers),
                    }
                }
                ("dialects", Some(table), _) => {
                    let mut refuse = |spot: Spot, message: String| {
                        let Spot { place, key } = spot;
                        problems.push(Problem { place, key, message });
                    };
                    document.dialects = self.tables_of(table, "dialects.", &mut refuse);
                }
                ("dialects", ..) => refuse("must be tables: write [dialects.NAME]".to_owned()),
                ("service" | "defaults", ..) => refuse(format!("must be a table: write [{key}]")),
                ("stream" | "sink", ..) => refuse(format!("must be tables: write [[{key}]]")),
                _ => refuse(unknown_key(key, &TABLES)),
            }
        }
        document
    }

    /// The tables inside of a table, by name.
    fn tables_of(
        &self,
        toml: &dyn TableLike,
        prefix: &str,
        refuse: &mut dyn FnMut(Spot, String),
    ) -> BTreeMap<String, Layer> {
        let mut layers = BTreeMap::new();
        for (key, item) in toml.iter() {
            let home = self.spot(toml, key, format!("{prefix}{key}"));
            match item.as_table_like() {
                Some(table) => drop(layers.insert(key.to_owned(), self.layer(home, table))),
                None => refuse(home, "must be a table".to_owned()),
            }
        }
        layers
    }

    fn layer(&self, home: Spot, table: &dyn TableLike) -> Layer {
        let mut places = Places { home, keys: BTreeMap::new() };
        self.find_keys(table, "", &mut places);
        Layer { values: values(table), places }
    }

    fn find_keys(&self, table: &dyn TableLike, prefix: &str, places: &mut Places) {
        for (key, item) in table.iter() {
            let path = format!("{prefix}{key}");
            let spot = self.spot(table, key, format!("{}.{path}", places.home.key));
            places.keys.insert(path.clone(), spot);
            if let Some(inner) = item.as_table_like() {
                self.find_keys(inner, &format!("{path}."), places);
            }
        }
    }

    fn spot(&self, table: &dyn TableLike, key: &str, shown: String) -> Spot {
        let span = table.key(key).and_then(|key| key.span());
        let place = match span {
            Some(span) => self.place(span.start),
            None => Place::Path(self.file.to_owned()),
        };
        Spot { place, key: shown }
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place::File {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    fn syntax_problem(&self, error: &TomlError) -> Problem {
        let place = match error.span() {
            Some(span) => self.place(span.start),
            None => Place::Path(self.file.to_owned()),
        };
        let message = format!("is not valid TOML: {}", error.message());
        Problem { place, key: String::new(), message }
    }
}

/// The tables of `[[x]]`, or of an array of inline tables, with their offsets.
fn tables<'a>(item: &'a Item) -> Option<Vec<(&'a dyn TableLike, Option<usize>)>> {
    if let Some(tables) = item.as_array_of_tables() {
        let table = |table: &'a Table| (table as &dyn TableLike, start(table.span()));
        return Some(tables.iter().map(table).collect());
    }
    let table = |value: &'a toml_edit::Value| {
        value.as_inline_table().map(|table| (table as &dyn TableLike, start(table.span())))
    };
    item.as_array()?.iter().map(table).collect()
}

fn start(span: Option<std::ops::Range<usize>>) -> Option<usize> {
    span.map(|span| span.start)
}

fn values(table: &dyn TableLike) -> Map<String, Value> {
    table.iter().map(|(key, item)| (key.to_owned(), item_value(item))).collect()
}

fn item_value(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => plain_value(value),
        Item::Table(table) => Value::Object(values(table)),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| Value::Object(values(table))).collect()
        }
    }
}

fn plain_value(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Value::from(text.value().as_str()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => Value::from(*number.value()),
        Toml::Boolean(flag) => Value::from(*flag.value()),
        // A date without quotes is as good as one with.
        Toml::Datetime(time) => Value::from(time.value().to_string()),
        Toml::Array(array) => array.iter().map(plain_value).collect(),
        Toml::InlineTable(table) => Value::Object(values(table)),
    }
}
