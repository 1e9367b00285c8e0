//! The log as JSON: one object a line, `ts`, `level` and `msg` first, then the fields as they are.
//!
//! These are the names that collectors of logs know without a mapping; the subscriber's own JSON has others.

use std::fmt::{self, Debug};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::MESSAGE;
use crate::escape::acts;

/// Writes an event as a line of JSON.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let mut ts = String::new();
        SystemTime.format_time(&mut Writer::new(&mut ts))?;
        let level = event.metadata().level();
        let message = quoted(line.message);
        write!(writer, r#"{{"ts":"{ts}","level":"{level}","msg":{message}"#)?;
        for (name, value) in line.fields {
            write!(writer, ",{}:{}", quoted(name), quoted(value))?;
        }
        writeln!(writer, "}}")
    }
}

/// A value as JSON, in which what acts on a terminal is escaped, too: the format asks it of some only.
fn quoted(value: impl Into<Value>) -> String {
    let json = value.into().to_string();
    if !json.contains(acts) {
        return json;
    }
    let escaped = |c: char| {
        // All of them are within strings, and have four digits.
        if acts(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
    };
    json.chars().map(escaped).collect()
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        // A raw identifier is a name, too.
        let name = field.name().trim_start_matches("r#");
        // Where a line of the crate `log` was written is in its target.
        if !name.starts_with("log.") {
            self.fields.insert(name.to_owned(), value.into());
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == MESSAGE {
            self.message = format!("{value:?}");
        } else {
            self.add(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.message);
        } else {
            self.add(field, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::written::Written;
    use super::*;

    #[test]
    fn a_line_is_an_object_with_the_names_that_collectors_know() {
        let written = Written::default();
        let log = tracing_subscriber::fmt().event_format(JsonLines).with_writer(written.clone());
        tracing::subscriber::with_default(log.finish(), || {
            let cause: &dyn std::error::Error = &fmt::Error;
            tracing::warn!(
                stream = "a\"b\n\u{9b}\u{202e}", slot = %3, attempt = 2_u64, drift = -4, late = true, none = None::<u64>, cause,
                "it is {}", "so\t\u{7}",
            );
        });
        let line = written.text();
        assert!(line.starts_with("{\"ts\":\"20") && line.ends_with("}\n"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.trim_end().contains(acts), "{line}");
        let mut line: Map<String, Value> = serde_json::from_str(&line).unwrap();
        let ts = line.remove("ts").unwrap();
        assert!(ts.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{ts}");
        let expected = serde_json::json!({
            "level": "WARN", "msg": "it is so\t\u{7}", "stream": "a\"b\n\u{9b}\u{202e}", "slot": "3", "attempt": 2, "drift": -4,
            "late": true, "cause": "an error occurred when formatting an argument",
        });
        assert_eq!(Value::from(line), expected);
    }
}
