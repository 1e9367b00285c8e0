//! The byte limit: what counts, what is said, what is skipped, what is held meanwhile.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use bytes::Bytes;
use streamkeeper_sse::{DecodeError, Decoder, Limits};
use support::{Item, comment, data, decode, decode_within, drain};

const LIMITS: Limits = Limits { event_bytes_max: 20 };

fn items(stream: &[u8]) -> Vec<Item> {
    let whole = decode_within(LIMITS, [stream]);
    for bytes in 1..stream.len() {
        assert_eq!(decode_within(LIMITS, stream.chunks(bytes)), whole, "{bytes} at a time");
    }
    whole.items
}

#[test]
fn the_limit_itself_is_allowed() {
    assert_eq!(items(b"data: 67890123456789\n\n").len(), 1);
    assert_eq!(items(b"id: 7\ndata: 1234567\n\n").len(), 1);
    assert_eq!(items(b"data: 678901234567890\n\n"), [Item::TooLong]);
}

#[test]
fn an_event_too_long_is_skipped_and_the_next_one_given() {
    let long_line = b"data: a\n\nid: 1\ndata: 2345678901234567890\nid: 2\n\ndata: b\n\n";
    assert_eq!(items(long_line), [data("a"), Item::TooLong, data("b")]);
    let many_lines = b"data: a\n\ndata: 1\ndata: 2\ndata: 3\ndata: 4\n\ndata: b\n\n";
    assert_eq!(items(many_lines), [data("a"), Item::TooLong, data("b")]);
}

#[test]
fn it_is_said_once_per_event() {
    let stream = b"data: 67890123456789012345\ndata: 67890123456789012345\nx: 4567890123456789012345\n\ndata: b\n\n";
    assert_eq!(items(stream), [Item::TooLong, data("b")]);
}

#[test]
fn what_is_skipped_counts_for_nothing() {
    let stream = b"x: 90123456789012345678901234567890\ndata: 6789\n\ndata: 67890123456789\n\n";
    let Item::Event(_) = &items(stream)[1] else { panic!("the event after it was lost") };
}

#[test]
fn comments_go_on_while_an_event_is_skipped() {
    let stream = b"data: 678901234567890\n:thump\nid: 1\n:thump\n\n:thump\n";
    assert_eq!(
        items(stream),
        [Item::TooLong, comment("thump"), comment("thump"), comment("thump")]
    );
}

#[test]
fn a_comment_too_long_costs_its_own_line_only() {
    let stream = b"data: a\n:2345678901234567890\ndata: b\n\n:23456789012345678901\ndata: c\n\n";
    assert_eq!(items(stream), [Item::TooLong, data("a\nb"), Item::TooLong, data("c")]);
    let while_skipping = b"data: 678901234567890\n:23456789012345678901\n\ndata: c\n\n";
    assert_eq!(items(while_skipping), [Item::TooLong, Item::TooLong, data("c")]);
}

#[test]
fn a_comment_counts_with_the_block_it_interrupts_while_its_line_lasts() {
    assert_eq!(items(b"data: a\n:23456789012\n:23456789012\n\n").len(), 3);
    assert_eq!(items(b"data: a\n:2345678901234\n\n"), [Item::TooLong, data("a")]);
}

#[test]
fn unknown_fields_cost_more_than_their_bytes() {
    let limits = Limits { event_bytes_max: 1000 };
    let block = |fields: usize| format!("{}\n", "x\n".repeat(fields));
    let within = |fields| decode_within(limits, [block(fields).as_bytes()]).items;
    assert!(matches!(within(7)[..], [Item::Event(_)]));
    assert_eq!(within(9), [Item::TooLong]);
}

#[test]
fn the_error_says_how_many_bytes_and_never_which() {
    let mut decoder = Decoder::new(LIMITS);
    decoder.push(Bytes::from_static(b"id: 1\ndata: secret secret secret\n\n"));
    let error = decoder.next_frame().unwrap().unwrap_err();
    assert_eq!(error, DecodeError::TooLong { limit: 20, seen: 31 });
    assert_eq!(error.to_string(), "an event of at least 31 bytes is over the limit of 20 bytes");
}

#[test]
fn a_body_that_ends_while_skipping_ends_within_an_event() {
    for stream in
        [&b"data: 678901234567890\n"[..], b"data: 678901234567890", b":23456789012345678901"]
    {
        let decoded = decode_within(LIMITS, [stream]);
        assert_eq!(decoded.items, [Item::TooLong]);
        assert!(decoded.cut);
    }
}

#[test]
fn the_default_is_four_mebibytes() {
    let event = |bytes: usize| format!("data: {}\n\n", "x".repeat(bytes - 6));
    assert!(matches!(decode([event(4 << 20).as_bytes()]).items[..], [Item::Event(_)]));
    assert_eq!(decode([event((4 << 20) + 1).as_bytes()]).items, [Item::TooLong]);
}

/// An event of 64 MiB in chunks of 8 KiB: the chunks are let go of as they are read. Each chunk is
/// owned by a token, so that the chunks alive can be counted.
#[test]
fn memory_is_bounded_while_an_event_is_skipped() {
    use std::sync::Arc;

    struct Chunk(Vec<u8>, #[expect(dead_code, reason = "held, not read")] Arc<()>);
    impl AsRef<[u8]> for Chunk {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    let alive = Arc::new(());
    // The last one has a comment that no room is left for, before the field that there is none for.
    let bodies =
        [(&b"data: x\n"[..], 1), (b"datadata", 1), (b"id: 1234\n", 1), (b"x: y\n: z\n", 2)];
    for (line, errors) in bodies {
        let body = line.repeat((8 << 10) / line.len());
        let mut decoder = Decoder::new(Limits { event_bytes_max: 256 << 10 });
        let mut too_long = 0;
        for _ in 0..(64 << 20) / body.len() / 8 {
            decoder.push(Bytes::from_owner(Chunk(body.clone(), Arc::clone(&alive))));
            too_long += drain(&mut decoder).iter().filter(|item| **item == Item::TooLong).count();
            assert!(Arc::strong_count(&alive) <= 2, "at most the chunk that data is a slice of");
        }
        assert_eq!(too_long, errors);
    }
}

/// Were every chunk searched or copied again with each that follows, this would be 2^33 bytes.
#[test]
fn a_huge_event_in_small_chunks_is_linear() {
    let limits = Limits { event_bytes_max: 8 << 20 };
    let stream = format!("data: {}\n\n", "x".repeat(4 << 20));
    let decoded = decode_within(limits, stream.as_bytes().chunks(512));
    assert_eq!(decoded.items, [data(&"x".repeat(4 << 20))]);
}
