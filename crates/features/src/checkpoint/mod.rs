//! Checkpoint blobs: sequences of keyed sections.
//!
//! A blob is magic, version and sections `(kind, key, value or tombstone)`. A later section of a
//! key replaces an earlier one, so any run of blobs can be merged without knowing what sections
//! mean. Framing and checksums are the store's.

mod sections;

pub use sections::{Section, for_each_section, merge_blobs};
pub use sections::{begin as begin_blob, write as write_section};
