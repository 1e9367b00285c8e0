//! The group commit that is being gathered: accepted events, packed into frames, not yet written.
//!
//! A frame is closed when it holds `frame_bytes` of heads and payloads, so that a reader never
//! has to unpack more than that (or one larger event) to get at one event.

use std::io;

use streamkeeper_core::id::Cursor;
use streamkeeper_core::time::Timestamp;

use crate::codec::put_varint;
use crate::event::Incoming;
use crate::keys::KeyName;
use crate::pack::packed;
use crate::record::{FrameHeader, extras, put_key};

/// Frames in the making.
pub(crate) struct Group {
    /// Whole frames, ready to be written.
    frames: Vec<u8>,
    first_arrived: Option<Timestamp>,
    next_sequence: u64,
    // The frame that is open.
    keys: Vec<u8>,
    body: Vec<u8>,
    count: u32,
    arrived: Timestamp,
    /// From where the service goes on behind what has been added; `None`: nothing new is known.
    cursor: Option<Cursor>,
    frame_bytes: usize,
    level: i32,
}

impl Group {
    /// An empty group whose first event will have `next_sequence`.
    pub(crate) const fn new(next_sequence: u64, frame_bytes: usize, level: i32) -> Self {
        Self {
            frames: Vec::new(),
            first_arrived: None,
            next_sequence,
            keys: Vec::new(),
            body: Vec::new(),
            count: 0,
            arrived: Timestamp::from_micros(0),
            cursor: None,
            frame_bytes,
            level,
        }
    }

    /// The sequence number of the next event.
    pub(crate) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// When the group's first event arrived.
    pub(crate) const fn first_arrived(&self) -> Option<Timestamp> {
        self.first_arrived
    }

    /// The bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        let held = [&self.frames, &self.keys, &self.body];
        held.into_iter().map(Vec::capacity).sum()
    }

    /// Adds an event. On an error it may be in or not: the whole group has to be given up.
    pub(crate) fn push(&mut self, incoming: &Incoming<'_>, key: &KeyName<'_>) -> io::Result<()> {
        let bytes = incoming.head.len() + incoming.payload.len();
        if self.count > 0 && self.body.len() + bytes > self.frame_bytes {
            self.close_frame()?;
        }
        if self.count == 0 {
            self.arrived = incoming.arrived;
        }
        self.first_arrived.get_or_insert(incoming.arrived);
        put_key(&mut self.keys, incoming, key);
        put_varint(&mut self.body, incoming.head.len());
        put_varint(&mut self.body, incoming.payload.len());
        self.body.extend_from_slice(incoming.head);
        self.body.extend_from_slice(incoming.payload);
        self.count += 1;
        self.next_sequence += 1;
        Ok(())
    }

    /// The service goes on from there behind what has been added: the next frame that is closed says so.
    pub(crate) fn set_cursor(&mut self, cursor: Option<Cursor>) {
        self.cursor = cursor;
    }

    /// All frames of the group, to be written at once.
    pub(crate) fn finish(&mut self) -> io::Result<&[u8]> {
        if self.count > 0 {
            self.close_frame()?;
        }
        Ok(&self.frames)
    }

    /// The group has been written: the next one starts. Behind a small one the buffers are small again,
    /// whatever a history made of them.
    pub(crate) fn clear(&mut self) {
        let is_small = self.frames.len() <= SMALL_BYTES;
        self.frames.clear();
        if is_small {
            for held in [&mut self.frames, &mut self.keys, &mut self.body] {
                held.shrink_to(SMALL_BYTES);
            }
        }
        self.first_arrived = None;
    }

    fn close_frame(&mut self) -> io::Result<()> {
        let extras = self.cursor.take().map_or_else(Vec::new, |cursor| extras(&cursor));
        let Self { frames, keys, body, .. } = self;
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        packed(body, self.level, |packed| {
            let header = FrameHeader {
                commit_start: frames.is_empty(),
                is_newer: false,
                extras_bytes: u16::try_from(extras.len()).map_err(io::Error::other)?,
                first_sequence: self.next_sequence - u64::from(self.count),
                count: self.count,
                keys_bytes: size(keys)?,
                body_bytes: size(packed)?,
                body_unpacked: size(body)?,
                arrived: self.arrived,
                keys_crc: crc32fast::hash(keys),
                body_crc: crc32fast::hash(packed),
            };
            frames.extend_from_slice(&header.encode());
            frames.extend_from_slice(&extras);
            frames.extend_from_slice(keys);
            frames.extend_from_slice(packed);
            Ok(())
        })?;
        self.keys.clear();
        self.body.clear();
        self.count = 0;
        Ok(())
    }
}

/// A group of a stream of a few events a second.
const SMALL_BYTES: usize = 8 << 10;
