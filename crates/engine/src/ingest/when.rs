//! Event time on the wire: milliseconds since 1970, or RFC 3339 text with its zone.

use super::draft::Text;
use nowcast_types::{Refusal, RefusalCode, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A time as a client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When<'a> {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Ms(i64),
    /// RFC 3339 text, not yet parsed.
    Text(Text<'a>),
}

/// What the text forms of time should have looked like.
const EXPECTED: &str =
    "milliseconds since 1970 as an integer, or RFC 3339 text such as 2026-11-20T12:00:00.000+01:00";

/// The latest time the histories can hold (they keep 32 bits of seconds): in the year 2106.
pub const TIMESTAMP_MS_MAX: i64 = (u32::MAX as i64) * 1000;

impl When<'_> {
    /// The instant and, for text, the zone's minutes east of Greenwich.
    ///
    /// # Errors
    /// A refusal of the field `timestamp`.
    pub fn resolve(&self) -> Result<(Timestamp, Option<i16>), Refusal> {
        let (ms, offset_minutes) = match self {
            Self::Ms(ms) => (*ms, None),
            Self::Text(text) => {
                let (ms, offset) = parse_rfc3339(text).ok_or_else(|| {
                    Refusal::new(RefusalCode::Malformed, "timestamp", EXPECTED).with_value(&**text)
                })?;
                (ms, Some(offset))
            }
        };
        if !(0..=TIMESTAMP_MS_MAX).contains(&ms) {
            return Err(Refusal::new(
                RefusalCode::OutOfRange,
                "timestamp",
                "a time between 1970 and 2106, in milliseconds",
            )
            .with_value(ms));
        }
        Ok((Timestamp(ms), offset_minutes))
    }
}

/// Parses RFC 3339 (section 5.6) into milliseconds since 1970 and the zone's minutes.
///
/// Digits beyond milliseconds are cut; a leap second counts as the second after it.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<(i64, i16)> {
    let bytes = text.as_bytes();
    let number = |from: usize, digits: usize| -> Option<i64> {
        let part = bytes.get(from..from + digits)?;
        part.iter().try_fold(0_i64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let mark = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|b| allowed.contains(b));
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let is_shaped = mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":");
    if !is_shaped || !mark(16, b":") || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let mut at = 19;
    let mut millisecond = 0;
    if mark(at, b".") {
        let digits = bytes[at + 1..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits == 0 {
            return None;
        }
        let kept = digits.min(3);
        millisecond = number(at + 1, kept)? * [1, 100, 10, 1][kept];
        at += 1 + digits;
    }
    let offset_minutes = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && mark(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
    Some((
        seconds * 1000 + millisecond,
        i16::try_from(offset_minutes).ok()?,
    ))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar.
/// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl<'de: 'a, 'a> Deserialize<'de> for When<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WhenVisitor;
        impl<'de> Visitor<'de> for WhenVisitor {
            type Value = When<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_i64<E: Error>(self, ms: i64) -> Result<When<'de>, E> {
                Ok(When::Ms(ms))
            }
            fn visit_u64<E: Error>(self, ms: u64) -> Result<When<'de>, E> {
                // A number too large for the clock is refused by its range, not by its type.
                Ok(When::Ms(i64::try_from(ms).unwrap_or(i64::MAX)))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<When<'de>, E> {
                Ok(When::Text(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<When<'de>, E> {
                Ok(When::Text(Text(Cow::Owned(text.to_owned()))))
            }
        }
        deserializer.deserialize_any(WhenVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_text_becomes_milliseconds_and_a_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2000-01-01T23:30:00Z", Some((946_769_400_000, 0))),
            ("2000-02-29T12:00:00.5Z", Some((951_825_600_500, 0))),
            (
                "2026-11-20t12:00:00.123456+01:00",
                Some((1_795_172_400_123, 60)),
            ),
            ("1969-12-31T23:59:59.999Z", Some((-1, 0))),
            ("1990-12-31T15:59:60-08:00", Some((662_688_000_000, -480))),
            ("1900-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-32T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00+0100", None),
            ("2026-01-01T00:00:00Zjunk", None),
            ("2026-01-01T00:00:00+24:00", None),
            ("", None),
            ("2026-01-01T00:00:0é", None),
        ] {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn times_the_histories_cannot_hold_are_out_of_range() {
        for ms in [-1, i64::MIN, i64::MAX, TIMESTAMP_MS_MAX + 1] {
            let refusal = When::Ms(ms).resolve().unwrap_err();
            assert_eq!(refusal.code, RefusalCode::OutOfRange);
        }
    }

    #[test]
    fn a_number_of_any_size_is_read() {
        let when: When<'_> = serde_json::from_str("18446744073709551615").unwrap();
        assert_eq!(when, When::Ms(i64::MAX));
    }
}
