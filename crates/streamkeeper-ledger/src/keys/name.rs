//! Keys and slots: a record's name and newest version in 40 bytes.
//!
//! # Format of a slot
//!
//! Five little-endian words of 8 bytes:
//!
//! | word | content |
//! | --- | --- |
//! | 0, 1 | the key, zero-padded, if it has at most 16 bytes as stored; else word 0 is its place in the heap (offset << 16 \| length) and word 1 its hash |
//! | 2, 3 | the checksum |
//! | 4 | bits 0–36 microseconds since the start of the day (0 if undated), 37 withdrawn, 38 further versions at the same time exist, 40–47 kind, 48–52 length of a key that is stored here, 53–54 form: 0 packed hex, 1 short, 2 in the heap |
//!
//! A lower-case hex id of 2 to 32 digits is packed, two digits to a byte; any other key is stored
//! whole, here or in the heap.
//!
//! The hash of a key is XXH3-64 of its bytes as stored, seeded with bits 40–63 of word 4 (without
//! the length). It decides where a key is looked for, on disk too, and so belongs to the format.

use streamkeeper_core::version::Version;
use twox_hash::XxHash3_64;

/// A record's name: its kind, and its key as stored.
#[derive(Clone, Copy)]
pub(crate) struct KeyName<'a> {
    kind: u8,
    form: Form<'a>,
}

#[derive(Clone, Copy)]
enum Form<'a> {
    Hex { packed: [u8; 16], length: usize },
    Whole(&'a [u8]),
}

/// How a key is stored.
pub(crate) enum KeyForm<'a> {
    /// Lower-case hex, two digits to a byte.
    Hex(&'a [u8]),
    /// As it is.
    Whole(&'a [u8]),
}

impl<'a> KeyName<'a> {
    /// The name of a record.
    pub(crate) fn new(kind: u8, key: &'a str) -> Self {
        match pack(key.as_bytes()) {
            Some((packed, length)) => Self { kind, form: Form::Hex { packed, length } },
            None => Self::whole(kind, key.as_bytes()),
        }
    }

    /// A name from a key that is stored packed.
    pub(crate) fn packed(kind: u8, stored: &[u8]) -> Option<Self> {
        let mut packed = [0; 16];
        packed.get_mut(..stored.len())?.copy_from_slice(stored);
        Some(Self { kind, form: Form::Hex { packed, length: stored.len() } })
    }

    /// A name from a key that is stored whole.
    pub(crate) const fn whole(kind: u8, stored: &'a [u8]) -> Self {
        Self { kind, form: Form::Whole(stored) }
    }

    pub(crate) const fn kind(&self) -> u8 {
        self.kind
    }

    pub(crate) fn form(&self) -> KeyForm<'_> {
        match &self.form {
            Form::Hex { packed, length } => KeyForm::Hex(packed.get(..*length).unwrap_or(packed)),
            Form::Whole(bytes) => KeyForm::Whole(bytes),
        }
    }

    /// The key as it was given.
    pub(crate) fn text(&self) -> Option<String> {
        match self.form() {
            KeyForm::Whole(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            KeyForm::Hex(packed) => {
                let digits = packed.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                Some(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
            }
        }
    }

    /// The name as it is looked up.
    pub(crate) fn probe(&self) -> Probe<'_> {
        let (form, stored) = match self.form() {
            KeyForm::Hex(packed) => (FORM_HEX, packed),
            KeyForm::Whole(bytes) if bytes.len() <= 16 => (FORM_SHORT, bytes),
            KeyForm::Whole(bytes) => (FORM_HEAP, bytes),
        };
        let seed = u64::from(self.kind) << KIND_SHIFT | form << FORM_SHIFT;
        let hash = hash(seed, stored);
        if form == FORM_HEAP {
            return Probe { hash, words: [0, hash], ident: seed, long: Some(stored) };
        }
        let ident = seed | (stored.len() as u64) << LENGTH_SHIFT;
        Probe { hash, words: words(stored), ident, long: None }
    }
}

/// A key as it is looked up.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    pub(crate) hash: u64,
    words: [u64; 2],
    ident: u64,
    /// The key, if it is too long for a slot.
    pub(crate) long: Option<&'a [u8]>,
}

impl Probe<'_> {
    /// A slot for this key, with the version; a long key has been put into the heap at `place`.
    pub(crate) fn slot(&self, version: &SlotVersion, place: Option<u64>) -> Slot {
        let [low, high] = self.words;
        let withdrawn = if version.withdrawn { WITHDRAWN } else { 0 };
        Slot {
            key: [place.unwrap_or(low), high],
            checksum: [version.checksum as u64, (version.checksum >> 64) as u64],
            meta: self.ident | withdrawn | version.micros,
        }
    }

    /// Whether `slot`, whose long keys are in `heap`, is one of this key.
    pub(crate) fn is_of(&self, slot: &Slot, heap: &[u8]) -> bool {
        let [low, high] = self.words;
        if slot.key[1] != high || slot.meta & IDENT != self.ident {
            return false;
        }
        match self.long {
            None => slot.key[0] == low,
            Some(long) => slot.long(heap) == Some(long),
        }
    }
}

/// What a slot remembers of a version; its day is that of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotVersion {
    pub(crate) micros: u64,
    pub(crate) checksum: u128,
    pub(crate) withdrawn: bool,
}

impl SlotVersion {
    pub(crate) fn new(version: &Version) -> Self {
        let micros = version.created_at.map_or(0, |at| at.as_micros().rem_euclid(MICROS_PER_DAY));
        // A remainder is not negative.
        let micros = micros.unsigned_abs();
        Self { micros, checksum: version.checksum, withdrawn: version.withdrawn }
    }
}

/// Microseconds in a day.
pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// One version of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    key: [u64; 2],
    checksum: [u64; 2],
    meta: u64,
}

/// The bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 40;

impl Slot {
    pub(crate) fn decode(bytes: &[u8; SLOT_BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        Self { key: [word(0), word(1)], checksum: [word(2), word(3)], meta: word(4) }
    }

    pub(crate) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        let words = [self.key[0], self.key[1], self.checksum[0], self.checksum[1], self.meta];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn version(&self) -> SlotVersion {
        SlotVersion {
            micros: self.meta & MICROS,
            checksum: u128::from(self.checksum[0]) | u128::from(self.checksum[1]) << 64,
            withdrawn: self.meta & WITHDRAWN != 0,
        }
    }

    /// Whether there are further versions of this record at the same time.
    pub(crate) const fn has_siblings(&self) -> bool {
        self.meta & SIBLINGS != 0
    }

    pub(crate) const fn with_siblings(mut self) -> Self {
        self.meta |= SIBLINGS;
        self
    }

    /// The hash of its key.
    pub(crate) fn hash(&self) -> u64 {
        if self.is_long() {
            return self.key[1];
        }
        let mut bytes = [0; 16];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.key) {
            *place = word.to_le_bytes();
        }
        let length = usize::try_from(self.meta >> LENGTH_SHIFT & LENGTH).unwrap_or(16);
        hash(self.meta & IDENT & !(LENGTH << LENGTH_SHIFT), bytes.get(..length).unwrap_or(&bytes))
    }

    pub(crate) const fn is_long(&self) -> bool {
        self.meta >> FORM_SHIFT & FORM == FORM_HEAP
    }

    /// Where its key lies in the heap, if it is long.
    pub(crate) const fn place(&self) -> u64 {
        self.key[0]
    }

    /// Slots of one hash lie in this order, so that those of one record are neighbours.
    pub(crate) const fn order(&self) -> (u64, [u64; 2], u64, [u64; 2]) {
        (self.meta & IDENT, self.key, self.meta, self.checksum)
    }

    /// Its key in the heap, if it is there.
    pub(crate) fn long<'h>(&self, heap: &'h [u8]) -> Option<&'h [u8]> {
        if !self.is_long() {
            return None;
        }
        let offset = usize::try_from(self.key[0] >> 16).ok()?;
        let length = usize::from(self.key[0] as u16);
        heap.get(offset..offset.checked_add(length)?)
    }

    /// The same slot, its key moved to `place`.
    pub(crate) const fn moved(mut self, place: u64) -> Self {
        self.key[0] = place;
        self
    }

    /// Whether two slots of two heaps are of one key.
    pub(crate) fn same_key(&self, heap: &[u8], other: &Self, other_heap: &[u8]) -> bool {
        self.meta & IDENT == other.meta & IDENT
            && self.key[1] == other.key[1]
            && if self.is_long() {
                self.long(heap) == other.long(other_heap)
            } else {
                self.key[0] == other.key[0]
            }
    }
}

/// The place of a key of `length` bytes at `offset` in a heap.
pub(crate) const fn heap_place(offset: usize, length: usize) -> u64 {
    (offset as u64) << 16 | length as u64
}

const MICROS: u64 = (1 << 37) - 1;
const WITHDRAWN: u64 = 1 << 37;
const SIBLINGS: u64 = 1 << 38;
const KIND_SHIFT: u32 = 40;
const LENGTH_SHIFT: u32 = 48;
const LENGTH: u64 = 31;
const FORM_SHIFT: u32 = 53;
const FORM: u64 = 3;
const FORM_HEX: u64 = 0;
const FORM_SHORT: u64 = 1;
const FORM_HEAP: u64 = 2;
const IDENT: u64 = 0x7FFF << KIND_SHIFT;

fn hash(seed: u64, stored: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, stored)
}

fn words(stored: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 16];
    for (place, &byte) in bytes.iter_mut().zip(stored) {
        *place = byte;
    }
    let number = u128::from_le_bytes(bytes);
    [number as u64, (number >> 64) as u64]
}

/// Packs 2 to 32 lower-case hex digits.
fn pack(text: &[u8]) -> Option<([u8; 16], usize)> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() || pairs.len() > 16 {
        return None;
    }
    let mut packed = [0; 16];
    let mut wrong = 0;
    for (place, [high, low]) in packed.iter_mut().zip(pairs) {
        let (high, low) = (digit(*high), digit(*low));
        wrong |= high | low;
        *place = high << 4 | low & 15;
    }
    (wrong < 16).then_some((packed, pairs.len()))
}

/// The value of a lower-case hex digit; 255 for anything else.
fn digit(byte: u8) -> u8 {
    DIGITS.get(usize::from(byte)).copied().unwrap_or(255)
}

const DIGITS: [u8; 256] = {
    let mut table = [255; 256];
    let mut digits: &[u8] = b"0123456789abcdef";
    let mut value = 0;
    while let [digit, rest @ ..] = digits {
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is below 256, and this runs in the compiler"
        )]
        {
            table[*digit as usize] = value;
        }
        (digits, value) = (rest, value + 1);
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_back_as_it_was_given() {
        for key in ["", "a", "ab", "AB", "0f", "7db302193cc6b9b80405f189be67b9c8", "0x12", "héhé"]
        {
            let name = KeyName::new(3, key);
            assert_eq!(name.text().as_deref(), Some(key));
        }
        let long = "7db302193cc6b9b80405f189be67b9c8aa";
        assert!(matches!(KeyName::new(0, long).form(), KeyForm::Whole(_)));
        assert!(matches!(KeyName::new(0, "ab").form(), KeyForm::Hex([0xAB])));
        assert!(matches!(KeyName::new(0, "Ab").form(), KeyForm::Whole(b"Ab")));
    }

    #[test]
    fn a_packed_key_is_not_the_short_key_of_the_same_bytes() {
        let (hex, whole) = (KeyName::new(0, "6162"), KeyName::new(0, "ab\0"));
        let version = SlotVersion { micros: 5, checksum: 1 << 100 | 7, withdrawn: true };
        let slot = hex.probe().slot(&version, None);
        assert!(hex.probe().is_of(&slot, &[]));
        assert!(!whole.probe().is_of(&slot, &[]));
        assert!(!KeyName::new(1, "6162").probe().is_of(&slot, &[]));
        assert_eq!((slot.version(), slot.hash()), (version, hex.probe().hash));
        assert_eq!(Slot::decode(&slot.with_siblings().encode()), slot.with_siblings());
    }

    #[test]
    fn a_long_key_is_compared_in_full() {
        let name = KeyName::new(0, "a key of more than sixteen bytes");
        let heap = b"..a key of more than sixteen bytes";
        let slot = name.probe().slot(
            &SlotVersion { micros: 0, checksum: 0, withdrawn: false },
            Some(heap_place(2, 32)),
        );
        assert!(name.probe().is_of(&slot, heap));
        assert!(!name.probe().is_of(&slot, &heap[..20]), "a place outside the heap is no match");
        assert_eq!(slot.hash(), name.probe().hash);
    }
}
