//! One value each: what it may look like, and what to say if it does not.
//!
//! A message never quotes the value. A variable of the environment is text, so there a
//! number, a flag and a list (parted by commas) are read from text; in a file they are
//! not, so that `"5"` and `5` are not the same by accident.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use serde_json::Value;

use streamkeeper_sink::Secret;

/// A value, and whether it comes from the environment.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) is_variable: bool,
}

pub(super) fn text(given: &Given) -> Result<String, String> {
    let text = given.value.as_str().ok_or("must be text in quotes")?;
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    Ok(text.to_owned())
}

pub(super) fn path(given: &Given) -> Result<PathBuf, String> {
    text(given).map(PathBuf::from)
}

pub(super) fn number(given: &Given) -> Result<u32, String> {
    let number = match &given.value {
        Value::String(text) if given.is_variable => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.ok_or_else(|| "must be a whole number, 0 or more".into())
}

/// How often something is tried: a number, or "forever".
pub(super) fn attempts(given: &Given) -> Result<Option<u32>, String> {
    if given.value.as_str() == Some("forever") {
        return Ok(None);
    }
    match number(given) {
        Ok(attempts) if attempts > 0 => Ok(Some(attempts)),
        _ => Err("must be a whole number of 1 or more, or \"forever\"".into()),
    }
}

pub(super) fn flag(given: &Given) -> Result<bool, String> {
    let flag = match &given.value {
        Value::String(text) if given.is_variable => text.trim().parse().ok(),
        value => value.as_bool(),
    };
    flag.ok_or_else(|| "must be true or false".into())
}

pub(super) fn texts(given: &Given) -> Result<Vec<String>, String> {
    let texts = match &given.value {
        Value::String(text) if given.is_variable => Some(
            text.split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        }
        _ => None,
    };
    texts.ok_or_else(|| "must be a list of texts, such as [\"a\", \"b\"]".into())
}

/// Headers with their values, which may be secret.
pub(super) fn headers(given: &Given) -> Result<Vec<(String, Secret)>, String> {
    let header = |(name, value): (&String, &Value)| {
        let value = value.as_str().filter(|value| !value.is_empty())?;
        Some((name.clone(), Secret::new(value)))
    };
    let headers = given.value.as_object().and_then(|table| table.iter().map(header).collect());
    headers.ok_or_else(|| "must be a table of texts, such as { Accept-Language = \"en\" }".into())
}

pub(super) fn duration(given: &Given) -> Result<Duration, String> {
    let parsed = given.value.as_str().and_then(|text| humantime::parse_duration(text.trim()).ok());
    parsed.ok_or_else(|| "must be a duration such as \"30s\", \"500ms\" or \"1h 30m\"".into())
}

pub(super) fn duration_or_off(given: &Given) -> Result<Option<Duration>, String> {
    if given.value == "off" {
        return Ok(None);
    }
    duration(given).map(Some).map_err(|message| format!("{message}, or \"off\""))
}

/// Bytes: a number, or text such as `4MiB`.
pub(super) fn bytes(given: &Given) -> Result<usize, String> {
    let parsed = match &given.value {
        Value::String(text) => parse_bytes(text.trim()),
        value => value.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    parsed.ok_or_else(|| "must be a number of bytes such as 65536 or \"4MiB\"".into())
}

fn parse_bytes(text: &str) -> Option<usize> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

/// A day, `YYYY-MM-DD`.
pub(super) fn date(given: &Given) -> Result<Date, String> {
    let parsed = given
        .value
        .as_str()
        .filter(|text| {
            text.len() == "2026-11-01".len()
                && text.bytes().all(|c| c.is_ascii_digit() || c == b'-')
        })
        .and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| "must be a day, written \"2026-11-01\"".into())
}

/// An address with a port, or `"off"`.
pub(super) fn address_or_off(given: &Given) -> Result<Option<SocketAddr>, String> {
    if given.value == "off" {
        return Ok(None);
    }
    let parsed = given.value.as_str().and_then(|text| text.trim().parse().ok());
    parsed.map(Some).ok_or_else(|| {
        "must be an address and a port, such as \"127.0.0.1:9464\", or \"off\"".into()
    })
}

/// One of several names.
pub(super) fn one_of<T: Copy>(given: &Given, built: &[(&str, T)]) -> Result<T, String> {
    let text = given.value.as_str().unwrap_or_default();
    if let Some((_, value)) = built.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<_> = built.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    Err(format!("must be {}", names.join(" or ")))
}
