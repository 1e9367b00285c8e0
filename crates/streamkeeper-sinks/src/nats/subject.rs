//! The subject of an event, and those of a stream.
//!
//! A name becomes one token of a subject, whatever stands in it: all but ASCII letters, digits, `-` and `_` is
//! percent-encoded, so that two names never become one. A very long one is cut, with a hash of the whole
//! behind a bare `%`. A type is two tokens, as it has a family before its first dot: `inform.data`,
//! `sse.user%2Ecreated`.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// How the subject of an event is made, such as `events.{stream}.{type}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    tokens: Vec<Token>,
    /// The type follows them.
    typed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(String),
    Stream,
}

impl Template {
    /// A template from the configuration's text.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to be read after the name of its key.
    ///
    /// ```
    /// use streamkeeper_sinks::nats::Template;
    ///
    /// let template = Template::parse("events.{stream}.{type}").unwrap();
    /// assert_eq!(template.subject("acme", "inform.data"), "events.acme.inform.data");
    /// assert_eq!(template.subject("a.b", "sse.*"), "events.a%2Eb.sse.%2A");
    /// assert!(Template::parse("events").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, typed) = match text.strip_suffix(".{type}") {
            Some(before) => (before, true),
            None => (text, false),
        };
        let tokens: Vec<_> = text.split('.').map(Token::parse).collect::<Result<_, _>>()?;
        if tokens.iter().filter(|token| **token == Token::Stream).count() != 1 {
            return Err(
                "must have `{stream}` once: the last message of each stream is its place".into()
            );
        }
        if text.len() > LITERAL_BYTES || text.starts_with('$') {
            return Err(format!("must not begin with `$`, and have at most {LITERAL_BYTES} bytes"));
        }
        Ok(Self { tokens, typed })
    }

    /// That of an event: of this stream ([`Envelope::source`](streamkeeper_sink::Envelope::source)) and type.
    #[must_use]
    pub fn subject(&self, source: &str, kind: &str) -> String {
        let mut subject = self.before_type(&token(source));
        if self.typed {
            let parts = match kind.split_once('.') {
                Some((family, name)) => [Some(family), Some(name)],
                None => [Some(kind), None],
            };
            for part in parts.into_iter().flatten() {
                subject.push('.');
                subject.push_str(&token(part));
            }
        }
        subject
    }

    /// Those of all events of a stream.
    pub(super) fn of_stream(&self, source: &str) -> String {
        self.with_any_type(self.before_type(&token(source)))
    }

    /// Those of all events.
    pub(super) fn of_all(&self) -> String {
        self.with_any_type(self.before_type("*"))
    }

    fn before_type(&self, stream: &str) -> String {
        let tokens = self.tokens.iter().map(|token| match token {
            Token::Literal(literal) => literal.as_str(),
            Token::Stream => stream,
        });
        tokens.collect::<Vec<_>>().join(".")
    }

    fn with_any_type(&self, subject: String) -> String {
        if self.typed { subject + ".>" } else { subject }
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self, String> {
        let breaks = |char: char| {
            char.is_whitespace() || char.is_control() || matches!(char, '*' | '>' | '{' | '}')
        };
        match text {
            "{stream}" => Ok(Self::Stream),
            "" => Err("must not have an empty part between two dots".into()),
            "{type}" => Err("must have `{type}` at its end only".into()),
            _ if text.contains(breaks) => {
                Err("must be of words, `{stream}` and, at its end, `{type}`, with dots between"
                    .into())
            }
            _ => Ok(Self::Literal(text.to_owned())),
        }
    }
}

/// With the longest tokens still far below the 4 KiB that a server takes for a line.
const LITERAL_BYTES: usize = 512;

/// What is longer is cut.
const TOKEN_BYTES: usize = 128;

/// All that is left as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

fn token(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut token = utf8_percent_encode(name, ESCAPED).to_string();
    if token.len() > TOKEN_BYTES {
        token.truncate(TOKEN_BYTES / 2);
        token.push('%');
        for byte in Sha256::digest(name).iter().take(16) {
            // To a String: cannot fail.
            let _written = write!(token, "{byte:02x}");
        }
    }
    token
}

/// Whether all subjects of the pattern `wanted` are subjects of `pattern`.
pub(super) fn covers(pattern: &str, wanted: &str) -> bool {
    let mut wanted = wanted.split('.');
    for part in pattern.split('.') {
        match (part, wanted.next()) {
            (">", Some(_)) => return true,
            ("*", Some(token)) if token != ">" => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_break_a_subject_and_never_become_one() {
        let template = Template::parse("a.{stream}.{type}").unwrap();
        let long = "x".repeat(10_000);
        let longer = format!("{long}y");
        let names = [
            "", " ", ".", "..", "*", ">", "a b", "a\r\nb", "é", "%", "%2E", "$JS", "-_", &long,
            &longer,
        ];
        let mut seen = std::collections::HashSet::new();
        for name in names {
            for kind in ["", name, &format!("sse.{name}")] {
                let subject = template.subject(name, kind);
                assert!(
                    subject.split('.').all(|token| !token.is_empty() && token.len() <= TOKEN_BYTES)
                );
                assert!(
                    subject.chars().all(|char| char.is_ascii_graphic() && !"*>".contains(char))
                );
                assert!(covers(&template.of_stream(name), &subject), "{subject}");
                assert!(covers(&template.of_all(), &subject), "{subject}");
            }
            assert!(seen.insert(template.subject(name, "x")));
            assert!(seen.insert(template.subject("x", &format!("sse.{name}"))));
        }
    }

    #[test]
    fn a_template_has_the_stream_once_and_the_type_at_its_end() {
        for wrong in [
            "",
            "events",
            "{type}",
            "{type}.{stream}",
            "a..{stream}",
            "a.{user}.{stream}",
            "*.{stream}",
            "{stream}.>",
            "{stream}.{stream}",
            "x{stream}",
            "$SYS.{stream}",
            "a b.{stream}",
        ] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        let plain = Template::parse("in.{stream}.out").unwrap();
        assert_eq!(plain.subject("a", "b.c"), "in.a.out");
        assert_eq!(
            (plain.of_stream("a").as_str(), plain.of_all().as_str()),
            ("in.a.out", "in.*.out")
        );
    }

    #[test]
    fn a_pattern_covers_what_it_takes_all_of() {
        for (pattern, wanted, expected) in [
            (">", "events.*.>", true),
            ("events.>", "events.*.>", true),
            ("events.*.>", "events.*.>", true),
            ("events.*.*", "events.*.>", false),
            ("events.a.>", "events.*.>", false),
            ("*.>", "events.*.>", true),
            ("events", "events.*", false),
            ("events.*", "events", false),
            ("other.>", "events.*.>", false),
        ] {
            assert_eq!(covers(pattern, wanted), expected, "{pattern} {wanted}");
        }
    }
}
