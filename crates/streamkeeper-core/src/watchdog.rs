//! The watchdog of one connection: is the other side still there?
//!
//! A frame (any complete event or comment) proves life. **Silence** is time without a frame while
//! we were willing to read; it is not the time on the clock. Three things must not count:
//!
//! - time in which we did not read, because the queue was full ([`Watchdog::block`]);
//! - time in which this process did not run (SIGSTOP, a suspended machine, a starved scheduler):
//!   the shell calls [`Watchdog::tick`] at every [`Watchdog::deadline`], and a tick that comes much
//!   too late proves that we, not the service, were away;
//! - bytes that wait in the socket: the shell drains readable bytes *before* it ticks.
//!
//! A large record over a slow line takes longer than any limit on silence. Bytes of a frame that is not
//! complete prove that the connection lives, too, as long as they come: each second of silence is
//! made up for by [`FLOOR_BYTES`] of them, so that a trickle below that is no life. What is bounded
//! is how long one frame may take. Bytes between frames (blank lines) prove nothing.

use std::time::Duration;

use crate::time::Instant;

/// So many bytes a second of an unfinished frame are life: less than any line over which an event
/// stream is read, and far more than what keeps an idle path open.
pub const FLOOR_BYTES: u32 = 1024;

/// When silence is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// Silence beyond this is said; below `stale_after`.
    pub late_after: Duration,
    /// Silence beyond this is acted upon (the vendor advises 30 to 60 s).
    pub stale_after: Duration,
    /// So long one frame may take while its bytes come; at least `stale_after`, whatever is given.
    pub frame_timeout: Duration,
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self {
            late_after: Duration::from_secs(10),
            stale_after: Duration::from_secs(30),
            // 4 MiB, the largest event by default, at 7 KB/s.
            frame_timeout: Duration::from_secs(10 * 60),
        }
    }
}

/// What a connection lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Nothing comes.
    Silence,
    /// Bytes of a frame come, but too slowly, or for too long.
    SlowFrame,
}

/// What a tick found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// No frame was completed for `late_after`; said once until the next frame.
    Late(Lack),
    /// Silence passed `stale_after`, or a frame its `frame_timeout`; said once, after which the
    /// watchdog has no deadline.
    Stale(Lack),
    /// This process did not run for about so long; that time was not counted.
    Suspended(Duration),
}

/// Counts the silence of one connection.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::time::Instant;
/// use streamkeeper_core::watchdog::{Lack, Signal, Watchdog, WatchdogConfig};
///
/// let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
/// let mut signals = Vec::new();
/// while let Some(deadline) = watchdog.deadline() {
///     signals.extend(watchdog.tick(deadline).map(|signal| (deadline, signal)));
/// }
/// let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
/// let lack = Lack::Silence;
/// assert_eq!(signals, [(at(10), Signal::Late(lack)), (at(30), Signal::Stale(lack))]);
/// ```
#[derive(Clone, Debug)]
pub struct Watchdog {
    config: WatchdogConfig,
    /// The longest time between two ticks of a shell that runs.
    step: Duration,
    /// Without a frame.
    frameless: Duration,
    /// Without a byte of one.
    byteless: Duration,
    /// Without a frame, less what bytes of the unfinished one made up for.
    silence: Duration,
    /// How long the unfinished frame has taken, if one has begun.
    frame: Option<Duration>,
    counted_to: Instant,
    blocked: bool,
    late: bool,
    stale: bool,
}

impl Watchdog {
    /// Starts counting at `now`, when the response head came.
    #[must_use]
    pub fn new(config: WatchdogConfig, now: Instant) -> Self {
        Self {
            config,
            step: step(config),
            frameless: Duration::ZERO,
            byteless: Duration::ZERO,
            silence: Duration::ZERO,
            frame: None,
            counted_to: now,
            blocked: false,
            late: false,
            stale: false,
        }
    }

    /// Other limits hold from now on: the server has announced how often it sends, or it has been learned.
    /// The silence so far counts.
    pub fn set_limits(&mut self, config: WatchdogConfig, now: Instant) {
        // By the old step, in which the shell has ticked until now.
        let _away = self.count(now);
        self.config = config;
        self.step = step(config);
        // What was said to be late is said again only by a limit that it has not passed yet.
        self.late &= self.frameless >= config.late_after;
    }

    /// A complete frame came. Returns whether it ended a silence that had been reported late.
    pub fn frame(&mut self, now: Instant) -> bool {
        self.frameless = Duration::ZERO;
        self.byteless = Duration::ZERO;
        self.silence = Duration::ZERO;
        self.frame = None;
        self.counted_to = self.counted_to.max(now);
        std::mem::take(&mut self.late)
    }

    /// So many bytes came, and the frame that they belong to is not complete.
    pub fn progress(&mut self, now: Instant, bytes: usize) {
        // That we were away is told by the tick, if nothing came meanwhile.
        let _away = self.count(now);
        self.byteless = Duration::ZERO;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.silence = self.silence.saturating_sub(Duration::from_secs(1) * bytes / FLOOR_BYTES);
        self.frame.get_or_insert(Duration::ZERO);
    }

    /// We stop reading, because the queue is full: silence stops counting.
    pub fn block(&mut self, now: Instant) {
        if !self.blocked {
            self.count(now);
            self.blocked = true;
        }
    }

    /// We read again: silence counts on.
    pub fn unblock(&mut self, now: Instant) {
        self.blocked = false;
        self.counted_to = self.counted_to.max(now);
    }

    /// When to tick next; `None` while blocked or after [`Signal::Stale`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.blocked || self.stale {
            return None;
        }
        let late = self.config.late_after.saturating_sub(self.frameless);
        let silent = self.config.stale_after.saturating_sub(self.silence);
        let slow = self.frame.map(|frame| self.frame_timeout().saturating_sub(frame));
        let goals = slow.into_iter().chain((!self.late).then_some(late));
        Some(self.counted_to + goals.fold(silent.min(self.step), Duration::min))
    }

    /// Judges the silence. An early call is no fault.
    ///
    /// Call it only after everything readable has been read and given to [`Watchdog::frame`] or
    /// [`Watchdog::progress`].
    pub fn tick(&mut self, now: Instant) -> Option<Signal> {
        if self.blocked || self.stale {
            return None;
        }
        if let Some(away) = self.count(now) {
            return Some(Signal::Suspended(away));
        }
        if self.silence >= self.config.stale_after
            || self.frame.is_some_and(|frame| frame >= self.frame_timeout())
        {
            self.stale = true;
            return Some(Signal::Stale(self.lack()));
        }
        if self.frameless >= self.config.late_after && !self.late {
            self.late = true;
            return Some(Signal::Late(self.lack()));
        }
        None
    }

    /// Nothing at all for `late_after` is silence, whatever came before.
    fn lack(&self) -> Lack {
        if self.byteless >= self.config.late_after { Lack::Silence } else { Lack::SlowFrame }
    }

    fn frame_timeout(&self) -> Duration {
        self.config.frame_timeout.max(self.config.stale_after)
    }

    /// Adds the time since the last count; of a gap that no live shell leaves, only a step.
    fn count(&mut self, now: Instant) -> Option<Duration> {
        let gap = now.since(self.counted_to);
        self.counted_to = self.counted_to.max(now);
        if self.blocked {
            return None;
        }
        let step = self.step;
        let away = (gap > step.saturating_mul(2)).then(|| gap.saturating_sub(step));
        // Half a step, so that a silence interrupted by suspensions still ends.
        let counts = if away.is_some() { step / 2 } else { gap };
        for time in [&mut self.frameless, &mut self.byteless, &mut self.silence] {
            *time += counts;
        }
        self.frame = self.frame.map(|frame| frame + counts);
        away
    }
}

/// The longest time between two ticks.
fn step(config: WatchdogConfig) -> Duration {
    (config.stale_after / 6).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
