//! What the ledger keeps of an event beside its payload, and the envelope made of both.
//!
//! The ledger carries a *head* through without looking into it. It is a [`Head`] in the format of
//! `postcard`; a later version adds a variant, and every variant stays readable. The stream's name is
//! not in it: it is the folder's.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::{Entry, KEY_BYTES_MAX};
use streamkeeper_sink::{Content, Envelope};

use crate::dialect::event::{Event, EventKind, VersionId};

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
    /// Id and time are those of the ledger's own entry, and not kept twice.
    V2 { kind: &'a str, subject: Option<&'a str>, replayed: bool },
    /// Of an event whose server gives it a name; it has neither time nor subject.
    V3 {
        /// The envelope's id, if it is not the key of the ledger's own entry.
        id: Option<&'a str>,
        kind: &'a str,
        /// The payload is text that is no JSON.
        is_text: bool,
        replayed: bool,
    },
}

/// Writes heads, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// The head of an event. `differs`: its id is that of an accepted one, and its content is not.
    pub(crate) fn write(&mut self, event: &Event, replayed: bool, differs: bool) -> &[u8] {
        let id;
        let (kind, subject) = (event.type_name(), event.user_id());
        let kind = &*kind;
        let is_keyed = event.key().len() <= KEY_BYTES_MAX;
        let head = if event.kind == EventKind::Named {
            id = own_id(event, differs);
            let id = (differs || !is_keyed).then_some(&*id);
            Head::V3 { id, kind, is_text: event.is_text(), replayed }
        } else if is_keyed && event.checksum_is_number() {
            Head::V2 { kind, subject, replayed }
        } else {
            id = event.version_id().to_string().into();
            let time_us = event.version.created_at.map(Timestamp::as_micros);
            Head::V1 { id: &id, kind, time_us, subject, replayed }
        };
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        // Text, numbers and flags can always be written, and a vector grows.
        self.0 = postcard::to_extend(&head, buffer).unwrap_or_default();
        &self.0
    }
}

/// The envelope's id of a named event: what its server calls it, and for another content of the same id that
/// with the content's digest.
fn own_id(event: &Event, differs: bool) -> Cow<'_, str> {
    if differs {
        format!("{}~{:032x}", event.key(), event.version.checksum).into()
    } else {
        event.key().into()
    }
}

/// The envelope of an event as it was stored; `None` if a newer version has written its head.
pub(crate) fn envelope(source: &Arc<str>, entry: Entry) -> Option<Envelope> {
    let Entry { sequence, key, version, head, payload, .. } = entry;
    let head = postcard::from_bytes(&head).ok()?;
    let created_at = version.created_at.map(Timestamp::as_micros);
    let (id, time_us) = match head {
        Head::V1 { id, time_us, .. } => (id.to_owned(), time_us),
        Head::V2 { .. } => {
            let checksum = format!("{:032x}", version.checksum);
            let withdrawn = version.withdrawn;
            let id = VersionId { key: &key, created_at, checksum: &checksum, withdrawn };
            (id.to_string(), created_at)
        }
        Head::V3 { id, .. } => (id.map_or(key, str::to_owned), None),
    };
    let (kind, subject, replayed, is_text) = match head {
        Head::V1 { kind, subject, replayed, .. } | Head::V2 { kind, subject, replayed } => {
            (kind, subject, replayed, false)
        }
        Head::V3 { kind, replayed, is_text, .. } => (kind, None, replayed, is_text),
    };
    Some(Envelope {
        id,
        source: Arc::clone(source),
        kind: kind.to_owned().into(),
        time_us,
        subject: subject.map(str::to_owned),
        sequence,
        replayed,
        redelivered: false,
        content: if is_text { Content::Text } else { Content::Json },
        data: payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SseTable, StreamConfig};
    use crate::dialect::sse::Sse;
    use crate::dialect::{Reading, inform};
    use bytes::Bytes;
    use streamkeeper_sse::{Event as SseEvent, Frame};

    fn stored(record: &str) -> (Event, Vec<u8>) {
        let Reading::Event(event) = inform::read(Frame::Event(SseEvent::new(record))) else {
            panic!("a record is an event")
        };
        let head = Writer::default().write(&event, true, false).to_owned();
        (event, head)
    }

    fn entry(event: &Event, head: &[u8]) -> Entry {
        Entry {
            sequence: 42,
            kind: 0,
            key: event.key().to_owned(),
            version: event.version,
            head: Bytes::copy_from_slice(head),
            payload: event.data.clone().into_bytes(),
        }
    }

    #[test]
    fn an_envelope_comes_back_as_it_was_stored() {
        let number = "5150bd0f9c3e4c0e8e5a0e3b6f2d7a10";
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        for (key, checksum, form) in [
            ("7db3", number, 1),
            ("7db3", &format!("00{}", &number[2..]), 1),
            ("7db3", "5150", 0),
            ("7db3", &number.to_uppercase(), 0),
            ("7db3", &format!("{number}0"), 0),
            (&long, number, 0),
        ] {
            let record = format!(
                r#"{{"id":"{key}","checksum":"{checksum}","created_at":"2026-04-19T16:48:10.059Z","deleted_at":1,"user":{{"user_id":"5fbd"}}}}"#
            );
            let (event, head) = stored(&record);
            assert_eq!(head.first(), Some(&form), "the form of the head");
            let envelope = envelope(&"acme".into(), entry(&event, &head)).unwrap();
            let id = format!("{key}:2026-04-19T16:48:10.059Z:{checksum}:withdrawn");
            assert_eq!(envelope.id, id);
            assert_eq!(envelope.kind, "inform.data");
            assert_eq!(envelope.time_us, Some(1_776_617_290_059_000));
            assert_eq!(envelope.subject.as_deref(), Some("5fbd"));
            assert_eq!((envelope.sequence, envelope.replayed), (42, true));
            assert_eq!(envelope.data, record.as_bytes());
        }
    }

    #[test]
    fn an_undated_one_has_no_time() {
        let checksum = "5150bd0f9c3e4c0e8e5a0e3b6f2d7a10";
        let (event, head) = stored(&format!(r#"{{"id":"7db3","checksum":"{checksum}"}}"#));
        let envelope = envelope(&"acme".into(), entry(&event, &head)).unwrap();
        assert_eq!((envelope.id, envelope.time_us), (format!("7db3:-:{checksum}"), None));
        assert_eq!(envelope.subject, None);
    }

    /// An event of a server that names its events.
    fn named(id: &str, data: &str) -> Event {
        let config = StreamConfig::sse("a", "http://h", SseTable::preset("sse").unwrap());
        let mut reader = Sse::new(&config, config.as_sse().unwrap()).reader(None);
        let frame = Frame::Event(SseEvent::new(data).with_name("price").with_id(id));
        let mut events = Vec::new();
        reader.read(frame, &mut |reading| {
            events.extend(match reading {
                Reading::Event(event) => Some(event),
                _ => None,
            })
        });
        events.remove(0)
    }

    #[test]
    fn an_event_with_a_name_comes_back_with_its_servers_id() {
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        for (id, data, content) in [
            ("1-a", "{\"p\":1}", Content::Json),
            ("1-a", "plain", Content::Text),
            (&*long, "1", Content::Json),
        ] {
            let event = named(id, data);
            for differs in [false, true] {
                let head = Writer::default().write(&event, false, differs).to_owned();
                assert_eq!(head.first(), Some(&2), "the form of the head");
                let mut entry = entry(&event, &head);
                if id.len() > KEY_BYTES_MAX {
                    "a digest".clone_into(&mut entry.key);
                }
                let envelope = envelope(&"prices".into(), entry).unwrap();
                let other = format!("{id}~{:032x}", event.version.checksum);
                assert_eq!(envelope.id, if differs { &other } else { id });
                assert_eq!((&*envelope.kind, envelope.content), ("sse.price", content));
                assert_eq!((envelope.time_us, envelope.subject), (None, None));
                assert_eq!(envelope.data, data.as_bytes());
            }
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_no_envelope() {
        let (event, mut head) = stored(r#"{"id":"7db3"}"#);
        if let Some(version) = head.first_mut() {
            *version = 9;
        }
        assert!(envelope(&"acme".into(), entry(&event, &head)).is_none());
    }

    #[test]
    fn the_first_form_is_read_for_ever() {
        let head =
            [&[0, 13][..], b"7db3:-:5150:w", &[11], b"inform.data", &[0, 1, 4], b"5fbd", &[0]];
        let (event, _) = stored(r#"{"id":"7db3"}"#);
        let envelope = envelope(&"acme".into(), entry(&event, &head.concat())).unwrap();
        assert_eq!(envelope.id, "7db3:-:5150:w");
        assert_eq!(envelope.subject.as_deref(), Some("5fbd"));
        assert!(!envelope.replayed);
    }
}
