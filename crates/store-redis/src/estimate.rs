//! How much memory Redis will need.

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Users known.
    pub users: u64,
}

/// Bytes by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Users.
    pub users: u64,
}

/// Estimates.
#[must_use]
pub fn estimate(sizes: &Sizes) -> Estimate {
    Estimate { users: sizes.users }
}
