//! What a run of the deliveries is like, drawn from its seed.

use std::time::Duration;

use streamkeeper_core::backoff::BackoffConfig;
use streamkeeper_core::turns::{Retry, TurnsConfig};
use streamkeeper_simulator::model::{MINUTE, Millis, SECOND, Span};

use crate::plan::one_of;

/// The streams, the sink, and what goes wrong.
#[derive(Clone, Debug)]
pub struct DeliveryPlan {
    /// Draws what is not drawn here.
    pub seed: u64,
    /// The bounds of the machine.
    pub config: TurnsConfig,
    /// The streams.
    pub streams: Vec<StreamPlan>,
    /// How long the sink takes over an answer.
    pub takes: Span,
    /// What goes wrong.
    pub faults: Vec<SinkFault>,
    /// One event of so many is refused for what it is, until all is well; 0: none.
    pub poison: u64,
    /// When the process dies.
    pub deaths: Vec<Millis>,
    /// Nothing is appended and nothing goes wrong after that.
    pub ends: Millis,
    /// The rule to break: every failure counts as that of the sink as a whole.
    pub one_back_off_for_all: bool,
}

/// What comes in a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamPlan {
    /// Between two commits.
    pub every: Span,
    /// So many events in a commit.
    pub events: Span,
    /// The bytes of an event.
    pub bytes: usize,
    /// When it comes.
    pub comes: Millis,
    /// When it goes, and comes back.
    pub away: Option<(Millis, Millis)>,
}

/// What goes wrong from when to when.
#[derive(Clone, Copy, Debug)]
pub struct SinkFault {
    /// Since then …
    pub from: Millis,
    /// … until before then.
    pub until: Millis,
    /// Which stream; `None`: the sink as a whole.
    pub stream: Option<usize>,
    /// How.
    pub how: How,
}

/// How something goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// The sink refuses.
    Fails(Retry),
    /// The outbox cannot be read.
    Unreadable,
}

impl DeliveryPlan {
    /// Everything drawn.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x7075);
        let ends = rng.u64(MINUTE / 2..=4 * MINUTE);
        let backoff = BackoffConfig {
            initial: Duration::from_millis(one_of(&mut rng, [20, 500])),
            max: Duration::from_secs(one_of(&mut rng, [1, 30])),
            ..BackoffConfig::default()
        };
        let config = TurnsConfig {
            events_max: one_of(&mut rng, [1, 7, 100, 1_000]),
            bytes_max: one_of(&mut rng, [1, 500, 100_000]),
            several: rng.u8(..4) > 0,
            linger: Duration::from_millis(one_of(&mut rng, [0, 0, 10, 300])),
            backoff,
            in_flight: one_of(&mut rng, [1, 1, 2, 5]),
            attempts: one_of(&mut rng, [Some(1), Some(3), Some(20), None]),
        };
        let count = one_of(&mut rng, [1, 2, 5, 40]);
        let streams = (0..count).map(|_| StreamPlan::draw(&mut rng, ends)).collect();
        let faults = (0..one_of(&mut rng, [0, 1, 3, 20, 60]))
            .map(|_| SinkFault::draw(&mut rng, ends, count))
            .collect();
        let deaths = (0..one_of(&mut rng, [0, 0, 1, 3])).map(|_| rng.u64(..ends)).collect();
        let takes = Span::between(0, one_of(&mut rng, [0, 5, 200]));
        let poison = one_of(&mut rng, [0, 0, 200, 20, 2]);
        let one_back_off_for_all = false;
        Self { seed, config, streams, takes, faults, poison, deaths, ends, one_back_off_for_all }
    }
}

impl StreamPlan {
    fn draw(rng: &mut fastrand::Rng, ends: Millis) -> Self {
        let pace = one_of(rng, [100, 500, 5_000, MINUTE]);
        let most = one_of(rng, [1, 1, 1, 5, 200]);
        let goes = rng.u64(..ends);
        Self {
            every: Span::between(1, pace),
            events: Span::between(1, most),
            bytes: one_of(rng, [1, 90, 2_000]),
            comes: if rng.bool() { 0 } else { rng.u64(..ends / 2) },
            away: (rng.u8(..6) == 0).then(|| (goes, goes + rng.u64(1..=MINUTE))),
        }
    }
}

impl SinkFault {
    fn draw(rng: &mut fastrand::Rng, ends: Millis, streams: usize) -> Self {
        let from = rng.u64(..ends);
        let lasts = one_of(rng, [1, SECOND, MINUTE, 4 * MINUTE]);
        let stream = (rng.u8(..4) > 0).then(|| rng.usize(..streams));
        let busy = Duration::from_millis(rng.u64(1..=20 * SECOND));
        let how = match rng.u8(..8) {
            0 if stream.is_some() => How::Unreadable,
            0 | 1 => How::Fails(Retry::Held),
            2 | 3 => How::Fails(Retry::Growing { at_least: Some(busy) }),
            _ => How::Fails(Retry::Growing { at_least: None }),
        };
        Self { from, until: (from + rng.u64(1..=lasts)).min(ends), stream, how }
    }
}
