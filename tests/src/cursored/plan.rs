//! Everything that a run depends on, drawn from its seed.

use std::time::Duration;

use streamkeeper_core::cursored::{CursoredConfig, FirstCursor, Strategy};
use streamkeeper_core::hygiene::HygieneConfig;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::watchdog::WatchdogConfig;
use streamkeeper_simulator::model::{HOUR, MINUTE, Millis, SECOND};

use crate::plan::one_of;

/// How the server shows that it has forgotten a resume point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// By this status.
    Status(u16),
    /// By an event.
    Event,
    /// By a header of its answer.
    Header,
    /// By ids that do not go on by one.
    Sequence,
}

/// When it hurts to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A sign of a lost point is read.
    Sign,
    /// A connection is open.
    Opened,
    /// A connection has ended.
    Ended,
}

/// What a shell must not do, to show that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// It reads on behind a sign of a lost point.
    ReadsOn,
    /// It starts with the cursor of the last state, also if the commits know a newer one.
    OldState,
    /// It says that everything is committed while something waits.
    FlushedAtOnce,
}

/// What goes wrong, or is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection stays open, and nothing comes on it any more.
    Hang,
    /// The connection is reset, with what was under way.
    Reset,
    /// The connection is closed without an end of the body.
    Cut,
    /// Whoever connects gets this status for so long.
    Refuses(u16, Millis),
    /// Whoever connects gets a 200 and an end, for so long.
    Drops(Millis),
    /// The server forgets everything that it has sent.
    Forgets,
    /// Our process dies, and is started again after so long.
    Crash(Millis),
    /// Our process dies so long after the next time that this happens.
    DiesAfter(Moment, Millis),
    /// Our process is stopped in order, and started again after so long.
    Stop(Millis),
    /// Nothing becomes durable for so long.
    DiskWaits(Millis),
    /// The snapshot cannot be had for so long.
    NoSnapshot(Millis),
    /// A person wants no connection for so long.
    Pause(Millis),
    /// A person wants a fresh connection.
    Reconnect,
    /// Another stream of the same server is stale.
    GroupStale,
    /// A person does not trust the connection.
    Recover,
}

/// A run, written down.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything was drawn from; also seeds the run itself.
    pub seed: u64,
    /// The policies.
    pub config: CursoredConfig,
    /// Its events have ids.
    pub ids: bool,
    /// How it shows that it has forgotten a resume point.
    pub shows: Shows,
    /// It goes on *at* the cursor, not behind it.
    pub resumes_at: bool,
    /// After a lost point it begins with the oldest event that it keeps, not with the next.
    pub from_oldest: bool,
    /// It keeps events for so long.
    pub keeps: Millis,
    /// Between two events, at most.
    pub every: Millis,
    /// Between two heartbeats.
    pub heartbeat: Millis,
    /// It ends each answer after so long.
    pub life: Option<Millis>,
    /// With a named last event.
    pub names_end: bool,
    /// The `retry:` that it sends.
    pub retry: Option<Millis>,
    /// It hears a half-close.
    pub hears_half_close: bool,
    /// One way between it and us.
    pub latency: Millis,
    /// From a connection to the policies, at most.
    pub mailbox: Millis,
    /// How long a commit takes, at most.
    pub commit: Millis,
    /// Known events are dropped by their ids. If not, the cursor is kept in the commit of its event.
    pub identity: bool,
    /// The cursor is kept in the commit of its event.
    pub cursor_in_commit: bool,
    /// What the shell does wrong.
    pub naive: Option<Naive>,
    /// What goes wrong, and when.
    pub faults: Vec<(Millis, Fault)>,
    /// Nothing goes wrong from then on.
    pub calm_at: Millis,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let ids = rng.u8(..5) > 0;
        let shows = one_of(
            &mut rng,
            [Shows::Status(404), Shows::Status(410), Shows::Event, Shows::Header, Shows::Sequence],
        );
        let identity = ids && rng.u8(..4) > 0;
        let heartbeat = rng.u64(3..=20) * SECOND;
        let calm_at = rng.u64(10..=120) * MINUTE;
        let mut plan = Self {
            seed,
            config: config(&mut rng, ids, heartbeat),
            ids,
            shows,
            resumes_at: identity && rng.u8(..4) == 0,
            from_oldest: identity && shows != Shows::Sequence && rng.bool(),
            keeps: rng.u64(1..=30) * MINUTE,
            every: one_of(&mut rng, [300, 3 * SECOND, 60 * SECOND]),
            heartbeat,
            life: (rng.u8(..3) == 0).then(|| rng.u64(30..=900) * SECOND),
            names_end: rng.bool(),
            retry: (rng.u8(..3) == 0)
                .then(|| one_of(&mut rng, [0, 10, 2 * SECOND, 5 * SECOND, HOUR])),
            hears_half_close: rng.bool(),
            latency: rng.u64(1..=200),
            mailbox: rng.u64(1..=20),
            commit: rng.u64(1..=200),
            identity,
            cursor_in_commit: !identity || rng.bool(),
            naive: None,
            faults: Vec::new(),
            calm_at,
        };
        for _ in 0..rng.usize(2..=40) {
            plan.faults.push((rng.u64(..calm_at), fault(&mut rng)));
        }
        plan
    }
}

fn config(rng: &mut fastrand::Rng, ids: bool, heartbeat: Millis) -> CursoredConfig {
    let stale_after = Duration::from_millis(heartbeat * 5 / 2 + SECOND);
    let first_cursor = match rng.u8(..4) {
        0 => FirstCursor::Ask,
        1 => Cursor::new("0").map_or(FirstCursor::None, FirstCursor::Literal),
        _ => FirstCursor::None,
    };
    CursoredConfig {
        strategy: if ids { Strategy::Resume } else { Strategy::Reconnect },
        first_cursor,
        full_state: !ids && rng.u8(..4) == 0,
        resync: rng.u8(..3) == 0,
        max_age: (rng.u8(..4) == 0).then(|| Duration::from_secs(rng.u64(60..=1_200))),
        watchdog: WatchdogConfig {
            late_after: stale_after * 2 / 3,
            stale_after,
            ..WatchdogConfig::default()
        },
        hygiene: HygieneConfig { enabled: rng.u8(..5) == 0, ..HygieneConfig::default() },
        ..CursoredConfig::default()
    }
}

fn fault(rng: &mut fastrand::Rng) -> Fault {
    let long = rng.u64(1..=600) * SECOND;
    let short = rng.u64(1..=30) * SECOND;
    match rng.u8(..20) {
        0 | 1 => Fault::Hang,
        2 | 3 => Fault::Reset,
        4 => Fault::Cut,
        5 => Fault::Refuses(one_of(rng, [401, 403]), long),
        6 => Fault::Refuses(one_of(rng, [429, 500, 503]), long),
        7 => Fault::Refuses(204, short),
        8 => Fault::Drops(long),
        9 => Fault::Forgets,
        10 | 11 => Fault::Crash(rng.u64(1..=long)),
        12 => Fault::Stop(rng.u64(1..=long)),
        13 => Fault::DiskWaits(short),
        14 => Fault::NoSnapshot(long),
        15 => Fault::Pause(long),
        16..=18 => {
            let moment = one_of(rng, [Moment::Sign, Moment::Opened, Moment::Ended]);
            Fault::DiesAfter(moment, rng.u64(..300))
        }
        _ if rng.bool() => Fault::GroupStale,
        _ if rng.bool() => Fault::Reconnect,
        _ => Fault::Recover,
    }
}
