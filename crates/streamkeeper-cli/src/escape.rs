//! Characters that change more than the place they stand in: they end a line, move a cursor, turn the
//! direction of what follows. Names and ids are the service's to choose; they are shown with escapes.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// `text` in one line, without a character that acts.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, &[])
}

/// The same, with its lines and columns.
pub(crate) fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_but(text, &['\n', '\t'])
}

fn escaped_but<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let acts = |c: char| acts(c) && !kept.contains(&c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) { escaped.extend(c.escape_debug()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// Whether a character does something.
pub(crate) fn acts(c: char) -> bool {
    // Line and paragraph separators, and what turns the direction of writing.
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Passes on what is written, in one line and without a character that acts.
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&escaped(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_and_everything_else_is_as_it_was() {
        assert_eq!(escaped("a\x1b[2J\nb\u{9b}\u{202e}c\t\0"), r"a\u{1b}[2J\nb\u{9b}\u{202e}c\t\0");
        assert_eq!(escaped_lines("a\tb\r\n"), "a\tb\\r\n");
        for text in ["", "Zoë \"quoted\" \\ 日本 👩‍⚕️"] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
        }
    }
}
