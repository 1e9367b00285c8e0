//! A cursored stream's part of a state.

use crate::cursored::{Cause, CursoredState, OpenIncident};
use crate::id::{Cursor, IncidentId};

use super::bytes::{Take, put_micros, put_string};

/// The first version that says where the cursor stood.
const CURSOR_AT_SINCE: u16 = 5;

/// The bits of the flags.
const HAS_READ: u8 = 1;
const FORGOTTEN: u8 = 2;
const SNAPSHOT_OWED: u8 = 4;
const ENDED: u8 = 8;

pub(super) fn put(out: &mut Vec<u8>, state: &CursoredState) {
    out.push(u8::from(state.cursor.is_some()));
    if let Some(cursor) = &state.cursor {
        put_string(out, cursor.as_str());
    }
    put_string(out, &state.cursor_at);
    let flags = [
        (state.has_read, HAS_READ),
        (state.forgotten, FORGOTTEN),
        (state.snapshot_owed, SNAPSHOT_OWED),
        (state.ended, ENDED),
    ];
    out.push(flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum());
    out.extend_from_slice(&state.incidents.0.to_le_bytes());
    out.push(u8::from(state.incident.is_some()));
    if let Some(incident) = &state.incident {
        out.push(incident.cause.code());
        put_micros(out, incident.since);
        out.extend_from_slice(&incident.gaps.to_le_bytes());
        out.extend_from_slice(&incident.stalls.to_le_bytes());
        out.extend_from_slice(&incident.new.to_le_bytes());
        out.extend_from_slice(&incident.duplicate.to_le_bytes());
    }
}

pub(super) fn take(take: &mut Take<'_>, version: u16) -> Option<CursoredState> {
    let cursor = if take.flag()? { Some(Cursor::new(&take.string()?)?) } else { None };
    let cursor_at = if version >= CURSOR_AT_SINCE { take.string()? } else { String::new() };
    let flags = take.u8().filter(|flags| *flags < 2 * ENDED)?;
    Some(CursoredState {
        cursor,
        cursor_at,
        has_read: flags & HAS_READ != 0,
        forgotten: flags & FORGOTTEN != 0,
        snapshot_owed: flags & SNAPSHOT_OWED != 0,
        ended: flags & ENDED != 0,
        clean: false,
        incidents: IncidentId(take.u64()?),
        incident: if take.flag()? { Some(take_incident(take)?) } else { None },
    })
}

fn take_incident(take: &mut Take<'_>) -> Option<OpenIncident> {
    Some(OpenIncident {
        cause: Cause::from_code(take.u8()?)?,
        since: take.time()?,
        gaps: take.u32()?,
        stalls: take.u32()?,
        new: take.u64()?,
        duplicate: take.u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{PolicyState, StateError};
    use super::*;
    use crate::cursored::Sign;
    use crate::marked::StreamState;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn full() -> CursoredState {
        CursoredState {
            cursor: Cursor::new("7"),
            cursor_at: "id".into(),
            has_read: true,
            snapshot_owed: true,
            incidents: IncidentId(3),
            incident: Some(OpenIncident {
                cause: Cause::Gap(Sign::Gone),
                since: Timestamp::from_micros(4),
                gaps: 5,
                stalls: 6,
                new: 7,
                duplicate: 8,
            }),
            ..CursoredState::default()
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let mut bytes = vec![5, 0, 2, 1, 1, 0, 0, 0, b'7', 2, 0, 0, 0, b'i', b'd', 1 + 4];
        bytes.extend([3, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.push(Cause::Gap(Sign::Gone).code());
        bytes.extend([4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0]);
        bytes.extend([7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
        let state = PolicyState::Cursored(full());
        assert_eq!(state.encode(), bytes);
        assert_eq!(PolicyState::decode(&bytes), Ok(state));
        // Version 4 did not say where the cursor stood.
        bytes.drain(9..15);
        bytes[0] = 4;
        let state = CursoredState { cursor_at: String::new(), ..full() };
        assert_eq!(PolicyState::decode(&bytes), Ok(state.into()));
    }

    #[test]
    fn every_cause_comes_back_and_no_other_does() {
        let known: Vec<_> = (0..=u8::MAX).filter_map(Cause::from_code).collect();
        assert_eq!(known.len(), 9);
        assert!(known.iter().all(|cause| Cause::from_code(cause.code()) == Some(*cause)));
    }

    #[test]
    fn what_is_cut_or_too_long_is_damaged() {
        let bytes = PolicyState::Cursored(full()).encode();
        for cut in 0..bytes.len() {
            assert_eq!(PolicyState::decode(&bytes[..cut]), Err(StateError::Damaged), "{cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(PolicyState::decode(&longer), Err(StateError::Damaged));
    }

    #[test]
    fn a_state_of_the_other_kind_is_refused_with_what_to_do() {
        let bytes = PolicyState::Cursored(full()).encode();
        let error = StreamState::decode(&bytes).unwrap_err();
        assert_eq!(error, StateError::OtherFamily { found: "cursored", wanted: "marked" });
        assert!(error.to_string().contains("another name"), "{error}");
        let marked = PolicyState::Marked(StreamState::at(None));
        assert!(marked.into_cursored().is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let with_head = [&[5, 0, 2], &bytes[..]].concat();
            if let Ok(state) = PolicyState::decode(&with_head) {
                prop_assert_eq!(state.encode(), with_head);
            }
        }

        #[test]
        fn every_state_comes_back(
            cursor in prop::option::of(".{0,40}"),
            (has_read, forgotten, ended) in any::<(bool, bool, bool)>(),
            has_incident in any::<bool>(),
        ) {
            let state = CursoredState {
                cursor: cursor.as_deref().and_then(Cursor::new),
                has_read,
                forgotten,
                ended,
                incident: full().incident.filter(|_| has_incident),
                ..full()
            };
            let state = PolicyState::Cursored(state);
            prop_assert_eq!(PolicyState::decode(&state.encode()), Ok(state));
        }
    }
}
