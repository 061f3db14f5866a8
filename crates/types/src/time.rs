//! Time as data. Nothing here reads a clock; [`Clock`] is what the layers above inject.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;

impl Timestamp {
    /// Before every real event.
    pub const MIN: Self = Self(i64::MIN);

    /// Whole seconds since the epoch, clamped to what fits 32 bits (until 2106).
    #[must_use]
    pub fn seconds_u32(self) -> u32 {
        (self.0.div_euclid(1000)).clamp(0, i64::from(u32::MAX)) as u32
    }

    /// The time `seconds` after the epoch.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// This time plus `ms`, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative if it is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Hour of the day (0 to 23) in a zone `utc_offset_minutes` east of Greenwich.
    #[must_use]
    pub fn local_hour(self, utc_offset_minutes: i16) -> u8 {
        let local = self
            .0
            .saturating_add(i64::from(utc_offset_minutes) * 60_000);
        (local.rem_euclid(MS_PER_DAY) / MS_PER_HOUR) as u8
    }

    /// Day of the week (0 = Monday) in a zone `utc_offset_minutes` east of Greenwich.
    #[must_use]
    pub fn local_weekday(self, utc_offset_minutes: i16) -> u8 {
        let local = self
            .0
            .saturating_add(i64::from(utc_offset_minutes) * 60_000);
        // 1970-01-01 was a Thursday.
        ((local.div_euclid(MS_PER_DAY) + 3).rem_euclid(7)) as u8
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the layers that may know the time ask for it.
pub trait Clock: Send + Sync {
    /// The present, which may step backwards.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_and_weekday_follow_the_zone() {
        // 2000-01-01T23:30:00Z, a Saturday.
        let t = Timestamp(946_769_400_000);
        assert_eq!((t.local_hour(0), t.local_weekday(0)), (23, 5));
        assert_eq!((t.local_hour(60), t.local_weekday(60)), (0, 6));
        assert_eq!(Timestamp(-1).local_hour(0), 23);
    }
}
