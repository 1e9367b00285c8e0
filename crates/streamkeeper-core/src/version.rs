//! Which version of a record is new: the rule that makes de-duplication exact.
//!
//! The service sends at least once, so the same version comes again after every reconnect and in
//! every replay; and it corrects and withdraws records under the same id. An id and a checksum are
//! not enough: a record corrected A → B → A would end as B. `created_at`, the time the service
//! processed the version, orders them (recovery.md, "accept").

use crate::time::Timestamp;

/// What tells one version of a record from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// When the service processed it; `None` if the record does not say.
    pub created_at: Option<Timestamp>,
    /// The record's checksum, or a digest of its content, in 128 bits.
    pub checksum: u128,
    /// Whether the record is marked as withdrawn (`deleted_at` set).
    pub withdrawn: bool,
}

/// What to do with a version that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first version of this record: accept it.
    New,
    /// A newer version of a known record: accept it.
    NewVersion,
    /// Another content at the same `created_at`, or without one: accept it, and say so, because
    /// nothing tells which of the two is the newer.
    Conflicting,
    /// Accepted before: drop it.
    Duplicate,
    /// Older than what was accepted: drop it.
    Superseded,
}

impl Verdict {
    /// Whether the version is to be accepted.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New | Self::NewVersion | Self::Conflicting)
    }
}

/// What has been accepted of one record: every version at its newest `created_at`.
///
/// ```
/// use streamkeeper_core::time::Timestamp;
/// use streamkeeper_core::version::{Accepted, Verdict, Version};
///
/// let at = |second: i64, checksum| Version {
///     created_at: Some(Timestamp::from_micros(second * 1_000_000)),
///     checksum,
///     withdrawn: false,
/// };
/// let mut record = Accepted::default();
/// assert_eq!(record.accept(at(1, 0xA)), Verdict::New);
/// assert_eq!(record.accept(at(2, 0xB)), Verdict::NewVersion);
/// assert_eq!(record.accept(at(3, 0xA)), Verdict::NewVersion, "back to A is a version of its own");
/// assert_eq!(record.accept(at(2, 0xB)), Verdict::Superseded);
/// assert_eq!(record.accept(at(3, 0xA)), Verdict::Duplicate);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    newest: Option<Version>,
    // Other contents at the same `created_at`, and undated ones: empty for all but odd records.
    siblings: Vec<Version>,
}

impl Accepted {
    /// Judges `version` and remembers it if it is new.
    pub fn accept(&mut self, version: Version) -> Verdict {
        let verdict = self.judge(version);
        match verdict {
            Verdict::New => self.newest = Some(version),
            Verdict::NewVersion => {
                self.newest = Some(version);
                self.siblings.clear();
            }
            Verdict::Conflicting => self.siblings.push(version),
            Verdict::Duplicate | Verdict::Superseded => {}
        }
        verdict
    }

    /// Judges `version` without remembering it.
    #[must_use]
    pub fn judge(&self, version: Version) -> Verdict {
        let Some(newest) = self.newest else { return Verdict::New };
        let known = newest == version || self.siblings.contains(&version);
        match (version.created_at, newest.created_at) {
            _ if known => Verdict::Duplicate,
            (Some(this), Some(that)) if this > that => Verdict::NewVersion,
            (Some(this), Some(that)) if this < that => Verdict::Superseded,
            (Some(_), None) => Verdict::NewVersion,
            _ => Verdict::Conflicting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(created_at: Option<i64>, checksum: u128, withdrawn: bool) -> Version {
        Version { created_at: created_at.map(Timestamp::from_micros), checksum, withdrawn }
    }

    #[test]
    fn a_withdrawal_at_the_same_instant_is_accepted_once() {
        let mut record = Accepted::default();
        assert_eq!(record.accept(version(Some(1), 1, false)), Verdict::New);
        assert_eq!(record.accept(version(Some(1), 1, true)), Verdict::Conflicting);
        assert_eq!(record.accept(version(Some(1), 1, true)), Verdict::Duplicate);
        assert_eq!(record.accept(version(Some(1), 1, false)), Verdict::Duplicate);
    }

    #[test]
    fn two_contents_at_one_instant_do_not_alternate_under_redelivery() {
        let mut record = Accepted::default();
        let (a, b) = (version(Some(1), 1, false), version(Some(1), 2, false));
        assert_eq!(record.accept(a), Verdict::New);
        assert_eq!(record.accept(b), Verdict::Conflicting);
        for _ in 0..3 {
            assert_eq!(record.accept(a), Verdict::Duplicate);
            assert_eq!(record.accept(b), Verdict::Duplicate);
        }
    }

    #[test]
    fn an_undated_correction_is_kept_and_an_undated_repeat_dropped() {
        let mut record = Accepted::default();
        assert_eq!(record.accept(version(Some(5), 1, false)), Verdict::New);
        assert_eq!(record.accept(version(None, 2, false)), Verdict::Conflicting);
        assert_eq!(record.accept(version(None, 2, false)), Verdict::Duplicate);
        assert_eq!(record.accept(version(Some(6), 3, false)), Verdict::NewVersion);
    }
}
