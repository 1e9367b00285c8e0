//! A batch of several streams, stream by stream.

use crate::Envelope;

/// The events of each stream in a batch, in the batch's order: they stand one behind the other.
///
/// ```
/// use streamkeeper_sink::{parts, testkit};
///
/// let batch = [testkit::envelopes_of("acme", 1..3), testkit::envelopes_of("other", 7..8)].concat();
/// let parts: Vec<_> = parts(&batch).map(|(source, events)| (source, events.len())).collect();
/// assert_eq!(parts, [("acme", 2), ("other", 1)]);
/// ```
pub fn parts(batch: &[Envelope]) -> impl Iterator<Item = (&str, &[Envelope])> {
    let of_one = batch.chunk_by(|one, next| one.source == next.source);
    of_one.filter_map(|events| Some((&*events.first()?.source, events)))
}
