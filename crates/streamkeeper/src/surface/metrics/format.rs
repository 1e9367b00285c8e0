//! The two forms in which the metrics are written.
//!
//! OpenMetrics is what the library encodes. Prometheus' own text format is older, and what everybody reads
//! who does not ask for OpenMetrics by name: `promtool check metrics`, most agents, people. It differs in the
//! comments alone: there a family bears the name of its samples, an info is a gauge, units are not told, and
//! nothing marks the end.

/// How the metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Text,
}

impl Format {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// OpenMetrics in Prometheus' text format.
pub(super) fn as_text(exposition: &str) -> String {
    let mut text = String::with_capacity(exposition.len());
    let mut help = "";
    for line in exposition.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            // Its name depends on the type, which follows.
            (Some("#"), Some("HELP"), _, said) => help = said.unwrap_or_default(),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                text += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
            }
            (Some("#"), ..) => {}
            _ => {
                text += line;
                text.push('\n');
            }
        }
    }
    text
}
