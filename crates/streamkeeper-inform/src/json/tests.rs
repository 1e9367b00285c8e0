//! Beside `serde_json`, which is what JSON is here: the same members, and the same refused.

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, as `serde_json` reads them.
struct Reference<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Reference<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, raw)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let name = name.get();
                    // Half a surrogate pair is within the grammar, and beyond any string.
                    let spelt = || name[1..name.len() - 1].to_owned();
                    members
                        .push((serde_json::from_str(name).unwrap_or_else(|_| spelt()), raw.get()));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

#[track_caller]
fn same(text: &str) {
    let reference = serde_json::from_str::<Reference<'_>>(text).ok().map(|object| object.0);
    let mut members = Vec::new();
    let whole = super::members(text, |name, raw| members.push((name.to_owned(), raw)));
    assert_eq!(whole.map(|()| members), reference, "{text}");
}

#[test]
fn every_rule_of_the_grammar() {
    for value in [
        "0",
        "-0",
        "7",
        "-12",
        "01",
        "-01",
        "-",
        "--1",
        "+1",
        "1.",
        ".1",
        "1.5",
        "0.5",
        "00",
        "1e",
        "1e5",
        "1E+5",
        "1e-5",
        "1e+",
        "1.e5",
        "1.5e5.5",
        "1e999",
        "123456789012345678901234567890",
        "0x1",
        "1_000",
        "NaN",
        "Infinity",
        "-Infinity",
        "true",
        "false",
        "null",
        "tru",
        "truee",
        "True",
        "nul",
        "t",
        "",
        "\"\"",
        "\"a\"",
        "'a'",
        "\"",
        "\"a",
        "a\"",
        r#""\"""#,
        r#""\\""#,
        r#""\/\b\f\n\r\t""#,
        r#""\a""#,
        r#""\u""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u00e9""#,
        r#""\uD800""#,
        r#""\udc00\ud800""#,
        r#""\ud83d\ude00""#,
        r#""\U0041""#,
        r#""\"#,
        r#""\u1"#,
        "\"\t\"",
        "\"\n\"",
        "\"\0\"",
        "\"\u{1f}\"",
        "\"\u{7f}\"",
        "\"\u{80}\"",
        "\"é\"",
        "\"😀\"",
        "\"1234567\"",
        "\"12345678\"",
        "\"123456789\"",
        "\"1234567\u{1}\"",
        "\"1234567\\n\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[1 2]",
        "[1,]",
        "[,1]",
        "[,]",
        "[",
        "]",
        "[1",
        "[1}",
        "[[],[]]",
        "[[[[]]]]",
        "[[[]]",
        "{}",
        "{ }",
        r#"{"a":1}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{:1}"#,
        r#"{1:1}"#,
        r#"{a:1}"#,
        r#"{"a":1]"#,
        r#"{"a":[{"b":[]}]}"#,
        r#"{"\ud800":1}"#,
        r#"{"\ud8zz":1}"#,
        "{",
        "}",
        "1,",
        ",",
        ":",
        "/* c */ 1",
        "// c\n1",
        "1 1",
        "\u{b}1",
        "\u{c}1",
        "\u{a0}1",
        "\u{feff}1",
    ] {
        same(value);
        same(&format!(r#"{{"a":{value}}}"#));
        same(&format!("\t{{\"a\" : {value}\r\n, \"b\":[{value} , {value}],\"a\":{value} }} "));
        same(&format!(r#"{{"a":{{"b":{value}}}}} {value}"#));
        same(&format!(r#"{{{value}:1,"b":{{{value}:{value}}}}}"#));
    }
}

#[test]
fn a_string_is_plain_up_to_where_it_has_to_end() {
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    for byte in 0..=u8::MAX {
        for behind in [0, 0x1F, b' ', b'!', b'"', b'#', b'\\', 0xFF] {
            for at in 0..8 {
                let mut word = [b'a'; 8];
                word[at..].fill(behind);
                word[at] = byte;
                let expected = word.iter().position(|byte| !plain(byte));
                assert_eq!(super::plain_bytes(&word), expected, "{word:?}");
            }
        }
    }
}

#[test]
fn escapes_in_a_name_are_read_if_they_stand_for_characters() {
    same(r#"{"\u0069d":1,"a\\\"\n":2}"#);
    same(r#"{"\ud83d\ude00":1}"#);
    same(r#"{"a":1,"\ud800":1,"b\"\udfff\"":2,"\u0069d\ud83d":3}"#);
}

#[test]
fn elements_are_those_of_a_list() {
    for list in [
        "[]",
        " [ ] ",
        "[1]",
        "[1, [2,{}] ,\"]\"]\n",
        "[1e999,\"\\ud800\"]",
        "[1,]",
        "[",
        "[1] 2",
        "{}",
        "1",
    ] {
        let reference = serde_json::from_str::<Vec<&RawValue>>(list).ok();
        let reference =
            reference.map(|list| list.into_iter().map(RawValue::get).collect::<Vec<_>>());
        let mut elements = Vec::new();
        let whole = super::elements(list, |raw| elements.push(raw));
        assert_eq!(whole.map(|()| elements), reference, "{list}");
    }
}

#[test]
fn no_nesting_is_too_deep() {
    for depth in [1, 62, 63, 64, 65, 127, 128, 129, 130, 200, 1_000, 100_000] {
        for (open, close) in [("[", "]"), (r#"{"b":"#, "}"), (r#"[{"b":"#, "}]")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            same(&format!(r#"{{"a":{open}1{close},"c":2}}"#));
            same(&format!(r#"{{"a":{open}1{},"c":2}}"#, close.replace('}', "]")));
            same(&format!(r#"{{"a":{open}1{close}]}}"#));
            same(&format!(r#"{{"a":{open}1}}"#));
        }
    }
}

/// Pieces that JSON is made of, well put together or not.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud8",
        "00",
        "a",
        "id",
        "\"id\"",
        "\"id\":",
        "\"a\":1",
        "{\"a\":1}",
        "{\"a\":",
        "\"é\"",
        "😀",
        "-",
        "0",
        "1",
        ".5",
        "e",
        "E+1",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "\t",
        "\r",
        "\u{1}",
        "12345678",
        "\"12345678\"",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// An object as a service might send it.
fn object() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::hash_map(".{0,10}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    });
    prop::collection::hash_map(".{0,12}", value, 0..8)
        .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text(text in ".{0,60}") {
        same(&text);
    }

    #[test]
    fn any_pieces(text in pieces()) {
        same(&text);
        same(&format!("{{\"a\":{text}}}"));
    }

    #[test]
    fn any_object_and_what_a_mistake_makes_of_it(
        value in object(),
        pretty in any::<bool>(),
        place in any::<prop::sample::Index>(),
        count in 0..3_usize,
        put in pieces(),
    ) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        same(&text);
        let characters: Vec<char> = text.chars().collect();
        let at = place.index(characters.len());
        let (before, after) = characters.split_at(at);
        let text = |parts: [&[char]; 2]| parts.concat().into_iter().collect::<String>();
        same(&text([before, &[]]));
        same(&text([before, after.get(count..).unwrap_or_default()]));
        let put: Vec<char> = put.chars().take(count + 1).collect();
        same(&text([&[before, &put].concat(), after]));
    }
}
