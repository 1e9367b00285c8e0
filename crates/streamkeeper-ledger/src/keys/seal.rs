//! Writing sealed key files: from memory, or from several that are merged into one.
//!
//! Slots come in the order of their hashes and go straight to the file. Only the buckets and the
//! filter are gathered in memory: about two and a half bytes for each key.

use std::path::{Path, PathBuf};

use super::PartitionId;
use super::memory::Memory;
use super::name::{SLOT_BYTES, Slot, heap_place};
use super::sealed::{
    BLOCK_BYTES, HEADER_BYTES, MAGIC, Sealed, Shape, VERSION, block, block_bits, scaled,
};
use crate::error::{Context, LedgerError};
use crate::fs::{File, Fs};

/// Slots to a bucket, on average.
const BUCKET_SLOTS: usize = 4;

/// Filter bits for each slot.
const FILTER_BITS: usize = 10;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// A sealed file in the making.
struct Writer {
    file: Box<dyn File>,
    path: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    crc: crc32fast::Hasher,
    heap: Vec<u8>,
    buckets: usize,
    starts: Vec<u32>,
    filter: Vec<u8>,
    slots: usize,
}

impl Writer {
    /// Starts a file for at most `expected` slots.
    fn create(fs: &dyn Fs, path: &Path, expected: usize) -> Result<Self, LedgerError> {
        let file = fs.create(path).context("create", path)?;
        let buckets = (expected / BUCKET_SLOTS).max(1);
        let blocks = (expected * FILTER_BITS).div_ceil(BLOCK_BYTES * 8).max(1);
        let mut starts = Vec::with_capacity(buckets + 1);
        starts.push(0);
        Ok(Self {
            file,
            path: path.to_owned(),
            buffer: Vec::with_capacity(WRITE_BYTES + SLOT_BYTES),
            written: HEADER_BYTES as u64,
            crc: crc32fast::Hasher::new(),
            heap: Vec::new(),
            buckets,
            starts,
            filter: vec![0; blocks * BLOCK_BYTES],
            slots: 0,
        })
    }

    fn push(&mut self, hash: u64, slot: Slot, heap: &[u8]) -> Result<(), LedgerError> {
        let bucket = scaled(hash, self.buckets);
        let start = u32::try_from(self.slots).unwrap_or(u32::MAX);
        while self.starts.len() <= bucket {
            self.starts.push(start);
        }
        let first = block(hash, self.filter.len() / BLOCK_BYTES) * BLOCK_BYTES;
        for (byte, bit) in block_bits(hash) {
            if let Some(byte) = self.filter.get_mut(first + byte) {
                *byte |= bit;
            }
        }
        let slot = match slot.long(heap) {
            Some(long) => {
                let place = heap_place(self.heap.len(), long.len());
                self.heap.extend_from_slice(long);
                slot.moved(place)
            }
            None => slot,
        };
        self.buffer.extend_from_slice(&slot.encode());
        self.slots += 1;
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        self.crc.update(&self.buffer);
        self.file.write_at(&self.buffer, self.written).context("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends a section; returns its checksum.
    fn section(&mut self) -> Result<u32, LedgerError> {
        self.flush()?;
        Ok(std::mem::take(&mut self.crc).finalize())
    }

    /// Writes what comes after the slots, then the header, and makes it durable. The name is not:
    /// the caller syncs the directory.
    fn finish(mut self, partition: PartitionId) -> Result<(), LedgerError> {
        let mut crcs = vec![self.section()?];
        let shape = Shape {
            slots: self.slots,
            heap_bytes: self.heap.len(),
            buckets: self.buckets,
            blocks: self.filter.len() / BLOCK_BYTES,
        };
        self.buffer = std::mem::take(&mut self.heap);
        crcs.push(self.section()?);
        let end = u32::try_from(self.slots).unwrap_or(u32::MAX);
        self.starts.resize(self.buckets + 1, end);
        self.buffer = self.starts.iter().flat_map(|start| start.to_le_bytes()).collect();
        crcs.push(self.section()?);
        self.buffer = std::mem::take(&mut self.filter);
        crcs.push(self.section()?);
        let header = header(partition, &shape, &crcs);
        self.file.write_at(&header, 0).context("write", &self.path)?;
        self.file.sync().context("sync", &self.path)
    }
}

fn header(partition: PartitionId, shape: &Shape, crcs: &[u32]) -> Vec<u8> {
    let (tag, number) = partition.parts();
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[tag, 0]);
    out.extend_from_slice(&number.to_le_bytes());
    for size in [shape.slots, shape.heap_bytes, shape.buckets, shape.blocks] {
        out.extend_from_slice(&(size as u64).to_le_bytes());
    }
    for crc in crcs {
        out.extend_from_slice(&crc.to_le_bytes());
    }
    out.resize(HEADER_BYTES - 4, 0);
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out
}

/// Writes the keys in memory to a sealed file.
pub(super) fn seal(
    fs: &dyn Fs,
    path: &Path,
    partition: PartitionId,
    memory: &Memory,
) -> Result<Sealed, LedgerError> {
    let mut writer = Writer::create(fs, path, memory.len())?;
    for (hash, slot) in memory.sorted() {
        writer.push(hash, slot, memory.heap())?;
    }
    writer.finish(partition)?;
    Sealed::open(fs, path)
}

/// Merges sealed files of one partition, oldest first: of a record that is in several, what the
/// newest of them holds is kept.
pub(super) fn merge(
    fs: &dyn Fs,
    path: &Path,
    partition: PartitionId,
    runs: &[&Sealed],
) -> Result<Sealed, LedgerError> {
    let mut writer = Writer::create(fs, path, runs.iter().map(|run| run.len()).sum())?;
    // Newest first, so that the first slots seen of a record are those that stay.
    let mut heads: Vec<_> = runs
        .iter()
        .rev()
        .map(|run| (run.slots().map(|slot| (slot.hash(), slot)).peekable(), run.heap()))
        .collect();
    let mut same: Vec<(usize, Slot, &[u8])> = Vec::new();
    while let Some(hash) = heads.iter_mut().filter_map(|(run, _)| Some(run.peek()?.0)).min() {
        same.clear();
        for (number, (run, heap)) in heads.iter_mut().enumerate() {
            while let Some((_, slot)) = run.next_if(|(next, _)| *next == hash) {
                let newer = |(of, other, other_heap): &(usize, Slot, &[u8])| {
                    *of != number && slot.same_key(heap, other, other_heap)
                };
                if !same.iter().any(newer) {
                    same.push((number, slot, heap));
                }
            }
        }
        same.sort_unstable_by_key(|(_, slot, _)| slot.order());
        for (_, slot, heap) in &same {
            writer.push(hash, *slot, heap)?;
        }
    }
    writer.finish(partition)?;
    Sealed::open(fs, path)
}
