//! The two halves of the readers: who gets lists of their own and who gets what is popular.

use nowcast_types::stable_hash::stable_hash;

/// One half of an A/B comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// Lists made for the reader.
    Personalized,
    /// The same list of popular items for everybody, less what the reader has seen.
    Popular,
}

impl Arm {
    /// Both arms, in the order of [`Arm::index`].
    pub const ALL: [Self; 2] = [Self::Personalized, Self::Popular];

    /// The arm of a reader, by a hash of the id: the same on every visit and in every process.
    #[must_use]
    pub fn of(reader_id: &str) -> Self {
        const SALT: u64 = 0x0041_5242; // Keeps this split apart from other uses of the hash.
        Self::ALL[(stable_hash(reader_id.as_bytes(), SALT) % 2) as usize]
    }

    /// The slot whose configuration serves the arm.
    #[must_use]
    pub const fn slot(self) -> &'static str {
        match self {
            Self::Personalized => "default",
            Self::Popular => "popular",
        }
    }

    /// Name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Personalized => "personalized",
            Self::Popular => "popular",
        }
    }

    /// Position in [`Arm::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_are_halves() {
        let personalized = (0..10_000)
            .filter(|i| Arm::of(&format!("reader-{i}")) == Arm::Personalized)
            .count();
        assert!((4_800..5_200).contains(&personalized), "{personalized}");
    }
}
