//! One event as a message: the CloudEvents attributes as headers, percent-encoded as over HTTP, and the
//! stream's place.

use async_nats::HeaderMap;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use streamkeeper_sink::{Envelope, OwnPlace, Recalled, SinkError};

use crate::Format;

/// The header with the place of the stream behind this message: `<ledger> <next>`, and `-` for a ledger that
/// is not known.
const PLACE: &str = "Streamkeeper-Place";
const ID: &str = "ce-id";
const SOURCE: &str = "ce-source";
const SUBJECT: &str = "ce-subject";
const TIME: &str = "ce-time";

/// A message on its way.
pub(super) struct Outgoing {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Outgoing {
    /// The message of an event, behind which the stream is at `place`.
    pub(super) fn new(
        subject: String,
        format: Format,
        envelope: &Envelope,
        place: &OwnPlace,
    ) -> Self {
        let mut headers = HeaderMap::new();
        let (body, content) = match format {
            Format::Raw => (envelope.data.clone(), envelope.content.as_str()),
            Format::CloudEvents => {
                let mut body = Vec::new();
                envelope.to_cloudevents_json(&mut body);
                (body.into(), "application/cloudevents+json")
            }
        };
        headers.insert("content-type", content);
        headers.insert("ce-specversion", "1.0");
        headers.insert(ID, value(&envelope.id));
        headers.insert(SOURCE, value(&envelope.source));
        headers.insert("ce-type", value(&envelope.kind));
        headers.insert("ce-sequence", format!("{:020}", envelope.sequence));
        headers.insert("ce-replayed", if envelope.replayed { "true" } else { "false" });
        if envelope.redelivered {
            headers.insert("ce-redelivered", "true");
        }
        if let Some(time) =
            envelope.time_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
        {
            headers.insert(TIME, time.to_string());
        }
        if let Some(subject) = &envelope.subject {
            headers.insert(SUBJECT, value(subject));
        }
        let ledger = place.ledger.as_deref().map_or_else(|| "-".to_owned(), value);
        headers.insert(PLACE, format!("{ledger} {}", place.next));
        Self { subject, headers, body }
    }

    /// The server counts both against its limits, and has one for the headers alone.
    pub(super) fn check_size(
        &self,
        bytes_max: usize,
        envelope: &Envelope,
    ) -> Result<(), SinkError> {
        let line = |(name, values): (&async_nats::HeaderName, &Vec<async_nats::HeaderValue>)| {
            let name = name.to_string().len();
            values.iter().map(|value| name + value.as_str().len() + ": \r\n".len()).sum::<usize>()
        };
        let headers = self.headers.iter().map(line).sum::<usize>() + SENT_WITH_IT;
        if headers > HEADERS_BYTES || headers + self.body.len() > bytes_max {
            let words = format!(
                "the server takes messages of {bytes_max} bytes: raise its max_payload, or the stream's limit"
            );
            return Err(SinkError::poisoned("too_large").of_event(envelope).with_detail(words));
        }
        Ok(())
    }
}

/// Room for what is sent with a message beside this: its place in a batch, and what it is to follow.
const SENT_WITH_IT: usize = 1_024;

/// The length of the headers is a number of 16 bits.
const HEADERS_BYTES: usize = 65_535;

/// What the binding of CloudEvents to HTTP wants encoded; all else is printable ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

pub(super) fn value(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decoded(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_str();
    Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
}

/// The place of the stream behind a message; `None` if it is none of ours.
pub(super) fn place(headers: &HeaderMap) -> Option<OwnPlace> {
    let (ledger, next) = headers.get(PLACE)?.as_str().split_once(' ')?;
    let ledger = match ledger {
        "-" => None,
        _ => Some(percent_decode_str(ledger).decode_utf8().ok()?.into_owned()),
    };
    Some(OwnPlace { ledger, next: next.parse().ok()? })
}

/// Whether a message is this very event, given again by a hand.
pub(super) fn is_again(headers: &HeaderMap, envelope: &Envelope, place: &OwnPlace) -> bool {
    let is = |name: &str, expected: &str| {
        headers.get(name).is_some_and(|value| value.as_str() == expected)
    };
    is("ce-redelivered", "true")
        && is(ID, &value(&envelope.id))
        && is("ce-sequence", &format!("{:020}", envelope.sequence))
        && self::place(headers).is_some_and(|of| of.ledger == place.ledger)
}

/// What a message says when it is asked for; `None` if it is no event of this stream.
pub(super) fn recalled(headers: &HeaderMap, source: &str) -> Option<Recalled> {
    if decoded(headers, SOURCE)? != source {
        return None;
    }
    let time: Option<jiff::Timestamp> =
        headers.get(TIME).and_then(|time| time.as_str().parse().ok());
    Some(Recalled {
        id: decoded(headers, ID)?,
        time_us: time.map(jiff::Timestamp::as_microsecond),
        subject: decoded(headers, SUBJECT),
    })
}
