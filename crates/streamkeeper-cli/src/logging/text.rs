//! The fields of the log as text: `name=value`, each within its line, whatever the service has named things.

use std::fmt::{Debug, Write as _};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::MESSAGE;
use crate::escape::Escaping;

/// Writes the fields of an event.
pub(super) fn fields() -> impl for<'a> FormatFields<'a> + 'static {
    debug_fn(write).delimited(" ")
}

fn write(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    // A raw identifier is a name, too.
    let name = field.name().trim_start_matches("r#");
    // Where a line of the crate `log` was written is in its target.
    if name.starts_with("log.") {
        return Ok(());
    }
    if name != MESSAGE {
        if writer.has_ansi_escapes() {
            write!(writer, "{ITALIC}{name}{PLAIN}{DIM}={PLAIN}")?;
        } else {
            write!(writer, "{name}=")?;
        }
    }
    write!(Escaping(writer), "{value:?}")
}

const ITALIC: &str = "\x1b[3m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::super::written::Written;
    use super::*;
    use crate::escape::acts;

    #[test]
    fn what_the_service_has_named_begins_no_line_and_moves_no_cursor() {
        for colour in [false, true] {
            let written = Written::default();
            let log = tracing_subscriber::fmt().fmt_fields(fields()).with_writer(written.clone());
            let log = log.with_ansi(colour).with_target(false);
            tracing::subscriber::with_default(log.finish(), || {
                let id = "1\n2026-11-29T00:00:00Z ERROR forged\x1b[2J\u{202e}";
                tracing::info!(server_stream = %id, name = id, n = 3, "created {id}");
            });
            let text = written.text();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert_eq!(text.matches(r"1\n2026").count(), 3, "{text}");
            assert!(!text.contains("\x1b[2J") && !text.contains('\u{202e}'), "{text}");
            if !colour {
                assert!(!text.trim_end().contains(acts), "{text}");
                assert!(text.trim_end().ends_with(" n=3"), "{text}");
            }
        }
    }
}
