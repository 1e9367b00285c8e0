//! Times for people.

use streamkeeper_core::time::Timestamp;

/// As RFC 3339 with `Z`, with no more fraction digits than needed; `None` outside the years that it can spell.
pub(crate) fn rfc3339(timestamp: Timestamp) -> Option<String> {
    Some(jiff::Timestamp::from_microsecond(timestamp.as_micros()).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_as_many_digits_as_it_needs() {
        let text = |micros| rfc3339(Timestamp::from_micros(micros));
        assert_eq!(text(1_500_000).as_deref(), Some("1970-01-01T00:00:01.5Z"));
        assert_eq!(text(i64::MAX), None);
    }
}
