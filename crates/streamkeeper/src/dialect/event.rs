//! An event and who it is, whatever server it came from.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

use streamkeeper_core::id::{Cursor, UserKey};
use streamkeeper_core::policy::Datum;
use streamkeeper_core::time::{Timestamp, UtcDay};
use streamkeeper_core::version::Version;
use streamkeeper_sse::{Label, Text};

use super::part::Part;

/// What kind of event it is. Ids of different kinds do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// A record of data.
    Data,
    /// A rule has been triggered.
    Rule,
    /// A user's connection has changed.
    Connection,
    /// An event of a server that gives its events names of its own.
    Named,
}

impl EventKind {
    /// The type of its envelope, where that does not depend on the event.
    const fn fixed(self) -> Option<&'static str> {
        match self {
            Self::Data => Some("inform.data"),
            Self::Rule => Some("inform.rule"),
            Self::Connection => Some("inform.connection"),
            Self::Named => None,
        }
    }
}

/// An event, with its identity; the payload byte for byte.
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) version: Version,
    pub(crate) start_day: Option<UtcDay>,
    pub(super) key: Part,
    pub(super) checksum: Part,
    pub(super) user_id: Option<Part>,
    pub(super) record_type: Option<Part>,
    /// Of [`EventKind::Named`] alone; apart, so that the others are no larger for it.
    pub(super) named: Option<Box<Named>>,
    pub(crate) data: Text,
}

/// What an event has of a server that names its events.
pub(super) struct Named {
    /// What it is called; none: `message`.
    pub(super) name: Option<Label>,
    /// Its data is text that is no JSON.
    pub(super) is_text: bool,
    pub(super) cursor: Option<Cursor>,
}

impl std::fmt::Debug for Event {
    // Health data stays out of every log: identity and payload are left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("bytes", &self.data.len()).finish_non_exhaustive()
    }
}

impl Event {
    /// The key of the record; in the ledger, ids of different kinds do not meet.
    pub(crate) fn key(&self) -> &str {
        self.key.of(self.data.as_str())
    }

    /// The type of its envelope.
    pub(crate) fn type_name(&self) -> Cow<'static, str> {
        match self.kind.fixed() {
            Some(fixed) => Cow::Borrowed(fixed),
            None => {
                let name = self.named.as_ref().and_then(|named| named.name.as_ref());
                let name = name.map_or("message", Label::as_str);
                Cow::Owned(format!("sse.{name}"))
            }
        }
    }

    /// Whether its data is text that is no JSON.
    pub(crate) fn is_text(&self) -> bool {
        self.named.as_ref().is_some_and(|named| named.is_text)
    }

    /// What its server is to be asked with to go on behind it.
    pub(crate) fn cursor(&self) -> Option<&Cursor> {
        self.named.as_ref()?.cursor.as_ref()
    }

    /// The service's id of the user.
    pub(crate) fn user_id(&self) -> Option<&str> {
        Some(self.user_id.as_ref()?.of(self.data.as_str()))
    }

    /// The resource type of a record.
    pub(crate) fn record_type(&self) -> Option<&str> {
        Some(self.record_type.as_ref()?.of(self.data.as_str()))
    }

    /// Whether its checksum is the version's number in 32 lower-case hex digits, and so need not be
    /// kept beside that.
    pub(crate) fn checksum_is_number(&self) -> bool {
        let checksum = self.checksum.of(self.data.as_str());
        checksum.len() == 32
            && checksum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The id of its envelope.
    pub(crate) fn version_id(&self) -> VersionId<'_> {
        let Version { created_at, withdrawn, .. } = self.version;
        VersionId {
            key: self.key(),
            created_at: created_at.map(Timestamp::as_micros),
            checksum: self.checksum.of(self.data.as_str()),
            withdrawn,
        }
    }

    /// What the event proves about the stream's position; only records of data do, because rule and
    /// connection events are not kept for a client that is away (Inform API, Connecting).
    pub(crate) fn datum(&self, new: bool) -> Option<Datum> {
        if self.kind != EventKind::Data {
            return None;
        }
        Some(Datum {
            user: user_key(self.user_id().unwrap_or_default()),
            created_at: self.version.created_at?,
            start_day: self.start_day,
            new,
        })
    }
}

/// Names one version of one record, as the `id` of an envelope does:
/// `<key>:<created_at or ->:<checksum>`, and `:withdrawn` behind it if it withdraws the record.
/// `Display` is the id; `Debug` keeps it to itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VersionId<'a> {
    /// Names the record.
    pub(crate) key: &'a str,
    /// The time of the version, in microseconds since the Unix epoch.
    pub(crate) created_at: Option<i64>,
    /// The checksum of the version.
    pub(crate) checksum: &'a str,
    /// Whether the version withdraws the record.
    pub(crate) withdrawn: bool,
}

impl std::fmt::Display for VersionId<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key)?;
        match self.created_at.and_then(|at| jiff::Timestamp::from_microsecond(at).ok()) {
            Some(at) => write!(f, ":{at}:")?,
            None => f.write_str(":-:")?,
        }
        f.write_str(self.checksum)?;
        f.write_str(if self.withdrawn { ":withdrawn" } else { "" })
    }
}

impl std::fmt::Debug for VersionId<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VersionId").finish_non_exhaustive()
    }
}

/// A user by hash; the policies count users, they never name one. It is in memory only, so its value
/// may change with the version.
fn user_key(user_id: &str) -> UserKey {
    let mut hasher = DefaultHasher::new();
    hasher.write(user_id.as_bytes());
    UserKey(hasher.finish())
}
