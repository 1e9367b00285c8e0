//! The state of a stream: what survives a crash beside its events.
//!
//! # Format
//!
//! The file `state` (see `small_file`), content, little-endian: the sequence number after the last
//! committed event (8); whether a state was ever persisted (1), and if so:
//! whether there is a mark (1) and the mark, microseconds since 1970 (8, zero if none); phase (1:
//! 0 running, 1 recovering); clean (1); whether there is a stream id (1) and the id (length 4, bytes);
//! the number of suspects (4), for each: whether its low is known (1), low (8), at (8); the number of
//! the last incident (8); whether one is under way (1; 2: one that has lost what the service does not keep),
//! and if so: cause (2: kind, slot), since (8), recoveries (4), new, recovered, duplicate (8 each), and
//! what is lost, from and until (8 each; only after a 2); since version 2, the number of streams that were left
//! behind (4), for each its id (length 4, bytes), and the number of announced names (4), for each the name
//! (length 4, bytes). Then the number of cursors (4); for each: the
//! sink's name (length 4, bytes), the sequence number of the first event it has not acknowledged (8),
//! whether it was configured and so holds back what it has not acknowledged (1).

use std::collections::BTreeMap;
use std::path::Path;

use streamkeeper_core::id::{IncidentId, StreamId};
use streamkeeper_core::marked::low_water::Suspect;
use streamkeeper_core::marked::{Cause, Lost, OpenIncident, Phase, StreamState};
use streamkeeper_core::time::Timestamp;

use crate::codec::{Take, put_string};
use crate::error::LedgerError;
use crate::fs::Fs;
use crate::outbox::Cursor;
use crate::small_file::{self, Kind};

/// The state's file.
pub(crate) const STATE: Kind = Kind { name: "state", magic: *b"SKSTATE\0", version: 2 };

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) next_sequence: u64,
    pub(crate) state: Option<StreamState>,
    pub(crate) cursors: BTreeMap<String, Cursor>,
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
        if let Some(state) = &self.state {
            put_state(&mut out, state);
        }
        put_count(&mut out, self.cursors.len());
        for (sink, cursor) in &self.cursors {
            put_string(&mut out, sink.as_bytes());
            out.extend_from_slice(&cursor.next.to_le_bytes());
            out.push(u8::from(cursor.active));
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

fn put_state(out: &mut Vec<u8>, state: &StreamState) {
    put_time(out, state.mark);
    out.push(u8::from(state.phase == Phase::Recovering));
    out.push(u8::from(state.clean));
    put_optional(out, state.stream_id.as_ref().map(|id| id.0.as_bytes()));
    put_count(out, state.suspects.len());
    for suspect in &state.suspects {
        put_time(out, suspect.low);
        out.extend_from_slice(&suspect.at.as_micros().to_le_bytes());
    }
    out.extend_from_slice(&state.incidents.0.to_le_bytes());
    let lost = state.incident.as_ref().and_then(|incident| incident.lost);
    out.push(u8::from(state.incident.is_some()) + u8::from(lost.is_some()));
    if let Some(incident) = &state.incident {
        let (kind, slot) = incident.cause.code();
        out.extend_from_slice(&[kind, slot]);
        out.extend_from_slice(&incident.since.as_micros().to_le_bytes());
        out.extend_from_slice(&incident.recoveries.to_le_bytes());
        for count in [incident.new, incident.recovered, incident.duplicate] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        if let Some(Lost { from, until }) = incident.lost {
            out.extend_from_slice(&from.as_micros().to_le_bytes());
            out.extend_from_slice(&until.as_micros().to_le_bytes());
        }
    }
    put_strings(out, state.left_behind.iter().map(|id| &id.0));
    put_strings(out, state.announced.iter());
}

fn put_strings<'a>(out: &mut Vec<u8>, strings: impl ExactSizeIterator<Item = &'a String>) {
    put_count(out, strings.len());
    strings.for_each(|string| put_string(out, string.as_bytes()));
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    out.push(u8::from(time.is_some()));
    out.extend_from_slice(&time.map_or(0, Timestamp::as_micros).to_le_bytes());
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_string(out, bytes);
    }
}

fn take_saved(mut take: Take<'_>, version: u16) -> Option<Saved> {
    let next_sequence = take.u64()?;
    let state = if take_flag(&mut take)? { Some(take_state(&mut take, version)?) } else { None };
    let mut cursors = BTreeMap::new();
    for _ in 0..take.u32()? {
        let sink = String::from_utf8(take.string()?.to_vec()).ok()?;
        let (next, active) = (take.u64()?, take_flag(&mut take)?);
        cursors.insert(sink, Cursor { next, active });
    }
    take.0.is_empty().then_some(Saved { next_sequence, state, cursors })
}

fn take_state(take: &mut Take<'_>, version: u16) -> Option<StreamState> {
    let mark = take_time(take)?;
    let phase = if take_flag(take)? { Phase::Recovering } else { Phase::Running };
    let clean = take_flag(take)?;
    let stream_id = match take_optional(take)? {
        Some(id) => Some(StreamId(String::from_utf8(id.to_vec()).ok()?)),
        None => None,
    };
    let mut suspects = Vec::new();
    for _ in 0..take.u32()? {
        let low = take_time(take)?;
        suspects.push(Suspect { low, at: Timestamp::from_micros(take.i64()?) });
    }
    let incidents = IncidentId(take.u64()?);
    let incident = match take.u8()? {
        0 => None,
        kind @ 1..=2 => Some(take_incident(take, kind == 2)?),
        _ => return None,
    };
    let (mut left_behind, mut announced) = (Vec::new(), Vec::new());
    if version >= 2 {
        left_behind = take_strings(take)?.into_iter().map(StreamId).collect();
        announced = take_strings(take)?;
    }
    Some(StreamState {
        mark,
        phase,
        stream_id,
        clean,
        suspects,
        incidents,
        incident,
        left_behind,
        announced,
    })
}

fn take_strings(take: &mut Take<'_>) -> Option<Vec<String>> {
    let count = take.u32()?;
    (0..count).map(|_| String::from_utf8(take.string()?.to_vec()).ok()).collect()
}

fn take_incident(take: &mut Take<'_>, has_lost: bool) -> Option<OpenIncident> {
    Some(OpenIncident {
        cause: Cause::from_code((take.u8()?, take.u8()?))?,
        since: Timestamp::from_micros(take.i64()?),
        recoveries: take.u32()?,
        new: take.u64()?,
        recovered: take.u64()?,
        duplicate: take.u64()?,
        lost: if has_lost { Some(take_lost(take)?) } else { None },
    })
}

fn take_lost(take: &mut Take<'_>) -> Option<Lost> {
    let (from, until) = (take.i64()?, take.i64()?);
    Some(Lost { from: Timestamp::from_micros(from), until: Timestamp::from_micros(until) })
}

fn take_flag(take: &mut Take<'_>) -> Option<bool> {
    match take.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn take_time(take: &mut Take<'_>) -> Option<Option<Timestamp>> {
    let (there, micros) = (take_flag(take)?, take.i64()?);
    Some(there.then_some(Timestamp::from_micros(micros)))
}

fn take_optional<'a>(take: &mut Take<'a>) -> Option<Option<&'a [u8]>> {
    if take_flag(take)? { take.string().map(Some) } else { Some(None) }
}
