//! Whatever the cuts between chunks, the frames are the same; and data is not copied if it need
//! not be.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use bytes::Bytes;
use streamkeeper_sse::{Decoder, Event, Frame, Limits};
use support::{FIXTURES, comment, data, decode, decode_within, drain, reference};

#[test]
fn every_fixture_agrees_with_the_reference() {
    for (name, stream) in FIXTURES {
        let decoded = decode([*stream]);
        assert_eq!((decoded.items, decoded.cut), reference::decode(stream), "{name}");
    }
}

#[test]
fn every_fixture_split_in_two() {
    for (name, stream) in FIXTURES {
        let whole = decode([*stream]);
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(decode([a, b]), whole, "{name} at {at}");
            assert_eq!(decode([a, b"", b]), whole, "{name} at {at}, with an empty chunk");
        }
    }
}

#[test]
fn every_fixture_split_in_three() {
    for (name, stream) in FIXTURES {
        let whole = decode([*stream]);
        for first in 0..=stream.len() {
            let (a, rest) = stream.split_at(first);
            for second in 0..=rest.len().min(8) {
                let (b, c) = rest.split_at(second);
                assert_eq!(decode([a, b, c]), whole, "{name} at {first} and {second} on");
            }
        }
    }
}

#[test]
fn every_fixture_byte_by_byte() {
    for (name, stream) in FIXTURES {
        assert_eq!(decode(stream.chunks(1)), decode([*stream]), "{name}");
    }
}

#[test]
fn every_fixture_with_every_limit() {
    for (name, stream) in FIXTURES {
        for event_bytes_max in 0..=stream.len() {
            let limits = Limits { event_bytes_max };
            let whole = decode_within(limits, [*stream]);
            for bytes in [1, 2, 3, 7, 20] {
                let split = decode_within(limits, stream.chunks(bytes));
                assert_eq!(split, whole, "{name} within {event_bytes_max}, {bytes} at a time");
            }
        }
    }
}

#[test]
fn chunks_may_be_pushed_ahead() {
    let mut decoder = Decoder::new(Limits::default());
    for chunk in [&b"data: a\n\nda"[..], b"", b"ta: b\n", b"\n: c\n"] {
        decoder.push(Bytes::from_static(chunk));
    }
    assert!(decoder.is_mid_event());
    assert_eq!(drain(&mut decoder), [data("a"), data("b"), comment("c")]);
    assert!(!decoder.is_mid_event());
}

#[test]
fn a_cr_ends_its_line_at_once() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"data: a\r\r"));
    assert_eq!(drain(&mut decoder), [data("a")]);
    assert!(!decoder.is_mid_event());
    // The LF belongs to the CR before; were it a line end of its own, it would end the next block.
    decoder.push(Bytes::from_static(b""));
    decoder.push(Bytes::from_static(b"\ndata: b\r"));
    assert_eq!(drain(&mut decoder), []);
    decoder.push(Bytes::from_static(b"\n"));
    assert_eq!(drain(&mut decoder), []);
    decoder.push(Bytes::from_static(b"\r\n"));
    assert_eq!(drain(&mut decoder), [data("b")]);
}

#[test]
fn a_comment_comes_as_soon_as_its_line_ends() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"data: a\n:thump"));
    assert_eq!(drain(&mut decoder), []);
    decoder.push(Bytes::from_static(b"\n"));
    assert_eq!(drain(&mut decoder), [comment("thump")]);
    assert!(decoder.is_mid_event(), "the block is still open");
    decoder.push(Bytes::from_static(b"\n"));
    assert_eq!(drain(&mut decoder), [data("a")]);
}

#[test]
fn mid_event_is_told_at_every_byte() {
    let stream = b"\xEF\xBB\xBF: c\n\ndata: a\r\n\r\n";
    let boundaries = [0, 3, 7, 8, 18, 19];
    let mut decoder = Decoder::new(Limits::default());
    for (at, byte) in stream.iter().enumerate() {
        assert_eq!(decoder.is_mid_event(), !boundaries.contains(&at), "at {at}");
        decoder.push(Bytes::copy_from_slice(&[*byte]));
        drain(&mut decoder);
    }
    assert!(!decoder.is_mid_event());
}

#[test]
fn finish_starts_anew_and_counts() {
    let mut decoder = Decoder::new(Limits::default());
    assert!(!decoder.finish());
    for (stream, cut) in [
        (&b"\xEF\xBB\xBFid: 1\ndata: a"[..], true),
        (b"\xEF\xBB\xBFdata: b\n\n", false),
        (b"data: c\r", true),
        (b"\ndata: d\n\n", false),
        (b"event: e\n: half a com", true),
        (b"data: f\n\n", false),
    ] {
        decoder.push(Bytes::from_static(stream));
        drain(&mut decoder);
        assert_eq!(decoder.finish(), cut);
    }
    assert_eq!(decoder.dropped(), 3);
    decoder.push(Bytes::from_static(b"data: g\n\n"));
    assert_eq!(drain(&mut decoder), [data("g")]);
}

fn next_event(decoder: &mut Decoder) -> Event {
    match decoder.next_frame() {
        Some(Ok(Frame::Event(event))) => event,
        other => panic!("no event: {other:?}"),
    }
}

#[test]
fn data_on_one_line_in_one_chunk_is_a_slice_of_the_chunk() {
    let mut decoder = Decoder::new(Limits::default());
    let chunk =
        Bytes::from(b"event: e\ndata: one\nid: 1\n\ndata: \xC3\xA9\n\ndata: two\n".to_vec());
    let range = chunk.as_ptr_range();
    decoder.push(chunk.clone());
    for expected in ["one", "é"] {
        let data = next_event(&mut decoder).data;
        assert_eq!(data, expected);
        assert!(range.contains(&data.into_bytes().as_ptr()));
    }
    // The line is in one chunk even if the end of the block is in another.
    assert!(decoder.next_frame().is_none());
    decoder.push(Bytes::from_static(b"\n"));
    assert!(range.contains(&next_event(&mut decoder).data.into_bytes().as_ptr()));
}

#[test]
fn data_beside_bad_bytes_is_still_a_slice() {
    let mut decoder = Decoder::new(Limits::default());
    let chunk = Bytes::from(b"data: a\n\ndata: \xFF\n\ndata: b\n\n".to_vec());
    decoder.push(chunk.clone());
    let data: Vec<Bytes> = (0..3).map(|_| next_event(&mut decoder).data.into_bytes()).collect();
    assert_eq!(data, ["a", "\u{FFFD}", "b"]);
    let shared = |data: &Bytes| chunk.as_ptr_range().contains(&data.as_ptr());
    assert_eq!(data.iter().map(shared).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(decoder.replaced(), 1);
}
