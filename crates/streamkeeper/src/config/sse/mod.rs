//! `[stream.sse]`: what a server of server-sent events means, as a row of values.
//!
//! A preset ([`presets`]) fills a row in, a row of one's own (`[dialects.NAME]`) does the same, and every key
//! may be set over it. What the values mean is done in the room `dialect`; docs/dialects.md says it in words.

pub(super) mod presets;
pub(super) mod row;
mod rules;
pub(crate) mod values;

use std::time::Duration;

use crate::transport::Auth;
use streamkeeper_sink::Secret;

pub(super) use self::rules::check;

/// What only a stream of the sse family has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseTable {
    /// What it was called in `dialect`: `sse`, a preset, or a row of one's own.
    pub dialect: String,
    /// Who we are; from `[stream.auth]`. It goes to the origin of the URL alone.
    pub auth: Auth,
    /// Headers of every request, with their values. To the origin of the URL alone, too.
    pub headers: Vec<(String, Secret)>,
    /// What is done after a break. Default: `resume`.
    pub strategy: ResumeStrategy,
    /// What the server means; from the preset and `[stream.sse]`.
    pub row: Row,
}

impl SseTable {
    /// That of a preset, without a secret; `None` if there is no such preset.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        Some(Self::new(name, presets::row(name, Row::default())?))
    }

    /// That of a row, without a secret.
    pub fn new(dialect: impl Into<String>, row: Row) -> Self {
        Self {
            dialect: dialect.into(),
            auth: Auth::None,
            headers: Vec::new(),
            strategy: ResumeStrategy::Resume,
            row,
        }
    }
}

/// What is done after a break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResumeStrategy {
    /// It is asked with the cursor.
    #[default]
    Resume,
    /// It is never asked with a cursor: every break is a gap, unless the server sends its full state.
    Reconnect,
}

/// What a server means: what proves life, what an event is, who it is, and how to go on behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What proves life, besides delivered events and heartbeats, which always do. Default: any bytes.
    pub alive_on: AliveOn,
    /// How often the server says something. Default: learned.
    pub interval: Interval,
    /// `stale_after` in intervals, 1.0 or more. Default: 2.5.
    pub stale_factor: Factor,
    /// The least `stale_after` that follows of it. Default: 5 s.
    pub stale_floor: Duration,
    /// Where the cursor stands. Default: the id of server-sent events.
    pub cursor: CursorAt,
    /// How the server is asked with it. Default: the header `Last-Event-ID`.
    pub cursor_via: CursorVia,
    /// Where the identity of an event stands. Default: it is the cursor.
    pub identity: IdentityAt,
    /// Names of events that prove life and carry nothing.
    pub heartbeats: Vec<String>,
    /// Names of events that are neither data nor life.
    pub ignore: Vec<String>,
    /// Where an event's name stands. Default: in the field of server-sent events.
    pub name: NameAt,
    /// What to ask with before there is a cursor. Default: nothing.
    pub first_cursor: FirstCursorFrom,
    /// What the stream is read within. Default: nothing.
    pub session: Option<Session>,
    /// Names of a last event: the end that follows is a planned one.
    pub end: Vec<String>,
    /// What shows that the resume point was lost. Default: nothing.
    pub gap_check: GapCheck,
    /// A document that is fetched once for each gap, and delivered as `sse.snapshot`. Default: none.
    pub resync: Option<String>,
    /// Who is started anew when one stream is stale. Default: that one.
    pub group: Group,
    /// A connection is replaced after so long. Default: never.
    pub max_age: Option<Duration>,
    /// Whether to go where the server sends us. Default: no.
    pub redirects: bool,
    /// The server sends its full state on each connection, so that a break loses nothing. Default: no.
    pub full_state: bool,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            alive_on: AliveOn::Bytes,
            interval: Interval::Learn,
            stale_factor: Factor::DEFAULT,
            stale_floor: Duration::from_secs(5),
            cursor: CursorAt::Id,
            cursor_via: CursorVia::LastEventId,
            identity: IdentityAt::Cursor,
            heartbeats: Vec::new(),
            ignore: Vec::new(),
            name: NameAt::Event,
            first_cursor: FirstCursorFrom::None,
            session: None,
            end: Vec::new(),
            gap_check: GapCheck::None,
            resync: None,
            group: Group::Solo,
            max_age: None,
            redirects: false,
            full_state: false,
        }
    }
}

impl Row {
    /// The defaults for a WebSocket, whose messages have neither an id nor a name: no cursor, no identity, and we
    /// ask every 20 s whether the server is there.
    #[must_use]
    pub fn web_socket() -> Self {
        Self {
            interval: Interval::Fixed(Duration::from_secs(20)),
            cursor: CursorAt::None,
            identity: IdentityAt::None,
            ..Self::default()
        }
    }

    /// The silence that an interval allows.
    #[must_use]
    pub fn stale_after(&self, interval: Duration) -> Duration {
        self.stale_factor.times(interval).max(self.stale_floor)
    }

    /// The silence that is reported, where this one is acted upon and follows of the interval. A server that
    /// announces when it is due may be silent for nearly as long, and well.
    pub(crate) fn late_after(&self, stale_after: Duration) -> Duration {
        if self.stale_factor.is_due() { stale_after * 9 / 10 } else { stale_after * 2 / 3 }
    }
}

/// A number of intervals, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(u32);

impl Factor {
    /// For a server that announces when the next sign of life is due, and sends it before.
    pub const ONE: Self = Self(1_000);

    /// Two heartbeats may be lost or late before a connection is taken for dead.
    const DEFAULT: Self = Self(2_500);

    /// Whether an interval is what a sign of life is due within, and not how often one comes.
    fn is_due(self) -> bool {
        self.as_f64() < 1.5
    }

    /// `None` unless it is 1 to 1000.
    #[must_use]
    pub fn new(factor: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within 1,000 to 1,000,000"
        )]
        (1.0..=1_000.0).contains(&factor).then(|| Self((factor * 1_000.0).round() as u32))
    }

    /// The number.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    /// So many times an interval.
    #[must_use]
    pub fn times(self, interval: Duration) -> Duration {
        interval.saturating_mul(self.0) / 1_000
    }
}

/// What proves life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliveOn {
    /// Whatever comes.
    Bytes,
    /// Comment lines.
    Comments,
    /// Events, of any name.
    Events,
    /// Events of these names.
    Named(Vec<String>),
}

/// How often a server says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interval {
    /// So often.
    Fixed(Duration),
    /// As it has been seen to.
    Learn,
    /// A document says so, at a pointer into it.
    Document {
        /// Its URL, against that of the stream.
        url: String,
        /// Where in it.
        pointer: String,
    },
    /// A header of the response says so.
    Header(String),
    /// An event of the stream says so.
    Event {
        /// Its name.
        event: String,
        /// Where in its data.
        pointer: String,
    },
}

impl Interval {
    /// What was configured, if it is an interval and not where to find one.
    pub(crate) const fn fixed(&self) -> Option<Duration> {
        match self {
            Self::Fixed(interval) => Some(*interval),
            _ => None,
        }
    }
}

/// Where a cursor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorAt {
    /// In the field `id`.
    Id,
    /// At a pointer into the data.
    Pointer(String),
    /// Nowhere.
    None,
}

/// How a server is asked with a cursor. `{cursor}` stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorVia {
    /// In the header `Last-Event-ID`.
    LastEventId,
    /// In a parameter of the query.
    Query(String),
    /// In a header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        template: String,
    },
    /// In a URL of its own, against that of the stream.
    Url(String),
}

/// Where the identity of an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityAt {
    /// Its own cursor is its identity.
    Cursor,
    /// At a pointer into the data.
    Pointer(String),
    /// Nowhere: every event is new.
    None,
}

/// Where an event's name stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameAt {
    /// In the field `event`.
    Event,
    /// At a pointer into the data; where nothing stands there, in the field.
    Pointer(String),
}

/// What to ask with before there is a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstCursorFrom {
    /// Nothing.
    None,
    /// This.
    Literal(String),
    /// What a document says.
    Document {
        /// Its URL, against that of the stream.
        url: String,
        /// Where in it.
        pointer: String,
    },
}

/// A session that is begun before the stream is asked for, and named with each request for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where it is begun, against the stream's URL. Default: there.
    pub url: Option<String>,
    /// What is posted to begin it.
    pub body: String,
    /// The header of the answer that names it, and of the requests within it.
    pub header: String,
    /// What is posted within it when it has begun. Default: nothing.
    pub then: Option<String>,
}

/// What shows, in an answered 200, that the resume point was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapCheck {
    /// Nothing.
    None,
    /// A header of the answer names another id than was asked with, or is missing.
    Header(String),
    /// Ids count up by one, and one is missing.
    Sequence,
    /// An event of this name.
    Event(String),
}

/// Who is started anew when a stream is stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// It alone.
    #[default]
    Solo,
    /// Every stream of this process with the same origin.
    All,
}

#[cfg(test)]
mod tests;
