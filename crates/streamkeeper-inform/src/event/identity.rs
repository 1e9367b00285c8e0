//! Who an event is: the key of the record and the name of its version.
//!
//! The key names a record through all its versions; (`created_at`, checksum, withdrawn) names one
//! version. Which versions are new, duplicate or superseded is for the ledger to say. A checksum
//! alone would not do: a record corrected from A to B and back to A has the same one twice.
//!
//! | event | key | version's time |
//! | --- | --- | --- |
//! | record | its id | `created_at` |
//! | connection | its id; without one, the digest of its content | when it happened |
//! | rule | the digest of its content | `triggered_at` |

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::{Connection, EventType, Record, Rule};
use crate::time::format_micros;

/// The identity of an event. Its `Debug` leaves out everything that could point at a person.
///
/// ```
/// use streamkeeper_inform::classify;
/// let data = br#"{"id":"7db3","checksum":"5150","created_at":"2026-04-19T16:48:10.059Z"}"#;
/// let identity = classify(None, data)?.identity(data).expect("not a poke");
/// assert_eq!(identity.key, "7db3");
/// assert_eq!(identity.version_id(), "7db3:2026-04-19T16:48:10.059Z:5150");
/// # Ok::<(), streamkeeper_inform::EventError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// What kind of event it is.
    pub event_type: EventType,
    /// Names the record; never empty.
    pub key: String,
    /// The time of this version, in microseconds since the Unix epoch.
    pub created_at: Option<i64>,
    /// The service's checksum of this version, else the SHA-256 of the payload in hex.
    pub checksum: String,
    /// Whether this version withdraws the record.
    pub withdrawn: bool,
    /// The service's id of the user.
    pub user_id: Option<String>,
    /// The resource type of a record, such as `summary`.
    pub record_type: Option<String>,
}

impl Identity {
    /// The id of the envelope: see [`version_id`].
    #[must_use]
    pub fn version_id(&self) -> String {
        version_id(&self.key, self.created_at, &self.checksum, self.withdrawn)
    }

    pub(super) fn of_record(record: &Record<'_>, data: &[u8]) -> Self {
        Self {
            event_type: EventType::Data,
            key: record.id.to_string(),
            created_at: record.created_at,
            checksum: record.checksum.as_deref().map_or_else(|| digest(data), Into::into),
            withdrawn: record.withdrawn,
            user_id: owned(&record.user_id),
            record_type: owned(&record.record_type),
        }
    }

    pub(super) fn of_rule(rule: &Rule<'_>, data: &[u8]) -> Self {
        Self::of_content(EventType::Rule, None, rule.triggered_at, &rule.user_id, data)
    }

    pub(super) fn of_connection(connection: &Connection<'_>, data: &[u8]) -> Self {
        let id = connection.id.as_deref();
        Self::of_content(EventType::Connection, id, connection.at, &connection.user_id, data)
    }

    fn of_content(
        event_type: EventType,
        id: Option<&str>,
        created_at: Option<i64>,
        user_id: &Option<Cow<'_, str>>,
        data: &[u8],
    ) -> Self {
        let checksum = digest(data);
        Self {
            event_type,
            key: id.map_or_else(|| checksum.clone(), Into::into),
            created_at,
            checksum,
            withdrawn: false,
            user_id: owned(user_id),
            record_type: None,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("event_type", &self.event_type)
            .field("created_at", &self.created_at)
            .field("withdrawn", &self.withdrawn)
            .finish_non_exhaustive()
    }
}

/// Names one version of one record, as the `id` of an envelope does:
/// `<key>:<created_at or ->:<checksum>`, and `:withdrawn` behind it if it withdraws the record.
#[must_use]
pub fn version_id(key: &str, created_at: Option<i64>, checksum: &str, withdrawn: bool) -> String {
    let created_at = created_at.and_then(format_micros);
    let created_at = created_at.as_deref().unwrap_or("-");
    let withdrawn = if withdrawn { ":withdrawn" } else { "" };
    format!("{key}:{created_at}:{checksum}{withdrawn}")
}

fn owned(text: &Option<Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(Into::into)
}

/// The SHA-256 of the payload in hex.
fn digest(data: &[u8]) -> String {
    Sha256::digest(data).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a string cannot fail.
        let _ok = write!(hex, "{byte:02x}").is_ok();
        hex
    })
}
