//! Where a sink is in a stream: by the ledger's account, and by its own.
//!
//! A place names the ledger whose numbers it counts, so that another's are never taken for them.

use serde::{Deserialize, Serialize};

/// Where the ledger is in one stream, as [`Sink::resume`](crate::Sink::resume) is told.
///
/// The ledger's cursor follows the sink's `Ok` and may be behind it after a crash, never ahead. So a
/// sink's own place tells what is given again and is there already, if it is of this very ledger. A
/// place of another means other events, however well its number would fit:
///
/// ```
/// use streamkeeper_sink::{OwnPlace, Resume};
///
/// let resume = Resume { source: "acme", ledger: "5f0e", next: 7, end: 10 };
/// let own = |ledger: &str, next| OwnPlace { ledger: Some(ledger.to_owned()), next };
/// assert_eq!(resume.place(Some(&own("5f0e", 9))), 9); // 7 and 8 will be given, and are there already
/// assert_eq!(resume.place(Some(&own("5f0e", 3))), 7); // put back from a copy that is older
/// assert_eq!(resume.place(Some(&own("c33d", 9))), 7); // of a ledger that was replaced by this one
/// assert_eq!(resume.place(None), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume<'a> {
    /// The name of the stream ([`Envelope::source`](crate::Envelope::source)).
    pub source: &'a str,
    /// The identity of its ledger: never that of another.
    pub ledger: &'a str,
    /// The first sequence number that this sink has not acknowledged, as far as the ledger
    /// knows: deliveries begin here.
    pub next: u64,
    /// The sequence number after the newest event in the outbox; not below `next`.
    pub end: u64,
}

/// A sink's own place in a stream, which it keeps beside what it delivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPlace {
    /// The identity of the ledger whose sequence number this is. `None` if that is not known: it was
    /// written before there were identities, or nobody has said it yet. Then the number alone is judged.
    pub ledger: Option<String>,
    /// The first sequence number that the sink does *not* have.
    pub next: u64,
}

/// What a place is worth that a sink has kept: see [`Resume::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// What is given before it is there already.
    Fits,
    /// The ledger is ahead of it: what lies between was acknowledged, and is not given again.
    Behind,
    /// It is beyond the ledger's end, so its numbers mean other events: the ledger was put back from a
    /// copy, or replaced by another where the place does not name it.
    Ahead,
    /// It is of another ledger.
    Foreign,
}

impl Resume<'_> {
    /// What a place of one's own is worth.
    #[must_use]
    pub fn judge(&self, own: &OwnPlace) -> Judged {
        if own.ledger.as_deref().is_some_and(|ledger| ledger != self.ledger) {
            Judged::Foreign
        } else if own.next < self.next {
            Judged::Behind
        } else if own.next > self.end {
            Judged::Ahead
        } else {
            Judged::Fits
        }
    }

    /// The first sequence number to take, for a sink with this place of its own: that of the place if
    /// it fits, `next` otherwise. Whatever it was, the place is of [`Resume::ledger`] from here on.
    #[must_use]
    pub fn place(&self, own: Option<&OwnPlace>) -> u64 {
        own.filter(|own| self.judge(own) == Judged::Fits).map_or(self.next, |own| own.next)
    }
}
