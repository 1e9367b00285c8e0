//! Packing and unpacking with zstd, by contexts that belong to the thread.
//!
//! A context takes a hundred KiB and more, and keeps what it has once needed. With one for each ledger, and one
//! for each reader of each sink, memory would grow with the streams though hardly two are used at once; threads
//! are few.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, compress_bound};

thread_local! {
    static PACKING: RefCell<Option<Packing>> = const { RefCell::new(None) };
    static UNPACKING: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

struct Packing {
    level: i32,
    compressor: Compressor<'static>,
    packed: Vec<u8>,
}

impl Packing {
    fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        if level <= FAST_LEVEL_MAX {
            compressor.set_parameter(CParameter::HashLog(FAST_HASH_LOG))?;
        }
        Ok(Self { level, compressor, packed: Vec::new() })
    }
}

/// Gives `body`, packed as one zstd frame, to `then`.
pub(crate) fn packed<T>(
    body: &[u8],
    level: i32,
    then: impl FnOnce(&[u8]) -> io::Result<T>,
) -> io::Result<T> {
    PACKING.with_borrow_mut(|packing| {
        let mut here = match packing.take().filter(|packing| packing.level == level) {
            Some(packing) => packing,
            None => Packing::new(level)?,
        };
        here.packed.clear();
        here.packed.reserve(compress_bound(body.len()));
        here.compressor.compress_to_buffer(body, &mut here.packed)?;
        then(&packing.insert(here).packed)
    })
}

/// Unpacks a frame that says how much is in it; `None` if it is not what it says.
pub(crate) fn unpack(body: &[u8], unpacked: u32) -> Option<Vec<u8>> {
    UNPACKING.with_borrow_mut(|unpacking| {
        if unpacking.is_none() {
            *unpacking = Decompressor::new().ok();
        }
        unpacking.as_mut()?.decompress(body, usize::try_from(unpacked).ok()?).ok()
    })
}

/// The highest level of zstd's fastest strategy, whose one table is the hash table.
const FAST_LEVEL_MAX: i32 = 1;

/// 2^12 places of it, 16 KiB: it stays in the nearest cache. What repeats in records stands in the
/// record before, so that the table of 2^14 that zstd takes finds no more, a fifth slower.
const FAST_HASH_LOG: u32 = 12;
