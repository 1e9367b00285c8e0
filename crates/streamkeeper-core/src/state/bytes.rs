//! Values as bytes, little-endian, and back: what every family's part of a state is made of.

use crate::time::Timestamp;

pub(super) fn put_strings<'a>(
    out: &mut Vec<u8>,
    strings: impl ExactSizeIterator<Item = &'a String>,
) {
    put_count(out, strings.len());
    strings.for_each(|string| put_string(out, string));
}

pub(super) fn put_string(out: &mut Vec<u8>, string: &str) {
    put_count(out, string.len());
    out.extend_from_slice(string.as_bytes());
}

/// Nothing here comes near so many.
pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

pub(super) fn put_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    out.push(u8::from(time.is_some()));
    put_micros(out, time.unwrap_or(Timestamp::from_micros(0)));
}

pub(super) fn put_micros(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_micros().to_le_bytes());
}

/// Reads values off the front of a slice; what is not there is `None`.
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl Take<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn time(&mut self) -> Option<Timestamp> {
        self.array().map(i64::from_le_bytes).map(Timestamp::from_micros)
    }

    pub(super) fn optional_time(&mut self) -> Option<Option<Timestamp>> {
        let (there, time) = (self.flag()?, self.time()?);
        Some(there.then_some(time))
    }

    pub(super) fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }

    pub(super) fn strings(&mut self) -> Option<Vec<String>> {
        let count = self.u32()?;
        (0..count).map(|_| self.string()).collect()
    }
}
