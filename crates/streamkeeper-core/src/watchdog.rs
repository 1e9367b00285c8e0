//! The watchdog of one connection: is the other side still there?
//!
//! A frame (any complete event or comment) proves life. **Silence** is time without a frame while
//! we were willing to read; it is not the time on the clock. Three things must not count:
//!
//! - time in which we did not read, because the queue was full ([`Watchdog::pause`]);
//! - time in which this process did not run (SIGSTOP, a suspended machine, a starved scheduler):
//!   the shell calls [`Watchdog::tick`] at every [`Watchdog::deadline`], and a tick that comes much
//!   too late proves that we, not the service, were away;
//! - bytes that wait in the socket: the shell drains readable bytes *before* it ticks.
//!
//! Bytes that never complete a frame prove nothing, so a line that never ends is stale too.

use std::time::Duration;

use crate::time::Instant;

/// When silence is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// Silence beyond this is said; below `stale_after`.
    pub late_after: Duration,
    /// Silence beyond this is acted upon (the vendor advises 30 to 60 s).
    pub stale_after: Duration,
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self { late_after: Duration::from_secs(10), stale_after: Duration::from_secs(30) }
    }
}

/// What a tick found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Silence passed `late_after`; said once per silence.
    Late,
    /// Silence passed `stale_after`; said once, after which the watchdog has no deadline.
    Stale,
    /// This process did not run for about so long; that time was not counted.
    Suspended(Duration),
}

/// Counts the silence of one connection.
///
/// ```
/// use std::time::Duration;
/// use streamkeeper_core::time::Instant;
/// use streamkeeper_core::watchdog::{Signal, Watchdog, WatchdogConfig};
///
/// let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
/// let mut signals = Vec::new();
/// while let Some(deadline) = watchdog.deadline() {
///     signals.extend(watchdog.tick(deadline).map(|signal| (deadline, signal)));
/// }
/// let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
/// assert_eq!(signals, [(at(10), Signal::Late), (at(30), Signal::Stale)]);
/// ```
#[derive(Clone, Debug)]
pub struct Watchdog {
    config: WatchdogConfig,
    /// The longest time between two ticks of a shell that runs.
    step: Duration,
    silence: Duration,
    counted_to: Instant,
    paused: bool,
    late: bool,
    stale: bool,
}

impl Watchdog {
    /// Starts counting at `now`, when the response head came.
    #[must_use]
    pub fn new(config: WatchdogConfig, now: Instant) -> Self {
        Self {
            config,
            step: (config.stale_after / 6).max(Duration::from_millis(1)),
            silence: Duration::ZERO,
            counted_to: now,
            paused: false,
            late: false,
            stale: false,
        }
    }

    /// A complete frame came. Returns whether it ended a silence that had been reported late.
    pub fn frame(&mut self, now: Instant) -> bool {
        self.silence = Duration::ZERO;
        self.counted_to = self.counted_to.max(now);
        std::mem::take(&mut self.late)
    }

    /// We stop reading: silence stops counting.
    pub fn pause(&mut self, now: Instant) {
        if !self.paused {
            self.count(now);
            self.paused = true;
        }
    }

    /// We read again: silence counts on.
    pub fn resume(&mut self, now: Instant) {
        self.paused = false;
        self.counted_to = self.counted_to.max(now);
    }

    /// When to tick next; `None` while paused or after [`Signal::Stale`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.paused || self.stale {
            return None;
        }
        let goal = if self.late { self.config.stale_after } else { self.config.late_after };
        Some(self.counted_to + self.step.min(goal.saturating_sub(self.silence)))
    }

    /// Judges the silence. An early call is no fault.
    ///
    /// Call it only after everything readable has been read and given to [`Watchdog::frame`].
    pub fn tick(&mut self, now: Instant) -> Option<Signal> {
        if self.paused || self.stale {
            return None;
        }
        if let Some(away) = self.count(now) {
            return Some(Signal::Suspended(away));
        }
        if self.silence >= self.config.stale_after {
            self.stale = true;
            return Some(Signal::Stale);
        }
        if self.silence >= self.config.late_after && !self.late {
            self.late = true;
            return Some(Signal::Late);
        }
        None
    }

    /// Adds the time since the last count; of a gap that no live shell leaves, only a step.
    fn count(&mut self, now: Instant) -> Option<Duration> {
        let gap = now.since(self.counted_to);
        self.counted_to = self.counted_to.max(now);
        if self.paused {
            return None;
        }
        let step = self.step;
        if gap > step.saturating_mul(2) {
            // Half a step, so that a silence interrupted by suspensions still ends.
            self.silence += step / 2;
            return Some(gap.saturating_sub(step));
        }
        self.silence += gap;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn run_until(watchdog: &mut Watchdog, end: Instant) -> Vec<(Instant, Signal)> {
        let mut signals = Vec::new();
        while let Some(deadline) = watchdog.deadline().filter(|&deadline| deadline <= end) {
            signals.extend(watchdog.tick(deadline).map(|signal| (deadline, signal)));
        }
        signals
    }

    #[test]
    fn a_frame_every_five_seconds_is_never_late() {
        let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
        for poke in 1..1_000 {
            assert_eq!(run_until(&mut watchdog, at(poke * 5)), []);
            assert!(!watchdog.frame(at(poke * 5)));
        }
    }

    #[test]
    fn late_then_stale_at_exact_times_after_the_last_frame() {
        let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
        watchdog.frame(at(7));
        let signals = run_until(&mut watchdog, at(1_000));
        assert_eq!(signals, [(at(17), Signal::Late), (at(37), Signal::Stale)]);
        assert_eq!(watchdog.deadline(), None);
    }

    #[test]
    fn a_late_frame_is_said_to_have_come() {
        let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
        assert_eq!(run_until(&mut watchdog, at(12)), [(at(10), Signal::Late)]);
        assert!(watchdog.frame(at(12)));
        assert_eq!(run_until(&mut watchdog, at(41)), [(at(22), Signal::Late)]);
    }

    #[test]
    fn a_suspended_process_is_not_a_silent_service() {
        let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
        assert_eq!(watchdog.tick(at(600)), Some(Signal::Suspended(Duration::from_secs(595))));
        // The silence goes on counting from the wake-up.
        let signals = run_until(&mut watchdog, at(700));
        assert_eq!(signals.last().map(|&(_, signal)| signal), Some(Signal::Stale));
        assert!(signals.last().is_some_and(|&(when, _)| when > at(620)));
    }

    #[test]
    fn time_in_which_we_did_not_read_is_not_silence() {
        let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
        run_until(&mut watchdog, at(9));
        watchdog.pause(at(9));
        assert_eq!(watchdog.deadline(), None);
        assert_eq!(watchdog.tick(at(500)), None);
        watchdog.resume(at(500));
        let signals = run_until(&mut watchdog, at(1_000));
        assert_eq!(signals, [(at(501), Signal::Late), (at(521), Signal::Stale)]);
    }

    #[test]
    fn time_running_backwards_changes_nothing() {
        let mut watchdog = Watchdog::new(WatchdogConfig::default(), at(100));
        assert_eq!(watchdog.tick(at(50)), None);
        watchdog.frame(at(20));
        assert_eq!(watchdog.deadline(), Some(at(105)));
    }
}
