//! What an answer means: whether the events are there, and if not, what helps.
//!
//! Words of the server are never repeated: they may quote an event.

use std::time::SystemTime;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use streamkeeper_call::retry_after;
use streamkeeper_sink::SinkError;

/// Judges the answer to a request with events.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    now: SystemTime,
) -> Result<(), SinkError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wait = text(RETRY_AFTER).and_then(|value| retry_after(value, text(DATE), now));
    let error = match status.as_u16() {
        200..=299 => return Ok(()),
        300..=399 => SinkError::refused("redirected"),
        401 | 403 | 407 => SinkError::refused("unauthorized"),
        404 | 405 => SinkError::refused("no_endpoint"),
        410 => SinkError::refused("gone"),
        408 | 425 | 429 => SinkError::busy("throttled", wait),
        413 => SinkError::poisoned("too_large"),
        400..=499 => SinkError::poisoned("rejected"),
        _ if wait.is_some() => SinkError::busy("unavailable", wait),
        _ => SinkError::broken("server_error"),
    };
    Err(error.with_detail(format!("the endpoint answered {}{}", status.as_u16(), advice(status))))
}

/// What a hand has to do.
fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => ": redirects are not followed; write the address that it leads to as `url`",
        401 | 403 | 407 => ": check `bearer`, `secret` and `headers`",
        404 | 405 => ": nothing takes POST requests there; check `url`",
        410 => {
            ": it wants no more, and nothing more is sent; remove this sink, or give another `url`, \
             or restart if it was a mistake"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use streamkeeper_sink::Failure;

    use super::*;

    fn failure(status: u16, headers: &[(&'static str, &'static str)]) -> Failure {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse().unwrap(), reqwest::header::HeaderValue::from_static(value))
        });
        let status = StatusCode::from_u16(status).unwrap();
        judge(status, &headers.collect(), UNIX_EPOCH).unwrap_err().failure
    }

    #[test]
    fn every_answer_has_its_meaning() {
        for status in 200..300 {
            let status = StatusCode::from_u16(status).unwrap();
            judge(status, &HeaderMap::new(), UNIX_EPOCH).unwrap();
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 405, 407, 410] {
            assert_eq!(failure(status, &[]), Failure::Refused, "{status}");
        }
        for status in [400, 402, 406, 409, 413, 415, 422, 451, 499] {
            assert_eq!(failure(status, &[("retry-after", "9")]), Failure::Poisoned, "{status}");
        }
        for status in [408, 425, 429] {
            assert_eq!(failure(status, &[]), Failure::Busy { retry_after: None }, "{status}");
        }
        for status in [100, 500, 502, 503, 504, 599, 999] {
            assert_eq!(failure(status, &[]), Failure::Broken, "{status}");
        }
    }

    #[test]
    fn a_wish_to_wait_is_heard_in_seconds_and_as_a_date() {
        let seconds = |seconds| Failure::Busy { retry_after: Some(Duration::from_secs(seconds)) };
        let late = ("retry-after", "Sun, 19 Apr 2026 16:48:30 GMT");
        let date = ("date", "Sun, 19 Apr 2026 16:48:00 GMT");
        for status in [408, 429, 500, 503] {
            assert_eq!(failure(status, &[("retry-after", "7")]), seconds(7), "{status}");
            assert_eq!(failure(status, &[late, date]), seconds(30), "{status}");
        }
        assert_eq!(failure(503, &[("retry-after", "soon")]), Failure::Broken);
    }
}
