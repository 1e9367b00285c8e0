//! The bytes of a marked stream, those of older versions too.

use super::*;
use crate::id::SlotId;
use crate::time::Timestamp;
use proptest::prelude::*;

const NOON: i64 = 1_795_262_400_000_000;

/// A state with everything in it that version 2 knew.
fn full() -> StreamState {
    let at = |micros| Timestamp::from_micros(NOON + micros);
    StreamState {
        phase: Phase::Recovering,
        stream_id: Some(StreamId("s1".into())),
        suspects: vec![Suspect { low: None, at: at(1) }, Suspect { low: Some(at(2)), at: at(3) }],
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
    let mut bytes = vec![5, 0, 1];
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
    let mut third = full().encode();
    third[0] = 3;
    assert_eq!(StreamState::decode(&third), Ok(full()));
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
    bytes[0] = 6;
    let newer = StreamState::decode(&bytes).unwrap_err();
    assert_eq!(newer, StateError::NewerVersion { found: 6, known: 5 });
    bytes[0] = 5;
    bytes[2] = 9;
    let family = StreamState::decode(&bytes).unwrap_err();
    assert_eq!(family, StateError::UnknownFamily { found: 9 });
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
        let with_head = [&[5, 0, 1], &bytes[..]].concat();
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
