//! Records as a health data service sends them: ids and checksums random, text as in a summary of a
//! day, so that a compressor finds what it would find in a real stream, and no more.

#![allow(dead_code, clippy::unwrap_used, reason = "a benchmark may panic, and uses what it needs")]

use std::io::Write;

/// 128 random bits, the same for the same number.
pub(crate) fn mix(number: u64) -> u128 {
    fastrand::Rng::with_seed(number).u128(..)
}

/// The id of record `number`.
pub(crate) fn id(number: u64) -> u128 {
    mix(number)
}

/// Its checksum.
pub(crate) fn checksum(number: u64) -> u128 {
    mix(number + (1 << 40))
}

/// Writes the JSON of record `number` to `out`, `bytes` long; `day` is the UTC day it was processed.
pub(crate) fn write(number: u64, day: &str, bytes: usize, out: &mut Vec<u8>) {
    let mut rng = fastrand::Rng::with_seed(number ^ 0xABCD);
    let (user, value) = (rng.u64(..) % 350_000, rng.u32(0..20_000));
    let (of, second) = (rng.u32(1..28), rng.u32(10..60));
    let start = out.len();
    write!(
        out,
        r#"{{"id":"{:032x}","checksum":"{:032x}","type":"summary","category":"daily","log_id":"2026-11-{of:02}","version":"1.0","start_time":"2026-11-{of:02}T05:00:00Z","end_time":"2026-11-{of:02}T04:59:{second}Z","created_at":"{day}T00:00:{second}.{:03}Z","deleted_at":null,"utc_offset":-18000,"offset_origin":"profile","source":{{"type":"fitbit","device":null}},"metrics":[{{"type":"steps","origin":"device","unit":"count","value":{value}}},{{"type":"distance","origin":"device","unit":"meter","value":{}}},{{"type":"energy_burned","origin":"device","unit":"kcal","value":{}}}],"segments":[],"tags":[],"user_notes":[],"user":{{"user_id":"{:024x}","uid":"customer-{user:06}","organization_id":"5f0e1d2c3b4a59687786950f"}}}}"#,
        id(number),
        checksum(number),
        number % 1_000,
        value * 7 / 10,
        value / 9,
        mix(user) >> 32,
    )
    .unwrap();
    assert!(out.len() - start <= bytes, "a record of {} bytes", out.len() - start);
    out.resize(start + bytes, b' ');
}
