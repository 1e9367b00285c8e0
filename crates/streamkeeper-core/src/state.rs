//! A stream's state as bytes, for whoever keeps it.
//!
//! The ledger keeps these bytes and looks into none of them; they could lie at another place as well. Whether
//! the last process stopped cleanly is not among them: it lies beside them, because only the keeper knows
//! whether what was written last has been whole. So what is decoded is unclean until the keeper says
//! otherwise.
//!
//! # Format
//!
//! Little-endian: the version of the format (2), the family of the stream (1), and what that family keeps. A
//! further family gets a number of its own. A string is its length (4) and its bytes.
//!
//! Family 1 is *marked*, a stream that is read again from a mark: whether there is a mark (1) and the mark,
//! microseconds since 1970 (8, zero if none); phase (1: 0 running, 1 recovering on a new stream, 2 recovering on
//! the same one); whether there is a stream id (1) and the id (string); the number of suspects (4), for each: whether its low is known (1), low (8), at
//! (8); the number of the last incident (8); whether one is under way (1; 2: one that has lost what the
//! service does not keep), and if so: cause (2: kind, slot), since (8), recoveries (4), new, recovered,
//! duplicate (8 each), and what is lost, from and until (8 each; only after a 2); the number of streams that
//! were left behind (4), for each its id (string); the number of announced names (4), for each the name
//! (string).
//!
//! Family 2 is *cursored*, a stream that goes on from an opaque cursor: whether there is a cursor (1) and the
//! cursor (string); where it stood (string); one byte of flags (1: it has been read from; 2: the server has forgotten a cursor, and
//! none has come since; 4: a snapshot is owed; 8: the server has ended it); the number of the last incident
//! (8); whether one is under way (1), and if so: cause (1), since (8), gaps and stalls (4 each), new and
//! duplicate (8 each).
//!
//! Version 4 is the same without where the cursor stood. Version 3 is that without phase 2, and without the causes that
//! came later. Versions 1 and 2 stood inside
//! a file of the ledger, which puts the version before them when it takes them over. They know no family and are
//! of marked streams; behind the phase is a byte for `clean`, which is passed over. Version 1 ends behind the
//! incident.

mod bytes;
mod cursored;
mod marked;

use crate::cursored::CursoredState;
use crate::marked::StreamState;

use self::bytes::Take;

/// The version that is written.
const VERSION: u16 = 5;

/// The first version that names the family.
const FAMILY_SINCE: u16 = 3;

/// The first version that knows what was left behind and announced.
const LEFT_BEHIND_SINCE: u16 = 2;

/// The family of streams that are read again from a mark.
const MARKED: u8 = 1;

/// The family of streams that go on from a cursor.
const CURSORED: u8 = 2;

/// What is on disk of a stream's state, of whatever family it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyState {
    /// Of a stream that is read again from a mark.
    Marked(StreamState),
    /// Of a stream that goes on from a cursor.
    Cursored(CursoredState),
}

impl PolicyState {
    /// The state as bytes, without `clean`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        match self {
            Self::Marked(state) => {
                out.push(MARKED);
                marked::put(&mut out, state);
            }
            Self::Cursored(state) => {
                out.push(CURSORED);
                cursored::put(&mut out, state);
            }
        }
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
        let family =
            if version >= FAMILY_SINCE { take.u8().ok_or(StateError::Damaged)? } else { MARKED };
        let state = match family {
            MARKED => marked::take(&mut take, version).map(Self::Marked),
            CURSORED => cursored::take(&mut take, version).map(Self::Cursored),
            found => return Err(StateError::UnknownFamily { found }),
        };
        state.filter(|_| take.0.is_empty()).ok_or(StateError::Damaged)
    }

    /// Whether the last process stopped in order.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        match self {
            Self::Marked(state) => state.clean,
            Self::Cursored(state) => state.clean,
        }
    }

    /// Whether the server has forgotten the cursor that there was, and none has come since.
    #[must_use]
    pub const fn has_forgotten(&self) -> bool {
        match self {
            Self::Marked(_) => false,
            Self::Cursored(state) => state.forgotten,
        }
    }

    /// The same, from a process that stopped so.
    #[must_use]
    pub const fn with_clean(mut self, clean: bool) -> Self {
        match &mut self {
            Self::Marked(state) => state.clean = clean,
            Self::Cursored(state) => state.clean = clean,
        }
        self
    }

    /// The word for its family.
    const fn family(&self) -> &'static str {
        match self {
            Self::Marked(_) => "marked",
            Self::Cursored(_) => "cursored",
        }
    }

    /// The state of a stream that is read again from a mark.
    ///
    /// # Errors
    /// [`StateError::OtherFamily`] if it is that of another kind of stream.
    pub fn into_marked(self) -> Result<StreamState, StateError> {
        let found = self.family();
        match self {
            Self::Marked(state) => Ok(state),
            Self::Cursored(_) => Err(StateError::OtherFamily { found, wanted: "marked" }),
        }
    }

    /// The state of a stream that goes on from a cursor.
    ///
    /// # Errors
    /// [`StateError::OtherFamily`] if it is that of another kind of stream.
    pub fn into_cursored(self) -> Result<CursoredState, StateError> {
        let found = self.family();
        match self {
            Self::Cursored(state) => Ok(state),
            Self::Marked(_) => Err(StateError::OtherFamily { found, wanted: "cursored" }),
        }
    }
}

impl From<StreamState> for PolicyState {
    fn from(state: StreamState) -> Self {
        Self::Marked(state)
    }
}

impl From<CursoredState> for PolicyState {
    fn from(state: CursoredState) -> Self {
        Self::Cursored(state)
    }
}

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
    /// They are of another family than the stream's dialect has.
    #[error(
        "the stream's state is that of another kind of stream ({found} instead of {wanted}): its dialect \
         has been changed. Give the stream another name, or move what holds its state away"
    )]
    OtherFamily {
        /// The family they say.
        found: &'static str,
        /// The family that is wanted.
        wanted: &'static str,
    },
    /// They make no sense.
    #[error(
        "the stream's state makes no sense: restore what holds it from a copy; or move that away and start \
         with none, which reads what the service still keeps again and delivers it again under the same ids"
    )]
    Damaged,
}
