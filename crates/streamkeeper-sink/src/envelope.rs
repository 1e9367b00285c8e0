//! One event as every sink sees it: a CloudEvents 1.0 envelope around the record.
//!
//! The record is carried byte for byte: nothing here parses or re-serializes it. In the
//! one-line formats a raw CR or LF in the record becomes a space; in a JSON text these
//! two can only be white space between tokens, so the meaning stays.
//!
//! `Debug` shows neither the record nor the user: both are health data.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// One event with the CloudEvents attributes around it.
///
/// ```
/// use streamkeeper_sink::{Content, Envelope};
///
/// let envelope = Envelope {
///     id: "7db3/51502ff9".into(),
///     source: "acme".into(),
///     kind: "inform.data".into(),
///     time_us: Some(1_776_617_290_059_000),
///     subject: Some("5fbd".into()),
///     sequence: 42,
///     replayed: false,
///     redelivered: false,
///     content: Content::Json,
///     data: "{\"id\":\"7db3\"}".into(),
/// };
/// let mut line = Vec::new();
/// envelope.to_cloudevents_json(&mut line);
/// assert_eq!(
///     String::from_utf8(line).unwrap(),
///     concat!(
///         r#"{"specversion":"1.0","id":"7db3/51502ff9","source":"acme","type":"inform.data","#,
///         r#""time":"2026-04-19T16:48:10.059Z","subject":"5fbd","#,
///         r#""datacontenttype":"application/json","sequence":"00000000000000000042","#,
///         r#""replayed":false,"data":{"id":"7db3"}}"#,
///     ),
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Names the record *and* its version: the idempotency key of every sink. Not empty.
    pub id: String,
    /// The name of the stream, from the configuration (CloudEvents `source`).
    pub source: Arc<str>,
    /// CloudEvents `type`: `inform.data`, `inform.rule` or `inform.connection`; of other servers `sse.` and the
    /// event's name, `sse.message` where it has none.
    pub kind: Cow<'static, str>,
    /// When the service processed the record (`created_at`), in microseconds since
    /// 1970-01-01T00:00:00Z; written as RFC 3339 with `Z`. `None` if it is not known, and
    /// left out of the output if it is outside of the years -9999 to 9999.
    pub time_us: Option<i64>,
    /// The user id; also the partition key. Health data: never log it.
    pub subject: Option<String>,
    /// The stream's only order: rises by the acceptance of each event, without repeats.
    pub sequence: u64,
    /// Whether the event came from a replay rather than from the live stream.
    pub replayed: bool,
    /// Whether a hand has it delivered again, out of the dead letters: it is older than what came before
    /// it. Written (as `redelivered`) only if it is so.
    pub redelivered: bool,
    /// What the record is (CloudEvents `datacontenttype`).
    pub content: Content,
    /// The record in UTF-8, byte for byte as the service sent it: one complete JSON text, or any text, as
    /// `content` says. Whoever makes the envelope has checked that. Health data: never log it.
    pub data: Bytes,
}

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// One complete JSON text.
    #[default]
    Json,
    /// Text that is no JSON; in JSON it is a string.
    Text,
}

impl Content {
    /// As CloudEvents' `datacontenttype` says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain",
        }
    }
}

impl Envelope {
    /// Appends the envelope to `out` as CloudEvents 1.0 JSON on one line, without the
    /// line's end. An attribute that is `None` is left out, as the specification asks.
    ///
    /// `sequence` is the CloudEvents sequence extension: 20 digits, so that the order of
    /// the strings is the order of the numbers.
    pub fn to_cloudevents_json(&self, out: &mut Vec<u8>) {
        out.reserve(self.data.len() + ATTRIBUTES_BYTES);
        out.extend_from_slice(br#"{"specversion":"1.0","id":"#);
        push_string(out, &self.id);
        out.extend_from_slice(br#","source":"#);
        push_string(out, &self.source);
        out.extend_from_slice(br#","type":"#);
        push_string(out, &self.kind);
        if let Some(time) = self.time_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok()) {
            out.extend_from_slice(br#","time":"#);
            push_string(out, &time.to_string());
        }
        if let Some(subject) = &self.subject {
            out.extend_from_slice(br#","subject":"#);
            push_string(out, subject);
        }
        out.extend_from_slice(br#","datacontenttype":""#);
        out.extend_from_slice(self.content.as_str().as_bytes());
        out.extend_from_slice(br#"","sequence":"#);
        push_string(out, &format!("{:020}", self.sequence));
        out.extend_from_slice(br#","replayed":"#);
        out.extend_from_slice(if self.replayed { b"true" } else { b"false" });
        if self.redelivered {
            out.extend_from_slice(br#","redelivered":true"#);
        }
        out.extend_from_slice(br#","data":"#);
        self.to_raw_json(out);
        out.push(b'}');
    }

    /// Appends the record alone to `out`, on one line, without the line's end; text as a string of JSON.
    pub fn to_raw_json(&self, out: &mut Vec<u8>) {
        if self.content == Content::Text {
            return push_string(out, &String::from_utf8_lossy(&self.data));
        }
        let mut parts = self.data.split(|byte| matches!(byte, b'\r' | b'\n'));
        out.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            out.push(b' ');
            out.extend_from_slice(part);
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The id of a `rule` event is made from its content, so it is not shown either.
        f.debug_struct("Envelope")
            .field("source", &self.source)
            .field("kind", &self.kind)
            .field("time_us", &self.time_us)
            .field("sequence", &self.sequence)
            .field("replayed", &self.replayed)
            .field("data_bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// Room for the attributes around an ordinary record, so that a line grows `out` once.
const ATTRIBUTES_BYTES: usize = 384;

#[expect(clippy::expect_used, reason = "a str is serializable and writing to a Vec cannot fail")]
fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is valid JSON");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(data: &'static str) -> Envelope {
        Envelope {
            id: "an \"id\"\n".into(),
            source: "acme".into(),
            kind: "inform.rule".into(),
            time_us: None,
            subject: None,
            sequence: u64::MAX,
            replayed: true,
            redelivered: false,
            content: Content::Json,
            data: Bytes::from_static(data.as_bytes()),
        }
    }

    fn json(envelope: &Envelope) -> String {
        let mut out = Vec::new();
        envelope.to_cloudevents_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn absent_attributes_are_left_out_and_strings_escaped() {
        assert_eq!(
            json(&envelope("null")),
            concat!(
                r#"{"specversion":"1.0","id":"an \"id\"\n","source":"acme","type":"inform.rule","#,
                r#""datacontenttype":"application/json","sequence":"18446744073709551615","#,
                r#""replayed":true,"data":null}"#
            )
        );
    }

    #[test]
    fn line_ends_become_spaces_and_everything_else_is_kept() {
        let record = "{\r\n \"a\\n\": 1.0,\t\"b\":\"\u{2028}é\"\n}";
        let mut out = Vec::new();
        envelope(record).to_raw_json(&mut out);
        assert_eq!(out, "{   \"a\\n\": 1.0,\t\"b\":\"\u{2028}é\" }".as_bytes());
        assert!(json(&envelope(record)).contains("\"data\":{   \"a\\n\": 1.0,\t"));
    }

    #[test]
    fn text_is_a_string_and_says_so() {
        let text = Envelope { content: Content::Text, ..envelope("one \"two\"\n{") };
        let mut out = Vec::new();
        text.to_raw_json(&mut out);
        assert_eq!(out, br#""one \"two\"\n{""#);
        assert!(json(&text).contains(r#""datacontenttype":"text/plain","#));
        assert!(json(&text).ends_with(r#""data":"one \"two\"\n{"}"#));
    }

    #[test]
    fn the_time_is_utc_and_a_time_out_of_range_is_left_out() {
        let at = |us| json(&Envelope { time_us: Some(us), ..envelope("1") });
        assert!(at(0).contains(r#""time":"1970-01-01T00:00:00Z""#));
        assert!(at(-1).contains(r#""time":"1969-12-31T23:59:59.999999Z""#));
        assert!(!at(i64::MAX).contains("time\":\"1"));
        assert!(serde_json::from_str::<serde_json::Value>(&at(i64::MIN)).is_ok());
    }

    #[test]
    fn debug_shows_no_health_data() {
        let shown = format!(
            "{:?}",
            Envelope { subject: Some("marker".into()), ..envelope("{\"x\":\"marker\"}") }
        );
        assert!(!shown.contains("marker") && shown.contains("acme"), "{shown}");
    }
}
