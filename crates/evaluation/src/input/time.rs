//! Times in files: seconds, milliseconds or RFC 3339 text.

use nowcast_types::Timestamp;

/// How a column writes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// Numbers from 10^11 on are milliseconds (year 1973), below that seconds (year 5138); other
    /// text is RFC 3339.
    #[default]
    Auto,
    /// Seconds since 1970, fractions allowed.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339, such as `2018-11-07T09:30:00Z`; a space may stand for the `T`, and no zone is UTC.
    Iso,
}

impl std::str::FromStr for TimeUnit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "s" => Ok(Self::Seconds),
            "ms" => Ok(Self::Millis),
            "iso" => Ok(Self::Iso),
            _ => Err(format!("`{text}` is not a time unit: auto, s, ms or iso")),
        }
    }
}

/// Numbers below this are taken for seconds.
const MILLIS_FROM: f64 = 1e11;

/// Reads a time; `None` if the text is not one.
#[must_use]
pub fn parse_time(text: &str, unit: TimeUnit) -> Option<Timestamp> {
    let text = text.trim();
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    let millis = |n: f64| Timestamp(n as i64);
    match (unit, number) {
        (TimeUnit::Seconds, Some(n)) => Some(millis(n * 1000.0)),
        (TimeUnit::Millis, Some(n)) => Some(millis(n)),
        (TimeUnit::Auto, Some(n)) if n.abs() < MILLIS_FROM => Some(millis(n * 1000.0)),
        (TimeUnit::Auto, Some(n)) => Some(millis(n)),
        (TimeUnit::Auto | TimeUnit::Iso, _) => parse_iso(text),
        _ => None,
    }
}

fn parse_iso(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || !text.is_ascii() {
        return None;
    }
    let field = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let is_calendar = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_calendar || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = &text[19..];
    let digits = rest
        .strip_prefix('.')
        .map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
    let fraction_end = if digits > 0 { digits + 1 } else { 0 };
    let fraction_ms = rest[..fraction_end].parse::<f64>().unwrap_or(0.0) * 1000.0;
    let offset_minutes = match &rest[fraction_end..] {
        "" | "Z" | "z" => 0,
        zone if zone.len() == 6 => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            sign * (zone[1..3].parse::<i64>().ok()? * 60 + zone[4..6].parse::<i64>().ok()?)
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        - offset_minutes * 60;
    Some(Timestamp(seconds * 1000 + fraction_ms as i64))
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_agree() {
        let expected = Some(Timestamp(1_541_583_000_000));
        assert_eq!(parse_time("1541583000", TimeUnit::Auto), expected);
        assert_eq!(parse_time("1541583000000", TimeUnit::Auto), expected);
        assert_eq!(parse_time("2018-11-07T09:30:00Z", TimeUnit::Auto), expected);
        assert_eq!(
            parse_time("2018-11-07 10:30:00.000+01:00", TimeUnit::Iso),
            expected
        );
        assert_eq!(
            parse_time("1541583000.5", TimeUnit::Seconds),
            Some(Timestamp(1_541_583_000_500))
        );
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2018-13-07T09:30:00Z",
            "NaN",
            "2018-11-07T09:30:00+1",
        ] {
            assert_eq!(parse_time(text, TimeUnit::Auto), None, "{text}");
        }
    }
}
