//! Stream resources and replays as they are asked for and shown.

use std::{fmt, str::FromStr};

use super::{
    Millis,
    event::{Kind, Resource},
};

/// A stream's id: 24 hex digits, drawn from the seed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u128);

impl StreamId {
    const BITS: u32 = 96;

    pub(crate) fn draw(rng: &mut fastrand::Rng) -> Self {
        Self(rng.u128(..) >> (u128::BITS - Self::BITS))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:024x}", self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a stream id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 24 hex digits")]
pub struct NotAStreamId;

impl FromStr for StreamId {
    type Err = NotAStreamId;

    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        let hex = text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = u128::from_str_radix(text, 16).ok().filter(|_| hex).ok_or(NotAStreamId)?;
        Ok(Self(id))
    }
}

/// Which events a stream or replay carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Resource types of data events; empty is all.
    pub resources: Vec<Resource>,
    /// Kinds of events; empty is data alone (Inform API: rule and connection only if asked for).
    pub kinds: Vec<Kind>,
}

impl Filter {
    /// Whether an event of this kind and resource passes.
    pub fn passes(&self, kind: Kind, resource: Resource) -> bool {
        let kind_passes = match self.kinds.as_slice() {
            [] => kind == Kind::Data,
            kinds => kinds.contains(&kind),
        };
        let all = kind != Kind::Data || self.resources.is_empty();
        kind_passes && (all || self.resources.contains(&resource))
    }
}

/// A stream to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewStream {
    /// Unique within the organization.
    pub name: String,
    /// The UTC day to start on, counted from 1970-01-01 (see [`day_of`](super::day_of));
    /// `None` is the last 30 days.
    pub start_day: Option<u32>,
    /// What it carries; fixed once created.
    pub filter: Filter,
}

impl NewStream {
    /// A stream of all data of the last 30 days.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same, starting on a day.
    pub fn from_day(name: impl Into<String>, day: u32) -> Self {
        Self { start_day: Some(day), ..Self::named(name) }
    }
}

/// A replay to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewReplay {
    /// The UTC day to start on, counted from 1970-01-01.
    pub day: u32,
    /// What it carries.
    pub filter: Filter,
}

/// A stream resource, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its id.
    pub id: StreamId,
    /// Its name; unique.
    pub name: String,
    /// The UTC day it starts on, counted from 1970-01-01; `None` is the last 30 days.
    pub start_day: Option<u32>,
    /// What it carries.
    pub filter: Filter,
    /// When it was created.
    pub created_at: Millis,
    /// When it was last renamed, or created.
    pub updated_at: Millis,
}
