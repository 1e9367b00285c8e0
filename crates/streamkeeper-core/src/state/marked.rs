//! A marked stream's part of a state.

use crate::id::{IncidentId, StreamId};
use crate::marked::low_water::Suspect;
use crate::marked::{Cause, Lost, OpenIncident, Phase, StreamState};

use super::bytes::{Take, put_count, put_micros, put_string, put_strings, put_time};
use super::{FAMILY_SINCE, LEFT_BEHIND_SINCE, PolicyState, StateError};

impl StreamState {
    /// The state as bytes, without `clean`.
    ///
    /// ```
    /// use streamkeeper_core::marked::StreamState;
    /// use streamkeeper_core::time::Timestamp;
    ///
    /// let state = StreamState::at(Some(Timestamp::from_micros(1_795_262_400_000_000)));
    /// assert_eq!(StreamState::decode(&state.encode()), Ok(state));
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        PolicyState::Marked(self.clone()).encode()
    }

    /// The state of these bytes, unclean.
    ///
    /// # Errors
    /// See [`StateError`]; each says what to do.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        PolicyState::decode(bytes)?.into_marked()
    }
}

pub(super) fn put(out: &mut Vec<u8>, state: &StreamState) {
    put_time(out, state.mark);
    out.push(match state.phase {
        Phase::Running => 0,
        Phase::Recovering => 1,
        Phase::Rereading => 2,
    });
    out.push(u8::from(state.stream_id.is_some()));
    if let Some(id) = &state.stream_id {
        put_string(out, &id.0);
    }
    put_count(out, state.suspects.len());
    for suspect in &state.suspects {
        put_time(out, suspect.low);
        put_micros(out, suspect.at);
    }
    out.extend_from_slice(&state.incidents.0.to_le_bytes());
    put_incident(out, state.incident.as_ref());
    put_strings(out, state.left_behind.iter().map(|id| &id.0));
    put_strings(out, state.announced.iter());
}

fn put_incident(out: &mut Vec<u8>, incident: Option<&OpenIncident>) {
    let Some(incident) = incident else { return out.push(0) };
    out.push(1 + u8::from(incident.lost.is_some()));
    let (kind, slot) = incident.cause.code();
    out.extend_from_slice(&[kind, slot]);
    put_micros(out, incident.since);
    out.extend_from_slice(&incident.recoveries.to_le_bytes());
    for count in [incident.new, incident.recovered, incident.duplicate] {
        out.extend_from_slice(&count.to_le_bytes());
    }
    if let Some(Lost { from, until }) = incident.lost {
        put_micros(out, from);
        put_micros(out, until);
    }
}

pub(super) fn take(take: &mut Take<'_>, version: u16) -> Option<StreamState> {
    let mark = take.optional_time()?;
    let phase = match take.u8()? {
        0 => Phase::Running,
        1 => Phase::Recovering,
        2 => Phase::Rereading,
        _ => return None,
    };
    if version < FAMILY_SINCE {
        let _clean = take.flag()?;
    }
    let stream_id = if take.flag()? { Some(StreamId(take.string()?)) } else { None };
    let mut suspects = Vec::new();
    for _ in 0..take.u32()? {
        suspects.push(Suspect { low: take.optional_time()?, at: take.time()? });
    }
    let incidents = IncidentId(take.u64()?);
    let incident = match take.u8()? {
        0 => None,
        kind @ 1..=2 => Some(take_incident(take, kind == 2)?),
        _ => return None,
    };
    let (mut left_behind, mut announced) = (Vec::new(), Vec::new());
    if version >= LEFT_BEHIND_SINCE {
        left_behind = take.strings()?.into_iter().map(StreamId).collect();
        announced = take.strings()?;
    }
    let state = StreamState::at(mark);
    Some(StreamState {
        phase,
        stream_id,
        suspects,
        incidents,
        incident,
        left_behind,
        announced,
        ..state
    })
}

fn take_incident(take: &mut Take<'_>, has_lost: bool) -> Option<OpenIncident> {
    Some(OpenIncident {
        cause: Cause::from_code((take.u8()?, take.u8()?))?,
        since: take.time()?,
        recoveries: take.u32()?,
        new: take.u64()?,
        recovered: take.u64()?,
        duplicate: take.u64()?,
        lost: if has_lost { Some(Lost { from: take.time()?, until: take.time()? }) } else { None },
    })
}

#[cfg(test)]
mod tests;
