//! Which parameters are worth searching, and where.

/// How a parameter is spread over its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly in its logarithm; both ends are above 0.
    Log,
    /// Whole numbers, evenly in their logarithm.
    WholeLog,
}

/// A parameter that a search may change, between two values that are both sensible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchRange {
    /// The parameter.
    pub name: &'static str,
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// How values are spread between them.
    pub scale: Scale,
}

impl SearchRange {
    /// Evenly from `low` to `high`.
    #[must_use]
    pub const fn linear(name: &'static str, low: f64, high: f64) -> Self {
        Self::new(name, low, high, Scale::Linear)
    }

    /// Evenly in the logarithm.
    #[must_use]
    pub const fn log(name: &'static str, low: f64, high: f64) -> Self {
        Self::new(name, low, high, Scale::Log)
    }

    /// Whole numbers, evenly in the logarithm.
    #[must_use]
    pub const fn whole(name: &'static str, low: f64, high: f64) -> Self {
        Self::new(name, low, high, Scale::WholeLog)
    }

    const fn new(name: &'static str, low: f64, high: f64, scale: Scale) -> Self {
        Self {
            name,
            low,
            high,
            scale,
        }
    }

    /// The value at `share` of the way, from 0 to 1, as the text of a parameter.
    #[must_use]
    pub fn at(&self, share: f64) -> String {
        let share = share.clamp(0.0, 1.0);
        let value = match self.scale {
            Scale::Linear => self.low + share * (self.high - self.low),
            Scale::Log | Scale::WholeLog => self.low * (self.high / self.low).powf(share),
        };
        match self.scale {
            Scale::WholeLog => format!("{:.0}", value.round()),
            Scale::Linear | Scale::Log => {
                // Four digits say all that a search can tell.
                let digits = 3 - value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32;
                let unit = 10_f64.powi(digits.clamp(0, 12));
                ((value * unit).round() / unit).to_string()
            }
        }
    }

    /// The share that a value has, if it is a number in the range.
    #[must_use]
    pub fn share_of(&self, text: &str) -> Option<f64> {
        let value: f64 = text.parse().ok()?;
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log | Scale::WholeLog => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        (0.0..=1.0).contains(&share).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn shares_and_values_are_inverse() {
        for range in [
            SearchRange::linear("a", -1.0, 3.0),
            SearchRange::log("b", 0.001, 10.0),
            SearchRange::whole("c", 16.0, 1024.0),
        ] {
            for share in [0.0, 0.25, 0.5, 1.0] {
                let back = range.share_of(&range.at(share)).unwrap();
                assert!((back - share).abs() < 0.01, "{range:?} {share} {back}");
            }
            assert_eq!(range.share_of("auto"), None);
        }
    }

    #[test]
    fn trainers_search_parameters_that_they_have_and_take() {
        for trainer in registry() {
            for range in trainer.search() {
                let declared = trainer.params().iter().any(|def| def.name == range.name);
                assert!(declared, "{} has no {}", trainer.name(), range.name);
                assert!(range.low < range.high);
            }
        }
    }
}
