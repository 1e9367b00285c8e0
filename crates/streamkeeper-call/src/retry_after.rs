//! How long a server asks us to wait.

use std::time::{Duration, SystemTime};

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3).
///
/// A date is taken relative to the answer's own `Date` header where there is one, so that clock
/// skew does not matter, else relative to `now`. A date in the past is zero; what cannot be read
/// is `None`. How much of it is obeyed is policy: it may be centuries.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use streamkeeper_call::retry_after;
/// assert_eq!(retry_after("120", None, UNIX_EPOCH), Some(Duration::from_secs(120)));
/// let date = Some("Sun, 19 Apr 2026 16:48:00 GMT");
/// let wait = retry_after("Sun, 19 Apr 2026 16:48:30 GMT", date, UNIX_EPOCH);
/// assert_eq!(wait, Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Some(value.parse().map_or(Duration::MAX, Duration::from_secs))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        let from = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
        Some(until.duration_since(from).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now = httpdate::parse_http_date("Sun, 19 Apr 2026 16:47:00 GMT").expect("a date");
        let later = "Sun, 19 Apr 2026 16:48:00 GMT";
        for (value, date, expected) in [
            ("0", None, Some(0)),
            (" 7 ", None, Some(7)),
            ("9223372036854775808", None, Some(1 << 63)),
            (later, None, Some(60)),
            (later, Some("Sun, 19 Apr 2026 16:47:50 GMT"), Some(10)),
            (later, Some("Sun, 19 Apr 2026 16:49:00 GMT"), Some(0)),
            (later, Some("nonsense"), Some(60)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some("Thu, 30 Dec 9999 23:59:59 GMT"), Some(86_400)),
            ("soon", None, None),
            ("-1", None, None),
            ("", None, None),
        ] {
            assert_eq!(retry_after(value, date, now), expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after("99999999999999999999999", None, now), Some(Duration::MAX));
    }
}
