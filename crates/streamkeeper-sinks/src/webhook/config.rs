//! The table of a `webhook` sink.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use streamkeeper_sink::{Secret, SecretKeys, Sink, SinkConfigError, SinkFactory, SinkTable};

use super::WebhookSink;
use super::message::{self, Mode};

/// The settings of a `webhook` sink. No `Debug`: nearly all of it may be secret.
pub(super) struct WebhookConfig {
    pub(super) url: Url,
    /// None: nothing is signed. Two while one takes the other's place.
    pub(super) keys: Vec<hmac::Key>,
    pub(super) mode: Mode,
    /// What goes with each request, `bearer` among it.
    pub(super) headers: HeaderMap,
    /// For one request, from the connection to the end of the answer.
    pub(super) timeout: Duration,
    pub(super) batch_events: usize,
    pub(super) in_flight: usize,
    pub(super) allow_private: bool,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
}

const URL: SecretKeys = SecretKeys::new(["url", "url_file", "url_env"]);
const SECRET: SecretKeys = SecretKeys::new(["secret", "secret_file", "secret_env"]);
const BEARER: SecretKeys = SecretKeys::new(["bearer", "bearer_file", "bearer_env"]);

/// Standard Webhooks advise 15 to 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A receiver works on each; a hundred are a body of some 100 KiB.
const BATCH_EVENTS: usize = 100;
const IN_FLIGHT: usize = 8;

impl WebhookConfig {
    pub(super) fn read(mut table: SinkTable) -> Result<Self, SinkConfigError> {
        let url = table.require_secret(URL)?;
        let secrets = table.take_secrets(SECRET)?;
        let bearer = table.take_secret(BEARER)?;
        let headers: Option<BTreeMap<String, String>> =
            table.take("headers", "a table of texts such as { X-Tenant = \"acme\" }")?;
        let mode = table.take("mode", Mode::EXPECTED)?.unwrap_or_default();
        let timeout: Option<String> = table.take("timeout", "a duration such as \"30s\"")?;
        let batch_events = counted(&mut table, "batch_events", BATCH_EVENTS)?;
        let in_flight = counted(&mut table, "in_flight", IN_FLIGHT)?;
        let allow_private = table.take("allow_private", "true or false")?.unwrap_or(false);
        let ca_file = table.take_file("ca_file")?;
        let state = table.take("state", "the path of a folder")?;
        table.finish()?;
        let url = read_url(&url, bearer.is_some())?;
        Ok(Self {
            url,
            keys: read_keys(&secrets)?,
            mode,
            headers: read_headers(headers.unwrap_or_default(), bearer)?,
            timeout: read_timeout(timeout)?,
            batch_events,
            in_flight,
            allow_private,
            ca_file,
            state,
        })
    }
}

fn counted(
    table: &mut SinkTable,
    key: &'static str,
    default: usize,
) -> Result<usize, SinkConfigError> {
    let expected = "a number from 1 to 1000";
    match table.take(key, expected)?.unwrap_or(default) {
        number @ 1..=1_000 => Ok(number),
        _ => Err(SinkConfigError::new(key, format!("must be {expected}"))),
    }
}

fn read_url(url: &Secret, with_bearer: bool) -> Result<Url, SinkConfigError> {
    let fault = |message| Err(SinkConfigError::new("url", message));
    match Url::parse(url.expose()) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            fault("must begin with https:// (or http://) and a host")
        }
        Ok(url) if with_bearer && !(url.username().is_empty() && url.password().is_none()) => {
            fault("holds a user or a password beside `bearer`: give one of the two")
        }
        Ok(url) => Ok(url),
        Err(_) => fault("must be a whole URL such as https://example.org/hook"),
    }
}

fn read_keys(secrets: &[Secret]) -> Result<Vec<hmac::Key>, SinkConfigError> {
    let fault = |message| SinkConfigError::new("secret", message);
    if secrets.len() > 2 {
        return Err(fault("must be at most two: the old one and the new one"));
    }
    secrets.iter().map(|secret| message::key(secret).map_err(fault)).collect()
}

/// What is said of each request by ourselves.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

fn read_headers(
    given: BTreeMap<String, String>,
    bearer: Option<Secret>,
) -> Result<HeaderMap, SinkConfigError> {
    let fault = |key: &str, message: &str| SinkConfigError::new(key, message);
    let secret = |text: &str| {
        HeaderValue::from_str(text).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name: HeaderName =
            name.parse().map_err(|_| fault("headers", "holds a name that no header can have"))?;
        if OURS.contains(&name.as_str()) {
            return Err(fault("headers", &format!("must not hold {name}: that is set already")));
        }
        let value = secret(&value)
            .ok_or_else(|| fault("headers", &format!("has a value that {name} cannot have")))?;
        headers.insert(name, value);
    }
    if let Some(bearer) = bearer {
        let value = secret(&format!("Bearer {}", bearer.expose()))
            .ok_or_else(|| fault("bearer", "holds what a header cannot"))?;
        if headers.insert(AUTHORIZATION, value).is_some() {
            return Err(fault("bearer", "stands beside `authorization` in `headers`: give one"));
        }
    }
    Ok(headers)
}

fn read_timeout(given: Option<String>) -> Result<Duration, SinkConfigError> {
    let Some(given) = given else { return Ok(TIMEOUT) };
    humantime::parse_duration(given.trim())
        .ok()
        .filter(|timeout| (Duration::from_millis(100)..=Duration::from_mins(10)).contains(timeout))
        .ok_or_else(|| {
            SinkConfigError::new("timeout", "must be a duration from \"100ms\" to \"10m\"")
        })
}

/// Makes `webhook` sinks.
#[derive(Clone, Copy, Debug)]
pub struct WebhookFactory;

impl SinkFactory for WebhookFactory {
    fn type_name(&self) -> &'static str {
        "webhook"
    }

    fn check(&self, _name: &str, table: SinkTable) -> Result<(), SinkConfigError> {
        WebhookConfig::read(table).map(drop)
    }

    fn output(&self, table: SinkTable) -> Option<(&'static str, PathBuf)> {
        let state = WebhookConfig::read(table).ok()?.state?;
        let absolute = std::path::absolute(&state).unwrap_or(state);
        Some(("state", absolute.canonicalize().unwrap_or(absolute)))
    }

    fn build(&self, _name: &str, table: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(Box::new(WebhookSink::new(WebhookConfig::read(table)?)?))
    }
}
