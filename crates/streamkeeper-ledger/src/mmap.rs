//! Memory mapping: the one module with `unsafe`.
//!
//! Older keys lie in sealed files of up to some hundred megabytes, of which a look-up touches three
//! or four cache lines. Mapped, they cost no anonymous memory, and the kernel keeps what is used.
//!
//! # Why the mapping is sound
//!
//! A mapping is unsound if the file's bytes change while a slice of them is alive. Here they do not:
//! - only sealed files are mapped: they are written under a temporary name, synced, renamed, and
//!   never written again; at the end of their life they are unlinked, which leaves the mapping whole;
//! - the ledger's directory is for its owner alone (0700), its files too (0600), and the exclusive
//!   lock keeps out every other process that keeps to the rules.
//!
//! A process of the same user that cuts or rewrites the file all the same could cause a SIGBUS or
//! wrong answers, as it could by writing to this process's memory. A disk that cannot read a
//! mapped page ends the process by SIGBUS too; it is then started again, and recovers as after any
//! crash.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// The bytes of a file that does not change any more.
#[derive(Clone, Debug)]
pub struct Mapping(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Mapped(Arc<memmap2::Mmap>),
    Memory(Arc<[u8]>),
}

impl Mapping {
    /// Bytes in memory, for a file system that is not on a disk.
    #[must_use]
    pub fn from_memory(bytes: Arc<[u8]>) -> Self {
        Self(Inner::Memory(bytes))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped(map) => map,
            Inner::Memory(bytes) => bytes,
        }
    }
}

/// Maps a whole file, which must be one of those that do not change any more.
#[expect(unsafe_code, reason = "a mapping is the one thing here that safe code cannot make")]
pub(crate) fn map(file: &File) -> io::Result<Mapping> {
    // SAFETY: the file is sealed: nobody writes to it or cuts it (see the module documentation).
    let map = unsafe { memmap2::Mmap::map(file) }?;
    Ok(Mapping(Inner::Mapped(Arc::new(map))))
}
