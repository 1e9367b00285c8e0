//! Why a call failed, without a word of what the server said.
//!
//! An error's text comes from here alone: a server may quote our request, token included, or a
//! user's data. What it says is read for one purpose, to tell the reasons of a 422 apart.
//!
//! Source: Inform API, "Errors": four envelopes occur, `{"errors":["…"]}`,
//! `{"errors":{"field":["…"]}}`, `{"status":403,"error":"Forbidden"}`, `{"message":"…"}`.

use std::time::Duration;

use streamkeeper_call::{Response, TransportError};

use crate::request::ApiCall;
use crate::wire::{self, Json, Malformed};

/// A call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {kind}")]
pub struct CallError {
    /// Which call.
    pub call: ApiCall,
    /// Why.
    #[source]
    pub kind: CallErrorKind,
    /// The `Retry-After` of the answer, which may come with any refusal (Inform API, Errors); `None` if
    /// there was no answer, or it did not say.
    pub retry_after: Option<Duration>,
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallErrorKind {
    /// 401: the token is wrong.
    #[error("the token was not accepted (401)")]
    Unauthorized,
    /// 403: the token is not for this organization.
    #[error("the token does not allow this (403)")]
    Forbidden,
    /// 404 or 410 to a call on one stream: there is none.
    #[error("there is no such stream ({status})")]
    NotFound {
        /// The HTTP status.
        status: u16,
    },
    /// 409 to a DELETE: a client is still connected, or counted as such.
    #[error("a client still counts as connected (409)")]
    Conflict,
    /// 422: understood and refused.
    #[error("refused: {0} (422)")]
    Unprocessable(Unprocessable),
    /// 400 or 422 to a CREATE, for its `start_date`: older than what the service keeps, most likely.
    #[error("the start_date was refused ({status})")]
    FirstDay {
        /// The HTTP status.
        status: u16,
    },
    /// 429: too many requests.
    #[error("too many requests (429)")]
    RateLimited,
    /// 5xx: trouble at the server.
    #[error("the server failed ({status})")]
    Server {
        /// The HTTP status.
        status: u16,
    },
    /// 3xx: never followed, since the token would go along.
    #[error("redirected, which is not followed ({status})")]
    Redirect {
        /// The HTTP status.
        status: u16,
    },
    /// Any other status.
    #[error("unexpected status {status}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
    /// Success, but the answer was not understood.
    #[error("the answer was not understood: {0}")]
    Malformed(Malformed),
    /// There was no answer.
    #[error(transparent)]
    Transport(TransportError),
}

/// Why the server refused with 422, as far as its message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unprocessable {
    /// The organization has a stream of this name.
    #[error("a stream of this name exists")]
    DuplicateName,
    /// The organization has as many streams as it may (5).
    #[error("no more streams are allowed")]
    StreamLimit,
    /// A filter is not valid.
    #[error("a filter is not valid")]
    BadFilter,
    /// The stream has as many clients as it may, or a closed one still counts; passes by itself.
    #[error("no more clients are allowed for now")]
    TooManyClients,
    /// Something else.
    #[error("for another reason")]
    Other,
}

impl CallError {
    /// Whether the server may have done what was asked in spite of the error.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        match self.kind {
            CallErrorKind::Transport(error) => error.sent,
            CallErrorKind::Malformed(_) | CallErrorKind::Server { .. } => true,
            _ => false,
        }
    }
}

impl CallErrorKind {
    /// What a response means for a call: `None` for any 2xx.
    ///
    /// For [`ApiCall::Connect`] and [`ApiCall::Replay`] too, whose success is a stream rather than a
    /// whole answer.
    #[must_use]
    pub fn of_response(call: ApiCall, response: &Response) -> Option<Self> {
        let status = response.status;
        Some(match status {
            200..=299 => return None,
            300..=399 => Self::Redirect { status },
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 if call.is_on_one_stream() => Self::NotFound { status },
            409 if call == ApiCall::Delete => Self::Conflict,
            400 | 422 if call == ApiCall::Create && names_first_day(&response.body) => {
                Self::FirstDay { status }
            }
            422 => Self::Unprocessable(Unprocessable::of_body(call, &response.body)),
            429 => Self::RateLimited,
            500..=599 => Self::Server { status },
            _ => Self::Unexpected { status },
        })
    }
}

impl Unprocessable {
    /// Reads the reason from an error body by keyword; the documents fix no wording.
    fn of_body(call: ApiCall, body: &[u8]) -> Self {
        let words = wire::parse(body).map(|text| words(Json(&text))).unwrap_or_default();
        let says = |any: &[&str]| any.iter().any(|word| words.contains(word));
        let about_number = says(&[
            "limit",
            "maximum",
            "max ",
            "too many",
            "exceed",
            "at most",
            "only",
            "more than",
        ]);
        if matches!(call, ApiCall::Connect | ApiCall::Replay) {
            // A bad filter can be sent to a replay; a connection has nothing else to refuse.
            return if says(&["filter", "resource", "event_type"]) && !about_number {
                Self::BadFilter
            } else {
                Self::TooManyClients
            };
        }
        if !matches!(call, ApiCall::Create | ApiCall::Rename) {
            // Names and numbers of streams concern nobody else.
            Self::Other
        } else if says(&["taken", "already exist", "duplicate", "unique", "in use"]) {
            Self::DuplicateName
        } else if says(&["filter", "resource", "event_type", "event type"]) {
            Self::BadFilter
        } else if about_number && says(&["client", "connection", "member"]) {
            Self::TooManyClients
        } else if about_number && says(&["stream"]) {
            Self::StreamLimit
        } else {
            Self::Other
        }
    }
}

/// Whether a refusal is about the first day that was asked for.
fn names_first_day(body: &[u8]) -> bool {
    let words = wire::parse(body).map(|text| words(Json(&text))).unwrap_or_default();
    ["start_date", "start date", "startdate"].into_iter().any(|name| words.contains(name))
}

/// Everything an error body says, field names included, in lower case.
fn words(answer: Json<'_>) -> String {
    let mut words = String::new();
    for said in ["errors", "error", "message"].into_iter().filter_map(|key| answer.get(key)) {
        collect(said, WORDS_DEPTH, &mut words);
    }
    words
}

/// How deep an error body is read: each level is gone over once more.
const WORDS_DEPTH: usize = 8;

fn collect(value: Json<'_>, depth: usize, words: &mut String) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    let say = |words: &mut String, text: &str| {
        words.push_str(&text.to_lowercase());
        words.push(' ');
    };
    if let Some(text) = value.text() {
        say(words, &text);
    } else if let Some(values) = value.elements() {
        values.into_iter().for_each(|value| collect(value, deeper, words));
    } else {
        // The body is JSON: what is no object has no members.
        let _no_object = value.each_member(|field, value| {
            say(words, field);
            collect(value, deeper, words);
        });
    }
}
