//! What lies over what: `[service]` and `[defaults]` under the environment, `[defaults]`
//! under each `[[stream]]`.
//!
//! The merging is the `config` crate's: tables key by key, everything else as a whole. It
//! is given values only; the places go beside it, so that a problem with a merged value
//! still names the line or the variable that it came from.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

use config::{Config, ConfigError, Environment, Source};
use serde_json::{Map, Value};

use super::document::{Layer, Places, Spot};
use super::error::{Place, Problem};
use super::secret;

/// `upper` over `lower`. A secret is taken as a whole: if `upper` has any form of it,
/// none of `lower` counts; so is `[stream.auth]`.
pub(super) fn merge(mut lower: Layer, upper: &Layer) -> Layer {
    for secret::Forms { keys, .. } in secret::ALL {
        if keys.iter().any(|key| upper.values.contains_key(*key)) {
            lower.values.retain(|key, _| !keys.contains(&key.as_str()));
        }
    }
    if upper.values.contains_key("auth") {
        lower.values.remove("auth");
    }
    // What a key of a row says is one value, also where it is written as a table.
    if let (Some(Value::Object(lower)), Some(Value::Object(upper))) =
        (lower.values.get_mut("sse"), upper.values.get("sse"))
    {
        lower.retain(|key, _| !upper.contains_key(key));
    }
    let values = Config::builder()
        .add_source(Table(lower.values))
        .add_source(Table(upper.values.clone()))
        .build();
    let mut places = lower.places;
    if !upper.places.home.key.is_empty() {
        places.home = upper.places.home.clone();
    }
    places.keys.extend(upper.places.keys.clone());
    Layer { values: table_of(values, ROOT), places }
}

/// The layers that the environment sets: `[service]` and `[defaults]`.
///
/// Only variables that begin with `STREAMKEEPER__` count; two underscores go one table
/// down. One that names anything else is a problem, as an unknown key is.
pub(super) fn from_environment(
    variables: &BTreeMap<String, OsString>,
    problems: &mut Vec<Problem>,
) -> [Layer; 2] {
    let mut ours = BTreeMap::new();
    for (name, value) in variables.iter().filter(|(name, _)| name.starts_with("STREAMKEEPER__")) {
        if let Some(value) = value.to_str() {
            ours.insert(name.clone(), value.to_owned());
        } else {
            let (place, key) = (Place::Variable(name.clone()), String::new());
            problems.push(Problem { place, key, message: "is not UTF-8 text".to_owned() });
        }
    }
    let is_plain = |name: &str| {
        name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
    };
    let plain: HashMap<_, _> =
        ours.clone().into_iter().filter(|(name, _)| is_plain(name)).collect();
    let environment = Environment::with_prefix("STREAMKEEPER").separator("__").source(Some(plain));
    let config = Config::builder().add_source(environment).build().unwrap_or_default();

    let mut layers = ["service", "defaults"].map(|table| (table, Places::default()));
    for name in ours.keys() {
        let Some(path) = name.strip_prefix("STREAMKEEPER__") else { continue };
        let path = path.to_ascii_lowercase().replace("__", ".");
        let place = Place::Variable(name.clone());
        let landed = is_plain(name) && config.get::<Value>(&path).is_ok();
        let places = layers.iter_mut().find_map(|(table, places)| {
            Some((places, path.strip_prefix(*table)?.strip_prefix('.')?))
        });
        match places {
            Some((places, key)) if landed => {
                places.keys.insert(key.to_owned(), Spot { place, key: path.clone() });
            }
            _ => {
                let message = "sets nothing: the environment sets keys of [service] and \
                               [defaults], such as STREAMKEEPER__SERVICE__LISTEN";
                problems.push(Problem { place, key: String::new(), message: message.into() });
            }
        }
    }
    layers.map(|(table, places)| Layer { values: table_of(Ok(config.clone()), table), places })
}

/// The one key under which a table is merged: the crate reads a top-level key as a path
/// expression, and a key of a file is none.
const ROOT: &str = "table";

#[derive(Clone, Debug)]
struct Table(Map<String, Value>);

impl Source for Table {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, config::Value>, ConfigError> {
        let value = serde_json::from_value(Value::Object(self.0.clone()))
            .map_err(|_| ConfigError::Message("a value that is no TOML".to_owned()))?;
        Ok([(ROOT.to_owned(), value)].into())
    }
}

/// The table `key` of a merged configuration; empty if nothing set it.
fn table_of(config: Result<Config, ConfigError>, key: &str) -> Map<String, Value> {
    match config.and_then(|config| config.get(key)) {
        Ok(Value::Object(table)) => table,
        _ => Map::new(),
    }
}
