//! The state of a stream, and where its sinks are: what survives a crash beside the events.
//!
//! The state itself is the core's ([`KeptState`]): bytes that are kept as they come.
//!
//! # Format
//!
//! The file `state` (see `small_file`), content, little-endian: the sequence number after the last
//! committed event (8); whether a state was ever persisted (1), and if so: whether it is clean (1), and
//! the bytes (length 4, bytes). Then the number of cursors (4); for each: the sink's name (length 4,
//! bytes), the sequence number of the first event it has not acknowledged (8), whether it was configured
//! and so holds back what it has not acknowledged (1). Then whether the service's cursor is known (1), and if
//! so: the cursor behind everything before that first number (length 4, bytes). Frames of the log from there on
//! may have a newer one.
//!
//! Version 3 had no such cursor. Versions 1 and 2 had the state's parts in the place of clean flag, length and bytes: see `old_state`.

mod old_state;

use std::collections::BTreeMap;
use std::path::Path;

use streamkeeper_core::id;

use crate::codec::{Take, put_string};
use crate::error::LedgerError;
use crate::fs::Fs;
use crate::outbox::Cursor;
use crate::small_file::{self, Kind};

/// The state's file.
pub(crate) const STATE: Kind = Kind { name: "state", magic: *b"SKSTATE\0", version: 4 };

/// The last version that had the state's parts in the file.
const IN_PARTS: u16 = 2;

/// The first version that has the service's cursor.
const CURSOR_SINCE: u16 = 4;

/// A stream's state, as far as it concerns whoever keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptState {
    /// Whether the last process has ended so that the next one goes on from here.
    pub clean: bool,
    /// What else there is to it: the ledger does not look inside.
    pub bytes: Vec<u8>,
}

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) next_sequence: u64,
    pub(crate) state: Option<KeptState>,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    /// From where the service goes on behind everything before `next_sequence`.
    pub(crate) goes_on_from: Option<id::Cursor>,
}

impl Saved {
    /// What is proven to have been committed ends here.
    pub(crate) fn committed(&self) -> u64 {
        let cursors = self.cursors.values().map(|cursor| cursor.next);
        cursors.fold(self.next_sequence, u64::max)
    }

    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LedgerError> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.next_sequence.to_le_bytes());
        out.push(u8::from(self.state.is_some()));
        if let Some(KeptState { clean, bytes }) = &self.state {
            out.push(u8::from(*clean));
            put_string(&mut out, bytes);
        }
        let count = u32::try_from(self.cursors.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for (sink, cursor) in &self.cursors {
            put_string(&mut out, sink.as_bytes());
            out.extend_from_slice(&cursor.next.to_le_bytes());
            out.push(u8::from(cursor.active));
        }
        out.push(u8::from(self.goes_on_from.is_some()));
        if let Some(cursor) = &self.goes_on_from {
            put_string(&mut out, cursor.as_str().as_bytes());
        }
        small_file::replace(fs, dir, &STATE, &out)
    }

    /// Reads it; `None` if there is none yet.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>, LedgerError> {
        let Some((version, content)) = small_file::read(fs, dir, &STATE)? else { return Ok(None) };
        let parsed = take_saved(Take(&content), version);
        parsed.map(Some).ok_or_else(|| small_file::unreadable(dir, &STATE))
    }
}

fn take_saved(mut take: Take<'_>, version: u16) -> Option<Saved> {
    let next_sequence = take.u64()?;
    let state = match (take.flag()?, version) {
        (false, _) => None,
        (true, ..=IN_PARTS) => Some(old_state::take(&mut take, version)?),
        (true, _) => Some(KeptState { clean: take.flag()?, bytes: take.string()?.to_vec() }),
    };
    let mut cursors = BTreeMap::new();
    for _ in 0..take.u32()? {
        let sink = String::from_utf8(take.string()?.to_vec()).ok()?;
        let (next, active) = (take.u64()?, take.flag()?);
        cursors.insert(sink, Cursor { next, active });
    }
    let goes_on_from = if version >= CURSOR_SINCE && take.flag()? {
        Some(id::Cursor::new(str::from_utf8(take.string()?).ok()?)?)
    } else {
        None
    };
    take.0.is_empty().then_some(Saved { next_sequence, state, cursors, goes_on_from })
}
