//! The rules of the WHATWG HTML standard, "Server-sent events", one test each, named after what
//! the rule says; then the places where this crate gives more than the standard does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::{Block, Item, comment, data, decode};

fn items(stream: &[u8]) -> Vec<Item> {
    decode([stream]).items
}

/// The only event of a stream.
fn event(stream: &[u8]) -> Block {
    match items(stream).as_slice() {
        [Item::Event(block)] => block.clone(),
        other => panic!("not one event: {other:?}"),
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $stream:expr => $($item:expr),* ;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            let expected: Vec<Item> = vec![$($item),*];
            assert_eq!(items($stream), expected);
        }
    )*};
}

rules! {
    lines_end_with_lf: b"data: a\n\n" => data("a");
    lines_end_with_crlf: b"data: a\r\n\r\n" => data("a");
    lines_end_with_cr: b"data: a\r\r" => data("a");
    line_ends_may_be_mixed: b"data: a\r\ndata: b\rdata: c\n\r" => data("a\nb\nc");
    crlf_is_one_line_end: b"data: a\r\ndata: b\r\n\r\n" => data("a\nb");
    lf_then_cr_is_two_line_ends: b"data: a\n\rdata: b\n\n" => data("a"), data("b");

    one_leading_mark_is_dropped: b"\xEF\xBB\xBFdata: a\n\n" => data("a");
    a_second_mark_belongs_to_the_field_name: b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n" =>
        Item::Event(Block { fields: vec![("\u{FEFF}data".into(), "a".into())], ..Block::default() });
    a_mark_elsewhere_is_kept: b"data: \xEF\xBB\xBFa\n\n" => data("\u{FEFF}a");
    a_mark_and_nothing_else: b"\xEF\xBB\xBF" => ;

    a_line_that_starts_with_a_colon_is_a_comment: b": note\ndata: a\n\n" => comment("note"), data("a");
    a_comment_may_be_empty: b":\n" => comment("");
    a_comment_may_hold_colons: b":a: b\n" => comment("a: b");

    one_space_after_the_colon_is_dropped: b"data: a\n\n" => data("a");
    no_space_after_the_colon_is_needed: b"data:a\n\n" => data("a");
    a_second_space_is_kept: b"data:  a\n\n" => data(" a");
    a_tab_is_kept: b"data:\ta\n\n" => data("\ta");
    the_first_colon_ends_the_name: b"data: a: b:c\n\n" => data("a: b:c");
    a_space_before_the_name_belongs_to_it: b" data: a\ndata: b\n\n" =>
        Item::Event(Block {
            data: Some("b".into()),
            fields: vec![(" data".into(), "a".into())],
            ..Block::default()
        });
    a_line_without_colon_is_a_name_with_an_empty_value: b"data\n\n" => data("");

    data_lines_are_joined_by_lf: b"data: YHOO\ndata: +2\ndata: 10\n\n" => data("YHOO\n+2\n10");
    two_empty_data_lines_are_one_lf: b"data\ndata\n\n" => data("\n");
    an_empty_data_line_dispatches: b"data:\n\n" => data("");
    only_the_last_lf_is_dropped: b"data: a\ndata:\n\n" => data("a\n");

    blank_lines_alone_dispatch_nothing: b"\n\n\r\n\r" => ;
    an_unfinished_block_is_discarded: b"data: a\n\ndata: b\n" => data("a");
    an_unfinished_line_is_discarded: b"data: a\n\ndata: b" => data("a");
    names_are_case_sensitive: b"Data: a\ndata: b\n\n" =>
        Item::Event(Block {
            data: Some("b".into()),
            fields: vec![("Data".into(), "a".into())],
            ..Block::default()
        });
    bytes_that_are_not_utf8_are_replaced: b"data: a\xFFb\n\n" => data("a\u{FFFD}b");
    a_truncated_character_is_replaced_once: b"data: \xF0\x9F\x9A\n\n" => data("\u{FFFD}");
    surrogates_are_replaced_by_three: b"data: \xED\xA0\x80\n\n" => data("\u{FFFD}\u{FFFD}\u{FFFD}");
    nul_is_data_like_any_other: b"data: a\0b\n\n" => data("a\0b");
}

#[test]
fn event_sets_the_name() {
    assert_eq!(event(b"event: add\ndata: 1\n\n").name.unwrap(), "add");
}

#[test]
fn the_last_event_field_counts() {
    assert_eq!(event(b"event: add\nevent: remove\ndata: 1\n\n").name.unwrap(), "remove");
}

#[test]
fn an_empty_name_is_no_name() {
    assert_eq!(event(b"event: add\nevent:\ndata: 1\n\n").name, None);
}

#[test]
fn a_name_is_not_inherited() {
    let items = items(b"event: add\ndata: 1\n\ndata: 2\n\nevent: add\ndata: 3\n\n");
    let add = |text| Block { name: Some("add".into()), data: Some(text), ..Block::default() };
    let expected = [Item::Event(add("1".into())), data("2"), Item::Event(add("3".into()))];
    assert_eq!(items, expected);
}

#[test]
fn a_name_without_data_names_nothing_that_comes_later() {
    assert_eq!(items(b"event: add\n\ndata: 1\n\n")[1], data("1"));
}

#[test]
fn id_may_hold_colons_quotes_and_json() {
    for id in ["1634576695:0", "\"3-g1AAAA\"", r#"[{"topic":"a","offset":-1}]"#, " spaced "] {
        let stream = format!("data: x\nid: {id}\n\n");
        assert_eq!(event(stream.as_bytes()).id.unwrap(), id);
    }
}

#[test]
fn an_empty_id_resets() {
    assert_eq!(event(b"id\ndata: 1\n\n").id.unwrap(), "");
}

#[test]
fn an_id_with_nul_is_ignored() {
    assert_eq!(event(b"id: a\nid: b\0c\ndata: 1\n\n").id.unwrap(), "a");
    assert_eq!(event(b"id: b\0c\ndata: 1\n\n").id, None);
}

#[test]
fn an_id_is_not_inherited() {
    let items = items(b"id: 1\ndata: a\n\ndata: b\n\n");
    assert_eq!(items[1], data("b"));
}

#[test]
fn retry_takes_digits_only() {
    let retry = |value: &str| event(format!("data\nretry:{value}\n\n").as_bytes()).retry_ms;
    assert_eq!(retry("1500"), Some(1500));
    assert_eq!(retry(" 1500"), Some(1500));
    assert_eq!(retry(" 0"), Some(0));
    assert_eq!(retry(" 007"), Some(7));
    for bad in ["", " ", "  1", "1 ", "-1", "+1", "1.5", "1e3", "0x1", "१"] {
        assert_eq!(retry(bad), None, "{bad:?}");
    }
}

#[test]
fn a_bad_retry_leaves_a_good_one() {
    assert_eq!(event(b"retry: 5\nretry: soon\n\n").retry_ms, Some(5));
}

#[test]
fn a_huge_retry_saturates() {
    assert_eq!(event(b"retry: 18446744073709551615\n\n").retry_ms, Some(u64::MAX));
    assert_eq!(event(b"retry: 99999999999999999999999\n\n").retry_ms, Some(u64::MAX));
}

/// Beyond the standard: such a block may be a cursor ("id: 7") or a sign of life.
#[test]
fn a_block_without_data_is_given_and_says_so() {
    assert_eq!(event(b"id: 7\n\n"), Block { id: Some("7".into()), ..Block::default() });
    assert_eq!(event(b"event: ping\n\n").data, None);
    assert_eq!(event(b"retry: 10\n\n").retry_ms, Some(10));
}

/// Beyond the standard: even if all its fields are ignored, something was sent.
#[test]
fn a_block_of_ignored_fields_is_given_empty() {
    assert_eq!(event(b"id: \0\nretry: x\nevent\n\n"), Block::default());
}

/// Beyond the standard: dialects may use them.
#[test]
fn unknown_fields_are_kept_in_order() {
    let fields = event(b"foo: 1\nbar\nfoo:  2\ndata: x\n\n").fields;
    let expected = [("foo", "1"), ("bar", ""), ("foo", " 2")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// Beyond the standard: comments are heartbeats, and come when their line ends.
#[test]
fn a_comment_within_a_block_comes_before_its_event() {
    assert_eq!(items(b"data: a\n:thump\ndata: b\n\n"), [comment("thump"), data("a\nb")]);
}

#[test]
fn replacements_are_counted() {
    let decoded = decode([b"data: \xFF\xFE\n: \x80\n\n\xC3: \xE2\x82\n\n".as_slice()]);
    assert_eq!(decoded.replaced, 5);
}

#[test]
fn the_examples_of_the_standard() {
    let stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let with_id = |text: &str, id: &str| {
        Item::Event(Block { data: Some(text.into()), id: Some(id.into()), ..Block::default() })
    };
    let expected = [
        comment("test stream"),
        with_id("first event", "1"),
        with_id("second event", ""),
        data(" third event"),
    ];
    assert_eq!(items(stream), expected);
    assert_eq!(items(b"data\n\ndata\ndata\n\ndata:"), [data(""), data("\n")]);
    assert_eq!(items(b"data:test\n\ndata: test\n\n"), [data("test"), data("test")]);
}
