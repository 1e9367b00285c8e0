//! What systemd is told (`Type=notify-reload`): ready, reloading, what goes on, that we live, the end.
//!
//! Without systemd (`NOTIFY_SOCKET` is not set) all of it is nothing. The watchdog is pinged only when
//! the thread that supervises the streams has answered: one that hangs is restarted, and what was lost
//! meanwhile is read again.

mod socket;

use std::time::Duration;

use sd_notify::NotifyState;
use streamkeeper::{Status, StreamCondition, Streamkeeper};

use self::socket::Socket;

/// The way to systemd.
pub(crate) struct Systemd {
    /// How often to say that we live: half of what the unit allows.
    ping_every: Option<Duration>,
    told: String,
    socket: Socket,
}

impl Systemd {
    pub(crate) fn new() -> Self {
        let ping_every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Self { ping_every, told: String::new(), socket: Socket::of_the_environment() }
    }

    /// How often [`Systemd::alive`] and [`Systemd::status`] are to be called.
    pub(crate) fn period(&self) -> Duration {
        self.ping_every.unwrap_or(STATUS_EVERY).clamp(PERIOD_MIN, STATUS_EVERY)
    }

    pub(crate) fn ready(&self) {
        self.socket.tell(&[NotifyState::Ready]);
    }

    pub(crate) fn reloading(&self) {
        // Both in one message: systemd wants to know which reload is meant.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.socket.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "there is no monotonic clock"),
        }
    }

    pub(crate) fn stopping(&self) {
        self.socket.tell(&[NotifyState::Stopping]);
    }

    /// Says that we live, if we do.
    pub(crate) async fn alive(&self, keeper: &Streamkeeper) {
        self.socket.tell_the_rest();
        let Some(limit) = self.ping_every else { return };
        if keeper.is_alive(limit).await {
            self.socket.ping();
        } else {
            tracing::error!(
                "the supervising thread does not answer, or a part of the process is gone"
            );
        }
    }

    /// Does something that takes a while, and says that we live meanwhile.
    pub(crate) async fn meanwhile<T>(
        &self,
        keeper: &Streamkeeper,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        let mut period = tokio::time::interval(self.period());
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = period.tick() => self.alive(keeper).await,
            }
        }
    }

    /// Says in a line what goes on, when that has changed.
    pub(crate) fn status(&mut self, status: &Status) {
        let line = summary(status);
        if line != self.told {
            self.socket.tell(&[NotifyState::Status(&line)]);
            self.told = line;
        }
    }
}

/// One line for people: how many streams are in which state, and which ones are not well.
fn summary(status: &Status) -> String {
    let mut line = format!(
        "{} of {} streams live",
        count(status, StreamCondition::Live),
        status.streams.len()
    );
    for stream in status
        .streams
        .iter()
        .filter(|stream| stream.state != StreamCondition::Live)
        .take(UNWELL_MAX)
    {
        let detail =
            stream.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        line.push_str(&format!("; {} {}{detail}", stream.name, stream.state));
    }
    line
}

fn count(status: &Status, state: StreamCondition) -> usize {
    status.streams.iter().filter(|stream| stream.state == state).count()
}

/// So many streams are named that are not well.
const UNWELL_MAX: usize = 3;

/// What goes on is told this often.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// A unit that asks for more pings gets this many.
const PERIOD_MIN: Duration = Duration::from_millis(50);
