//! Sealed keys: a file that is written once, mapped, and never changed.
//!
//! # Format
//!
//! All numbers little-endian. A header of 128 bytes, then the slots, the heap, the buckets and the
//! filter, one after the other:
//!
//! | at | bytes | header |
//! | --- | --- | --- |
//! | 0 | 8 | `SKKEYSv1` |
//! | 8 | 2 | format version: 1 |
//! | 10 | 1 | partition: 0 a day, 1 a week of undated records |
//! | 11 | 1 | zero |
//! | 12 | 4 | number of the day or week since 1970-01-01, signed |
//! | 16 | 8 | number of slots |
//! | 24 | 8 | bytes of the heap |
//! | 32 | 8 | number of buckets |
//! | 40 | 8 | number of filter blocks |
//! | 48 | 16 | CRC-32 of slots, heap, buckets, filter, 4 bytes each |
//! | 64 | 60 | zero |
//! | 124 | 4 | CRC-32 of the 124 bytes before |
//!
//! *Slots* (40 bytes each) lie in the order of their hashes; those of one record are neighbours. The
//! *heap* holds the keys that are too long for a slot. A key's bucket is `hash × buckets >> 64`;
//! *buckets* are the number of the first slot (`u32`) of each, and one more that is the number of
//! slots. The *filter* says of most absent keys at the price of one cache line that they are absent: a block
//! of 64 bytes, at `(hash rotated left by 32) × blocks >> 64`, in which six bits are set, whose
//! numbers are the six lowest groups of nine bits of `hash × 0x9E3779B97F4A7C15`.
//!
//! The header is checked at every start, the rest when files are merged and by `verify`.

use std::path::Path;

use super::PartitionId;
use super::name::{Probe, SLOT_BYTES, Slot};
use crate::codec::Take;
use crate::error::{Context, LedgerError};
use crate::fs::{Fs, Mapping};

pub(super) const MAGIC: [u8; 8] = *b"SKKEYSv1";
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 128;
pub(super) const BLOCK_BYTES: usize = 64;

/// A sealed file, mapped.
#[derive(Debug)]
pub(crate) struct Sealed {
    map: Mapping,
    partition: PartitionId,
    shape: Shape,
}

/// How many of each there are, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) slots: usize,
    pub(super) heap_bytes: usize,
    pub(super) buckets: usize,
    pub(super) blocks: usize,
}

impl Shape {
    pub(super) const fn heap(&self) -> usize {
        HEADER_BYTES + self.slots * SLOT_BYTES
    }

    pub(super) const fn bucket_table(&self) -> usize {
        self.heap() + self.heap_bytes
    }

    pub(super) const fn filter(&self) -> usize {
        self.bucket_table() + (self.buckets + 1) * 4
    }

    pub(super) const fn file_bytes(&self) -> usize {
        self.filter() + self.blocks * BLOCK_BYTES
    }
}

impl Sealed {
    /// Maps a sealed file and checks its header.
    pub(crate) fn open(fs: &dyn Fs, path: &Path) -> Result<Self, LedgerError> {
        let map = fs.map(path).context("map", path)?;
        let damaged = || LedgerError::damaged(path, 0, "the header of a key file is not whole");
        let (header, _) = map.split_first_chunk::<HEADER_BYTES>().ok_or_else(damaged)?;
        let mut take = Take(header);
        let magic = take.array::<8>().ok_or_else(damaged)?;
        let version = take.u16().ok_or_else(damaged)?;
        if magic == MAGIC && version > VERSION {
            return Err(LedgerError::NewerVersion {
                path: path.to_owned(),
                found: version,
                known: VERSION,
            });
        }
        let (sealed, crc) = header.split_last_chunk::<4>().ok_or_else(damaged)?;
        if magic != MAGIC || crc32fast::hash(sealed) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        let (partition, shape) = parse(take).ok_or_else(damaged)?;
        if map.len() != shape.file_bytes() {
            return Err(LedgerError::damaged(path, map.len() as u64, "a key file was cut"));
        }
        Ok(Self { map, partition, shape })
    }

    pub(crate) const fn partition(&self) -> PartitionId {
        self.partition
    }

    /// How many slots it holds.
    pub(crate) const fn len(&self) -> usize {
        self.shape.slots
    }

    /// The bytes of the file.
    pub(crate) const fn file_bytes(&self) -> usize {
        self.shape.file_bytes()
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.shape.heap_bytes
    }

    pub(crate) fn heap(&self) -> &[u8] {
        self.map.get(self.shape.heap()..self.shape.bucket_table()).unwrap_or_default()
    }

    /// The slots of a record, if it is here.
    pub(crate) fn all<'a>(&'a self, probe: &'a Probe<'_>) -> impl Iterator<Item = Slot> + 'a {
        let bucket = if self.may_hold(probe.hash) { self.bucket(probe.hash) } else { &[] };
        let heap = self.heap();
        bucket.iter().map(Slot::decode).filter(move |slot| probe.is_of(slot, heap))
    }

    /// All slots in the order of their hashes.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slot_table().iter().map(Slot::decode)
    }

    fn slot_table(&self) -> &[[u8; SLOT_BYTES]] {
        let bytes = self.map.get(HEADER_BYTES..self.shape.heap()).unwrap_or_default();
        bytes.as_chunks::<SLOT_BYTES>().0
    }

    fn may_hold(&self, hash: u64) -> bool {
        let start = self.shape.filter() + block(hash, self.shape.blocks) * BLOCK_BYTES;
        let Some(block) = self.map.get(start..).and_then(<[u8]>::first_chunk::<BLOCK_BYTES>) else {
            return true;
        };
        let set = |(byte, bit): (usize, u8)| block.get(byte).is_none_or(|byte| byte & bit != 0);
        block_bits(hash).into_iter().all(set)
    }

    fn bucket(&self, hash: u64) -> &[[u8; SLOT_BYTES]] {
        let at = self.shape.bucket_table() + scaled(hash, self.shape.buckets) * 4;
        let bounds = self.map.get(at..at + 8).map(Take);
        let range = bounds.and_then(|mut take| {
            let (start, end) = (take.u32()?, take.u32()?);
            self.slot_table().get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
        });
        range.unwrap_or_default()
    }

    /// Checks everything that the header vouches for.
    pub(crate) fn verify(&self, path: &Path) -> Result<(), LedgerError> {
        let shape = &self.shape;
        let sections = [
            (HEADER_BYTES, shape.heap(), "the slots of a key file are damaged"),
            (shape.heap(), shape.bucket_table(), "the heap of a key file is damaged"),
            (shape.bucket_table(), shape.filter(), "the buckets of a key file are damaged"),
            (shape.filter(), shape.file_bytes(), "the filter of a key file is damaged"),
        ];
        let mut crcs = Take(self.map.get(48..64).unwrap_or_default());
        for (start, end, what) in sections {
            let bytes = self.map.get(start..end).unwrap_or_default();
            if crcs.u32() != Some(crc32fast::hash(bytes)) {
                return Err(LedgerError::damaged(path, start as u64, what));
            }
        }
        Ok(())
    }
}

/// Reads the header behind magic and version.
fn parse(mut take: Take<'_>) -> Option<(PartitionId, Shape)> {
    let (tag, _zero, number) = (take.u8()?, take.u8()?, take.i32()?);
    let partition = PartitionId::from_parts(tag, number)?;
    let mut size = || usize::try_from(take.u64()?).ok().filter(|&size| size < SIZE_MAX);
    let shape = Shape { slots: size()?, heap_bytes: size()?, buckets: size()?, blocks: size()? };
    (shape.buckets > 0 && shape.blocks > 0).then_some((partition, shape))
}

/// Nothing in a header is larger, so that no sum of them overflows.
const SIZE_MAX: usize = 1 << 48;

/// Scales a hash to `0..count`, keeping the order.
pub(super) const fn scaled(hash: u64, count: usize) -> usize {
    ((hash as u128 * count as u128) >> 64) as usize
}

/// The filter block of a hash.
pub(super) const fn block(hash: u64, blocks: usize) -> usize {
    scaled(hash.rotate_left(32), blocks)
}

/// The bits of a hash in its block: byte and mask.
pub(super) fn block_bits(hash: u64) -> [(usize, u8); 6] {
    let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [0, 9, 18, 27, 36, 45].map(|shift| {
        let bit = mixed >> shift & 511;
        ((bit >> 3) as usize, 1 << (bit & 7))
    })
}
