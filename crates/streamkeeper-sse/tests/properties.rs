//! Properties: any bytes, any cuts, any event.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use streamkeeper_sse::{EncodeError, Event, Limits, encode_comment, encode_event};
use support::{Block, Item, decode, decode_within, reference};

/// Bytes out of which something like a stream comes by chance.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            &b"data:"[..], b"data: ", b"data", b"event: ", b"id: ", b"retry: ", b"retry:15", b":",
            b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\0", b"\xEF\xBB\xBF", b"\xEF",
            b"\xBB", b"\xE2\x82\xAC", b"\xE2\x82", b"\xF0\x9F", b"\x9A\xB2", b"\xFF", b"foo: bar\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..12),
        1 => "[a-z0-9: ]{0,30}".prop_map(String::into_bytes),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Cuts a stream into chunks of the given sizes, and the rest into chunks of the last one.
fn cut<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut chunks = Vec::new();
    for size in sizes {
        let (chunk, left) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = left;
    }
    chunks.push(rest);
    chunks
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~é€🚲:]{0,40}", "[^\r\n\0]{0,20}"]
}

fn event() -> impl Strategy<Value = Event> {
    let data = option::of(prop_oneof![line(), "[^\r]{0,60}", "[a\n ]{0,8}"]);
    let name = option::of("[^\r\n]{1,30}");
    let fields = vec(("[a-zA-Z_-]{5,9}|[^\r\n:]{6,20}", "[^\r\n]{0,30}"), 0..3);
    (data, name, option::of(line()), option::of(any::<u64>()), fields).prop_map(
        |(data, name, id, retry, fields)| {
            let mut event = data.map(Event::new).unwrap_or_default();
            event.name = name.map(Into::into);
            event.id = id.map(Into::into);
            event.retry = retry.map(Duration::from_millis);
            fields.into_iter().fold(event, |event, (name, value)| event.with_field(name, value))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_agrees_with_the_reference(stream in stream()) {
        let decoded = decode([stream.as_slice()]);
        prop_assert_eq!((decoded.items, decoded.cut), reference::decode(&stream));
    }

    #[test]
    fn any_cuts_give_the_same_frames(stream in stream(), sizes in vec(0_usize..24, 0..24)) {
        prop_assert_eq!(decode(cut(&stream, &sizes)), decode([stream.as_slice()]));
    }

    #[test]
    fn any_cuts_give_the_same_frames_within_any_limit(
        stream in stream(),
        sizes in vec(0_usize..24, 0..24),
        event_bytes_max in 0_usize..200,
    ) {
        let limits = Limits { event_bytes_max };
        let cuts = decode_within(limits, cut(&stream, &sizes));
        prop_assert_eq!(cuts, decode_within(limits, [stream.as_slice()]));
    }

    #[test]
    fn arbitrary_bytes_agree_with_the_reference(stream in vec(any::<u8>(), 0..300), size in 1_usize..40) {
        let decoded = decode(stream.chunks(size));
        prop_assert_eq!((decoded.items, decoded.cut), reference::decode(&stream));
    }

    #[test]
    fn what_is_encoded_is_decoded(events in vec(event(), 0..6), sizes in vec(0_usize..80, 0..9)) {
        let mut out = BytesMut::new();
        let mut expected = Vec::new();
        for event in events {
            match encode_event(&event, &mut out) {
                Ok(()) => expected.push(Item::Event(Block::from(event))),
                Err(error) => prop_assert!(matches!(error, EncodeError::Empty | EncodeError::FieldName)),
            }
        }
        let decoded = decode(cut(&out, &sizes));
        prop_assert_eq!(decoded.items, expected);
        prop_assert_eq!((decoded.replaced, decoded.cut), (0, false));
    }

    #[test]
    fn any_data_arrives_with_its_line_ends_as_lf(data in "[ab \r\n]{0,12}") {
        let mut out = BytesMut::new();
        encode_event(&Event::new(data.as_str()), &mut out).unwrap();
        let arrived = data.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(decode([&out[..]]).items, [support::data(&arrived)]);
    }

    #[test]
    fn a_comment_is_decoded_or_refused(text in "(?s).{0,20}") {
        let mut out = BytesMut::new();
        let encoded = encode_comment(&text, &mut out);
        prop_assert_eq!(encoded.is_err(), text.contains(['\r', '\n']));
        let expected: Vec<Item> = encoded.ok().map(|()| support::comment(&text)).into_iter().collect();
        prop_assert_eq!(decode([&out[..]]).items, expected);
    }
}
