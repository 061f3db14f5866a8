//! What a checkpoint blob is to the store: keyed sections, of which the last per key counts.
//!
//! The format is that of `nowcast-features`; the catalogue's checkpoints use it too.

use crate::error::StoreError;
use nowcast_features::{Section, begin_blob, for_each_section, write_section};

/// Builds a blob of sections.
#[derive(Debug)]
pub struct SectionWriter {
    blob: Vec<u8>,
    empty_len: usize,
}

impl Default for SectionWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl SectionWriter {
    /// An empty blob.
    #[must_use]
    pub fn new() -> Self {
        let mut blob = Vec::new();
        begin_blob(&mut blob);
        Self {
            empty_len: blob.len(),
            blob,
        }
    }

    /// Adds a section; `kind` is below 128. Without a value it removes what the key had.
    pub fn push(&mut self, kind: u8, key: &[u8], value: Option<&[u8]>) {
        write_section(&mut self.blob, Section { kind, key, value });
    }

    /// The blob so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.blob
    }

    /// The blob.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.blob
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blob.len()
    }

    /// Whether it has no sections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blob.len() == self.empty_len
    }

    /// Starts a new blob in the same memory.
    pub fn clear(&mut self) {
        self.blob.truncate(self.empty_len);
    }
}

/// Calls `section(kind, key, value)` for each section of a blob; no value means removed.
///
/// # Errors
/// [`StoreError::Corrupt`] if the blob is not a sequence of sections.
pub fn for_each(
    blob: &[u8],
    mut section: impl FnMut(u8, &[u8], Option<&[u8]>),
) -> Result<(), StoreError> {
    for_each_section(blob, |found| section(found.kind, found.key, found.value))
        .map_err(|error| StoreError::corrupt("checkpoint blob", error.to_string()))
}
