//! A changed configuration, taken over while everything runs: all of it, or nothing.
//!
//! Streams may come, go and change, and the endpoint's token; a stream that is the same is not touched.
//! What cannot change while the process runs (the rest of `[service]`, `[[sink]]`, the size of a ledger
//! or a queue) is refused by name. Whatever can fail is done before anything is changed: see [`crate::stream::Prepared`].

use crate::config::{Config, ServiceConfig, StreamConfig};
use crate::requests::{ReloadError, ReloadReport};

/// What has to be done.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) added: Vec<StreamConfig>,
    pub(crate) removed: Vec<String>,
    pub(crate) changed: Vec<StreamConfig>,
}

impl Plan {
    /// The way from `old` to `new`.
    pub(crate) fn new(old: &Config, new: &Config) -> Result<Self, ReloadError> {
        let mut keys = fixed(&old.service, &new.service);
        if old.sinks != new.sinks {
            keys.push("[[sink]]".to_owned());
        }
        let mut plan = Self::default();
        let before = |name: &str| old.streams.iter().find(|stream| stream.name == name);
        for stream in &new.streams {
            match before(&stream.name) {
                None => plan.added.push(stream.clone()),
                Some(before) if before == stream => {}
                Some(before) => {
                    if before.ledger != stream.ledger {
                        keys.push(format!("stream.{}.ledger", stream.name));
                    }
                    if before.as_inform().is_some() != stream.as_inform().is_some() {
                        keys.push(format!("stream.{}.dialect", stream.name));
                    }
                    if before.queue_bytes != stream.queue_bytes {
                        keys.push(format!("stream.{}.queue_bytes", stream.name));
                    }
                    plan.changed.push(stream.clone());
                }
            }
        }
        let stays = |name: &str| new.streams.iter().any(|stream| stream.name == name);
        let gone = old.streams.iter().filter(|stream| !stays(&stream.name));
        plan.removed = gone.map(|stream| stream.name.clone()).collect();
        if keys.is_empty() { Ok(plan) } else { Err(ReloadError::NeedsRestart { keys }) }
    }

    pub(crate) fn report(&self) -> ReloadReport {
        let names = |streams: &[StreamConfig]| streams.iter().map(|one| one.name.clone()).collect();
        ReloadReport {
            added: names(&self.added),
            removed: self.removed.clone(),
            changed: names(&self.changed),
            renewed: Vec::new(),
        }
    }
}

/// What is other in `[service]` and cannot change. A token can: whoever has to renew it need not end
/// anything. The default of `queue_bytes` is a matter of each stream.
fn fixed(old: &ServiceConfig, new: &ServiceConfig) -> Vec<String> {
    let ServiceConfig { data_dir, listen, log_format, queue_bytes: _, token: _, steering: _ } = old;
    let changed = [
        ("data_dir", *data_dir != new.data_dir),
        ("listen", *listen != new.listen),
        ("log_format", *log_format != new.log_format),
    ];
    changed
        .iter()
        .filter(|(_, is_other)| *is_other)
        .map(|(key, _)| format!("service.{key}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let text = format!("defaults = {{ url = \"http://127.0.0.1:1\", token = \"t\" }}\n{text}");
        Config::from_toml_str(&text, &[]).unwrap()
    }

    #[test]
    fn a_stream_that_is_the_same_is_not_touched() {
        let old = config("stream = [{ name = 'a' }, { name = 'b' }, { name = 'c' }]");
        let new =
            config("stream = [{ name = 'd' }, { name = 'c', connections = 2 }, { name = 'a' }]");
        let report = Plan::new(&old, &new).unwrap().report();
        let names = |name: &str| vec![name.to_owned()];
        let expected = ReloadReport {
            added: names("d"),
            removed: names("b"),
            changed: names("c"),
            renewed: vec![],
        };
        assert_eq!(report, expected);
        assert_eq!(Plan::new(&old, &old).unwrap(), Plan::default());
    }

    #[test]
    fn what_cannot_change_is_refused_by_name() {
        let old = config("stream = [{ name = 'a' }]");
        let mut new = config("stream = [{ name = 'a', ledger = { retention_days = 60 } }]");
        new.service.data_dir = "elsewhere".into();
        new.streams.extend(config("stream = [{ name = 'b', queue_bytes = '8 MiB' }]").streams);
        let error = Plan::new(&old, &new).unwrap_err().to_string();
        assert!(error.starts_with("service.data_dir, stream.a.ledger cannot change"), "{error}");
    }
}
