//! What a request says: events in CloudEvents' JSON, an id made of them, and who vouches for it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use ring::{digest, hmac};
use serde::Deserialize;
use streamkeeper_sink::{Envelope, Secret};

/// How many events a request has; the key `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// An array of envelopes.
    #[default]
    Batched,
    /// One envelope.
    Structured,
}

impl Mode {
    pub(super) const EXPECTED: &str = "\"batched\" or \"structured\"";

    /// CloudEvents 1.0.2, HTTP protocol binding, 3.2 and 3.3.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Batched => "application/cloudevents-batch+json; charset=utf-8",
            Self::Structured => "application/cloudevents+json; charset=utf-8",
        }
    }
}

/// A request's content and its name.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: Bytes,
}

impl Message {
    /// Of these events, of which [`Mode::Structured`] has one.
    pub(super) fn new(mode: Mode, events: &[Envelope]) -> Self {
        let mut body = Vec::new();
        match mode {
            Mode::Structured => {
                events.iter().for_each(|event| event.to_cloudevents_json(&mut body))
            }
            Mode::Batched => {
                for event in events {
                    body.push(if body.is_empty() { b'[' } else { b',' });
                    event.to_cloudevents_json(&mut body);
                }
                body.push(b']');
            }
        }
        Self { id: id(events, &body), body: body.into() }
    }
}

/// The numbers of the first and the last event, for people, and a digest, so that the same id always means
/// the same bytes: over a filter that was changed and a ledger that was replaced, too.
fn id(events: &[Envelope], body: &[u8]) -> String {
    let sequence = |event: Option<&Envelope>| event.map_or(0, |event| event.sequence);
    let mut id = format!("{}-{}-", sequence(events.first()), sequence(events.last()));
    let digest = digest::digest(&digest::SHA256, body);
    for byte in digest.as_ref().iter().take(DIGEST_BYTES) {
        // Writing to a String cannot fail.
        let _infallible = write!(id, "{byte:02x}");
    }
    id
}

/// 128 bits: nobody looks for collisions, and the receiver keeps them.
const DIGEST_BYTES: usize = 16;

/// What signs: `whsec_` and base64, of 24 bytes or more (Standard Webhooks, "Signature scheme").
pub(super) fn key(secret: &Secret) -> Result<hmac::Key, &'static str> {
    let text = secret.expose();
    let bytes = BASE64
        .decode(text.strip_prefix("whsec_").unwrap_or(text))
        .map_err(|_| "must be `whsec_` and base64, as in Standard Webhooks")?;
    if bytes.len() < SECRET_BYTES_MIN {
        return Err("is too short: make one of 24 to 64 random bytes, in base64 behind `whsec_`");
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

const SECRET_BYTES_MIN: usize = 24;

/// The header `webhook-signature`: one by each key.
pub(super) fn signatures(keys: &[hmac::Key], message: &Message, timestamp: &str) -> String {
    let signature = |key| {
        let mut signed = hmac::Context::with_key(key);
        for part in [message.id.as_bytes(), b".", timestamp.as_bytes(), b".", &message.body] {
            signed.update(part);
        }
        format!("v1,{}", BASE64.encode(signed.sign()))
    };
    keys.iter().map(signature).collect::<Vec<_>>().join(" ")
}

/// With padding, and read without it, too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use streamkeeper_sink::testkit::envelopes;

    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // From the tests of the specification's own libraries.
        let key = key(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&key), &message, "1614265330"), expected);
        let both = format!("{expected} {expected}");
        assert_eq!(signatures(&[key.clone(), key], &message, "1614265330"), both);
    }

    #[test]
    fn the_same_id_means_the_same_bytes() {
        let events = envelopes(1..6);
        let id = |events: &[Envelope]| Message::new(Mode::Batched, events).id;
        assert!(id(&events).starts_with("1-5-"));
        assert_eq!(id(&events), id(&events.clone()));
        let mut filtered = events.clone();
        filtered.remove(2);
        assert_ne!(id(&filtered), id(&events));
        let mut replayed = events.clone();
        replayed[2].replayed = !replayed[2].replayed;
        assert_ne!(id(&replayed), id(&events));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_a_word_of_it() {
        for (secret, word) in [("whsec_marker!", "base64"), ("whsec_bWFya2Vy", "short")] {
            let error = key(&Secret::new(secret)).unwrap_err();
            assert!(error.contains(word) && !error.contains("marker"), "{error}");
        }
        key(&Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
    }
}
