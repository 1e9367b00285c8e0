//! What an event says, in 128 bits: the same identity with another content is another event.
//!
//! The members of a JSON object are in no order. A server that writes them from a table whose order is another one in
//! each of its lives says the same with other bytes when it is asked again.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Each level is gone through again within the one above it. What is deeper counts byte for byte.
const DEPTH_MAX: usize = 8;

/// The digest of an event's name and data.
pub(super) fn digest(name: &str, data: &str) -> u128 {
    let mut hash = Sha256::new();
    text(&mut hash, name);
    value(&mut hash, data, DEPTH_MAX);
    hash.finalize().iter().take(16).fold(0, |number, &byte| (number << 8) | u128::from(byte))
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update(text.len().to_le_bytes());
    hash.update(text);
}

/// A JSON value, or a text that is none.
fn value(hash: &mut Sha256, raw: &str, depth: usize) {
    let parts = if depth == 0 { None } else { parts(raw) };
    let Some(mut parts) = parts else { return text(hash, raw) };
    // An empty object is no empty array, and neither an empty text.
    hash.update(if raw.trim_start().starts_with('{') { "{" } else { "[" });
    // What comes twice stays in its order.
    parts.sort_by(|(one, _), (other, _)| one.cmp(other));
    hash.update(parts.len().to_le_bytes());
    for (name, part) in parts {
        text(hash, &name.unwrap_or_default());
        value(hash, part.get(), depth - 1);
    }
}

/// The members of an object with their names, or the items of an array, which have none.
type Parts<'a> = Vec<(Option<Cow<'a, str>>, &'a RawValue)>;

/// `None` if it is neither, or no JSON to its end.
fn parts(raw: &str) -> Option<Parts<'_>> {
    raw.trim_start().starts_with(['{', '['].as_slice()).then_some(())?;
    let mut reader = serde_json::Deserializer::from_str(raw);
    let parts = reader.deserialize_any(OfParts).ok()?;
    reader.end().ok().map(|()| parts)
}

struct OfParts;

impl<'de> Visitor<'de> for OfParts {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some((name, part)) = map.next_entry()? {
            parts.push((Some(name), part));
        }
        Ok(parts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = items.next_element()? {
            parts.push((None, part));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_in_another_order_say_the_same() {
        // As systemd-journal-gatewayd writes one entry in two of its lives.
        let one =
            r#"{"MESSAGE":"a","__CURSOR":"s=1;i=1","_BOOT_ID":{"x":1,"y":[2,{"p":3,"q":4}]}}"#;
        let two =
            r#"{"_BOOT_ID":{"y":[2,{"q":4,"p":3}],"x":1}, "__CURSOR":"s=1;i=1","MESSAGE":"a"}"#;
        assert_eq!(digest("", one), digest("", two));
    }

    #[test]
    fn what_differs_is_another_content() {
        let texts = [
            "",
            "a",
            "1",
            "1.0",
            "[]",
            "{}",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[1,[2]]",
            "\"a\"",
            "{\"a\":1}",
            "{\"a\":2}",
            "{\"b\":1}",
            "{\"a\":{\"b\":1}}",
            "{\"a\":1,\"b\":1}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":2,\"a\":1}",
            "{\"a\":12345678901234567890123}",
            "{\"a\":12345678901234567890124}",
            "{\"a\":1",
            "{\"b\":1,\"a\":1,}",
            "{\"a\":1} x",
        ];
        for (at, one) in texts.iter().enumerate() {
            assert_ne!(digest("", one), digest("x", one), "{one}");
            for other in &texts[..at] {
                assert_ne!(digest("", one), digest("", other), "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_too_deep_counts_byte_for_byte() {
        let deep = |inner: &str| "[".repeat(DEPTH_MAX) + inner + &"]".repeat(DEPTH_MAX);
        let (one, two) = (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#);
        assert_ne!(digest("", &deep(one)), digest("", &deep(two)));
        let endless = "[".repeat(1 << 20);
        assert_ne!(digest("", &endless), digest("", &endless[1..]));
    }
}
