//! What stands at a JSON pointer (RFC 6901), found in the text without making values of the rest of it.
//!
//! A number is its digits: an id of twenty of them would be another one as a floating-point number.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A pointer, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Box<[Box<str>]>);

impl Pointer {
    /// The configuration has checked that it is one.
    pub(super) fn new(text: &str) -> Self {
        let token = |token: &str| token.replace("~1", "/").replace("~0", "~").into();
        Self(text.split('/').skip(1).map(token).collect())
    }

    /// The text or number that it points to. `None` if there is none, or something else.
    pub(super) fn find<'a>(&self, json: &'a str) -> Option<Cow<'a, str>> {
        let mut place = json;
        for token in &self.0 {
            let mut reader = serde_json::Deserializer::from_str(place);
            place = Member(token).deserialize(&mut reader).ok()??.get();
        }
        match place.trim_start().as_bytes().first()? {
            b'"' => {
                let text: Text<'a> = serde_json::from_str(place).ok()?;
                Some(text.0)
            }
            b'-' | b'0'..=b'9' => Some(Cow::Borrowed(place.trim())),
            _ => None,
        }
    }
}

/// A text, a slice of the document where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One step: the value of a name or of a place, and nothing made of the others.
struct Member<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            // The last of several counts, as it does for those who make values of them.
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let is_index = self.0 == "0" || !self.0.starts_with(['0', '+']);
        let index: Option<usize> = self.0.parse().ok().filter(|_| is_index);
        let mut found = None;
        let mut place = 0;
        while let Some(item) = items.next_element::<&RawValue>()? {
            if Some(place) == index {
                found = Some(item);
            }
            place += 1;
        }
        Ok(found)
    }
}

/// Whether a text is one complete JSON text.
pub(super) fn is_json(text: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pointer: &str, json: &str) -> Option<String> {
        Pointer::new(pointer).find(json).map(Cow::into_owned)
    }

    #[test]
    fn texts_and_numbers_are_found() {
        let json = r#" {"id": 12345678901234567890123, "a/b": {"~": "x\u00e9\n"}, "": ["p", -1.50, {"k": "v"}],
            "id2": 1, "n": null, "t": true, "o": {}} "#;
        for (pointer, expected) in [
            ("/id", Some("12345678901234567890123")),
            ("/a~1b/~0", Some("xé\n")),
            ("//0", Some("p")),
            ("//1", Some("-1.50")),
            ("//2/k", Some("v")),
            ("//3", None),
            ("//01", None),
            ("//-", None),
            ("/n", None),
            ("/t", None),
            ("/o", None),
            ("/id/x", None),
            ("/missing", None),
        ] {
            assert_eq!(found(pointer, json).as_deref(), expected, "{pointer}");
        }
    }

    #[test]
    fn the_last_of_one_name_counts_and_no_json_has_none() {
        assert_eq!(found("/a", r#"{"a":1,"\u0061":"2"}"#).as_deref(), Some("2"));
        for text in ["", "x", "{\"a\":1", "[1", "\"a\"", "{\"a\":1,}"] {
            assert_eq!(found("/a", text), None, "{text}");
        }
    }

    #[test]
    fn json_is_told_from_text() {
        for text in ["1", " {\"a\": [1e400, null]} ", "\"x\"", "[]"] {
            assert!(is_json(text), "{text}");
        }
        for text in ["", "hello", "{} {}", "[1,]", "'x'", "NaN", "byebye"] {
            assert!(!is_json(text), "{text}");
        }
    }
}
