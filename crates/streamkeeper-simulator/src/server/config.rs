//! How a simulator is set up: addresses, tokens, clock, data, and the API's variants.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    model::{self, DAY, Millis},
    record::Style,
};

/// How a simulator is set up. The default is a prompt service with 100 users on free ports of the
/// loopback interface, whose token is `simulated`.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Where the service listens. Port 0 takes a free one.
    pub addr: SocketAddr,
    /// Where the control port listens. Port 0 takes a free one.
    pub control_addr: SocketAddr,
    /// All randomness comes from it; each further organization's seed is one more.
    pub seed: u64,
    /// How many organizations there are, each with streams, limits, events and a truth of its own.
    /// They share `model.events_per_hour`; the other limits are each one's.
    pub organizations: NonZeroU32,
    /// The organization's token; with any other the answer is 401. Of several organizations,
    /// [`token_of`](Self::token_of) says each one's.
    pub token: Token,
    /// Another organization's token: 403.
    pub foreign_token: Option<Token>,
    /// The service's clock.
    pub clock: Clock,
    /// Limits, delays and data.
    pub model: model::Config,
    /// How events are rendered.
    pub style: Style,
    /// Which of the API's documented variants the answers take.
    pub answers: Answers,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            addr: free,
            control_addr: free,
            seed: 1,
            organizations: NonZeroU32::MIN,
            token: Token::new("simulated"),
            foreign_token: None,
            clock: Clock::Real,
            model: model::Config::default(),
            style: Style::default(),
            answers: Answers::default(),
        }
    }
}

impl SimulatorConfig {
    /// The token of an organization, numbered from 1: `token` itself if there is but one, else
    /// `token` and the number in four digits, as in `simulated-0007`.
    pub fn token_of(&self, number: u32) -> Token {
        if self.organizations == NonZeroU32::MIN {
            return self.token.clone();
        }
        Token(format!("{}-{number:04}", self.token.0))
    }
}

/// A token. It never prints itself, so that a simulator run with a real one does not leak it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// This token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(crate) fn is(&self, given: &str) -> bool {
        self.0 == given
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the service's clock shows at the start; it runs at real speed from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// This machine's UTC time.
    #[default]
    Real,
    /// This machine's UTC time and so many milliseconds, to stage a skew.
    Skewed(i64),
    /// This instant.
    StartsAt(Millis),
    /// So long before the next UTC midnight.
    BeforeMidnight(Millis),
}

/// The API's documented variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The status of a successful create: 201, or 200 as in the OpenAPI file.
    pub create_status: u16,
    /// The form of the list of streams.
    pub list: ListForm,
    /// The form of errors.
    pub errors: ErrorForm,
}

impl Default for Answers {
    fn default() -> Self {
        Self { create_status: 201, list: ListForm::default(), errors: ErrorForm::default() }
    }
}

/// The form of the list of streams (Inform API, Stream resources).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListForm {
    /// `{"streams": […], "meta": {…}}`.
    #[default]
    Streams,
    /// `{"data": […], "meta": {…}}`.
    Data,
    /// `[…]`.
    Array,
}

/// The form of errors (Inform API, Errors).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorForm {
    /// One form after the other.
    #[default]
    InTurn,
    /// `{"errors": ["…"]}`.
    List,
    /// `{"errors": {"field": ["…"]}}`.
    Fields,
    /// `{"status": 403, "error": "Forbidden"}`.
    Status,
    /// `{"message": "…"}`.
    Message,
}

/// The service's clock, running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningClock {
    at_start: Millis,
    started: Instant,
}

impl RunningClock {
    pub(crate) fn start(clock: Clock) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let real = Millis::try_from(since_epoch.as_millis()).unwrap_or(Millis::MAX);
        let at_start = match clock {
            Clock::Real => real,
            Clock::Skewed(by) => real.saturating_add_signed(by),
            Clock::StartsAt(at) => at,
            Clock::BeforeMidnight(span) => (real / DAY + 1) * DAY - span.min(DAY),
        };
        Self { at_start, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Millis {
        let elapsed = self.started.elapsed().as_millis();
        self.at_start + Millis::try_from(elapsed).unwrap_or(Millis::MAX / 2)
    }

    /// The instant of this machine's own clock at which the service's shows that.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.started + Duration::from_millis(at.saturating_sub(self.at_start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_where_it_is_told() {
        let real = RunningClock::start(Clock::Real).now();
        let skewed = RunningClock::start(Clock::Skewed(-900_000)).now();
        assert!((895_000..=900_000).contains(&(real - skewed)));
        let near = RunningClock::start(Clock::BeforeMidnight(30_000)).now();
        assert!((DAY - 30_000..DAY - 25_000).contains(&(near % DAY)), "{}", near % DAY);
        let fixed = RunningClock::start(Clock::StartsAt(5 * DAY));
        assert_eq!(fixed.instant(5 * DAY), fixed.instant(0));
        assert_eq!(fixed.instant(5 * DAY + 7) - fixed.instant(0), Duration::from_millis(7));
    }

    #[test]
    fn a_token_does_not_print_itself() {
        let config = SimulatorConfig { token: Token::new("secret-1"), ..Default::default() };
        assert!(!format!("{config:?}").contains("secret-1"));
    }
}
