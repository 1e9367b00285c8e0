//! The identity of a ledger: which ledger a sequence number is of.
//!
//! Sequence numbers begin at 1 in every ledger. Whoever keeps one elsewhere, as a sink does beside what
//! it delivers, keeps the identity with it, and so never takes the numbers of one ledger for those of
//! another.
//!
//! It is drawn once and durable before the ledger accepts anything. A ledger of before identities gets
//! one at its first start. One that a sink is ahead of has been put back from a copy, or has lost its
//! tail: the numbers behind its end will mean other events than before, so it gets a new one.
//!
//! # Format
//!
//! The file `identity` (see `small_file`), content: 16 random bytes. It stands alone so that what is
//! written all the time cannot take it along.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use crate::codec::Take;
use crate::error::LedgerError;
use crate::fs::Fs;
use crate::small_file::{self, Kind};

/// The identity's file.
pub(crate) const IDENTITY: Kind = Kind { name: "identity", magic: *b"SKIDENT\0", version: 1 };

/// The identity of a ledger, never that of another; 32 hexadecimal digits for people and for sinks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LedgerIdentity([u8; 16]);

impl LedgerIdentity {
    /// One that never was.
    fn draw() -> Self {
        // The standard library keys every hasher from the operating system's randomness.
        let half = || RandomState::new().build_hasher().finish();
        Self((u128::from(half()) << 64 | u128::from(half())).to_be_bytes())
    }

    /// Draws one for the ledger in `dir`, durably.
    pub(crate) fn make(fs: &dyn Fs, dir: &Path) -> Result<Self, LedgerError> {
        let drawn = Self::draw();
        small_file::replace(fs, dir, &IDENTITY, &drawn.0)?;
        Ok(drawn)
    }

    /// Reads it; `None` if there is none yet.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>, LedgerError> {
        let Some((_, content)) = small_file::read(fs, dir, &IDENTITY)? else { return Ok(None) };
        let mut take = Take(&content);
        let bytes = take.array().filter(|_| take.0.is_empty());
        bytes.map(Self).map(Some).ok_or_else(|| small_file::unreadable(dir, &IDENTITY))
    }
}

impl fmt::Display for LedgerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LedgerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerIdentity({self})")
    }
}
