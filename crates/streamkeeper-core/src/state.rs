//! A stream's state as bytes, for whoever keeps it.
//!
//! The ledger keeps these bytes and looks into none of them; they could lie at another place as well.
//! [`StreamState::clean`] is not among them: it lies beside them, because only the keeper knows
//! whether what was written last has been whole. So what is decoded is unclean until the keeper says
//! otherwise.
//!
//! # Format
//!
//! Little-endian: the version of the format (2), the family of the stream (1: 1 is *marked*, a stream
//! that is read again from a mark), and what that family keeps. A further family gets a number of its own.
//!
//! Of a marked stream: whether there is a mark (1) and the mark, microseconds since 1970 (8, zero if
//! none); phase (1: 0 running, 1 recovering); whether there is a stream id (1) and the id (length 4,
//! bytes); the number of suspects (4), for each: whether its low is known (1), low (8), at (8); the number
//! of the last incident (8); whether one is under way (1; 2: one that has lost what the service does not
//! keep), and if so: cause (2: kind, slot), since (8), recoveries (4), new, recovered, duplicate (8 each),
//! and what is lost, from and until (8 each; only after a 2); the number of streams that were left behind
//! (4), for each its id (length 4, bytes); the number of announced names (4), for each the name (length 4,
//! bytes).
//!
//! Versions 1 and 2 stood inside a file of the ledger, which puts the version before them when it takes
//! them over. They know no family and are of marked streams; behind the phase is a byte for `clean`,
//! which is passed over. Version 1 ends behind the incident.

use crate::id::{IncidentId, StreamId};
use crate::marked::low_water::Suspect;
use crate::marked::{Cause, Lost, OpenIncident, Phase, StreamState};
use crate::time::Timestamp;

/// The version that is written.
const VERSION: u16 = 3;

/// The first version that names the family.
const FAMILY_SINCE: u16 = 3;

/// The first version that knows what was left behind and announced.
const LEFT_BEHIND_SINCE: u16 = 2;

/// The family of streams that are read again from a mark.
const MARKED: u8 = 1;

/// Why bytes are no state that can be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A newer version of the program has written them.
    #[error(
        "the stream's state has version {found}, and this program knows versions up to {known}: use \
         the version of Streamkeeper that wrote it, or a newer one"
    )]
    NewerVersion {
        /// The version they say.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// They are of a family of streams that came later.
    #[error(
        "the stream's state is of family {found}, which this program does not know: use the version of \
         Streamkeeper that wrote it, or a newer one"
    )]
    UnknownFamily {
        /// The family they say.
        found: u8,
    },
    /// They make no sense.
    #[error(
        "the stream's state makes no sense: restore what holds it from a copy; or move that away and start \
         with none, which reads the service's whole window again and delivers it again under the same ids"
    )]
    Damaged,
}

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
        let mut out = VERSION.to_le_bytes().to_vec();
        out.push(MARKED);
        put_time(&mut out, self.mark);
        out.push(u8::from(self.phase == Phase::Recovering));
        out.push(u8::from(self.stream_id.is_some()));
        if let Some(id) = &self.stream_id {
            put_string(&mut out, &id.0);
        }
        put_count(&mut out, self.suspects.len());
        for suspect in &self.suspects {
            put_time(&mut out, suspect.low);
            put_micros(&mut out, suspect.at);
        }
        out.extend_from_slice(&self.incidents.0.to_le_bytes());
        put_incident(&mut out, self.incident.as_ref());
        put_strings(&mut out, self.left_behind.iter().map(|id| &id.0));
        put_strings(&mut out, self.announced.iter());
        out
    }

    /// The state of these bytes, unclean.
    ///
    /// # Errors
    /// See [`StateError`]; each says what to do.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut take = Take(bytes);
        let version = take.u16().filter(|version| *version > 0).ok_or(StateError::Damaged)?;
        if version > VERSION {
            return Err(StateError::NewerVersion { found: version, known: VERSION });
        }
        if version >= FAMILY_SINCE {
            let family = take.u8().ok_or(StateError::Damaged)?;
            if family != MARKED {
                return Err(StateError::UnknownFamily { found: family });
            }
        }
        let state = take_marked(&mut take, version);
        state.filter(|_| take.0.is_empty()).ok_or(StateError::Damaged)
    }
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

fn put_strings<'a>(out: &mut Vec<u8>, strings: impl ExactSizeIterator<Item = &'a String>) {
    put_count(out, strings.len());
    strings.for_each(|string| put_string(out, string));
}

fn put_string(out: &mut Vec<u8>, string: &str) {
    put_count(out, string.len());
    out.extend_from_slice(string.as_bytes());
}

/// Nothing here comes near so many.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    out.push(u8::from(time.is_some()));
    put_micros(out, time.unwrap_or(Timestamp::from_micros(0)));
}

fn put_micros(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_micros().to_le_bytes());
}

fn take_marked(take: &mut Take<'_>, version: u16) -> Option<StreamState> {
    let mark = take.optional_time()?;
    let phase = if take.flag()? { Phase::Recovering } else { Phase::Running };
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

/// Reads values off the front of a slice; what is not there is `None`.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.array().map(i64::from_le_bytes).map(Timestamp::from_micros)
    }

    fn optional_time(&mut self) -> Option<Option<Timestamp>> {
        let (there, time) = (self.flag()?, self.time()?);
        Some(there.then_some(time))
    }

    fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }

    fn strings(&mut self) -> Option<Vec<String>> {
        let count = self.u32()?;
        (0..count).map(|_| self.string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SlotId;
    use proptest::prelude::*;

    const NOON: i64 = 1_795_262_400_000_000;

    /// A state with everything in it that version 2 knew.
    fn full() -> StreamState {
        let at = |micros| Timestamp::from_micros(NOON + micros);
        StreamState {
            phase: Phase::Recovering,
            stream_id: Some(StreamId("s1".into())),
            suspects: vec![
                Suspect { low: None, at: at(1) },
                Suspect { low: Some(at(2)), at: at(3) },
            ],
            incidents: IncidentId(3),
            incident: Some(OpenIncident {
                cause: Cause::Stale(SlotId(2)),
                since: at(4),
                recoveries: 5,
                new: 6,
                recovered: 7,
                duplicate: 8,
                lost: Some(Lost { from: at(9), until: at(10) }),
            }),
            left_behind: vec![StreamId("s0".into())],
            announced: vec!["acme~2".into()],
            ..StreamState::at(Some(at(0)))
        }
    }

    /// The same bytes as an older version has written them, with its byte for `clean`.
    fn as_of(version: u16, clean: u8) -> Vec<u8> {
        let now = full().encode();
        let (_, body) = now.split_at(3);
        let (to_phase, rest) = body.split_at(10);
        let mut old = version.to_le_bytes().to_vec();
        old.extend_from_slice(to_phase);
        old.push(clean);
        old.extend_from_slice(rest);
        old
    }

    #[test]
    fn the_bytes_are_these() {
        let state = StreamState {
            stream_id: Some(StreamId("s1".into())),
            clean: true,
            ..StreamState::at(Some(Timestamp::from_micros(0x0102_0304)))
        };
        let mut bytes = vec![3, 0, 1];
        bytes.extend([1, 4, 3, 2, 1, 0, 0, 0, 0]);
        bytes.push(0);
        bytes.extend([1, 2, 0, 0, 0, b's', b'1']);
        bytes.extend([0; 4]);
        bytes.extend([0; 8]);
        bytes.push(0);
        bytes.extend([0; 8]);
        assert_eq!(state.encode(), bytes);
        assert_eq!(StreamState::decode(&bytes), Ok(StreamState { clean: false, ..state }));
    }

    #[test]
    fn older_versions_are_read() {
        for clean in [0, 1] {
            assert_eq!(StreamState::decode(&as_of(2, clean)), Ok(full()));
            let mut first = as_of(1, clean);
            // Two counts, two lengths, and what is behind them.
            first.truncate(first.len() - 2 * 4 - 2 * 4 - "s0acme~2".len());
            let known = StreamState { left_behind: vec![], announced: vec![], ..full() };
            assert_eq!(StreamState::decode(&first), Ok(known));
        }
    }

    #[test]
    fn what_is_newer_is_refused_with_what_to_do() {
        let mut bytes = full().encode();
        bytes[0] = 4;
        let newer = StreamState::decode(&bytes).unwrap_err();
        assert_eq!(newer, StateError::NewerVersion { found: 4, known: 3 });
        bytes[0] = 3;
        bytes[2] = 2;
        let family = StreamState::decode(&bytes).unwrap_err();
        assert_eq!(family, StateError::UnknownFamily { found: 2 });
        for error in [newer, family] {
            assert!(error.to_string().contains("use the version of Streamkeeper"), "{error}");
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_damaged() {
        let bytes = full().encode();
        for cut in 0..bytes.len() {
            assert_eq!(StreamState::decode(&bytes[..cut]), Err(StateError::Damaged), "{cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(StreamState::decode(&longer), Err(StateError::Damaged));
        assert_eq!(StreamState::decode(&[0, 0, 1]), Err(StateError::Damaged), "version 0");
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let with_head = [&[3, 0, 1], &bytes[..]].concat();
            if let Ok(state) = StreamState::decode(&with_head) {
                prop_assert_eq!(state.encode().len(), with_head.len());
            }
            drop(StreamState::decode(&bytes));
        }

        #[test]
        fn every_state_comes_back(
            mark in prop::option::of(any::<i64>()),
            lows in prop::collection::vec((prop::option::of(any::<i64>()), any::<i64>()), 0..5),
            names in prop::collection::vec(".{0,20}", 0..4),
            has_incident: bool,
            has_lost: bool,
        ) {
            let time = Timestamp::from_micros;
            let incident = full().incident.filter(|_| has_incident);
            let lost = |incident: OpenIncident| incident.lost.filter(|_| has_lost);
            let state = StreamState {
                stream_id: names.first().cloned().map(StreamId),
                suspects: lows
                    .iter()
                    .map(|(low, at)| Suspect { low: low.map(time), at: time(*at) })
                    .collect(),
                incident: incident.map(|open| OpenIncident { lost: lost(open), ..open }),
                left_behind: names.iter().cloned().map(StreamId).collect(),
                announced: names,
                ..StreamState::at(mark.map(time))
            };
            prop_assert_eq!(StreamState::decode(&state.encode()), Ok(state));
        }
    }
}
