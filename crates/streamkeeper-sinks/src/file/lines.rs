//! A batch as lines, and which event each line is.
//!
//! Encoded before the thread that writes takes over; whether an event is in the file already
//! is known only there, so each line keeps the number of its event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use streamkeeper_sink::{Envelope, OwnPlace};

use crate::Format;

/// For each stream, the first sequence number that is not in the file, and of which ledger.
pub(super) type Places = BTreeMap<String, OwnPlace>;

/// The lines of a batch, each of them ended.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    source: Arc<str>,
    sequence: u64,
    /// It is out of the dead letters, and so behind the place: it is written, and moves none.
    redelivered: bool,
    /// Where the line ends in the bytes.
    end: usize,
}

impl Lines {
    /// Encodes `batch` in place of what was here.
    pub(super) fn fill(&mut self, format: Format, batch: &[Envelope]) {
        self.bytes.clear();
        self.lines.clear();
        for envelope in batch {
            format.encode(envelope, &mut self.bytes);
            let source = Arc::clone(&envelope.source);
            let Envelope { sequence, redelivered, .. } = *envelope;
            self.lines.push(Line { source, sequence, redelivered, end: self.bytes.len() });
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The stream and the sequence number of each line that is given for the first time.
    pub(super) fn events(&self) -> impl Iterator<Item = (&str, u64)> {
        let given = self.lines.iter().filter(|line| !line.redelivered);
        given.map(|line| (&*line.source, line.sequence))
    }

    /// The lines of events that are not in the file yet, how many others there are, and the
    /// places that are others once the former have been written.
    pub(super) fn after(&self, places: &Places) -> (Cow<'_, [u8]>, usize, Places) {
        let (mut changed, mut missing, mut start) = (Places::new(), Vec::new(), 0);
        for line in &self.lines {
            let (source, next) = (&*line.source, line.sequence + 1);
            let known = changed.get(source).or_else(|| places.get(source));
            if line.redelivered {
                missing.push(start..line.end);
            } else if known.is_none_or(|place| line.sequence >= place.next) {
                missing.push(start..line.end);
                if let Some(place) = changed.get_mut(source) {
                    place.next = next;
                } else {
                    let ledger = places.get(source).and_then(|place| place.ledger.clone());
                    changed.insert(source.to_owned(), OwnPlace { ledger, next });
                }
            }
            start = line.end;
        }
        let known = self.lines.len() - missing.len();
        let bytes = if known == 0 {
            Cow::Borrowed(&*self.bytes)
        } else {
            let line = |range| self.bytes.get(range).unwrap_or_default();
            Cow::Owned(missing.into_iter().flat_map(line).copied().collect())
        };
        (bytes, known, changed)
    }
}
