//! Everything that a run depends on, drawn from its seed.
//!
//! The assumptions of the guarantee are kept here, and nowhere else: the queueing delay stays below
//! the margin, a fair round over the users and a rebalance below `settle`, the walk below `walk`.
//! Most runs are scaled down: every time of service and policies is divided by one number.

use std::time::Duration;

use streamkeeper_core::marked::{MarkedConfig, Strategy};
use streamkeeper_core::time::Timestamp;
use streamkeeper_simulator::model::{
    Config, DAY, Event, HOUR, MINUTE, Millis, Pokes, SECOND, Span,
};

use crate::fault::{Fault, Which};
use crate::naive::Naive;
use crate::storage::{self, Storage};

/// A run, written down.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything was drawn from; also seeds the run itself.
    pub seed: u64,
    /// How many times faster than in production the times are.
    pub scale: u64,
    /// When the process is started for the first time, in the service's time.
    pub start: Millis,
    /// The policies.
    pub policy: MarkedConfig,
    /// The service.
    pub service: Config,
    /// Events per hour once the process runs.
    pub rate: u64,
    /// Events per hour while it is down for long.
    pub rate_away: u64,
    /// Our wall clock, ahead of the service's by this many milliseconds.
    pub skew: i64,
    /// One way between us and the service.
    pub latency: Span,
    /// Without an answer for so long, an attempt or a call has failed.
    pub answer_timeout: Millis,
    /// What a socket takes before the service has to wait, in frames.
    pub socket_frames: usize,
    /// What the queue takes, in frames.
    pub queue_frames: usize,
    /// How many frames one commit takes at most.
    pub commit_frames: usize,
    /// How long a commit takes.
    pub commit_takes: Span,
    /// How long it takes to write down a state.
    pub persist_takes: Span,
    /// From a connection to the policies and back.
    pub mailbox: Span,
    /// How many streams of others the organization has.
    pub other_streams: u8,
    /// The service answers a half-close with a FIN, without the HTTP terminator.
    pub ends_without_terminator: bool,
    /// The ledger and its sinks.
    pub storage: Storage,
    /// What goes wrong, and how long after the start.
    pub faults: Vec<(Millis, Fault)>,
    /// Faults are over so long after the start.
    pub faults_end: Millis,
    /// A rule to break.
    pub naive: Option<Naive>,
}

impl Plan {
    /// A run in which nothing goes wrong: three connections, the production times divided by
    /// `scale`, a small and prompt service.
    #[must_use]
    pub fn calm(seed: u64, scale: u64) -> Self {
        let start = 1_795_219_200_000 + 9 * HOUR;
        Self {
            seed,
            scale,
            start,
            policy: policy(scale),
            service: Config {
                users: 20,
                events_per_hour: 10,
                history_for: DAY,
                poke_every: 5 * SECOND / scale,
                hold_for: Span::exactly(15 * MINUTE / scale),
                history_rate: u32::try_from(50 * scale).unwrap_or(u32::MAX),
                ..Config::default()
            },
            rate: 200 * scale,
            rate_away: 20,
            skew: 0,
            latency: Span::exactly(50 / scale),
            answer_timeout: 10 * SECOND / scale,
            socket_frames: 64,
            queue_frames: 1_000,
            commit_frames: 64,
            commit_takes: Span::exactly(5),
            persist_takes: Span::exactly(5),
            mailbox: Span::exactly(0),
            other_streams: 0,
            ends_without_terminator: false,
            storage: Storage::calm(scale),
            faults: Vec::new(),
            faults_end: HOUR / scale,
            naive: None,
        }
    }

    /// Everything drawn from `seed`.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rng = &mut rng;
        let scale = one_of(rng, [1, 4, 4, 10, 10, 10]);
        let mut plan = Self::calm(seed, scale);
        plan.draw_start(rng);
        plan.draw_policy(rng);
        plan.draw_service(rng);
        plan.draw_shell(rng);
        plan.draw_faults(rng);
        plan.draw_storage(rng);
        plan.draw_steering(rng);
        plan.leave_foreigners_alone();
        // What was thought of later leaves the seeds before it what they were.
        let before = plan.faults.clone();
        plan.draw_statements(rng);
        plan.draw_slow_frames(rng);
        plan.draw_refusals(rng);
        if before.iter().any(|(_, fault)| matches!(fault, Fault::Foreign { .. })) {
            plan.faults = before;
        }
        plan.draw_replays(rng);
        plan
    }

    /// The same run with another strategy: what is drawn does not depend on it.
    #[must_use]
    pub const fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.policy.strategy = strategy;
        self
    }

    /// Near a midnight more often than not.
    fn draw_start(&mut self, rng: &mut fastrand::Rng) {
        let midnight = 1_795_219_200_000;
        self.start = match rng.u8(..3) {
            0 => midnight + rng.u64(..DAY),
            _ => midnight - rng.u64(..4 * HOUR / self.scale),
        };
        self.skew = match rng.u8(..3) {
            0 => 0,
            _ => rng.i64(-900_000..=900_000),
        };
    }

    fn draw_policy(&mut self, rng: &mut fastrand::Rng) {
        let policy = &mut self.policy;
        policy.connections = match rng.u8(..4) {
            0 => 1,
            1 => rng.u8(4..=20),
            _ => rng.u8(2..=3),
        };
        policy.hygiene.enabled = rng.u8(..4) != 0;
        policy.verify_every = match rng.u8(..8) {
            0 => None,
            1 => policy.verify_every,
            _ => Some(Duration::from_millis(rng.u64(10 * MINUTE..=3 * HOUR) / self.scale)),
        };
        policy.lookback_days = if rng.u8(..6) == 0 { 1 } else { 0 };
        if rng.u8(..4) == 0 {
            let day = Timestamp::from_micros(micros(self.start)).utc_day();
            policy.start_date = Some(day.minus_days(rng.u32(..3)));
        }
    }

    fn draw_service(&mut self, rng: &mut fastrand::Rng) {
        let scale = self.scale;
        let settle = 75 * SECOND / scale;
        let service = &mut self.service;
        service.users = one_of(rng, [1, 3, 10, 40, 120]);
        service.activity_skew = rng.u32(1..=3);
        // A fair round over the users stays below a fifth of `settle`.
        let slowest = (u64::from(service.users) * 5_000 / settle).max(1);
        self.rate = one_of(rng, [20, 200, 600]) * scale;
        // … the service can send three times what is published, and ten events between two pokes.
        let slowest = slowest.max(self.rate * 3 / 3_600 + 1).max(2 * scale);
        service.history_rate = match rng.u8(..3) {
            0 => u32::try_from(slowest).unwrap_or(u32::MAX),
            1 => u32::try_from(slowest * 4).unwrap_or(u32::MAX),
            _ => 2_000,
        };
        service.history_for = one_of(rng, [0, HOUR, DAY, 3 * DAY]);
        service.events_per_hour = rng.u64(1..=12);
        service.corrected_permille = one_of(rng, [0, 50, 300]);
        service.withdrawn_permille = one_of(rng, [0, 10, 100]);
        service.queueing_delay_max = match rng.u8(..3) {
            0 => 0,
            1 => 20 * SECOND / scale,
            _ => rng.u64(0..=270 * SECOND) / scale,
        };
        service.members_max = if rng.u8(..4) == 0 { rng.usize(1..=5) } else { 20 };
        service.pokes = if rng.bool() { Pokes::WhenIdle } else { Pokes::Always };
        let up_to = |rng: &mut fastrand::Rng, seconds: u64| match rng.u8(..3) {
            0 => Span::exactly(0),
            _ => Span::between(0, rng.u64(0..=seconds * SECOND) / scale),
        };
        service.poke_late = up_to(rng, 3);
        service.walk = up_to(rng, 540);
        service.replay_walk = up_to(rng, 540);
        service.rebalance_takes = up_to(rng, 15);
        service.notice_after = up_to(rng, 20);
        service.release_after = up_to(rng, 30);
        // Slots without users that come and go would have the others' events sent again for ever.
        let most = if u32::from(self.policy.connections) > service.users { 2 } else { 10 };
        service.redeliver = Span::between(0, one_of(rng, [0, 2, most]));
        service.start_date_by_start_time = rng.u8(..12) == 0;
        if service.start_date_by_start_time {
            // What this reading cuts off has to be covered by the configured look-back.
            self.policy.start_date = None;
            self.policy.lookback_days = 1;
        }
        self.rate_away = rng.u64(1..=8);
        self.other_streams = if rng.u8(..3) == 0 { rng.u8(..=4) } else { 0 };
        self.ends_without_terminator = rng.u8(..5) == 0;
    }

    fn draw_shell(&mut self, rng: &mut fastrand::Rng) {
        let scale = self.scale;
        self.latency = Span::between(5 / scale, rng.u64(10..=900) / scale);
        self.socket_frames = one_of(rng, [8, 64, 1_000]);
        self.queue_frames = one_of(rng, [16, 200, 4_000]);
        self.commit_frames = one_of(rng, [1, 16, 1_000]);
        self.commit_takes = Span::between(0, rng.u64(0..=120) / scale);
        self.persist_takes = Span::between(0, rng.u64(0..=500) / scale);
        self.mailbox = Span::between(0, if rng.bool() { rng.u64(0..=30) / scale } else { 0 });
    }

    fn draw_faults(&mut self, rng: &mut fastrand::Rng) {
        self.faults_end = rng.u64(HOUR..=4 * HOUR) / self.scale;
        let count = match rng.u8(..8) {
            0 => 0,
            1 => rng.usize(10..=30),
            _ => rng.usize(1..=6),
        };
        for _ in 0..count {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::draw(rng, self.scale)));
            // Misfortunes like company: a second one within seconds to minutes of the first.
            if rng.bool() {
                let soon = at + rng.u64(..20 * MINUTE / self.scale);
                self.faults.push((soon.min(self.faults_end), Fault::draw(rng, self.scale)));
            }
        }
    }

    fn draw_storage(&mut self, rng: &mut fastrand::Rng) {
        self.storage = Storage::draw(rng, self.scale);
        self.faults.extend(storage::draw_faults(rng, self.scale, self.faults_end));
    }

    /// An operator meddles now and then, and then more than once: a pause may end in another.
    fn draw_steering(&mut self, rng: &mut fastrand::Rng) {
        for _ in 0..one_of(rng, [0, 0, 0, 1, 4]) {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::draw_steering(rng, self.scale)));
        }
        self.faults.sort_by_key(|&(at, _)| at);
    }

    /// A service says something wrong now and then, once; and now and then a machine sleeps for long.
    fn draw_statements(&mut self, rng: &mut fastrand::Rng) {
        for _ in 0..one_of(rng, [0, 0, 0, 1, 3]) {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::draw_wrong(rng)));
        }
        if rng.u8(..24) == 0 {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::Suspend { lasts: rng.u64(HOUR..=9 * DAY) }));
        }
        self.faults.sort_by_key(|&(at, _)| at);
    }

    /// A record is larger than its line now and then.
    fn draw_slow_frames(&mut self, rng: &mut fastrand::Rng) {
        for _ in 0..one_of(rng, [0, 0, 0, 1, 3]) {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::draw_slow_frame(rng, self.scale)));
        }
        self.faults.sort_by_key(|&(at, _)| at);
    }

    /// Now and then one kind of call is refused, and something calls for a recovery meanwhile.
    fn draw_refusals(&mut self, rng: &mut fastrand::Rng) {
        for _ in 0..one_of(rng, [0, 0, 0, 0, 1, 2]) {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::draw_refusal(rng, self.scale)));
            self.faults.push((at + 1, Fault::Hang { which: Which::One, deaf: rng.bool() }));
        }
        self.faults.sort_by_key(|&(at, _)| at);
    }

    /// Now and then an operator wants something read again.
    fn draw_replays(&mut self, rng: &mut fastrand::Rng) {
        for _ in 0..one_of(rng, [0, 0, 1, 3]) {
            let at = rng.u64(..self.faults_end);
            self.faults.push((at, Fault::draw_replay(rng)));
        }
        self.faults.sort_by_key(|&(at, _)| at);
    }

    /// Nobody can see who reads our stream while none of our connections is open: a foreign client
    /// comes alone, away from other faults.
    fn leave_foreigners_alone(&mut self) {
        let near = 10 * MINUTE / self.scale;
        let all = self.faults.clone();
        self.faults.retain(|&(at, fault)| {
            let Fault::Foreign { lasts, .. } = fault else { return true };
            let ends = at + lasts + near;
            let others = all.iter().filter(|&&other| other != (at, fault));
            ends < self.faults_end
                && others.into_iter().all(|&(then, _)| then + near < at || then > ends)
        });
    }

    /// Whether a stream that starts on the configured day has this event.
    #[must_use]
    pub fn delivers(&self, event: &Event) -> bool {
        let first = self.policy.start_date.map(|day| day.start().as_micros());
        self.service.start_date_by_start_time
            || first.is_none_or(|first| micros(event.created_at) >= first)
    }

    /// The service's time, on our wall clock.
    #[must_use]
    pub fn wall(&self, now: Millis) -> Timestamp {
        Timestamp::from_micros(micros(now.saturating_add_signed(self.skew)))
    }
}

/// The production times of the policies, divided by `scale`.
fn policy(scale: u64) -> MarkedConfig {
    let mut policy = MarkedConfig::new("acme", 3);
    let divide = |duration: &mut Duration| *duration /= u32::try_from(scale).unwrap_or(u32::MAX);
    divide(&mut policy.watchdog.late_after);
    divide(&mut policy.watchdog.stale_after);
    divide(&mut policy.watchdog.frame_timeout);
    divide(&mut policy.hygiene.rest_initial);
    divide(&mut policy.hygiene.rest_max);
    divide(&mut policy.backoff.initial);
    divide(&mut policy.backoff.max);
    divide(&mut policy.position.settle);
    divide(&mut policy.position.walk);
    divide(&mut policy.position.margin);
    divide(&mut policy.hold_patience);
    divide(&mut policy.restart.within);
    policy.verify_every.as_mut().map(divide);
    policy
}

/// One of several.
pub(crate) fn one_of<T: Copy, const N: usize>(rng: &mut fastrand::Rng, several: [T; N]) -> T {
    #[expect(clippy::indexing_slicing, reason = "drawn below the length")]
    several[rng.usize(..N)]
}

/// Microseconds since 1970 of a time in milliseconds.
#[must_use]
pub fn micros(at: Millis) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000)
}

/// Milliseconds of a duration.
#[must_use]
pub fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
