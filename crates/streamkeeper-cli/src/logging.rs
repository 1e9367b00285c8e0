//! The log: on stderr, as text or JSON, filtered by `RUST_LOG` (default `info`), and by the `log`
//! command while it runs.

mod json;
mod text;
#[cfg(test)]
mod written;

use std::io::IsTerminal;

use streamkeeper::config::LogFormat;
use tracing_subscriber::EnvFilter;

use crate::stderr::ToStderr;

/// Changes what the installed log lets through.
pub(crate) struct LogFilter(Box<dyn Fn(EnvFilter) -> bool>);

impl LogFilter {
    /// Takes a filter in the language of `RUST_LOG`: `debug`, `warn,streamkeeper=trace`.
    pub(crate) fn set(&self, filter: &str) -> Result<(), String> {
        if (self.0)(without_echo(parsed(filter)?)) {
            Ok(())
        } else {
            Err("the log is not ours to filter".to_owned())
        }
    }
}

fn parsed(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(filter).map_err(|error| {
        format!("not a filter, such as `debug` or `warn,streamkeeper=trace`: {error}")
    })
}

/// Installs the log of this process; once.
pub(crate) fn install(format: LogFormat) -> LogFilter {
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let wanted = parsed(wanted.as_deref().unwrap_or(DEFAULT));
    let refused = wanted.as_ref().err().cloned();
    let filter = without_echo(wanted.unwrap_or_else(|_| EnvFilter::new(DEFAULT)));
    let builder = tracing_subscriber::fmt().with_writer(ToStderr).with_target(false);
    // It would say them with a panic if nobody reads.
    let builder = builder.log_internal_errors(false);
    let (installed, filter): (_, Box<dyn Fn(EnvFilter) -> bool>) = match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let builder = builder.fmt_fields(text::fields()).with_ansi(colour);
            let builder = builder.with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let builder = builder.event_format(json::JsonLines);
            let builder = builder.with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    // Only a second installation fails, and then there is a log already.
    if installed.is_err() {
        tracing::debug!("a log is installed already");
    }
    if let Some(reason) = refused {
        tracing::warn!(reason, "the log shows {DEFAULT}: RUST_LOG cannot be read");
    }
    LogFilter(filter)
}

/// The field that holds the sentence.
const MESSAGE: &str = "message";

/// What the log shows unless it is told otherwise.
const DEFAULT: &str = "info";

/// Keeps libraries quiet, whatever is wanted: the one that watches folders, since each line would be a change
/// there, if the log is a file in such a folder, of which it would write a line; and the one of NATS, which
/// writes the headers of messages, and so users.
fn without_echo(filter: EnvFilter) -> EnvFilter {
    ["notify=error", "async_nats=warn"].into_iter().fold(filter, |filter, quiet| {
        match quiet.parse() {
            Ok(directive) => filter.add_directive(directive),
            // Only if the language of the filters changes.
            Err(_) => filter,
        }
    })
}
