//! What the ranker is told: hashed features.
//!
//! A [`Feature`] is 32 well-mixed bits. Its place in a table is its low bits, so a table of any
//! size can be used with the same features.

use nowcast_types::stable_hash::stable_hash;

/// The hash of a field and its value, or of several such together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Feature(pub u32);

impl Feature {
    /// The feature that every example may have: the intercept.
    pub const CONSTANT: Self = Self(0x9E37_79B9);

    /// Field `field` has the value `value`.
    #[inline]
    #[must_use]
    pub const fn new(field: u32, value: u64) -> Self {
        let seed = (field as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        Self((mix(value ^ seed) >> 32) as u32)
    }

    /// Field `field` has the text `value`.
    #[must_use]
    pub fn text(field: u32, value: &[u8]) -> Self {
        Self((stable_hash(value, u64::from(field)) >> 32) as u32)
    }

    /// Both hold. The order counts.
    #[inline]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let both = (self.0 as u64) << 32 | other.0 as u64;
        Self((mix(both) >> 32) as u32)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
const fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A feature that is a quantity. Its unit does not matter: the step is normalised by the largest
/// magnitude met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// Which quantity.
    pub feature: Feature,
    /// How much; what is not finite counts as 0.
    pub value: f32,
}

impl Number {
    /// The value, 0 where it is none.
    #[inline]
    pub(super) fn finite(self) -> f32 {
        if self.value.is_finite() {
            self.value
        } else {
            0.0
        }
    }
}

/// One item in one situation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Example<'a> {
    /// What holds.
    pub indicators: &'a [Feature],
    /// What has a quantity.
    pub numbers: &'a [Number],
    /// What holds of how it was shown; counts in learning, not in serving.
    pub shown: &'a [Feature],
    /// A margin to begin with, from a rule that holds before anything is learnt; finite.
    pub prior: f32,
}

impl<'a> Example<'a> {
    /// An example of indicators alone.
    #[must_use]
    pub const fn of(indicators: &'a [Feature]) -> Self {
        Self {
            indicators,
            numbers: &[],
            shown: &[],
            prior: 0.0,
        }
    }

    /// Everything that holds, as it counts in learning.
    #[inline]
    pub(super) fn holds(&self) -> impl Iterator<Item = Feature> + Clone + 'a {
        self.indicators.iter().chain(self.shown).copied()
    }
}
