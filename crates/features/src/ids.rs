//! Dense numbers for strings: what one partition calls an item, a category or a segment.
//!
//! Numbers are given in order of first appearance in the partition's log, so they are the same in
//! every replay, and are never used again for another string. They mean nothing outside their
//! partition: whoever merges partitions goes through the strings.

/// An item as one partition numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct LocalItem(pub u32);

/// A category as one partition numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct LocalCategory(pub u32);

/// A user segment as one partition numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct LocalSegment(pub u32);

impl LocalItem {
    /// The number as an index of a table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl LocalCategory {
    /// The number as an index of a table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl LocalSegment {
    /// The number as an index of a table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
