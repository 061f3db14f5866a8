//! The container format: how sections follow each other in a blob.
//!
//! Layout: `NCF1`, then per section `kind` (1 byte; the top bit marks a tombstone), key length and
//! value length (LEB128), key, value.

use crate::error::FeaturesError;
use hashbrown::HashSet;

/// First bytes of every blob; the digit is the format's version.
const MAGIC: [u8; 4] = *b"NCF1";
const TOMBSTONE: u8 = 0x80;

/// One keyed piece of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// What the key means; below 128.
    pub kind: u8,
    /// Which one.
    pub key: &'a [u8],
    /// Its bytes; `None` if it is gone.
    pub value: Option<&'a [u8]>,
}

/// Starts a blob at the end of `out`, which must be empty: a blob begins with its magic.
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
}

/// Appends a section to a blob that [`begin`] started.
pub fn write(out: &mut Vec<u8>, section: Section<'_>) {
    let flag = if section.value.is_none() {
        TOMBSTONE
    } else {
        0
    };
    let value = section.value.unwrap_or_default();
    out.push(section.kind | flag);
    write_length(out, section.key.len());
    write_length(out, value.len());
    out.extend_from_slice(section.key);
    out.extend_from_slice(value);
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn read_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

fn read<'a>(bytes: &mut &'a [u8]) -> Option<Section<'a>> {
    let (&kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let key_len = read_length(bytes)?;
    let value_len = read_length(bytes)?;
    let (key, rest) = bytes.split_at_checked(key_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    *bytes = rest;
    Some(Section {
        kind: kind & !TOMBSTONE,
        key,
        value: (kind & TOMBSTONE == 0).then_some(value),
    })
}

/// Calls `visit` with every section of a blob, in order.
///
/// # Errors
/// [`FeaturesError::Corrupt`] if the bytes are not a blob.
pub fn for_each_section<'a>(
    blob: &'a [u8],
    mut visit: impl FnMut(Section<'a>),
) -> Result<(), FeaturesError> {
    let mut rest = blob.strip_prefix(&MAGIC).ok_or(FeaturesError::Corrupt(
        "not a fold checkpoint of this version",
    ))?;
    while !rest.is_empty() {
        visit(read(&mut rest).ok_or(FeaturesError::Corrupt("a section is cut short"))?);
    }
    Ok(())
}

/// Merges blobs, oldest first, into one: of each key only the last section is kept. Tombstones go
/// too if the first blob is a full one (`keep_tombstones` false).
///
/// # Errors
/// [`FeaturesError::Corrupt`] if one of them is not a blob.
pub fn merge_blobs<B: AsRef<[u8]>>(
    blobs: &[B],
    keep_tombstones: bool,
    out: &mut Vec<u8>,
) -> Result<(), FeaturesError> {
    begin(out);
    for_each_latest(blobs, |section| {
        if keep_tombstones || section.value.is_some() {
            write(out, section);
        }
    })
}

/// Calls `visit` with the last section of every key, newest blob first.
pub(crate) fn for_each_latest<'a, B: AsRef<[u8]>>(
    blobs: &'a [B],
    mut visit: impl FnMut(Section<'a>),
) -> Result<(), FeaturesError> {
    let mut seen: HashSet<(u8, &[u8])> = HashSet::new();
    for blob in blobs.iter().rev() {
        let mut sections = Vec::new();
        for_each_section(blob.as_ref(), |section| sections.push(section))?;
        for section in sections.into_iter().rev() {
            if seen.insert((section.kind, section.key)) {
                visit(section);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Raw<'a> = (u8, &'a [u8], Option<&'a [u8]>);

    fn blob(sections: &[Raw<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out);
        for &(kind, key, value) in sections {
            write(&mut out, Section { kind, key, value });
        }
        out
    }

    #[test]
    fn the_last_section_of_a_key_wins() {
        let old = blob(&[
            (1, b"a", Some(b"1")),
            (1, b"b", Some(b"1")),
            (2, b"a", Some(b"1")),
        ]);
        let new = blob(&[(1, b"a", Some(b"2")), (1, b"b", None)]);
        let mut merged = Vec::new();
        merge_blobs(&[old, new], false, &mut merged).unwrap();
        let mut found = Vec::new();
        for_each_section(&merged, |s| {
            found.push((s.kind, s.key.to_vec(), s.value.map(<[u8]>::to_vec)))
        })
        .unwrap();
        found.sort();
        assert_eq!(
            found,
            [
                (1, b"a".to_vec(), Some(b"2".to_vec())),
                (2, b"a".to_vec(), Some(b"1".to_vec()))
            ]
        );
    }

    #[test]
    fn every_truncation_is_refused_or_shorter() {
        let whole = blob(&[(1, b"key", Some(&[7; 300])), (3, b"", None)]);
        for cut in 0..whole.len() {
            let mut n = 0;
            let result = for_each_section(&whole[..cut], |_| n += 1);
            assert!(result.is_err() || n < 2, "cut at {cut}");
        }
    }
}
