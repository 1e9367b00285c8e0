//! What an event on a stream is, and who it is.
//!
//! [`classify`] sorts an event by its name where the name is certain (`poke`, `rule`,
//! `connection`) and by its content otherwise, since the vendor's documents name the data events
//! in several ways. It reads a handful of fields, borrowed from the payload, and skips the rest;
//! the payload itself is carried on by whoever holds it, byte for byte.
//!
//! Every event that is not a poke has an [`Identity`]. An event is refused only if it is not a JSON
//! object: fields may be missing (Inform API, "A data record"), also the id. A poke is never refused:
//! even a garbled one proves life.
//!
//! Source: Inform API, "Connecting", "A data record".

mod fields;
mod identity;

use std::borrow::Cow;
use std::fmt;

pub use self::identity::Identity;

use self::fields::{Fields, count, time};
use crate::json::text;

/// One event, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InformEvent<'a> {
    /// The server is alive; carries no data.
    Poke(Poke<'a>),
    /// A data record.
    Record(Record<'a>),
    /// A rule fired.
    Rule(Rule<'a>),
    /// A user connected or disconnected a source.
    Connection(Connection<'a>),
}

/// What kind of data an event carries; the `type` of its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// A data record.
    Data,
    /// A rule event.
    Rule,
    /// A connection event.
    Connection,
}

impl EventType {
    /// The `type` of the envelope: `inform.data`, `inform.rule` or `inform.connection`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "inform.data",
            Self::Rule => "inform.rule",
            Self::Connection => "inform.connection",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A heartbeat. Everything in it is optional: that it came is what counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poke<'a> {
    /// The service's time, in microseconds since the Unix epoch.
    pub ts: Option<i64>,
    /// The stream it speaks for.
    pub stream: Option<Cow<'a, str>>,
    /// Clients connected to the stream now.
    pub members: Option<u32>,
    /// Clients this stream allows.
    pub members_max: Option<u32>,
}

/// The fields of a data record that are read.
#[derive(Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Names the record through all its versions; never empty.
    pub id: Option<Cow<'a, str>>,
    /// Names the content of this version.
    pub checksum: Option<Cow<'a, str>>,
    /// The resource type, such as `summary`.
    pub record_type: Option<Cow<'a, str>>,
    /// When the service processed this version, in microseconds since the Unix epoch.
    pub created_at: Option<i64>,
    /// When what it tells of began, in microseconds since the Unix epoch.
    pub start_time: Option<i64>,
    /// Whether the record was withdrawn (`deleted_at` is set).
    pub withdrawn: bool,
    /// The service's id of the user.
    pub user_id: Option<Cow<'a, str>>,
}

/// The fields of a rule event that are read.
#[derive(Clone, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The rule that fired.
    pub rule_id: Option<Cow<'a, str>>,
    /// The service's id of the user.
    pub user_id: Option<Cow<'a, str>>,
    /// When it fired, in microseconds since the Unix epoch.
    pub triggered_at: Option<i64>,
}

/// The fields of a connection event that are read, in either of its forms.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The id of the event; the older form has none.
    pub id: Option<Cow<'a, str>>,
    /// `create` or `delete`; in the older form `connected` or `disconnected`.
    pub action: Option<Cow<'a, str>>,
    /// The service's id of the user.
    pub user_id: Option<Cow<'a, str>>,
    /// When it happened, in microseconds since the Unix epoch: `event_time`, else `deleted_at`,
    /// else `created_at` (which, when a user disconnects, may be years ago).
    pub at: Option<i64>,
}

/// Why something is no event. The kind alone: the content is health data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The data is not a JSON object.
    #[error("the event's data is not a JSON object")]
    NotAnObject,
}

/// Says what an event is, by its name and its data.
///
/// # Errors
/// If the event is neither a poke nor a JSON object.
///
/// ```
/// use streamkeeper_inform::{InformEvent, classify};
/// let data = r#"{"id":"7db3","checksum":"5150","user":{"user_id":"u1"},"metrics":[]}"#;
/// let InformEvent::Record(record) = classify(Some("data"), data)? else { panic!() };
/// assert_eq!(record.id.as_deref(), Some("7db3"));
///
/// assert!(matches!(classify(Some("poke"), "not JSON"), Ok(InformEvent::Poke(_))));
/// assert!(classify(None, "not JSON").is_err());
/// # Ok::<(), streamkeeper_inform::EventError>(())
/// ```
pub fn classify<'a>(
    event_name: Option<&str>,
    data: &'a str,
) -> Result<InformEvent<'a>, EventError> {
    let fields = Fields::read(data);
    if event_name == Some("poke") {
        return Ok(InformEvent::Poke(fields.as_ref().map(Poke::read).unwrap_or_default()));
    }
    let fields = fields.ok_or(EventError::NotAnObject)?;
    match event_name {
        Some("rule") => Ok(InformEvent::Rule(Rule::read(&fields))),
        Some("connection") => Ok(InformEvent::Connection(Connection::read(&fields))),
        _ if is_poke(&fields) => Ok(InformEvent::Poke(Poke::read(&fields))),
        _ if is_rule(&fields) => Ok(InformEvent::Rule(Rule::read(&fields))),
        _ if is_connection(&fields) => Ok(InformEvent::Connection(Connection::read(&fields))),
        _ => Ok(InformEvent::Record(Record::read(&fields))),
    }
}

impl<'a> InformEvent<'a> {
    /// Who the event is; `None` for a poke. `data` is the payload that was classified, whose
    /// digest stands in where the event has no id or checksum of its own.
    #[must_use]
    pub fn identity(self, data: &str) -> Option<Identity<'a>> {
        match self {
            Self::Poke(_) => None,
            Self::Record(record) => Some(Identity::of_record(record, data)),
            Self::Rule(rule) => Some(Identity::of_rule(rule, data)),
            Self::Connection(connection) => Some(Identity::of_connection(connection, data)),
        }
    }
}

fn is_poke(fields: &Fields<'_>) -> bool {
    fields.ts.is_some() && fields.stream.is_some() && fields.id.is_none()
}

fn is_rule(fields: &Fields<'_>) -> bool {
    fields.rule_id.is_some() && fields.triggered_at.is_some()
}

fn is_connection(fields: &Fields<'_>) -> bool {
    let about_a_source =
        fields.source.is_some() || fields.user.is_some() || fields.user_id.is_some();
    // A record has neither field, but may get one some day: its checksum gives it away.
    let form = fields.action.and_then(text).or_else(|| fields.event.and_then(text));
    about_a_source
        && fields.checksum.is_none()
        && matches!(form.as_deref(), Some("create" | "delete" | "connected" | "disconnected"))
}

impl<'a> Poke<'a> {
    fn read(fields: &Fields<'a>) -> Self {
        let (members, members_max) = fields.members.map(count).unwrap_or_default();
        Self {
            ts: fields.ts.and_then(time),
            stream: fields.stream.and_then(text),
            members,
            members_max,
        }
    }
}

impl<'a> Record<'a> {
    fn read(fields: &Fields<'a>) -> Self {
        Self {
            id: fields.id.and_then(text),
            checksum: fields.checksum.and_then(text),
            record_type: fields.record_type.and_then(text),
            created_at: fields.created_at.and_then(time),
            start_time: fields.start_time.and_then(time),
            withdrawn: fields.deleted_at.is_some(),
            user_id: fields.user_id(),
        }
    }
}

impl<'a> Rule<'a> {
    fn read(fields: &Fields<'a>) -> Self {
        Self {
            rule_id: fields.rule_id.and_then(text),
            user_id: fields.user_id(),
            triggered_at: fields.triggered_at.and_then(time),
        }
    }
}

impl<'a> Connection<'a> {
    fn read(fields: &Fields<'a>) -> Self {
        let times = [fields.event_time, fields.deleted_at, fields.created_at];
        Self {
            id: fields.id.and_then(text),
            action: fields.action.or(fields.event).and_then(text),
            user_id: fields.user_id(),
            at: times.into_iter().flatten().find_map(time),
        }
    }
}

/// Health data stays out of every `Debug`: what is left is enough to tell versions apart.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("created_at", &self.created_at)
            .field("withdrawn", &self.withdrawn)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("triggered_at", &self.triggered_at).finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
