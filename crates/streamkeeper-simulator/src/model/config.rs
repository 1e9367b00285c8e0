//! What a simulated service is like: its limits, its delays, its data.
//!
//! The defaults are the documented service (Inform API: 5 streams, 5 replays, a poke every 5 s,
//! 7 days of checkpoint, 30 days of history) with quiet, prompt behaviour. A [`Span`] is drawn
//! from the seed each time it is needed, so one run sees the short and the long case.

use super::{DAY, MINUTE, Millis, SECOND};

/// A range a value is drawn from, both ends included. Milliseconds, unless the field says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The least value.
    pub min: u64,
    /// The greatest value; below `min` it counts as `min`.
    pub max: u64,
}

impl Span {
    /// Always this value.
    pub const fn exactly(value: u64) -> Self {
        Self { min: value, max: value }
    }

    /// Between these values, both included.
    pub const fn between(min: u64, max: u64) -> Self {
        Self { min, max }
    }

    /// A value from the range. Draws nothing from `rng` if there is only one.
    pub(crate) fn draw(self, rng: &mut fastrand::Rng) -> u64 {
        if self.max <= self.min { self.min } else { rng.u64(self.min..=self.max) }
    }
}

/// When a connection gets pokes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pokes {
    /// Only when no data flowed for [`Config::poke_every`] (Inform API, Connecting).
    #[default]
    WhenIdle,
    /// Every [`Config::poke_every`], data or not.
    Always,
}

/// The service's limits, delays and data. Every field may be set; see the module for the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many users there are; at least 1.
    pub users: u32,
    /// Activity skew: a user is the least of this many uniform draws. 1 is even, 3 is steep.
    pub activity_skew: u32,
    /// New events per hour over all users; 0 generates none.
    pub events_per_hour: u64,
    /// How long before the start of the model its history begins.
    pub history_for: Millis,
    /// Of 1,000 events, how many correct an earlier record (a third of those back to what it was).
    pub corrected_permille: u32,
    /// Of 1,000 events, how many withdraw an earlier record.
    pub withdrawn_permille: u32,
    /// Of 1,000 events, how many are `rule` events.
    pub rule_permille: u32,
    /// Of 1,000 events, how many are `connection` events.
    pub connection_permille: u32,
    /// The longest time between an event's `created_at` and its arrival in streams. Most take
    /// below a tenth of it. A user's events keep their order; those of different users do not.
    pub queueing_delay_max: Millis,
    /// A record's `start_time` lies up to this long before its `created_at`.
    pub start_lag_max: Millis,

    /// Streams per organization; one more is refused with 422.
    pub streams_max: usize,
    /// Replays at a time; one more is refused with 422.
    pub replays_max: usize,
    /// Clients per stream: 20, or 3 for organizations created after January 2023.
    pub members_max: usize,

    /// The poke interval.
    pub poke_every: Millis,
    /// When pokes come.
    pub pokes: Pokes,
    /// How much later than due a poke is written.
    pub poke_late: Span,

    /// How long a stream's first client gets only pokes while the service walks the history.
    pub walk: Span,
    /// The same for a replay, which walks all 30 days whatever its date.
    pub replay_walk: Span,
    /// Events per second and client at most, in fair rounds over the client's users; at least 1,
    /// and unlimited above 1,000,000.
    pub history_rate: u32,
    /// How long a rebalance takes; meanwhile nobody on the stream gets data.
    pub rebalance_takes: Span,
    /// How long after a client's FIN or RST the service notices, and goes on writing until then.
    pub notice_after: Span,
    /// How long after it was noticed a closed client counts as a member. The rebalance that its
    /// leaving starts is always included.
    pub release_after: Span,
    /// How long a black-holed client is held (about a quarter of an hour in production).
    pub hold_for: Span,
    /// Events per user that come again after a change of owner (a number of events, not a time).
    pub redeliver: Span,
    /// How long a stream without clients keeps its checkpoint.
    pub checkpoint_for: Millis,
    /// How long an event can be had at all.
    pub retention: Millis,
    /// The older reading of `start_date`: by the record's start time, not by `created_at`.
    pub start_date_by_start_time: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            users: 100,
            activity_skew: 2,
            events_per_hour: 0,
            history_for: 0,
            corrected_permille: 50,
            withdrawn_permille: 10,
            rule_permille: 0,
            connection_permille: 0,
            queueing_delay_max: 0,
            start_lag_max: 18 * 60 * MINUTE,
            streams_max: 5,
            replays_max: 5,
            members_max: 20,
            poke_every: 5 * SECOND,
            pokes: Pokes::WhenIdle,
            poke_late: Span::exactly(0),
            walk: Span::exactly(0),
            replay_walk: Span::exactly(0),
            history_rate: 1_000,
            rebalance_takes: Span::exactly(0),
            notice_after: Span::exactly(0),
            release_after: Span::exactly(0),
            hold_for: Span::exactly(15 * MINUTE),
            redeliver: Span::exactly(0),
            checkpoint_for: 7 * DAY,
            retention: 30 * DAY,
            start_date_by_start_time: false,
        }
    }
}
