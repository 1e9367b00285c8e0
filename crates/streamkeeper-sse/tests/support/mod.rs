//! Running the decoder over chunks, with results that can be compared and printed, and the
//! fixtures that several tests share.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub(crate) mod reference;

use bytes::Bytes;
use streamkeeper_sse::{DecodeError, Decoder, Event, Frame, Limits};

/// A decoded item, in the open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Event(Block),
    Comment(String),
    TooLong,
}

/// An event, in the open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) name: Option<String>,
    /// None if the block has no data.
    pub(crate) data: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) retry_ms: Option<u64>,
    pub(crate) fields: Vec<(String, String)>,
}

/// What came out of a whole stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) items: Vec<Item>,
    pub(crate) replaced: u64,
    pub(crate) cut: bool,
}

impl From<Event> for Block {
    fn from(event: Event) -> Self {
        Self {
            name: event.name.as_ref().map(|name| name.as_str().to_owned()),
            data: event.has_data().then(|| event.data.as_str().to_owned()),
            id: event.id.as_ref().map(|id| id.as_str().to_owned()),
            retry_ms: event.retry.map(|retry| u64::try_from(retry.as_millis()).unwrap()),
            fields: (event.fields.iter())
                .map(|field| (field.name.as_str().to_owned(), field.value.as_str().to_owned()))
                .collect(),
        }
    }
}

/// Decodes chunks, taking all frames after each.
pub(crate) fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    decode_within(Limits::default(), chunks)
}

/// The same with a limit.
pub(crate) fn decode_within<'a>(
    limits: Limits,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Decoded {
    let mut decoder = Decoder::new(limits);
    let mut items = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        items.extend(drain(&mut decoder));
    }
    let cut = decoder.finish();
    assert_eq!(decoder.dropped(), u64::from(cut));
    assert!(!decoder.is_mid_event());
    Decoded { items, replaced: decoder.replaced(), cut }
}

/// All the items that the decoder has.
pub(crate) fn drain(decoder: &mut Decoder) -> Vec<Item> {
    std::iter::from_fn(|| decoder.next_frame())
        .map(|frame| match frame {
            Ok(Frame::Event(event)) => Item::Event(event.into()),
            Ok(Frame::Comment(text)) => Item::Comment(text.as_str().to_owned()),
            Err(DecodeError::TooLong { limit, seen }) => {
                assert!(seen > limit);
                Item::TooLong
            }
        })
        .collect()
}

/// A block with data and nothing else.
pub(crate) fn data(data: &str) -> Item {
    Item::Event(Block { data: Some(data.to_owned()), ..Block::default() })
}

/// A comment.
pub(crate) fn comment(text: &str) -> Item {
    Item::Comment(text.to_owned())
}

/// Streams as servers send them, and some that they should not.
pub(crate) const FIXTURES: &[(&str, &[u8])] = &[
    ("inform poke and data", b"event: poke\ndata: {\"ts\":\"2017-11-28T15:49:35.700Z\",\"members\":{\"count\":1,\"max\":20}}\n\nevent: data\ndata: {\"id\":\"7db3\",\"type\":\"summary\"}\n\n"),
    ("spring, CRLF", b"id:7\r\nevent:order\r\nretry:1500\r\ndata:{\"a\":1}\r\n\r\n:keep-alive\r\n\r\n"),
    ("axum keep-alive", b":\n\ndata: x\n\n:\n\n"),
    ("couchdb", b"data: {\"seq\":\"3-g1AAAA\"}\nid: \"3-g1AAAA\"\n\nevent: heartbeat\ndata: \n\n"),
    ("wikimedia", b":ok\n\nevent: message\nid: [{\"topic\":\"eqiad\",\"offset\":-1},{\"a\":\"b: c\"}]\ndata: {\"title\":\"\xC5\x81\xC3\xB3d\xC5\xBA \xF0\x9F\x9A\xB2\"}\n\n"),
    ("mastodon, no blank line after", b":thump\nevent: update\n:thump\ndata: {}\n\n:thump\n"),
    ("hue", b": hi\n\nid: 1634576695:0\ndata: [{}]\n\n"),
    ("stellar", b"retry: 1000\nevent: open\ndata: \"hello\"\n\nevent: close\nretry: 10\ndata: \"byebye\"\n\n"),
    ("mcp, id with empty data", b"id: abc\ndata:\n\nid: only\n\n"),
    ("mark, CR only", b"\xEF\xBB\xBFdata: a\rdata: b\r\rdata: \xEF\xBB\xBFc\r\r"),
    ("mixed line ends", b"data: a\r\ndata: b\n\rdata: c\r\r\ndata: d\n\n\r\n"),
    ("two thirds of a mark", b"\xEF\xBBdata: a\n\n"),
    ("not UTF-8", b"data: \xFF a\xC3\nid: \xF0\x9F\x9A\ndata:\xE2\x82\xAC\xE2\x82\n: \x80\x80\n\xC0\xAF: \xED\xA0\x80\n\n"),
    ("odd fields", b"data\ndata\nfoo\nfoo:  bar\n Data: x\nDATA: y\nid\nretry\nevent\n\nid: a\x00b\n\nretry: 12x\n\n"),
    ("unfinished", b"data: whole\n\ndata: cut\n"),
];
