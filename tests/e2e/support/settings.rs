//! The configuration of a keeper: one stream, one file sink, times scaled down about twentyfold.

use std::collections::BTreeMap;

/// The one stream's name, here and on the server.
pub(crate) const STREAM: &str = "acme";

/// The keys of the `[[stream]]` table, dotted, with their values as TOML.
#[derive(Clone, Debug)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Every time at its default.
    pub(crate) fn unscaled(url: &str) -> Self {
        Self(BTreeMap::new()).with("name", STREAM).with("url", url).with("token", "simulated")
    }

    /// Times for a service that pokes every 400 ms (see `Service::process`).
    pub(crate) fn scaled(url: &str) -> Self {
        let times = [
            ("call_timeout", "2s"),
            ("watchdog.late_after", "1s"),
            ("watchdog.stale_after", "2500ms"),
            ("watchdog.connect_timeout", "2s"),
            ("hygiene.rest_initial", "500ms"),
            ("hygiene.rest_max", "2s"),
            ("recovery.margin", "1s"),
            ("recovery.settle", "1500ms"),
            ("recovery.walk", "1500ms"),
            ("recovery.verify_every", "1s"),
            ("recovery.hold_patience", "2s"),
            ("backoff.initial", "100ms"),
            ("backoff.max", "1s"),
        ];
        let unscaled = Self::unscaled(url).with("connections", 3);
        times.into_iter().fold(unscaled, |settings, (key, value)| settings.with(key, value))
    }

    /// The same with this key at that value.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into().0);
        self
    }

    /// The configuration file; the sink's and the data's paths are relative to the keeper's folder.
    pub(crate) fn file(&self) -> String {
        format!(
            "[service]\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n\n{}\n\
             [[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\n",
            self.stream(),
        )
    }

    /// The table of the stream alone.
    pub(crate) fn stream(&self) -> String {
        let keys: String = self.0.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        format!("[[stream]]\n{keys}")
    }
}

/// A value as TOML.
pub(crate) struct Value(String);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(format!("{text:?}"))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self(number.to_string())
    }
}
