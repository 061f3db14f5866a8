//! Checkpoint blobs: sequences of keyed sections.
//!
//! A blob is magic, version and sections `(kind, key, value or tombstone)`. A later section of a
//! key replaces an earlier one, so any run of blobs can be merged without knowing what sections
//! mean. Framing and checksums are the store's.

pub(crate) mod codec;
pub(crate) mod rows;
pub(crate) mod sections;

pub use sections::{Section, for_each_section, merge_blobs};
pub use sections::{begin as begin_blob, write as write_section};

/// What the key of a section means. The numbers are on disk.
pub mod kind {
    /// Position, counters, watermark and all else there is one of. No key.
    pub const META: u8 = 0;
    /// A user, by key.
    pub const USER: u8 = 1;
    /// An item, by local number.
    pub const ITEM: u8 = 2;
    /// A category, by local number.
    pub const CATEGORY: u8 = 3;
    /// A segment, by local number.
    pub const SEGMENT: u8 = 4;
    /// An item within a segment, by number.
    pub const ITEM_SEGMENT: u8 = 5;
    /// The only row of everything, by number.
    pub const GLOBAL: u8 = 6;
    /// Event ids of one generation, by generation and chunk.
    pub const DEDUP: u8 = 7;
    /// A slate that may still be labelled, by the offset at which it was shown.
    pub const SLATE: u8 = 8;
}
