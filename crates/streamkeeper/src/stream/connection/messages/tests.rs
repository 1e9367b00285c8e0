//! Frames written by hand from RFC 6455, section 5.2.

use super::*;

const MAX: usize = 300;

/// A frame as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ ..=125 => out.push(length as u8),
        length @ ..=0xFFFF => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(payload);
    out
}

/// Everything that comes of these bytes, however they are cut.
fn read(bytes: &[u8], chunk: usize) -> (Vec<Message>, Messages) {
    let mut messages = Messages::new(MAX);
    let mut read = Vec::new();
    for part in bytes.chunks(chunk.max(1)) {
        messages.push(part);
        read.extend(std::iter::from_fn(|| messages.next()));
    }
    (read, messages)
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

#[test]
fn messages_come_whole_however_they_are_cut() {
    let long = "x".repeat(MAX);
    let bytes = [
        frame(0x81, b"one"),
        frame(0x01, b"t"),
        frame(0x89, b"are you there"),
        frame(0x00, b"w"),
        frame(0x80, b"o"),
        frame(0x81, b""),
        frame(0x82, b"\x00\x01"),
        frame(0x81, long.as_bytes()),
        frame(0x8A, b""),
    ]
    .concat();
    for chunk in (1..=20).chain([bytes.len()]) {
        let (read, mut messages) = read(&bytes, chunk);
        let expected = [
            text("one"),
            Message::Part,
            Message::Control,
            Message::Part,
            text("two"),
            text(""),
            Message::Binary,
            text(&long),
            Message::Control,
        ];
        assert_eq!(read, expected, "{chunk}");
        assert!(!messages.is_mid_event());
        // A pong of what the ping said: masked, as a client's frames are.
        let pong = messages.take_answers();
        assert_eq!(pong[..2], [0x8A, 0x80 | 13]);
        let (mask, said) = pong[2..].split_at(4);
        let said: Vec<u8> = said.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(said, b"are you there");
    }
}

#[test]
fn what_is_too_long_is_passed_over_and_the_next_is_read() {
    let long = vec![b'x'; MAX + 1];
    let longer = vec![b'x'; 70_000];
    let whole = [frame(0x81, &long), frame(0x81, b"next")].concat();
    let huge = [frame(0x81, &longer), frame(0x81, b"next")].concat();
    let first = [frame(0x01, &long), frame(0x80, b"x"), frame(0x81, b"next")].concat();
    let last = [frame(0x01, b"x"), frame(0x80, &longer), frame(0x81, b"next")].concat();
    let sum = [frame(0x01, &long[..200]), frame(0x80, &long[..200]), frame(0x81, b"next")].concat();
    let binary = [frame(0x82, &longer), frame(0x81, b"next")].concat();
    for chunk in [1, 7, 1_000, 100_000] {
        for bytes in [&whole, &huge] {
            let (read, messages) = read(bytes, chunk);
            assert_eq!(read, [Message::TooLong, text("next")]);
            assert!(messages.buffer.capacity() < 200_000);
        }
        for bytes in [&first, &last, &sum] {
            assert_eq!(read(bytes, chunk).0, [Message::Part, Message::TooLong, text("next")]);
        }
        assert_eq!(read(&binary, chunk).0, [Message::Binary, text("next")]);
    }
    let mut messages = Messages::new(MAX);
    messages.push(&frame(0x81, &long)[..50]);
    assert_eq!(messages.next(), Some(Message::TooLong));
    assert!(messages.is_mid_event(), "its rest is still to come");
}

#[test]
fn a_close_says_whether_it_is_planned_and_is_answered() {
    for (payload, close) in [
        (&b"\x03\xe8"[..], Close::Planned),
        (b"\x03\xe9going", Close::Planned),
        (b"\x03\xf3", Close::Failed(Some(1011))),
        (b"\x0f\xa0", Close::Failed(Some(4000))),
        (b"", Close::Failed(None)),
    ] {
        let bytes = [frame(0x88, payload), frame(0x81, b"nothing any more")].concat();
        let (read, mut messages) = read(&bytes, 1_000);
        assert_eq!(read, [Message::Closed(close)]);
        let answer = messages.take_answers();
        assert_eq!(answer[0], 0x88, "{answer:?}");
    }
}

#[test]
fn what_is_no_websocket_is_broken() {
    for bytes in [
        &b"HTTP/1.1 200 OK"[..],
        &frame(0xC1, b"compressed, which nobody asked for"),
        &frame(0x80, b"a part without a beginning"),
        &frame(0x83, b"of no known kind"),
        b"\x81\x83maskxxx",
        b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert_eq!(read(bytes, 1_000).0.last(), Some(&Message::Broken), "{bytes:?}");
    }
}

#[test]
fn what_is_not_utf_8_is_replaced_and_counted() {
    let (read, messages) = read(&frame(0x81, b"a\xffb"), 10);
    assert_eq!(read, [text("a\u{fffd}b")]);
    assert_eq!(messages.replaced(), 1);
}

#[test]
fn we_ask_and_say_farewell() {
    let mut messages = Messages::new(MAX);
    messages.ask();
    assert_eq!(messages.take_answers()[..2], [0x89, 0x80]);
    assert!(messages.take_answers().is_empty());
    assert_eq!(messages.farewell()[..2], [0x88, 0x82]);
}
