//! How the ledger of a run is bounded, and how its sinks are: part of the plan.
//!
//! Bounds are drawn so small that segments roll, keys are sealed and the outbox fills within
//! minutes of simulated time.

use std::time::Duration;

use streamkeeper_ledger::LedgerConfig;
use streamkeeper_ledger::fs::Lie;
use streamkeeper_simulator::model::{MINUTE, Millis, SECOND, Span};

use crate::fault::{CrashKind, DiskFault, Fault, Which};
use crate::plan::one_of;

/// The ledger and those who read from it.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The ledger's bounds; the names of its sinks are those of `sinks`.
    pub ledger: LedgerConfig,
    /// Who reads the outbox.
    pub sinks: Vec<Sink>,
    /// Between two sweeps.
    pub sweep_every: Millis,
    /// While nothing can be made durable: the first pause between two attempts, and the longest.
    pub pauses: (Millis, Millis),
    /// The disk lies all along: what the checkers are there to see.
    pub lie: Option<Lie>,
}

/// Somebody who reads the outbox.
#[derive(Clone, Copy, Debug)]
pub struct Sink {
    /// How long it takes over a batch.
    pub takes: Span,
    /// How many events it takes at once.
    pub events: usize,
    /// Of a thousand batches so many are not acknowledged, and read again.
    pub fails_permille: u32,
}

const NAMES: [&str; 2] = ["archive", "feed"];

impl Storage {
    /// One prompt sink, middling bounds that are never reached.
    #[must_use]
    pub fn calm(scale: u64) -> Self {
        let sink = Sink { takes: Span::exactly(5), events: 500, fails_permille: 0 };
        let mut storage = Self {
            ledger: LedgerConfig {
                retention_days: 32,
                segment_bytes: 64 << 10,
                ..LedgerConfig::default()
            },
            sinks: Vec::new(),
            sweep_every: MINUTE / scale,
            pauses: ((SECOND / 4 / scale).max(1), 5 * SECOND / scale),
            lie: None,
        };
        storage.set_sinks(vec![sink]);
        storage
    }

    /// Everything drawn.
    #[must_use]
    pub fn draw(rng: &mut fastrand::Rng, scale: u64) -> Self {
        let mut storage = Self::calm(scale);
        let ledger = &mut storage.ledger;
        ledger.segment_bytes = one_of(rng, [1, 1 << 10, 8 << 10, 64 << 10]);
        ledger.frame_bytes = one_of(rng, [1, 500, 16 << 10]);
        ledger.replay_bytes_max = one_of(rng, [0, 8 << 10, 64 << 10, 1 << 30]);
        ledger.memory_bytes_max = one_of(rng, [300 << 10, 500 << 10, 192 << 20]);
        ledger.segment_age_max = Duration::from_millis(rng.u64(MINUTE..=180 * MINUTE) / scale);
        ledger.outbox_bytes_max = one_of(rng, [2 << 10, 16 << 10, 128 << 10, 16 << 30]);
        ledger.outbox_age_max = (rng.u8(..4) == 0)
            .then(|| Duration::from_millis(rng.u64(MINUTE..=60 * MINUTE) / scale));
        let sink = |rng: &mut fastrand::Rng| Sink {
            takes: Span::between(1, rng.u64(5..=500) / scale + 1),
            events: one_of(rng, [40, 200, 1_000]),
            fails_permille: one_of(rng, [0, 0, 20, 200]),
        };
        let count = rng.usize(1..=NAMES.len());
        storage.set_sinks((0..count).map(|_| sink(rng)).collect());
        storage
    }

    fn set_sinks(&mut self, sinks: Vec<Sink>) {
        self.ledger.sinks = NAMES.iter().take(sinks.len()).map(|&name| name.to_owned()).collect();
        self.sinks = sinks;
    }
}

/// Draws what goes wrong with disk and sinks before `end`.
#[must_use]
pub fn draw_faults(rng: &mut fastrand::Rng, scale: u64, end: Millis) -> Vec<(Millis, Fault)> {
    let mut faults = Vec::new();
    for _ in 0..one_of(rng, [0, 1, 1, 2, 3, 8]) {
        let at = rng.u64(..end);
        let longest = one_of(rng, [30, 600]) * SECOND;
        let lasts = rng.u64(SECOND..=longest) / scale;
        if rng.u8(..4) == 0 {
            let which = if rng.bool() { Which::All } else { Which::One };
            faults.push((at, Fault::SlowSinks { which, lasts: lasts * 2 }));
            continue;
        }
        let fault = one_of(rng, [DiskFault::Full, DiskFault::Io, DiskFault::Sync]);
        faults.push((at, Fault::Disk { fault, after: rng.u64(..12), lasts }));
        if rng.u8(..3) == 0 {
            // Who fails over a failing disk, dies over it.
            let kind = if rng.bool() { CrashKind::Process } else { CrashKind::Power };
            let down = rng.u64(SECOND..=60 * SECOND) / scale;
            faults.push((at + rng.u64(..lasts * 2), Fault::Crash { kind, down }));
        }
    }
    faults
}
