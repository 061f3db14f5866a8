//! What a checkpoint blob is to the store: keyed sections, of which the last per key counts.

use crate::error::StoreError;

/// Builds a blob of sections.
#[derive(Debug, Default)]
pub struct SectionWriter {
    out: Vec<u8>,
}

impl SectionWriter {
    /// An empty blob.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a section; without a value it removes what the key had.
    pub fn push(&mut self, kind: u8, key: &[u8], value: Option<&[u8]>) {
        let len = |len: usize| u32::try_from(len).expect("sections are far below 4 GiB");
        self.out.push(kind);
        self.out.extend(len(key.len()).to_le_bytes());
        self.out.extend(
            value
                .map_or(u32::MAX, |value| len(value.len()))
                .to_le_bytes(),
        );
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(value.unwrap_or_default());
    }

    /// The blob so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether it has no sections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Starts a new blob in the same memory.
    pub fn clear(&mut self) {
        self.out.clear();
    }
}

/// Calls `section(kind, key, value)` for each section of a blob; no value means removed.
///
/// # Errors
/// [`StoreError::Corrupt`] if the blob is not a sequence of sections.
pub fn for_each(
    mut blob: &[u8],
    mut section: impl FnMut(u8, &[u8], Option<&[u8]>),
) -> Result<(), StoreError> {
    while !blob.is_empty() {
        blob = one(blob, &mut section)
            .ok_or_else(|| StoreError::corrupt("checkpoint blob", "its sections do not parse"))?;
    }
    Ok(())
}

fn one<'a>(blob: &'a [u8], section: &mut impl FnMut(u8, &[u8], Option<&[u8]>)) -> Option<&'a [u8]> {
    let (kind, rest) = blob.split_first()?;
    let (key_len, rest) = rest.split_first_chunk::<4>()?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
    let value_len = u32::from_le_bytes(*value_len);
    if value_len == u32::MAX {
        section(*kind, key, None);
        return Some(rest);
    }
    let (value, rest) = rest.split_at_checked(value_len as usize)?;
    section(*kind, key, Some(value));
    Some(rest)
}
