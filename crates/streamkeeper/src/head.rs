//! What the ledger keeps of an event beside its payload, and the envelope made of both.
//!
//! The ledger carries a *head* through without looking into it. It is a [`Head`] in the format of
//! `postcard`; a later version adds a variant, and every variant stays readable. The stream's name is
//! not in it: it is the folder's.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::Entry;
use streamkeeper_sink::Envelope;

use crate::dialect::Event;

/// The head, by version.
#[derive(Serialize, Deserialize)]
enum Head<'a> {
    V1 {
        /// The envelope's id: record and version.
        id: &'a str,
        kind: &'a str,
        time_us: Option<i64>,
        subject: Option<&'a str>,
        replayed: bool,
    },
}

/// Writes heads, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    id: String,
    head: Vec<u8>,
}

impl Writer {
    /// The head of an event.
    pub(crate) fn write(&mut self, event: &Event, replayed: bool) -> &[u8] {
        self.id.clear();
        // Writing into a string cannot fail.
        let _ok = write!(self.id, "{}", event.version_id()).is_ok();
        let head = Head::V1 {
            id: &self.id,
            kind: event.kind.as_str(),
            time_us: event.version.created_at.map(Timestamp::as_micros),
            subject: event.user_id(),
            replayed,
        };
        let mut buffer = std::mem::take(&mut self.head);
        buffer.clear();
        // Text, numbers and flags can always be written, and a vector grows.
        self.head = postcard::to_extend(&head, buffer).unwrap_or_default();
        &self.head
    }
}

/// The envelope of an event as it was stored; `None` if a newer version has written its head.
pub(crate) fn envelope(source: &Arc<str>, entry: Entry) -> Option<Envelope> {
    let Head::V1 { id, kind, time_us, subject, replayed } =
        postcard::from_bytes(&entry.head).ok()?;
    Some(Envelope {
        id: id.to_owned(),
        source: Arc::clone(source),
        kind: kind.to_owned().into(),
        time_us,
        subject: subject.map(str::to_owned),
        sequence: entry.sequence,
        replayed,
        data: entry.payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Reading, read_inform};
    use bytes::Bytes;
    use streamkeeper_sse::{Event as SseEvent, Frame};

    #[test]
    fn an_envelope_comes_back_as_it_was_stored() {
        let record = concat!(
            r#"{"id":"7db3","checksum":"5150","created_at":"2026-04-19T16:48:10.059Z","#,
            r#""user":{"user_id":"5fbd"}}"#
        );
        let Reading::Event(event) = read_inform(Frame::Event(SseEvent::new(record))) else {
            panic!("a record is an event")
        };
        let mut head = Writer::default().write(&event, true).to_owned();
        let entry = |head: &[u8]| Entry {
            sequence: 42,
            kind: 0,
            key: "7db3".into(),
            version: event.version,
            head: Bytes::copy_from_slice(head),
            payload: event.data.clone().into_bytes(),
        };
        let envelope = envelope(&"acme".into(), entry(&head)).unwrap();
        assert_eq!(envelope.id, "7db3:2026-04-19T16:48:10.059Z:5150");
        assert_eq!(envelope.kind, "inform.data");
        assert_eq!(envelope.time_us, Some(1_776_617_290_059_000));
        assert_eq!(envelope.subject.as_deref(), Some("5fbd"));
        assert_eq!((envelope.sequence, envelope.replayed), (42, true));
        assert_eq!(envelope.data, record.as_bytes());

        if let Some(version) = head.first_mut() {
            *version = 9;
        }
        assert!(super::envelope(&"acme".into(), entry(&head)).is_none());
    }
}
