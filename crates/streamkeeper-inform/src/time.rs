//! The service's timestamps as microseconds since the Unix epoch.
//!
//! Positions, versions and the low-water mark are compared as numbers, so every timestamp is read
//! once, here. Microseconds hold what the service sends (milliseconds today) with room to spare.
//! What cannot be read is `None`, never an error: a timestamp in a new spelling must not cost us
//! the record it stands in.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, tz};

/// Digits of a fraction that are read; finer ones are cut off.
const FRACTION_DIGITS_MAX: usize = 9;

/// Reads an RFC 3339 timestamp with any offset and any number of fraction digits.
///
/// Without an offset it is taken as UTC, as all times of the service are. Fractions finer than a
/// microsecond are cut off.
///
/// ```
/// use streamkeeper_inform::time::parse_micros;
/// assert_eq!(parse_micros("1970-01-01T00:00:01.5Z"), Some(1_500_000));
/// assert_eq!(parse_micros("1970-01-01T01:00:00+01:00"), Some(0));
/// assert_eq!(parse_micros("yesterday"), None);
/// ```
#[must_use]
pub fn parse_micros(text: &str) -> Option<i64> {
    usual(text.as_bytes()).or_else(|| any(text))
}

/// Reads the form in which the service writes its times, with milliseconds or without: two of them
/// stand in every record.
fn usual(text: &[u8]) -> Option<i64> {
    let (second, millis) = match text {
        [second @ .., b'.', m1, m2, m3, b'Z'] => (second, number(&[*m1, *m2, *m3])?),
        [second @ .., b'Z'] => (second, 0),
        _ => return None,
    };
    let (date, clock) = second.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2] = date else { return None };
    let [b'T', h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let year = i16::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?;
    let two = |tens: &u8, ones: &u8| i8::try_from(number(&[*tens, *ones])?).ok();
    let date = Date::new(year, two(mo1, mo2)?, two(d1, d2)?).ok()?;
    let time = Time::new(two(h1, h2)?, two(m1, m2)?, two(s1, s2)?, 0).ok()?;
    let at = tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(at.as_microsecond() + i64::from(millis) * 1_000)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

fn any(text: &str) -> Option<i64> {
    let text = text.trim();
    // The library reads at most nine digits; cutting only when needed keeps the usual path free.
    let shortened = cut_fraction(text);
    let text = shortened.as_deref().unwrap_or(text);
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(floor_micros(at));
    }
    // A civil time with an offset or zone that the first attempt refused is not UTC.
    let civil: DateTime = text.parse().ok()?;
    let has_clock = text.contains(':') && !text.contains(['Z', 'z', '+', '[']);
    let at = civil.to_zoned(tz::TimeZone::UTC).ok()?.timestamp();
    has_clock.then(|| floor_micros(at))
}

/// Reads the day at the start of a text (`2026-11-01`, also with a time behind it).
#[must_use]
pub fn parse_date(text: &str) -> Option<Date> {
    text.trim().get(..10)?.parse().ok()
}

/// Writes microseconds as RFC 3339 with `Z`, with no more fraction digits than needed.
///
/// `None` for an instant outside the years that RFC 3339 can spell.
///
/// ```
/// assert_eq!(
///     streamkeeper_inform::time::format_micros(1_500_000).as_deref(),
///     Some("1970-01-01T00:00:01.5Z"),
/// );
/// ```
#[must_use]
pub fn format_micros(micros: i64) -> Option<String> {
    Some(Timestamp::from_microsecond(micros).ok()?.to_string())
}

/// The UTC day of an instant, `None` outside the years that a date can spell.
#[must_use]
pub fn utc_day(micros: i64) -> Option<Date> {
    let at = Timestamp::from_microsecond(micros).ok()?;
    Some(tz::TimeZone::UTC.to_datetime(at).date())
}

/// Rounds down, before the epoch too, so that a cut fraction never moves an instant forward.
fn floor_micros(at: Timestamp) -> i64 {
    let micros = at.as_microsecond();
    let below = i64::from(at.as_nanosecond() < i128::from(micros) * 1_000);
    micros - below
}

fn cut_fraction(text: &str) -> Option<String> {
    let (whole, rest) = text.split_once('.')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= FRACTION_DIGITS_MAX {
        return None;
    }
    // Both cuts lie within ASCII digits, so they are character boundaries.
    Some(format!("{whole}.{}{}", rest.get(..FRACTION_DIGITS_MAX)?, rest.get(digits..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_offset_and_fraction() {
        let expected = Some(1_776_617_290_059_000);
        for text in [
            "2026-04-19T16:48:10.059Z",
            "2026-04-19t16:48:10.059z",
            "2026-04-19T16:48:10.059000Z",
            "2026-04-19T16:48:10.059000000Z",
            "2026-04-19T16:48:10.05900000000000000Z",
            "2026-04-19T16:48:10.059+00:00",
            "2026-04-19T18:48:10.059+02:00",
            "2026-04-19T11:18:10.059-05:30",
            "2026-04-19T16:48:10.059+0000",
            "2026-04-19 16:48:10.059Z",
            "2026-04-19T16:48:10.059",
            " 2026-04-19T16:48:10.059Z ",
        ] {
            assert_eq!(parse_micros(text), expected, "{text}");
        }
    }

    #[test]
    fn the_usual_form_is_read_as_any_other() {
        let at = |date: &str, clock: &str, rest: &str| format!("{date}T{clock}{rest}");
        for date in
            ["0000-01-01", "1969-12-31", "2024-02-29", "2025-02-29", "2026-04-31", "9999-12-31"]
        {
            for clock in ["00:00:00", "23:59:59", "24:00:00", "12:60:00", "12:00:60", "1 :00:00"] {
                for rest in ["Z", ".000Z", ".059Z", ".999Z", ".05Z", ".0590Z", ".+59Z", "z", ""] {
                    let text = at(date, clock, rest);
                    assert_eq!(parse_micros(&text), any(&text), "{text}");
                }
            }
        }
        assert_eq!(usual(b"1969-12-31T23:59:59.999Z"), Some(-1_000));
        assert_eq!(usual(b"2026-04-19T16:48:10Z"), Some(1_776_617_290_000_000));
    }

    #[test]
    fn cuts_what_is_finer_than_a_microsecond() {
        assert_eq!(parse_micros("1970-01-01T00:00:00.0000019Z"), Some(1));
        assert_eq!(parse_micros("1969-12-31T23:59:59.9999999Z"), Some(-1));
    }

    #[test]
    fn anything_else_is_none() {
        for text in
            ["", "2026-04-19", "16:48", "2026-13-01T00:00:00Z", "1776617290", "ö.123456789012"]
        {
            assert_eq!(parse_micros(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in
            ["2026-04-19T16:48:10.059Z", "2026-04-19T16:48:10Z", "2026-04-19T16:48:10.000001Z"]
        {
            assert_eq!(parse_micros(text).and_then(format_micros).as_deref(), Some(text));
        }
        assert_eq!(format_micros(i64::MAX), None);
    }

    #[test]
    fn days() {
        let day = "2026-11-01".parse().ok();
        assert_eq!(parse_date("2026-11-01"), day);
        assert_eq!(parse_date("2026-11-01T05:00:00Z"), day);
        assert_eq!(parse_date("1 November"), None);
        assert_eq!(parse_micros("2026-11-01T23:59:59.999999Z").and_then(utc_day), day);
    }
}
