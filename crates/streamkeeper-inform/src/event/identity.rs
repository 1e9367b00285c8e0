//! Who an event is: the key of the record and the name of its version.
//!
//! The key names a record through all its versions; (`created_at`, checksum, withdrawn) names one
//! version. Which versions are new, duplicate or superseded is for the ledger to say. A checksum
//! alone would not do: a record corrected from A to B and back to A has the same one twice.
//!
//! | event | key | version's time |
//! | --- | --- | --- |
//! | record | its id; without one, the digest of its content | `created_at` |
//! | connection | its id; without one, the digest of its content | when it happened |
//! | rule | the digest of its content | `triggered_at` |

use std::borrow::Cow;
use std::cell::LazyCell;
use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::{Connection, EventType, Record, Rule};

/// The identity of an event, borrowed from its payload where it can be. Its `Debug` leaves out everything that could point at a person.
///
/// ```
/// use streamkeeper_inform::classify;
/// let data = r#"{"id":"7db3","checksum":"5150","created_at":"2026-04-19T16:48:10.059Z"}"#;
/// let identity = classify(None, data)?.identity(data).expect("not a poke");
/// assert_eq!(identity.key, "7db3");
/// assert_eq!(identity.checksum, "5150");
/// # Ok::<(), streamkeeper_inform::EventError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity<'a> {
    /// What kind of event it is.
    pub event_type: EventType,
    /// Names the record; never empty.
    pub key: Cow<'a, str>,
    /// The time of this version, in microseconds since the Unix epoch.
    pub created_at: Option<i64>,
    /// The service's checksum of this version, else the SHA-256 of the payload in hex.
    pub checksum: Cow<'a, str>,
    /// Whether this version withdraws the record.
    pub withdrawn: bool,
    /// The service's id of the user.
    pub user_id: Option<Cow<'a, str>>,
    /// The resource type of a record, such as `summary`.
    pub record_type: Option<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    pub(super) fn of_record(record: Record<'a>, data: &str) -> Self {
        let content = LazyCell::new(|| digest(data));
        let stand_in = || content.clone().into();
        Self {
            event_type: EventType::Data,
            key: record.id.unwrap_or_else(stand_in),
            created_at: record.created_at,
            checksum: record.checksum.unwrap_or_else(stand_in),
            withdrawn: record.withdrawn,
            user_id: record.user_id,
            record_type: record.record_type,
        }
    }

    pub(super) fn of_rule(rule: Rule<'a>, data: &str) -> Self {
        Self::of_content(EventType::Rule, None, rule.triggered_at, rule.user_id, data)
    }

    pub(super) fn of_connection(connection: Connection<'a>, data: &str) -> Self {
        let Connection { id, at, user_id, .. } = connection;
        Self::of_content(EventType::Connection, id, at, user_id, data)
    }

    fn of_content(
        event_type: EventType,
        id: Option<Cow<'a, str>>,
        created_at: Option<i64>,
        user_id: Option<Cow<'a, str>>,
        data: &str,
    ) -> Self {
        let checksum: Cow<'_, str> = digest(data).into();
        Self {
            event_type,
            key: id.unwrap_or_else(|| checksum.clone()),
            created_at,
            checksum,
            withdrawn: false,
            user_id,
            record_type: None,
        }
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("event_type", &self.event_type)
            .field("created_at", &self.created_at)
            .field("withdrawn", &self.withdrawn)
            .finish_non_exhaustive()
    }
}

/// The SHA-256 of the payload in hex.
fn digest(data: &str) -> String {
    Sha256::digest(data.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a string cannot fail.
        let _ok = write!(hex, "{byte:02x}").is_ok();
        hex
    })
}
