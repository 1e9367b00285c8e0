//! TCP's own limits: how long until the kernel gives a peer up, whatever we do.
//!
//! That a connection is stale is for the watchdog to say. These are behind it, for when nobody watches a
//! connection (it is being read to its end, or the queue is full), and they follow of the same number. A reader
//! sends nothing, and so hears of a peer that is gone by keepalives alone; the time that these may be
//! unanswered is `TCP_USER_TIMEOUT`, which stands over their number (RFC 5482; Linux, tcp(7)).

use std::time::Duration;

/// When the kernel asks, and when it gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// An idle peer is asked whether it is there after so long.
    pub keepalive_idle: Duration,
    /// And again so often, while it does not answer.
    pub keepalive_interval: Duration,
    /// How long anything of ours may be unacknowledged.
    pub user_timeout: Duration,
}

impl TcpLimits {
    /// Those that follow of the silence that is acted upon.
    ///
    /// An outage that is shorter is mended by TCP, and no event is lost by it: so the kernel gives up after
    /// twice as long, and after five minutes where a server may be silent for longer than that.
    ///
    /// ```
    /// use std::time::Duration;
    /// use streamkeeper::transport::TcpLimits;
    ///
    /// let limits = TcpLimits::of(Duration::from_secs(30));
    /// assert_eq!(limits.keepalive_idle.as_secs(), 15);
    /// assert_eq!(limits.user_timeout.as_secs(), 60);
    /// ```
    #[must_use]
    pub fn of(stale_after: Duration) -> Self {
        // The kernel counts these in whole seconds.
        let within = |part: Duration| part.clamp(Duration::from_secs(1), IDLE_MAX);
        Self {
            keepalive_idle: within(stale_after / 2),
            keepalive_interval: within(stale_after / 6),
            user_timeout: (stale_after * 2).clamp(Duration::from_secs(2), USER_TIMEOUT_MAX),
        }
    }
}

/// Often enough for whatever forgets a path that nobody uses.
const IDLE_MAX: Duration = Duration::from_secs(15);

const USER_TIMEOUT_MAX: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_follow_of_what_is_stale_within_bounds() {
        let of = |seconds| {
            let limits = TcpLimits::of(Duration::from_secs(seconds));
            let TcpLimits { keepalive_idle, keepalive_interval, user_timeout } = limits;
            [keepalive_idle, keepalive_interval, user_timeout].map(|limit| limit.as_secs())
        };
        assert_eq!(of(1), [1, 1, 2]);
        assert_eq!(of(30), [15, 5, 60]);
        assert_eq!(of(600), [15, 15, 300]);
    }
}
