//! The state as versions 1 and 2 of its file had it: in parts, and so without a length.
//!
//! Only how long each part is, is known here: enough to find the clean flag and the end. The parts
//! are taken over as they are, behind the version of the file that they stood in (2 bytes,
//! little-endian); the core reads them by that.

use crate::codec::Take;
use crate::state::KeptState;

/// A time, behind a byte that says whether there is one.
const OPTIONAL_TIME_BYTES: usize = 1 + 8;

const SUSPECT_BYTES: usize = OPTIONAL_TIME_BYTES + 8;

/// Cause, since, recoveries, three counts.
const INCIDENT_BYTES: usize = 2 + 8 + 4 + 3 * 8;

/// From and until.
const LOST_BYTES: usize = 2 * 8;

/// Takes the state off the front of what is left of the file.
pub(crate) fn take(take: &mut Take<'_>, version: u16) -> Option<KeptState> {
    let whole = take.0;
    let _mark_and_phase = take.bytes(OPTIONAL_TIME_BYTES + 1)?;
    let clean = take.flag()?;
    if take.flag()? {
        let _stream_id = take.string()?;
    }
    for _ in 0..take.u32()? {
        let _suspect = take.bytes(SUSPECT_BYTES)?;
    }
    let _incidents = take.u64()?;
    let incident_bytes = match take.u8()? {
        0 => 0,
        1 => INCIDENT_BYTES,
        2 => INCIDENT_BYTES + LOST_BYTES,
        _ => return None,
    };
    let _incident = take.bytes(incident_bytes)?;
    let lists = if version == 1 { 0 } else { 2 };
    for _ in 0..lists {
        for _ in 0..take.u32()? {
            let _left_behind_or_announced = take.string()?;
        }
    }
    let parts = whole.get(..whole.len() - take.0.len())?;
    Some(KeptState { clean, bytes: [&version.to_le_bytes(), parts].concat() })
}
