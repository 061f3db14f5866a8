//! How often a system learns what happened, and the event times at which it does.

use nowcast_types::Timestamp;

/// When profiles, counters and models catch up with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Profiles and counters at every event, models hourly: what the live system does.
    Live,
    /// Everything at full hours only, as an hourly batch system.
    Hourly,
    /// Everything at full days only.
    Daily,
    /// Not at all after the warm-up.
    Never,
}

pub(super) const HOUR_MS: i64 = 3_600_000;

impl Refresh {
    /// Every mode, from the freshest.
    pub const ALL: [Self; 4] = [Self::Live, Self::Hourly, Self::Daily, Self::Never];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Never => "never",
        }
    }

    /// Whether events wait for the next boundary before anything learns from them.
    #[must_use]
    pub const fn is_batch(self) -> bool {
        !matches!(self, Self::Live)
    }

    /// The refresh period that `time` falls into; when it changes, everything waiting is learnt.
    #[must_use]
    pub fn period(self, time: Timestamp) -> i64 {
        match self {
            Self::Live | Self::Hourly => time.0.div_euclid(HOUR_MS),
            Self::Daily => time.0.div_euclid(24 * HOUR_MS),
            Self::Never => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_change_at_full_hours_and_days_of_utc() {
        let before = Timestamp(24 * HOUR_MS - 1);
        let after = Timestamp(24 * HOUR_MS);
        assert_eq!(
            Refresh::Hourly.period(after) - Refresh::Hourly.period(before),
            1
        );
        assert_eq!(
            Refresh::Daily.period(after) - Refresh::Daily.period(before),
            1
        );
        assert_eq!(Refresh::Never.period(after), Refresh::Never.period(before));
    }
}
