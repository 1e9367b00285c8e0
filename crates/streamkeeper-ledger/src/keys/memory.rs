//! The keys of one partition that are not sealed yet.
//!
//! Sixteen hash tables, by the upper bits of the hash: one table grows at a time, so growing costs
//! a sixteenth of what one large table would need beside itself; and sealing walks them in order of
//! the hash, sorting one at a time. Long keys lie in a heap beside them.

use hashbrown::HashTable;

use super::name::{Probe, Slot, SlotVersion, heap_place};

/// A partition's recent keys.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    shards: [HashTable<Slot>; SHARDS],
    heap: Vec<u8>,
    slots: usize,
}

const SHARDS: usize = 16;

/// The bytes a table needs for each of its buckets.
const BUCKET_BYTES: usize = size_of::<Slot>() + 1;

/// What a table needs beside its buckets, rounded up.
const TABLE_BYTES: usize = 64;

impl Memory {
    /// How many slots it holds.
    pub(crate) const fn len(&self) -> usize {
        self.slots
    }

    pub(crate) fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let tables: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        tables + self.heap.capacity()
    }

    /// The most bytes it can come to while so many more slots are put in.
    pub(crate) fn bytes_after(&self, more: usize) -> usize {
        let spread = more / SHARDS * 2 + 1;
        let mut total = self.heap.capacity() * 2;
        let mut growth = 0;
        for shard in &self.shards {
            let now = shard.allocation_size();
            if shard.len() + spread > shard.capacity() {
                let buckets = ((shard.len() + spread) * 8 / 7).next_power_of_two().max(4);
                total += buckets * BUCKET_BYTES + TABLE_BYTES;
                growth = growth.max(now);
            } else {
                total += now;
            }
        }
        total + growth
    }

    /// The newest version of a record, if it is here.
    pub(crate) fn find(&self, probe: &Probe<'_>) -> Option<&Slot> {
        let table = self.shards.get(shard(probe.hash))?;
        table.find(turned(probe.hash), |slot| probe.is_of(slot, &self.heap))
    }

    /// Every slot of a record.
    pub(crate) fn all<'a>(&'a self, probe: &'a Probe<'_>) -> impl Iterator<Item = Slot> + 'a {
        let table = self.shards.get(shard(probe.hash));
        let slots = table.into_iter().flat_map(|table| table.iter_hash(turned(probe.hash)));
        slots.filter(|slot| probe.is_of(slot, &self.heap)).copied()
    }

    /// Puts in the versions of a record, all of the same time, in place of those that are here.
    pub(crate) fn put(&mut self, probe: &Probe<'_>, versions: &[SlotVersion]) {
        let hash = turned(probe.hash);
        let Some(table) = self.shards.get_mut(shard(probe.hash)) else { return };
        let heap = &self.heap;
        let mut place = None;
        while let Ok(entry) = table.find_entry(hash, |slot| probe.is_of(slot, heap)) {
            let (old, _) = entry.remove();
            place = old.is_long().then_some(old.place());
            self.slots -= 1;
        }
        if let (Some(long), None) = (probe.long, place) {
            place = Some(heap_place(self.heap.len(), long.len()));
            self.heap.extend_from_slice(long);
        }
        for version in versions {
            let slot = probe.slot(version, place);
            let slot = if versions.len() > 1 { slot.with_siblings() } else { slot };
            table.insert_unique(hash, slot, |slot| turned(slot.hash()));
            self.slots += 1;
        }
    }

    /// All slots in the order of their hashes; one shard is sorted at a time.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = (u64, Slot)> + '_ {
        self.shards.iter().flat_map(|shard| {
            let mut slots: Vec<_> = shard.iter().map(|slot| (slot.hash(), *slot)).collect();
            slots.sort_unstable_by_key(|(hash, slot)| (*hash, slot.order()));
            slots
        })
    }
}

/// The table that a hash belongs to; rising with the hash.
const fn shard(hash: u64) -> usize {
    (hash >> 60) as usize
}

/// The hash as the tables see it: they use its lowest and its highest bits, and the highest ones
/// are the same for a whole shard.
const fn turned(hash: u64) -> u64 {
    hash.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::super::name::KeyName;
    use super::*;

    #[test]
    fn its_growth_is_foreseen() {
        let mut memory = Memory::default();
        for group in 0..200_u64 {
            let foreseen = memory.bytes_after(500);
            for number in 0..500 {
                let key =
                    format!("{:032x}", (group * 500 + number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                let version = SlotVersion { micros: 1, checksum: 2, withdrawn: false };
                memory.put(&KeyName::new(0, &key).probe(), &[version]);
            }
            assert!(memory.bytes() <= foreseen, "{} > {foreseen}", memory.bytes());
        }
        assert_eq!(memory.len(), 100_000);
        assert_eq!(memory.sorted().count(), 100_000);
        assert!(memory.sorted().is_sorted_by_key(|(hash, _)| hash));
    }
}
