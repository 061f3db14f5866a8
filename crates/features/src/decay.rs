//! Exponential decay that is bit-equal on every machine.
//!
//! Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): a contribution
//! at time `t` is stored as `w * 2^((t - L) / h)` relative to a landmark `L`, so old contributions
//! need no touching when new ones come. Landmarks are whole epochs of 32 half-lives; moving to the
//! next epoch multiplies by `2^-32`, which is exact. Times are whole seconds. `exp2` is our own
//! polynomial in a fixed order of operations, because the platform's may differ by a last bit.

/// Half-lives per epoch. 32 keeps scaled values far from the range of `f32`.
const HALF_LIVES_PER_EPOCH: u32 = 32;
/// `2^-32`, what one epoch of age is worth.
const EPOCH_FACTOR: f64 = 1.0 / 4_294_967_296.0;

/// A half-life, ready for use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecayClock {
    half_life_s: u32,
    half_lives_per_s: f64,
    epoch_s: u32,
}

/// The scale of contributions made at one time under one [`DecayClock`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The epoch of the time.
    pub epoch: u32,
    /// `2^((t - epoch start) / half-life)`, from 1 to `2^32`.
    pub factor: f64,
}

impl DecayClock {
    /// A clock whose half-life is `half_life_s` seconds (at least 1).
    #[must_use]
    pub fn new(half_life_s: u32) -> Self {
        let half_life_s = half_life_s.clamp(1, u32::MAX / HALF_LIVES_PER_EPOCH);
        Self {
            half_life_s,
            half_lives_per_s: 1.0 / f64::from(half_life_s),
            epoch_s: half_life_s * HALF_LIVES_PER_EPOCH,
        }
    }

    /// The half-life in seconds.
    #[must_use]
    pub const fn half_life_s(&self) -> u32 {
        self.half_life_s
    }

    /// The scale of contributions made at `time_s`.
    #[must_use]
    pub fn at(&self, time_s: u32) -> Scale {
        let epoch = time_s / self.epoch_s;
        let into_epoch_s = time_s - epoch * self.epoch_s;
        Scale {
            epoch,
            factor: exp2(f64::from(into_epoch_s) * self.half_lives_per_s),
        }
    }

    /// What a value stored relative to `epoch` must be multiplied with to be its worth at `as_of_s`.
    /// Contributions later than `as_of_s` count more than they were given.
    #[must_use]
    pub fn worth(&self, epoch: u32, as_of_s: u32) -> f64 {
        let landmark_s = i64::from(epoch) * i64::from(self.epoch_s);
        let age_s = i64::from(as_of_s) - landmark_s;
        exp2(-(age_s as f64) * self.half_lives_per_s)
    }
}

/// `2^(-32 * epochs)`, exact.
#[must_use]
pub(crate) fn epochs_worth(epochs: u32) -> f64 {
    match epochs {
        0 => 1.0,
        1 => EPOCH_FACTOR,
        n => exp2(-32.0 * f64::from(n.min(40))),
    }
}

/// A decaying sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Decayed {
    /// Sum of contributions, relative to the landmark of `epoch`.
    pub scaled: f64,
    /// Epoch of the newest contribution.
    pub epoch: u32,
}

impl Decayed {
    /// Adds `weight`, contributed at the time of `scale`.
    pub fn add(&mut self, scale: Scale, weight: f64) {
        if scale.epoch > self.epoch {
            self.scaled *= epochs_worth(scale.epoch - self.epoch);
            self.epoch = scale.epoch;
        }
        self.scaled += weight * scale.factor * epochs_worth(self.epoch - scale.epoch);
    }

    /// Adds another sum under the same clock.
    pub fn merge(&mut self, other: Self) {
        let epoch = self.epoch.max(other.epoch);
        self.scaled = self.scaled * epochs_worth(epoch - self.epoch)
            + other.scaled * epochs_worth(epoch - other.epoch);
        self.epoch = epoch;
    }

    /// The sum as of `as_of_s`.
    #[must_use]
    pub fn value(&self, clock: &DecayClock, as_of_s: u32) -> f64 {
        if self.scaled == 0.0 {
            return 0.0;
        }
        self.scaled * clock.worth(self.epoch, as_of_s)
    }
}

const TABLE: usize = 32;
/// `2^(i / 32)`, by the Taylor series of `e^(x ln 2)` to full precision.
const POWERS: [f64; TABLE] = {
    let mut powers = [0.0; TABLE];
    let mut i = 0;
    while i < TABLE {
        let x = i as f64 / TABLE as f64 * std::f64::consts::LN_2;
        let mut sum = 1.0;
        let mut n = 24;
        while n > 0 {
            sum = 1.0 + sum * x / n as f64;
            n -= 1;
        }
        powers[i] = sum;
        i += 1;
    }
    powers
};

/// `2^x` with a relative error below 1e-10, by table and polynomial; exact for whole `x`.
#[must_use]
pub fn exp2(x: f64) -> f64 {
    let x = x.clamp(-1020.0, 1020.0) * TABLE as f64;
    // Truncation of a shifted positive number is a floor that needs no library call.
    let whole = (x + 32_768.0) as i64 - 32_768;
    let rest = (x - whole as f64) * (std::f64::consts::LN_2 / TABLE as f64);
    let series = 1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0))));
    let exponent = whole >> 5;
    let table = POWERS[(whole & 31) as usize];
    series * table * f64::from_bits(((1023 + exponent) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_powers_are_exact() {
        for n in -1000_i32..1000 {
            assert_eq!(exp2(f64::from(n)), f64::powi(2.0, n), "2^{n}");
        }
    }

    proptest! {
        #[test]
        fn exp2_is_close_to_the_platforms(x in -900.0_f64..900.0) {
            let exact = x.exp2();
            prop_assert!((exp2(x) - exact).abs() <= 1e-10 * exact);
        }

        #[test]
        fn a_decayed_sum_is_the_sum_of_its_parts(
            parts in prop::collection::vec((0_u32..2_000_000, 0.1_f64..10.0), 1..40),
            half_life_s in 60_u32..100_000,
        ) {
            let clock = DecayClock::new(half_life_s);
            let mut sum = Decayed::default();
            for (time_s, weight) in &parts {
                sum.add(clock.at(*time_s), *weight);
            }
            let as_of_s = 2_000_000_u32;
            let expected: f64 = parts
                .iter()
                .map(|(t, w)| w * (-(f64::from(as_of_s - t)) / f64::from(half_life_s)).exp2())
                .sum();
            prop_assert!((sum.value(&clock, as_of_s) - expected).abs() <= 1e-9 * expected + 1e-280);
        }
    }
}
