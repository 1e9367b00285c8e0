//! An event as a row: which record it is of, and how its values travel.
//!
//! What an envelope's id is made of: of the Inform API `record:time:checksum`, with `:withdrawn` behind it; of
//! other servers the event's own id, and where another content had the same, `~` and a digest behind it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use streamkeeper_sink::{Content, Envelope, SinkError};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// The types of [`Row::values`].
pub(super) const TYPES: [Type; 14] = [
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::BOOL,
    Type::BOOL,
    Type::TEXT,
    Type::JSON,
];

/// An event on its way into the table.
pub(super) struct Row<'a> {
    /// Its place in the batch.
    position: i64,
    event: &'a Envelope,
    source: &'a str,
    kind: &'a str,
    record: &'a str,
    withdrawn: bool,
    time: Option<Time>,
    ledger: Option<String>,
    sequence: i64,
    content: &'static str,
    data: Json<'a>,
}

impl<'a> Row<'a> {
    /// The row of an event, or why there can be none.
    pub(super) fn of(
        position: i64,
        event: &'a Envelope,
        ledger: Option<String>,
    ) -> Result<Self, SinkError> {
        let texts = [&event.id, &*event.source, &*event.kind];
        let subject = event.subject.as_deref().unwrap_or_default();
        if texts.into_iter().chain([subject]).any(|text| text.contains('\0')) {
            let words = "its id or its user has a NUL, which PostgreSQL cannot store in a text";
            return Err(SinkError::poisoned("nul_in_text").with_detail(words).of_event(event));
        }
        let sequence = i64::try_from(event.sequence)
            .map_err(|_| SinkError::poisoned("sequence_too_large").of_event(event))?;
        let (record, withdrawn) = record(event);
        let data = match event.content {
            Content::Json => Cow::Borrowed(&*event.data),
            Content::Text => {
                let mut string = Vec::new();
                event.to_raw_json(&mut string);
                Cow::Owned(string)
            }
        };
        Ok(Self {
            position,
            event,
            source: &event.source,
            kind: &event.kind,
            record,
            withdrawn,
            time: event.time_us.and_then(Time::of),
            ledger,
            sequence,
            content: event.content.as_str(),
            data: Json(data),
        })
    }

    /// In the order of the temporary table's columns.
    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); TYPES.len()] {
        [
            &self.position,
            &self.source,
            &self.event.id,
            &self.record,
            &self.kind,
            &self.withdrawn,
            &self.time,
            &self.event.subject,
            &self.ledger,
            &self.sequence,
            &self.event.replayed,
            &self.event.redelivered,
            &self.content,
            &self.data,
        ]
    }

    /// Whether it is not older than a version of the same record and the same ledger.
    fn supersedes(&self, other: &Self) -> bool {
        match (self.time, other.time) {
            (Some(own), Some(other)) if own != other => own > other,
            _ => self.sequence > other.sequence,
        }
    }
}

/// The newest version alone of each record, in the batch's order: one statement changes a row but once.
pub(super) fn newest(rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    let mut newest = HashMap::with_capacity(rows.len());
    for row in rows {
        match newest.entry((row.source, row.record)) {
            Entry::Vacant(entry) => drop(entry.insert(row)),
            Entry::Occupied(mut entry) if row.supersedes(entry.get()) => drop(entry.insert(row)),
            Entry::Occupied(_) => {}
        }
    }
    let mut rows: Vec<_> = newest.into_values().collect();
    rows.sort_unstable_by_key(|row| row.position);
    rows
}

/// The record that an event is a version of, and whether the version withdraws it.
fn record(event: &Envelope) -> (&str, bool) {
    let id = event.id.as_str();
    if !event.kind.starts_with("inform.") {
        let is_digest =
            |end: &str| end.len() == 32 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
        let own = id.rsplit_once('~').filter(|(own, end)| !own.is_empty() && is_digest(end));
        return (own.map_or(id, |(own, _)| own), false);
    }
    let time = event.time_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    let between = time.map_or_else(|| ":-:".to_owned(), |time| format!(":{time}:"));
    match id.rsplit_once(&between) {
        Some((record, version)) if !record.is_empty() => (record, version.ends_with(":withdrawn")),
        _ => (id, false),
    }
}

/// A `timestamptz`: microseconds since 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(i64);

impl Time {
    /// The first that PostgreSQL has.
    pub(super) const FIRST: Self = Self(-211_813_488_000_000_000);

    /// From 1970-01-01 to 2000-01-01.
    const TO_2000_US: i64 = 946_684_800_000_000;

    /// `None` if PostgreSQL has no such time.
    pub(super) fn of(time_us: i64) -> Option<Self> {
        // The last that PostgreSQL has lies beyond what this number can say.
        time_us.checked_sub(Self::TO_2000_US).map(Self).filter(|time| *time >= Self::FIRST)
    }
}

impl ToSql for Time {
    fn to_sql(
        &self,
        _type: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// A JSON text as it is. `Debug` does not show it.
struct Json<'a>(Cow<'a, [u8]>);

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").finish_non_exhaustive()
    }
}

impl ToSql for Json<'_> {
    fn to_sql(
        &self,
        _type: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper_sink::testkit;

    #[test]
    fn a_record_is_found_in_the_id_of_its_version() {
        let at = Some(1_776_617_290_059_000);
        for (kind, id, time_us, expected) in [
            ("inform.data", "7db3:2026-04-19T16:48:10.059Z:5150", at, ("7db3", false)),
            ("inform.data", "7:b:2026-04-19T16:48:10.059Z:5150:withdrawn", at, ("7:b", true)),
            ("inform.data", "7db3:-:5150:withdrawn", None, ("7db3", true)),
            ("inform.data", "unlike", at, ("unlike", false)),
            ("sse.message", "5:-:1:withdrawn", None, ("5:-:1:withdrawn", false)),
            ("sse.message", "5~5150bd0f9c3e4c0e8e5a0e3b6f2d7a10", None, ("5", false)),
            ("sse.message", "a~b", None, ("a~b", false)),
        ] {
            let mut event = testkit::envelopes(1..2).remove(0);
            (event.kind, event.id, event.time_us) = (kind.into(), id.into(), time_us);
            assert_eq!(record(&event), expected, "{id}");
        }
    }

    #[test]
    fn times_that_postgres_does_not_have_are_left_out() {
        assert_eq!(Time::of(946_684_800_000_001), Some(Time(1)));
        assert_eq!((Time::of(i64::MIN), Time::of(i64::MIN / 2)), (None, None));
    }
}
