//! Frames: what segments are made of.
//!
//! A frame holds one or more accepted events with consecutive sequence numbers. A group commit
//! is one or more whole frames, written at once and synced once. The keys stand apart from the
//! payloads, uncompressed, so that a start reads them without unpacking anything.
//!
//! # Format
//!
//! All numbers little-endian. A frame is a header of 52 bytes, extras if there are any, the keys, the body:
//!
//! | at | bytes | header |
//! | --- | --- | --- |
//! | 0 | 4 | `SKF1` |
//! | 4 | 2 | flags: bit 0: first frame of its commit; bits 1 to 3: which extras there are; the others zero |
//! | 6 | 2 | bytes of the extras, zero if there are none |
//! | 8 | 8 | sequence number of the first event |
//! | 16 | 4 | how many events, at least one |
//! | 20 | 4 | bytes of the keys |
//! | 24 | 4 | bytes of the body |
//! | 28 | 4 | bytes of the body, unpacked |
//! | 32 | 8 | when the first event arrived, microseconds since 1970 |
//! | 40 | 4 | CRC-32 (IEEE) of the keys |
//! | 44 | 4 | CRC-32 of the body, as stored |
//! | 48 | 4 | CRC-32 of the 48 bytes before |
//!
//! The keys, for each event: kind (1); flags (1: bit 0 dated, bit 1 withdrawn, bit 2 hex key packed);
//! length (varint) and bytes of the key as stored (two hex digits to a byte if packed); if
//! dated, `created_at` in microseconds since 1970 (8); checksum (16).
//!
//! The body is one zstd frame of: for each event, length of its head (varint), length of its payload
//! (varint), head, payload.
//!
//! # Extras
//!
//! Segments of format version 2 may have them.
//!
//! | flag | extra |
//! | --- | --- |
//! | bit 1 | stream: whose events these are, in a log of several streams |
//! | bit 2 | key id: which key the keys and the body are sealed with |
//! | bit 3 | cursor: from where the service goes on behind these events, opaque; UTF-8, 4 KiB at most |
//!
//! Those that the flags name lie between header and keys, in the order of their bits: length (2) and
//! bytes of each, then the CRC-32 of all of that (4), which counts as well. Each changes what a frame
//! means. So whoever does not know one, as this version knows neither stream nor key id, takes such a frame
//! neither for damage nor for something to pass over: a newer version wrote it. The same holds for further
//! flags.

use bytes::Bytes;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Version;

use crate::codec::{Take, put_varint};
use crate::event::{Entry, Incoming};
use crate::keys::{KeyForm, KeyName};
use crate::pack::unpack;

/// The bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 52;

/// What every frame starts with.
pub(crate) const MAGIC: [u8; 4] = *b"SKF1";

const COMMIT_START: u16 = 1;
const CURSOR: u16 = 1 << 3;
const DATED: u8 = 1;
const WITHDRAWN: u8 = 2;
const PACKED: u8 = 4;

/// No frame unpacks to more than this; what says so is damaged.
const BODY_BYTES_MAX: u32 = 1 << 30;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) commit_start: bool,
    /// It has extras or flags that are not known here.
    pub(crate) is_newer: bool,
    /// Those of the extras, which are a cursor; none without one.
    pub(crate) extras_bytes: u16,
    pub(crate) first_sequence: u64,
    pub(crate) count: u32,
    pub(crate) keys_bytes: u32,
    pub(crate) body_bytes: u32,
    pub(crate) body_unpacked: u32,
    pub(crate) arrived: Timestamp,
    pub(crate) keys_crc: u32,
    pub(crate) body_crc: u32,
}

impl FrameHeader {
    /// Reads a header; `None` if it is not one, or damaged.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (sealed, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(sealed) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut take = Take(sealed);
        let (magic, flags, extras_bytes) = (take.array::<4>()?, take.u16()?, take.u16()?);
        let header = Self {
            commit_start: flags & COMMIT_START != 0,
            is_newer: flags & !(COMMIT_START | CURSOR) != 0
                || (flags & CURSOR != 0) != (extras_bytes != 0),
            extras_bytes,
            first_sequence: take.u64()?,
            count: take.u32()?,
            keys_bytes: take.u32()?,
            body_bytes: take.u32()?,
            body_unpacked: take.u32()?,
            arrived: Timestamp::from_micros(take.i64()?),
            keys_crc: take.u32()?,
            body_crc: take.u32()?,
        };
        let sane = header.count > 0 && header.body_unpacked <= BODY_BYTES_MAX;
        (magic == MAGIC && sane).then_some(header)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        let cursor = if self.extras_bytes > 0 { CURSOR } else { 0 };
        out.extend_from_slice(&(u16::from(self.commit_start) | cursor).to_le_bytes());
        out.extend_from_slice(&self.extras_bytes.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        for number in [self.count, self.keys_bytes, self.body_bytes, self.body_unpacked] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.arrived.as_micros().to_le_bytes());
        out.extend_from_slice(&self.keys_crc.to_le_bytes());
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&out);
        header
    }

    /// Where its keys are, from where it begins.
    pub(crate) fn keys_at(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.extras_bytes)
    }

    /// The bytes of the whole frame, of which nothing is newer.
    pub(crate) fn frame_bytes(&self) -> u64 {
        self.keys_at() + u64::from(self.keys_bytes) + u64::from(self.body_bytes)
    }

    /// The sequence number after its last event.
    pub(crate) fn end(&self) -> u64 {
        self.first_sequence.saturating_add(u64::from(self.count))
    }

    pub(crate) fn keys_are_whole(&self, keys: &[u8]) -> bool {
        crc32fast::hash(keys) == self.keys_crc
    }

    pub(crate) fn body_is_whole(&self, body: &[u8]) -> bool {
        crc32fast::hash(body) == self.body_crc
    }
}

/// The extras of a frame behind whose events the service goes on from there.
pub(crate) fn extras(cursor: &Cursor) -> Vec<u8> {
    // A cursor has 4 KiB at most.
    let length = u16::try_from(cursor.as_str().len()).unwrap_or(u16::MAX);
    let mut out = length.to_le_bytes().to_vec();
    out.extend_from_slice(cursor.as_str().as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out
}

/// The cursor in a frame's extras; `None` if they are damaged.
pub(crate) fn take_extras(extras: &[u8]) -> Option<Cursor> {
    let (sealed, crc) = extras.split_last_chunk::<4>()?;
    let mut take = Take(sealed);
    let length = take.u16()?;
    let text = take.bytes(usize::from(length))?;
    let is_whole = take.0.is_empty() && crc32fast::hash(sealed) == u32::from_le_bytes(*crc);
    Cursor::new(str::from_utf8(text).ok()?).filter(|_| is_whole)
}

/// Writes one event's key and version.
pub(crate) fn put_key(out: &mut Vec<u8>, incoming: &Incoming<'_>, key: &KeyName<'_>) {
    let Version { created_at, checksum, withdrawn } = incoming.version;
    let (stored, packed) = match key.form() {
        KeyForm::Hex(packed) => (packed, PACKED),
        KeyForm::Whole(text) => (text, 0),
    };
    let dated = if created_at.is_some() { DATED } else { 0 };
    out.push(incoming.kind);
    out.push(dated | packed | if withdrawn { WITHDRAWN } else { 0 });
    put_varint(out, stored.len());
    out.extend_from_slice(stored);
    if let Some(at) = created_at {
        out.extend_from_slice(&at.as_micros().to_le_bytes());
    }
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// Reads the keys of a frame one after the other.
pub(crate) struct Keys<'a>(Take<'a>);

/// One event's key and version, as stored.
#[derive(Clone, Copy)]
pub(crate) struct StoredKey<'a> {
    pub(crate) name: KeyName<'a>,
    pub(crate) version: Version,
}

impl<'a> Keys<'a> {
    pub(crate) const fn new(keys: &'a [u8]) -> Self {
        Self(Take(keys))
    }

    /// The next key; `None` if it cannot be one.
    pub(crate) fn next(&mut self) -> Option<StoredKey<'a>> {
        let take = &mut self.0;
        let (kind, flags, length) = (take.u8()?, take.u8()?, take.varint()?);
        let stored = take.bytes(length)?;
        let name = if flags & PACKED != 0 {
            KeyName::packed(kind, stored)?
        } else {
            KeyName::whole(kind, stored)
        };
        let created_at =
            if flags & DATED != 0 { Some(Timestamp::from_micros(take.i64()?)) } else { None };
        let checksum = take.u128()?;
        let version = Version { created_at, checksum, withdrawn: flags & WITHDRAWN != 0 };
        Some(StoredKey { name, version })
    }
}

/// Unpacks a frame whose parts have been found whole; `None` if it is not what it says.
pub(crate) fn entries(header: &FrameHeader, keys: &[u8], body: &[u8]) -> Option<Vec<Entry>> {
    let body = Bytes::from(unpack(body, header.body_unpacked)?);
    let (mut keys, mut take) = (Keys::new(keys), Take(&body));
    let mut entries = Vec::new();
    for number in 0..u64::from(header.count) {
        let StoredKey { name, version } = keys.next()?;
        let (head, payload) = (take.varint()?, take.varint()?);
        let (head, payload) = (take.bytes(head)?, take.bytes(payload)?);
        entries.push(Entry {
            sequence: header.first_sequence + number,
            kind: name.kind(),
            key: name.text()?,
            version,
            head: body.slice_ref(head),
            payload: body.slice_ref(payload),
        });
    }
    Some(entries)
}
