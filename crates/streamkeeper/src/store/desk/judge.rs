//! Which events of a batch are new: each is shown to the ledger, in order.

use std::borrow::Cow;

use crate::dialect::event::EventKind;
use sha2::{Digest, Sha256};
use streamkeeper_core::policy::Span;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Verdict;
use streamkeeper_ledger::{Incoming, KEY_BYTES_MAX, Ledger, LedgerError};

use crate::observe::counts::TypeCounts;
use crate::store::batch::Batch;
use crate::store::head;

/// What judging a batch came to.
pub(super) struct Judged {
    pub(super) span: Span,
    pub(super) bytes: u64,
    pub(super) conflicting: u64,
    /// The new ones.
    pub(super) types: TypeCounts,
    /// The known ones, of a replay that an operator asked for.
    pub(super) known: TypeCounts,
}

/// Judges the events of a batch, up to an error.
pub(super) fn judge(
    ledger: &mut Ledger,
    batch: &Batch,
    arrived: Timestamp,
    head: &mut head::Writer,
) -> (Judged, Option<LedgerError>) {
    let Batch { arrived: read, replayed, poke, events, tally, cursor, connection: _, reader: _ } =
        batch;
    let dry_run = batch.is_dry();
    let data = Vec::with_capacity(events.len());
    let span =
        Span { arrived: *read, poke: *poke, data, cursor: cursor.clone(), new: 0, duplicate: 0 };
    let (types, known) = (TypeCounts::default(), TypeCounts::default());
    let mut judged = Judged { span, bytes: 0, conflicting: 0, types, known };
    for event in events {
        let kind = event.kind;
        let key = ledger_key(event.key());
        let incoming = Incoming {
            kind: code(kind),
            key: &key,
            version: event.version,
            arrived,
            head: &[],
            payload: event.data.as_str().as_bytes(),
        };
        // Where an id says nothing of the content, two contents would have one.
        let differs = kind == EventKind::Named
            && ledger.judge(&incoming).is_ok_and(|verdict| verdict == Verdict::Conflicting);
        let incoming = Incoming { head: head.write(event, *replayed, differs), ..incoming };
        let verdict = if dry_run { ledger.judge(&incoming) } else { ledger.accept(&incoming) };
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                // The poke came after what is still to be judged.
                judged.span.poke = None;
                judged.span.cursor = None;
                return (judged, Some(error));
            }
        };
        if let Some(cursor) = event.cursor().filter(|_| !dry_run) {
            // With each, since a commit may end behind any of them.
            ledger.goes_on_from(cursor);
        }
        judged.span.data.extend(event.datum(verdict.is_new()));
        if verdict.is_new() {
            judged.span.new += 1;
            judged.bytes += event.data.len() as u64;
            judged.types.add(kind, event.record_type());
            judged.conflicting += u64::from(verdict == Verdict::Conflicting);
        } else {
            judged.span.duplicate += 1;
            if tally.is_some() {
                judged.known.add(kind, event.record_type());
            }
        }
    }
    if let Some(cursor) = cursor.as_ref().filter(|_| !dry_run) {
        ledger.goes_on_from(cursor);
    }
    (judged, None)
}

/// What a kind of event is to the ledger; on disk, so none ever changes.
const fn code(kind: EventKind) -> u8 {
    match kind {
        EventKind::Data => 0,
        EventKind::Rule => 1,
        EventKind::Connection => 2,
        EventKind::Named => 3,
    }
}

/// A record id as the ledger's key; one beyond its limit by its digest.
fn ledger_key(key: &str) -> Cow<'_, str> {
    if key.len() <= KEY_BYTES_MAX {
        return Cow::Borrowed(key);
    }
    Cow::Owned(Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_beyond_the_ledgers_limit_is_kept_by_its_digest() {
        let long = "é".repeat(KEY_BYTES_MAX);
        assert_eq!(ledger_key(&long).len(), 64);
        assert_eq!(ledger_key("7db3"), "7db3");
    }
}
