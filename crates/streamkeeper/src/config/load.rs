//! Files into a checked configuration: main file, drop-ins, environment, rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use streamkeeper_sink::SinkFactory;

use super::document::{Document, Layer, Places, Spot};
use super::effective::Effective;
use super::read::{Around, OwnRow};
use super::rules::Table;
use super::secret::Surroundings;
use super::sse::{presets, row};
use super::{Config, ConfigErrors, Place, Problem, Row, ServiceConfig, layers, read, rules};

pub(super) fn file(
    path: &Path,
    drop_ins: Option<&Path>,
    factories: &[Box<dyn SinkFactory>],
    surroundings: &Surroundings,
) -> Result<Config, ConfigErrors> {
    let mut problems = Vec::new();
    let document = gather(path, drop_ins, surroundings, &mut problems);
    let Some(document) = document else { return Err(ConfigErrors(problems)) };
    let listen = document.service.values.contains_key("listen");
    let mut config = Loader::new(path, factories, surroundings, problems).load(document)?;
    if !listen {
        config.service.listen = Some(ServiceConfig::LISTEN_OF_FILES);
    }
    Ok(config)
}

/// The same, as one file would have it.
pub(super) fn effective(
    path: &Path,
    drop_ins: Option<&Path>,
    factories: &[Box<dyn SinkFactory>],
    surroundings: &Surroundings,
) -> Result<Effective, ConfigErrors> {
    file(path, drop_ins, factories, surroundings)?;
    let mut problems = Vec::new();
    let document = gather(path, drop_ins, surroundings, &mut problems);
    document.map(Effective::new).ok_or(ConfigErrors(problems))
}

/// All files, and the environment over them.
fn gather(
    path: &Path,
    drop_ins: Option<&Path>,
    surroundings: &Surroundings,
    problems: &mut Vec<Problem>,
) -> Option<Document> {
    let mut document = Document::read(path, problems);
    for file in drop_in_files(path, drop_ins, problems) {
        let drop_in = Document::read(&file, problems);
        if let (Some(document), Some(drop_in)) = (&mut document, drop_in) {
            document.append(drop_in, problems);
        }
    }
    let mut document = document?;
    let [service, defaults] = layers::from_environment(&surroundings.variables, problems);
    document.service = layers::merge(document.service, &service);
    document.defaults = layers::merge(document.defaults, &defaults);
    Some(document)
}

/// `data_dir`, whatever is wrong elsewhere.
pub(super) fn data_dir(path: &Path, surroundings: &Surroundings) -> Result<PathBuf, ConfigErrors> {
    let mut problems = Vec::new();
    let document = Document::read(path, &mut problems);
    let Some(document) = document else { return Err(ConfigErrors(problems)) };
    let mut problems = Vec::new();
    let [environment, _] = layers::from_environment(&surroundings.variables, &mut Vec::new());
    let mut service = layers::merge(document.service, &environment);
    service.values.retain(|key, _| key == "data_dir");
    let service = read::service(&service, surroundings, &mut problems);
    if problems.is_empty() { Ok(service.data_dir) } else { Err(ConfigErrors(problems)) }
}

/// What keys ending in `_file` name, whatever is wrong elsewhere.
pub(super) fn named_files(
    path: &Path,
    drop_ins: Option<&Path>,
    surroundings: &Surroundings,
) -> BTreeSet<PathBuf> {
    let document = gather(path, drop_ins, surroundings, &mut Vec::new());
    let Some(Document { service, defaults, streams, .. }) = document else {
        return BTreeSet::new();
    };
    let mut files = BTreeSet::new();
    for layer in [service, defaults].into_iter().chain(streams) {
        let mut found = Vec::new();
        find_files(&layer.values, &mut found);
        files.extend(found.into_iter().map(|file| surroundings.locate(Path::new(file))));
    }
    files
}

/// What the keys of a table name that end in `_file`, and those of the tables in it.
fn find_files<'a>(values: &'a Map<String, Value>, found: &mut Vec<&'a str>) {
    for (key, value) in values {
        match value {
            Value::String(file) if key.ends_with("_file") => found.push(file),
            Value::Object(inner) => find_files(inner, found),
            _ => {}
        }
    }
}

/// A text by itself: no drop-ins, no layers of the environment.
pub(super) fn text(
    text: &str,
    factories: &[Box<dyn SinkFactory>],
    surroundings: &Surroundings,
) -> Result<Config, ConfigErrors> {
    let mut problems = Vec::new();
    let path = Path::new("configuration");
    match Document::parse(path, text, &mut problems) {
        Some(document) => Loader::new(path, factories, surroundings, problems).load(document),
        None => Err(ConfigErrors(problems)),
    }
}

/// The folder of drop-in files: the given one, or the one beside the file.
fn drop_in_folder(path: &Path, given: Option<&Path>) -> PathBuf {
    let beside = || {
        let mut implied = path.as_os_str().to_owned();
        implied.push(".d");
        PathBuf::from(implied)
    };
    given.map_or_else(beside, Path::to_owned)
}

pub(super) fn drop_in_files(
    path: &Path,
    given: Option<&Path>,
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    let folder = &drop_in_folder(path, given);
    if given.is_none() && !folder.exists() {
        return Vec::new();
    }
    let files: Result<Vec<_>, _> = folder
        .read_dir()
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    let is_toml = |file: &PathBuf| {
        let is_hidden =
            file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        !is_hidden && file.extension().is_some_and(|extension| extension == "toml")
    };
    match files {
        Ok(mut files) => {
            files.retain(is_toml);
            files.sort();
            files
        }
        Err(error) => {
            let message = format!("cannot be read as a folder of drop-in files: {error}");
            let place = Place::Path(folder.to_owned());
            problems.push(Problem { place, key: String::new(), message });
            Vec::new()
        }
    }
}

/// Layers into a checked configuration.
struct Loader<'a> {
    path: &'a Path,
    factories: &'a [Box<dyn SinkFactory>],
    surroundings: &'a Surroundings,
    problems: Vec<Problem>,
    /// Tables that could not be read whole, and so hold defaults that nobody chose: the
    /// rules do not count for them.
    broken: Vec<Table>,
}

impl<'a> Loader<'a> {
    fn new(
        path: &'a Path,
        factories: &'a [Box<dyn SinkFactory>],
        surroundings: &'a Surroundings,
        problems: Vec<Problem>,
    ) -> Self {
        Self { path, factories, surroundings, problems, broken: Vec::new() }
    }

    fn load(mut self, document: Document) -> Result<Config, ConfigErrors> {
        let Document { service, defaults, streams, sinks, dialects } = document;
        let rows = self.rows(&dialects);
        for key in ["name", "server_name"] {
            if defaults.values.contains_key(key) {
                let message = "belongs to one stream: write it into its [[stream]]";
                self.note(defaults.places.problem(key, message));
            }
        }
        let streams: Vec<Layer> =
            streams.iter().map(|stream| layers::merge(defaults.clone(), stream)).collect();

        let surroundings = self.surroundings;
        let config = Config {
            service: self
                .read(Table::Service, |problems| read::service(&service, surroundings, problems)),
            ..Config::default()
        };
        let around = Around { service: &config.service, rows: &rows, surroundings };
        let read_stream = |(index, layer)| {
            self.read(Table::Stream(index), |problems| read::stream(layer, around, problems))
        };
        let stream_configs = streams.iter().enumerate().map(read_stream).collect();
        let read_sink =
            |(index, layer)| self.read(Table::Sink(index), |problems| read::sink(layer, problems));
        let sink_configs = sinks.iter().enumerate().map(read_sink).collect();
        let config = Config { streams: stream_configs, sinks: sink_configs, ..config };

        let home = Spot { place: Place::Path(self.path.to_owned()), key: String::new() };
        let root = Places { home, ..Places::default() };
        for finding in rules::check(&config, self.factories, surroundings) {
            if self.broken.contains(&finding.table) {
                continue;
            }
            let places = match finding.table {
                Table::Root => None,
                Table::Service => Some(&service.places),
                Table::Stream(index) => streams.get(index).map(|layer| &layer.places),
                Table::Sink(index) => sinks.get(index).map(|layer| &layer.places),
            };
            self.note(places.unwrap_or(&root).problem(&finding.key, finding.message));
        }
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(self.problems)) }
    }

    /// The rows of the file's own.
    fn rows(&mut self, dialects: &BTreeMap<String, Layer>) -> BTreeMap<String, OwnRow> {
        let mut rows = BTreeMap::new();
        for (name, layer) in dialects {
            let mut problems = Vec::new();
            if name == "inform" || presets::NAMES.contains(&name.as_str()) {
                let Spot { place, key } = layer.places.home.clone();
                let message = "is the name of a preset: choose another, and set `dialect` to it";
                problems.push(Problem { place, key, message: message.to_owned() });
            }
            let row = |over, problems: &mut Vec<_>| row::read(over, layer, problems);
            let sse = row(Row::default(), &mut problems);
            // Its problems are the same.
            let web_socket = row(Row::web_socket(), &mut Vec::new());
            rows.insert(name.clone(), OwnRow { sse, web_socket });
            problems.into_iter().for_each(|problem| self.note(problem));
        }
        rows
    }

    fn read<T>(&mut self, table: Table, read: impl FnOnce(&mut Vec<Problem>) -> T) -> T {
        let mut problems = Vec::new();
        let value = read(&mut problems);
        if !problems.is_empty() {
            self.broken.push(table);
        }
        problems.into_iter().for_each(|problem| self.note(problem));
        value
    }

    /// Notes a problem once: what stands in `[defaults]` is read for every stream.
    fn note(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
